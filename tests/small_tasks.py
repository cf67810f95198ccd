"""A task that a small PLM learns in a second, with the words, tokenizer and PLMs for it."""

from __future__ import annotations

import random

import small_plms
import small_tokenizers
from datasets import Dataset

from course_utils.tasks import Task

GOOD, BAD = ["good", "fine", "superb"], ["bad", "dull", "awful"]
FILLER = ["the", "a", "film", "was", "and", "it", "plot", "actor", "scene", "in", "of", "with"]
OTHER = [":", ".", "verb", "runs", "eats", "sees", "name", "city", "food", "is", "cheap", "dear"]
VOCAB = 64  # more than there are words


def tokenizer(causal: bool = False):
    words = [*GOOD, *BAD, *FILLER, *OTHER]
    ends = {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return small_tokenizers.of_words(words, adds="causal" if causal else "bert", **ends)


def bert(head: str = "classifier", num_labels: int = 2, seed: int = 0, dropout: float = 0.1):
    """A BERT in train mode; its head is "classifier", "tagger", "choice" or "lm"."""
    model = small_plms.make(
        "bert" if head == "classifier" else f"bert-{head}",
        seed,
        vocab_size=VOCAB,
        num_attention_heads=2,
        max_position_embeddings=48 if head == "lm" else 32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=num_labels,
        initializer_range=0.2,
    )
    return model.train()


def gpt2(seed: int = 0):
    """A GPT-2 in train mode."""
    model = small_plms.make(
        "gpt2",
        seed,
        vocab_size=VOCAB,
        n_positions=128,
        n_embd=32,
        n_head=2,
        initializer_range=0.2,
    )
    return model.train()


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
