"""Small tokenizers of four kinds and untrained PLMs for them, for the tests of several packages."""

from __future__ import annotations

import json

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
    PreTrainedTokenizerFast,
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
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
SENTENCES = [
    "it was great . it was bad . no weapons of mass destruction found in iraq yet .",
    "The film was dull ? yes , I think that it was a terrible film .",
    "Weapons found in Iraq . maybe the rain was cold and the town warm .",
    " ".join(WORDS),
    "great good bad terrible yes no maybe " * 20,
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.5,
}


def bert_tokenizer() -> BertTokenizer:
    """A lower-casing WordPiece tokenizer with a character fall-back."""
    vocabulary = [*SPECIAL, *PUNCTUATION, *LETTERS, *WORDS]
    vocabulary += [f"##{letter}" for letter in LETTERS] + ["##s", "##ly"]
    vocabulary += ["mask", "sep", "0", "1", "2"]
    vocabulary = list(dict.fromkeys(vocabulary))
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)})


def roberta_tokenizer() -> RobertaTokenizer:
    """A byte-level BPE tokenizer with RoBERTa's special tokens (its mask takes the space)."""
    vocab, merges = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return RobertaTokenizer(vocab=vocab, merges=merges, mask_token=mask)


def gpt2_tokenizer() -> GPT2Tokenizer:
    """A byte-level BPE tokenizer with GPT-2's one special token and no padding token."""
    vocab, merges = _byte_level(["<|endoftext|>"])
    return GPT2Tokenizer(vocab=vocab, merges=merges)


def t5_tokenizer() -> T5Tokenizer:
    """A SentencePiece (unigram) tokenizer with T5's sentinels; "</s>" is one of its pieces."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS]
    pieces += [(c, -6.0) for c in [*LETTERS, *PUNCTUATION, "0", "1", "2"]]
    return T5Tokenizer(vocab=pieces, extra_ids=10)


def word_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Whole words only, with BERT's special tokens, none of which are added to a text."""
    names = [*SPECIAL, *words]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def bert(tokenizer, **changes) -> BertForMaskedLM:
    torch.manual_seed(0)
    settings = SIZES | {"max_position_embeddings": 48} | changes
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **settings)
    return BertForMaskedLM(config).eval()


def roberta(tokenizer, **changes) -> RobertaForMaskedLM:
    torch.manual_seed(0)
    settings = SIZES | {"max_position_embeddings": 50} | changes
    config = RobertaConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **settings
    )
    return RobertaForMaskedLM(config).eval()


def gpt2(tokenizer, **changes) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    settings = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64} | changes
    settings = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.5,
    } | settings
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **settings)).eval()


def t5(tokenizer) -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return T5ForConditionalGeneration(config).eval()


def saved(folder, model, tokenizer) -> str:
    """The PLM as a folder that `load_plm` takes by its name."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


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
