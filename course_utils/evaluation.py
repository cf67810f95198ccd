"""Evaluating a model on a split: predictions, score, and what the score is worth.

Works with whatever answers a batch with `.logits`: a transformers model with a head, a
`Tuned` model, or a `PromptModel` (which also encodes examples by itself). Texts are sorted
by length before batching, so little is padded, and predictions come back in row order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils.device import autocast, device_of
from course_utils.errors import CourseError
from course_utils.model_facts import (
    encodes,
    plain,
    token_limit,
    with_prompt,
)
from course_utils.records import write_text
from course_utils.tasks.batches import IGNORED, Collator, pad_id
from course_utils.tasks.inputs import Encoded, encode, has_answer, layout
from course_utils.tasks.metrics import interval, score
from course_utils.tasks.task import Task

NEW_TOKENS = 80  # enough for a sentence about one table; E2E's longest reference has 73 words


@dataclass(frozen=True)
class Evaluation:
    """A score and everything behind it.

    Attributes:
        score, metric, n: the value, what it measures, and over how many examples.
        predictions, labels: per example, in row order: label ids, numbers, tag names or texts.
        ids: the examples' names (`Task.ids`).
        majority: score of always giving the most common label.
        seconds: wall-clock time of the predictions.
        also: further metrics, whose values `others` gives.
    """

    task: str
    split: str
    metric: str
    score: float
    n: int
    predictions: list[Any] = field(repr=False)
    labels: list[Any] = field(repr=False)
    ids: list[Any] = field(repr=False)
    majority: float
    seconds: float
    also: tuple[str, ...] = ()

    @cached_property
    def others(self) -> dict[str, float]:
        """The task's further metrics; computed when first asked for."""
        return {name: score(name, self.predictions, self.labels) for name in self.also}

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of an accuracy (Wilson); None for other metrics."""
        return interval(self.score, self.n) if self.metric == "accuracy" else None

    def __str__(self) -> str:
        span = ""
        if self.interval:
            span = f", 95 % interval {self.interval[0]:.3f} to {self.interval[1]:.3f}"
        more = "".join(f", {name} {value:.3f}" for name, value in self.others.items())
        return (
            f"{self.task} {self.split}: {self.metric} {self.score:.3f}{span}{more}, n {self.n:,} "
            f"(majority {self.majority:.3f})"
        )

    def write(self, path: str | Path) -> Path:
        """One JSON line per example: id, prediction, label."""
        triples = zip(self.ids, self.predictions, self.labels, strict=True)
        lines = [json.dumps({"id": i, "prediction": p, "label": g}) for i, p, g in triples]
        return write_text(path, "\n".join(lines) + "\n")


def evaluate(
    model: nn.Module,
    task: Task,
    split: str | None = None,
    *,
    tokenizer: Any,
    prompt: Any = None,
    batch_size: int = 64,
    max_length: int | None = None,
    precision: str = "auto",
    progress: bool = False,
) -> Evaluation:
    """Scores a model on one split. Examples without a gold label are left out.

    Args:
        model: transformers model with the task's head, `Tuned`, or `PromptModel`.
        split: "test" where the task has one, else "dev", when not given.
        prompt: (template, verbalizer) to prompt a bare PLM with; see `with_prompt`.
        max_length: tokens per example; the model's own limit when not given.
        precision: one of `PRECISIONS`; "auto" is float32 on a CPU, 16 bit on a GPU.

    Raises:
        CourseError: no such split, no gold label in it, a text that does not fit.
    """
    split = split or task.evaluation_split
    model = with_prompt(model, task, tokenizer, prompt, max_length)
    prepared = prepare(model, task, split, tokenizer, max_length=max_length)
    return prepared.evaluate(model, batch_size, precision, progress)


def predict(
    model: nn.Module,
    task: Task,
    split: str = "unlabelled",
    *,
    tokenizer: Any,
    prompt: Any = None,
    batch_size: int = 64,
    max_length: int | None = None,
    precision: str = "auto",
    progress: bool = False,
) -> list[Any]:
    """Predictions for every example of a split, with or without gold labels, in row order."""
    model = with_prompt(model, task, tokenizer, prompt, max_length)
    prepared = prepare(model, task, split, tokenizer, max_length=max_length, answers=False)
    return prepared.predict(model, batch_size, precision, progress)


@dataclass
class Prepared:
    """A split, tokenised once and evaluated as often as needed (each epoch of a training)."""

    task: Task
    split: str
    tokenizer: Any
    encoded: Encoded
    side: str
    limit: int
    _batches: dict[int, list[tuple[list[int], dict[str, torch.Tensor]]]] = field(
        default_factory=dict
    )

    def batches(self, size: int) -> list[tuple[list[int], dict[str, torch.Tensor]]]:
        """(features' numbers, padded batch), longest texts first: out of memory comes at once."""
        if size not in self._batches:
            lengths = self.encoded.lengths()
            order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
            collator = Collator(pad_id(self.tokenizer), self.side)
            chunks = [order[i : i + size] for i in range(0, len(order), size)]
            self._batches[size] = [
                (chunk, collator([self.encoded.features[i] for i in chunk])) for chunk in chunks
            ]
        return self._batches[size]

    def predict(
        self, model: nn.Module, batch_size: int, precision: str = "auto", progress: bool = False
    ) -> list[Any]:
        """Predictions in the order of the kept rows."""
        device = device_of(model)
        found: list[Any] = [None] * len(self.encoded.features)
        answer = _answerer(model, self)
        was_training = model.training
        model.eval()
        try:
            with torch.inference_mode(), autocast(device, precision):
                for chunk, batch in _bar(self.batches(batch_size), progress):
                    on_device = {k: v.to(device) for k, v in batch.items()}
                    for at, value in zip(chunk, answer(on_device), strict=True):
                        found[at] = value
        finally:
            model.train(was_training)
        return [self._complete(at, value) for at, value in enumerate(found)]

    def _complete(self, at: int, value: Any) -> Any:
        """Tag ids become names; words that were cut off count as outside."""
        if self.task.kind != "tagging":
            return value
        words = len(self.task.split(self.split)[self.encoded.rows[at]]["tokens"])
        names = [self.task.labels[tag] for tag in value]
        return names + ["O"] * (words - len(names))

    def gold(self) -> list[Any]:
        """The answers of the kept rows, in the form `predict` gives them."""
        rows = self.task.split(self.split)
        several = self.task.kind == "generation" and "references" in rows.column_names
        answers = list(rows["references"]) if several else self.task.gold(self.split)
        kept = [answers[row] for row in self.encoded.rows]
        if self.task.kind == "tagging":
            return [[self.task.labels[tag] for tag in tags] for tags in kept]
        return kept

    def ids(self) -> list[Any]:
        """The names of the kept rows (`Task.ids`)."""
        values = self.task.ids(self.split)
        return [values[row] for row in self.encoded.rows]

    def evaluate(
        self, model: nn.Module, batch_size: int, precision: str = "auto", progress: bool = False
    ) -> Evaluation:
        """Predictions and their score; texts with several references are scored against all."""
        start = time.perf_counter()
        predictions, gold = self.predict(model, batch_size, precision, progress), self.gold()
        seconds = time.perf_counter() - start
        ids = self.ids()
        if self.task.kind == "generation":
            predictions, gold, ids = self._by_source(predictions, gold, ids)
        return Evaluation(
            task=self.task.name,
            split=self.split,
            metric=self.task.metric,
            score=score(self.task.metric, predictions, gold),
            n=len(gold),
            predictions=predictions,
            labels=gold,
            ids=ids,
            majority=self.task.majority(self.split),
            seconds=seconds,
            also=self.task.also,
        )

    def _by_source(
        self, predictions: list[str], gold: list[Any], ids: list[Any]
    ) -> tuple[list[str], list[list[str]], list[Any]]:
        """E2E lists a table once per reference: one prediction against all its references."""
        rows, laid_out = self.task.split(self.split), layout(self.task)
        merged: dict[str, tuple[str, list[str], Any]] = {}
        for at, row in enumerate(self.encoded.rows):
            source = laid_out(rows[row])[0]
            references = [gold[at]] if isinstance(gold[at], str) else list(gold[at])
            merged.setdefault(source, (predictions[at], [], ids[at]))[1].extend(references)
        values = list(merged.values())
        return [v[0] for v in values], [v[1] for v in values], [v[2] for v in values]


def prepare(
    model: nn.Module,
    task: Task,
    split: str,
    tokenizer: Any,
    *,
    max_length: int | None = None,
    answers: bool = True,
    training: bool = False,
) -> Prepared:
    """Tokenises a split for this model.

    Args:
        answers: keep only examples with gold labels.
        training: for generation, features with the target inside instead of the prompt alone.
    """
    rows = task.split(split)
    limit = token_limit(model, tokenizer, max_length)
    config = getattr(plain(model), "config", None)
    if config is not None and getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = pad_id(tokenizer)  # causal classifiers find the last token by it
    side = "right"
    if encodes(model):
        encoded = _own_encoding(model, task, rows, answers)
    else:
        seq2seq = bool(getattr(config, "is_encoder_decoder", False))
        writing = task.kind == "generation" and not training
        room = limit
        if writing and not seq2seq:
            side = "left"  # the next token must follow the text, not its padding
            room -= min(NEW_TOKENS, limit // 2)
        encoded = encode(
            task,
            rows,
            tokenizer,
            max_length=room,
            seq2seq=seq2seq,
            answers=answers and not writing,
        )
    if not encoded.features:
        raise CourseError(f"task {task.name!r}: no example of split {split!r} has a gold label.")
    return Prepared(task, split, tokenizer, encoded, side, limit)


def _own_encoding(model: Any, task: Task, rows: Any, answers: bool) -> Encoded:
    """Features a PromptModel makes itself, with the label beside them."""
    named = getattr(model, "labels", task.labels)
    if tuple(named) != task.labels:
        raise CourseError(
            f"the prompt answers with the labels {', '.join(named)}; task {task.name!r} has "
            f"{', '.join(task.labels)}. Give PromptModel labels=task.labels."
        )
    encoded = Encoded()
    for at, row in enumerate(rows):
        if answers and not has_answer(task, row):
            continue
        feature = {k: v for k, v in model.encode(row).items() if k != "labels"}
        if answers:
            feature["labels"] = int(row[task.label_column])
        encoded.features.append(feature)
        encoded.rows.append(at)
    return encoded


def _answerer(model: nn.Module, prepared: Prepared) -> Callable[[dict], list[Any]]:
    """The function from a batch on the device to one answer per example."""
    kind = prepared.task.kind
    if kind == "generation":
        return lambda batch: _write(model, prepared, batch)
    if kind == "tagging":
        return lambda batch: _tags(model, batch)
    if kind == "regression":
        return lambda batch: _logits(model, batch).float().squeeze(-1).tolist()
    return lambda batch: _logits(model, batch).argmax(-1).tolist()


def _logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**{k: v for k, v in batch.items() if k != "labels"}).logits


def _tags(model: nn.Module, batch: dict[str, torch.Tensor]) -> list[list[int]]:
    best = _logits(model, batch).argmax(-1)  # (B, L)
    scored = batch["labels"] != IGNORED  # (B, L), the first sub-token of each word
    return [row[keep].tolist() for row, keep in zip(best, scored, strict=True)]


def _write(model: Any, prepared: Prepared, batch: dict[str, torch.Tensor]) -> list[str]:
    """Greedy continuation of each prompt, up to the end-of-text token."""
    writer, tokenizer = (model if hasattr(model, "generate") else plain(model)), prepared.tokenizer
    given = 0 if plain(model).config.is_encoder_decoder else batch["input_ids"].shape[1]
    with _rows_may_end():
        made = writer.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=min(NEW_TOKENS, prepared.limit - given),
            do_sample=False,
            num_beams=1,
            pad_token_id=pad_id(tokenizer),
            eos_token_id=tokenizer.eos_token_id,
        )
    written = tokenizer.batch_decode(made[:, given:], skip_special_tokens=True)
    return [text.strip() for text in written]


@contextmanager
def _rows_may_end() -> Iterator[None]:
    """`generate` drops a mask of ones, and the PLM then warns of what pads rows that have ended."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _bar(batches: list[Any], progress: bool) -> Iterator[Any]:
    if not progress:
        return iter(batches)
    from tqdm.auto import tqdm

    return iter(tqdm(batches, desc="evaluating", leave=False))
