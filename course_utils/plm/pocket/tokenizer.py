"""The pocket models' tokenizer: lower-cased WordPiece over every word of the world.

Words of the world are one token each. Anything else a student types falls back to characters,
so nothing but odd symbols becomes [UNK].
"""

from __future__ import annotations

import itertools
import string
from collections import Counter
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

from course_utils.plm.pocket.corpus import documents
from course_utils.plm.pocket.wordings import WORDINGS
from course_utils.plm.pocket.world import make_world

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
MAX_LENGTH = 256


def plain(marked: str) -> str:
    """A document's text without the marks of its cues."""
    return " ".join(
        w[1:-1] if len(w) > 2 and w[0] == "<" and w[-1] == ">" else w for w in marked.split()
    )


@cache
def vocabulary(world_seed: int = 0, sample: int = 120_000) -> tuple[str, ...]:
    """The tokens in id order: special tokens, characters, then words by falling frequency.

    Args:
        world_seed: the world whose corpus is counted.
        sample: how many documents are counted; rare names of a smaller sample would be missed.
    """
    counts: Counter[str] = Counter()
    for document in itertools.islice(documents(make_world(world_seed), seed=0), sample):
        counts.update(plain(document.text).split())
    for wordings in WORDINGS.values():
        for wording in wordings:
            words = wording.pattern.split() + [w for group in wording.words for w in group]
            counts.update(w for w in words if "{" not in w)
    characters = string.ascii_lowercase + string.digits
    singles = [*characters, *string.punctuation]
    tokens = [PAD, UNK, CLS, SEP, MASK, *singles, *(f"##{c}" for c in characters)]
    known = set(tokens)
    words = sorted(
        (w for w in counts if w not in known and w.isalpha()), key=lambda w: (-counts[w], w)
    )
    return (*tokens, *words)


def build_tokenizer(causal: bool = False, world_seed: int = 0) -> PreTrainedTokenizerFast:
    """The shared tokenizer.

    Args:
        causal: for the causal model: only [CLS] is added, before the text, as its
            beginning-of-sequence token ([SEP] ends a text). Otherwise BERT's
            "[CLS] a [SEP]" and "[CLS] a [SEP] b [SEP]".
        world_seed: the world whose words are in the vocabulary.
    """
    ids = {token: i for i, token in enumerate(vocabulary(world_seed))}
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNK, max_input_chars_per_word=60))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    special = [(CLS, ids[CLS]), (SEP, ids[SEP])]
    tokenizer.post_processor = (
        processors.TemplateProcessing(
            single=f"{CLS} $A", pair=f"{CLS} $A $B", special_tokens=special[:1]
        )
        if causal
        else processors.TemplateProcessing(
            single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B:1 {SEP}:1", special_tokens=special
        )
    )
    roles = {"bos_token": CLS, "eos_token": SEP} if causal else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNK,
        pad_token=PAD,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        model_max_length=MAX_LENGTH,
        padding_side="left" if causal else "right",
        model_input_names=["input_ids", *([] if causal else ["token_type_ids"]), "attention_mask"],
        **roles,
    )


def save_tokenizer(folder: Path, causal: bool, world_seed: int = 0) -> PreTrainedTokenizerFast:
    """Write the tokenizer's files into a model's folder and return it."""
    tokenizer = build_tokenizer(causal, world_seed)
    tokenizer.save_pretrained(folder)
    return tokenizer
