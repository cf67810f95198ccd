"""What a model costs and what it is worth, in one row: size, score, speed.

    rows = [cost(model, task, tokenizer=tokenizer, name=name) for name, model in models.items()]

Size is counted on what there is: shared weights once, zeros of a pruned model like other numbers,
since that is how they are stored and multiplied. Speed is measured on this machine, on the same
texts for every model, one at a time and in batches. The two differ: a single text waits for the
layers one after another, a batch for the arithmetic.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.device import autocast, device_of
from course_utils.errors import CourseError
from course_utils.evaluation import prepare
from course_utils.tasks.batches import collate
from course_utils.tasks.task import Task

REPEATS = 5


def cost(
    model: nn.Module,
    task: Task,
    split: str | None = None,
    *,
    tokenizer: Any,
    name: str | None = None,
    texts: int = 32,
    batch_size: int = 32,
    max_length: int | None = None,
    precision: str = "auto",
) -> dict[str, Any]:
    """One row about a model that answers with logits, such as a PLM or an `EarlyExit` with a rule.

    Args:
        split: "test" where the task has one, else "dev", when not given.
        texts: how many, from the start of the split, are timed.

    Returns:
        name; parameters, nonzero (how many of them); megabytes (10⁶ bytes, as stored),
        sparse_megabytes (if each tensor were stored as its non-zero numbers and one bit for every
        place, where that is less); metric, score, n; single_ms, batch_ms (milliseconds per text,
        the median of five rounds).

    Raises:
        CourseError: what `evaluate` refuses, or fewer than one text.
    """
    if texts < 1:
        raise CourseError(f"cost(texts={texts}): give at least one text to time.")
    prepared = prepare(
        model, task, split or task.evaluation_split, tokenizer, max_length=max_length
    )
    found = prepared.evaluate(model, batch_size, precision)
    features = prepared.encoded.features[:texts]
    singles = [collate([feature], tokenizer) for feature in features]
    starts = range(0, len(features), batch_size)
    batches = [collate(features[at : at + batch_size], tokenizer) for at in starts]
    return {
        "name": name or type(model).__name__,
        **size(model),
        "metric": found.metric,
        "score": found.score,
        "n": found.n,
        "single_ms": _milliseconds(model, singles, precision) / len(features),
        "batch_ms": _milliseconds(model, batches, precision) / len(features),
    }


def size(model: nn.Module) -> dict[str, Any]:
    """parameters, nonzero, megabytes and sparse_megabytes of a row."""
    tensors = [p.detach() for p in model.parameters()]  # a shared parameter comes once
    nonzero = [int(torch.count_nonzero(t)) for t in tensors]
    dense = [t.numel() * t.element_size() for t in tensors]
    sparse = [n * t.element_size() + t.numel() / 8 for t, n in zip(tensors, nonzero, strict=True)]
    return {
        "parameters": sum(t.numel() for t in tensors),
        "nonzero": sum(nonzero),
        "megabytes": sum(dense) / 1e6,
        "sparse_megabytes": sum(map(min, dense, sparse)) / 1e6,
    }


def _milliseconds(model: nn.Module, batches: list[dict[str, Tensor]], precision: str) -> float:
    """The median time for all batches; they are on the device before the clock starts."""
    device, was_training = device_of(model), model.training
    inputs = [{k: v.to(device) for k, v in b.items() if k != "labels"} for b in batches]
    model.eval()
    rounds = []
    try:
        with torch.inference_mode(), autocast(device, precision):
            for _ in range(REPEATS + 1):
                _wait(device)
                start = time.perf_counter()
                for batch in inputs:
                    model(**batch)
                _wait(device)
                rounds.append(1000 * (time.perf_counter() - start))
    finally:
        model.train(was_training)
    return statistics.median(rounds[1:])  # the first round warms up


def _wait(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
