"""Small tokenizers of four kinds, and one of whole words, for the tests of several packages."""

from __future__ import annotations

import json

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers
from tokenizers import decoders as tokenizer_decoders
from transformers import (
    BertTokenizer,
    GPT2Tokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    T5Tokenizer,
)

TEXT = (
    "a an the it was is film town rain no yes maybe great good bad terrible weapons of mass "
    "destruction found in iraq sport world dull joy from start to end and i think that dog cat "
    "really not definitely so warm cold"
)
WORDS = TEXT.split()
PUNCTUATION = list(".,?!:;-'\"()[]{}<>/|#_")
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
SENTENCES = [
    "it was great . it was bad . no weapons of mass destruction found in iraq yet .",
    "The film was dull ? yes , I think that it was a terrible film .",
    "Weapons found in Iraq . maybe the rain was cold and the town warm .",
    " ".join(WORDS),
    "great good bad terrible yes no maybe " * 20,
]
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
ADDED = {
    "bert": {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"},
    "causal": {"single": "[CLS] $A"},
}


def bert() -> BertTokenizer:
    """A lower-casing WordPiece tokenizer with a character fall-back."""
    vocabulary = [*SPECIAL.values(), *PUNCTUATION, *LETTERS, *WORDS]
    vocabulary += [f"##{letter}" for letter in LETTERS] + ["##s", "##ly"]
    vocabulary += ["mask", "sep", "0", "1", "2"]
    vocabulary = list(dict.fromkeys(vocabulary))
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)})


def roberta() -> RobertaTokenizer:
    """A byte-level BPE tokenizer with RoBERTa's special tokens (its mask takes the space)."""
    vocab, merges = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return RobertaTokenizer(vocab=vocab, merges=merges, mask_token=mask)


def gpt2() -> GPT2Tokenizer:
    """A byte-level BPE tokenizer with GPT-2's one special token and no padding token."""
    vocab, merges = _byte_level(["<|endoftext|>"])
    return GPT2Tokenizer(vocab=vocab, merges=merges)


def t5() -> T5Tokenizer:
    """A SentencePiece (unigram) tokenizer with T5's sentinels; "</s>" is one of its pieces."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS]
    pieces += [(c, -6.0) for c in [*LETTERS, *PUNCTUATION, "0", "1", "2"]]
    return T5Tokenizer(vocab=pieces, extra_ids=10)


def of_words(words: list[str], adds: str = "", **names: str | None) -> PreTrainedTokenizerFast:
    """Whole words only, with BERT's special tokens as the first five.

    Args:
        adds: a key of ADDED, the special tokens that are put round a text; none by default.
        names: which token has which role, beside or instead of SPECIAL; None for no such token.
    """
    known = dict.fromkeys([*SPECIAL.values(), *words])
    ids = {word: number for number, word in enumerate(known)}
    inner = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if adds:
        special = [(name, ids[name]) for name in ("[CLS]", "[SEP]")]
        inner.post_processor = processors.TemplateProcessing(**ADDED[adds], special_tokens=special)
    given = {role: token for role, token in {**SPECIAL, **names}.items() if token is not None}
    if adds == "bert":
        given["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=inner, **given)


def _byte_level(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizer_decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    return model["vocab"], merges


class NumberedWords:
    """Enough of a tokenizer: w<id> is the token <id>, ids 0 to 4 are special, 5 is [unused0]."""

    all_special_ids = (0, 1, 2, 3, 4)

    def __len__(self):
        return 50

    def __call__(self, text, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [int(word[1:]) for word in text.split() if word.startswith("w")]}

    def convert_ids_to_tokens(self, ids):
        return ["[unused0]" if i == 5 else f"w{i}" for i in ids]
