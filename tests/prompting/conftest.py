"""Small tokenizers and untrained models of four kinds, made on the spot."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers
from tokenizers import decoders as tokenizer_decoders
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

TEXT = (
    "a an the it was is film town rain no yes maybe great good bad terrible weapons of mass "
    "destruction found in iraq sport world dull joy from start to end and i think that dog cat "
    "really not definitely so warm cold"
)
WORDS = TEXT.split()
PUNCTUATION = list(".,?!:;-'\"()[]{}<>/|#_")
SENTENCES = [
    "it was great . it was bad . no weapons of mass destruction found in iraq yet .",
    "The film was dull ? yes , I think that it was a terrible film .",
    "Weapons found in Iraq . maybe the rain was cold and the town warm .",
    " ".join(WORDS),
    "great good bad terrible yes no maybe " * 20,
]


@pytest.fixture(scope="session")
def bert():
    """A lower-casing WordPiece tokenizer with a character fall-back."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PUNCTUATION, *letters, *WORDS]
    vocabulary += [f"##{letter}" for letter in letters] + ["##s", "##ly"]
    vocabulary += ["mask", "sep", "0", "1", "2"]
    vocabulary = list(dict.fromkeys(vocabulary))
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)})


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


@pytest.fixture(scope="session")
def roberta():
    """A byte-level BPE tokenizer with RoBERTa's special tokens (its mask takes the space)."""
    vocab, merges = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return RobertaTokenizer(vocab=vocab, merges=merges, mask_token=mask)


@pytest.fixture(scope="session")
def gpt2():
    """A byte-level BPE tokenizer with GPT-2's one special token and no padding token."""
    vocab, merges = _byte_level(["<|endoftext|>"])
    return GPT2Tokenizer(vocab=vocab, merges=merges)


@pytest.fixture(scope="session")
def t5():
    """A SentencePiece (unigram) tokenizer with T5's sentinels; "</s>" is one of its pieces."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces += [(c, -6.0) for c in [*letters, *PUNCTUATION, "0", "1", "2"]]
    return T5Tokenizer(vocab=pieces, extra_ids=10)


@pytest.fixture
def bert_model(bert):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(bert),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
        pad_token_id=bert.pad_token_id,
        initializer_range=0.5,
    )
    return BertForMaskedLM(config).eval()


@pytest.fixture
def roberta_model(roberta):
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(roberta),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=50,
        pad_token_id=roberta.pad_token_id,
        initializer_range=0.5,
    )
    return RobertaForMaskedLM(config).eval()


@pytest.fixture
def gpt2_model(gpt2):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(gpt2),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        bos_token_id=gpt2.bos_token_id,
        eos_token_id=gpt2.eos_token_id,
        initializer_range=0.5,
    )
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def t5_model(t5):
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(t5),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=t5.pad_token_id,
        pad_token_id=t5.pad_token_id,
        eos_token_id=t5.eos_token_id,
    )
    return T5ForConditionalGeneration(config).eval()
