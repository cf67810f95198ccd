"""Small models, a tokenizer and tasks made on the spot, for the tests of training."""

from __future__ import annotations

import random

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from course_utils.tasks import Task

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GOOD, BAD = ["good", "fine", "superb"], ["bad", "dull", "awful"]
FILLER = ["the", "a", "film", "was", "and", "it", "plot", "actor", "scene", "in", "of", "with"]
OTHER = [":", ".", "verb", "runs", "eats", "sees", "name", "city", "food", "is", "cheap", "dear"]


def tokenizer(causal: bool = False) -> PreTrainedTokenizerFast:
    words = list(dict.fromkeys([*SPECIAL, *GOOD, *BAD, *FILLER, *OTHER]))
    inner = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = Whitespace()
    ids = [("[CLS]", 2), ("[SEP]", 3)]
    if causal:
        inner.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=ids)
    else:
        inner.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def bert(head: str = "classifier", num_labels: int = 2, seed: int = 0, dropout: float = 0.1):
    kinds = {
        "classifier": BertForSequenceClassification,
        "tagger": BertForTokenClassification,
        "choice": BertForMultipleChoice,
    }
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=num_labels,
        initializer_range=0.2,
    )
    return kinds[head](config)


def gpt2(seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=64,
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=2,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        initializer_range=0.2,
    )
    return GPT2LMHeadModel(config)


def sentiment(n: int = 64, dev: int = 40, seed: int = 0) -> Task:
    """One word decides; the rest is filler of varying length."""
    draw = random.Random(seed)

    def rows(count: int) -> Dataset:
        made: dict[str, list] = {"sentence": [], "label": []}
        for i in range(count):
            words = draw.choices(FILLER, k=draw.randint(2, 10))
            words.insert(draw.randrange(len(words)), draw.choice(GOOD if i % 2 else BAD))
            made["sentence"].append(" ".join(words))
            made["label"].append(i % 2)
        return Dataset.from_dict(made)

    return Task(
        name="small/sentiment",
        kind="classification",
        columns=("sentence",),
        labels=("negative", "positive"),
        metric="accuracy",
        splits={"train": rows(n), "dev": rows(dev), "test": rows(dev)},
    )
