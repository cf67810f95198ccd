"""Choosing a learning rate on dev: every candidate trains a fresh model, the best one is kept.

    found = sweep(lambda: attach(load(), LoRA()), task, (1e-4, 1e-3), tokenizer=tokenizer)
    print(found)                       # each rate's dev score, and the chosen one
    found.best.model

`chosen_rate` does so once for all seeds of a run and keeps what came out.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from course_utils.errors import CourseError
from course_utils.loop import DivergedError
from course_utils.records import main_process, read_json, write_json
from course_utils.settings import TrainSettings
from course_utils.tasks.task import Task
from course_utils.training import TrainResult, train

CHOICE = "learning_rates.json"


@dataclass(frozen=True)
class Sweep:
    """Learning rates tried, each with the dev score it reached, and the best run."""

    scores: dict[float, float]
    best: TrainResult = field(repr=False)

    @property
    def learning_rate(self) -> float:
        return self.best.record.settings["learning_rate"]

    def __str__(self) -> str:
        tried = ", ".join(f"{rate:g}: {value:.3f}" for rate, value in self.scores.items())
        return f"dev score by learning rate: {tried}; chosen {self.learning_rate:g}"


def sweep(
    make_model: Callable[[], nn.Module],
    task: Task,
    learning_rates: Sequence[float],
    *,
    tokenizer: Any,
    settings: TrainSettings | None = None,
    prompt: Any = None,
    examples: int | None = None,
    output: str | Path | None = None,
    plm: str | None = None,
    progress: bool | None = None,
) -> Sweep:
    """Trains once per learning rate, each from a new model, and keeps the best on dev.

    Args:
        make_model: gives a fresh model for each run, e.g. `lambda: attach(load(), LoRA())`.
        learning_rates: tried in this order; of equal dev scores the first wins. One that
            diverges counts as a score of minus infinity.
        output: a folder, with one in it for each learning rate (its number as "%g"); what is
            finished there is loaded, not repeated.

    Raises:
        CourseError: no learning rate given, or every one diverged.
    """
    if not learning_rates:
        raise CourseError("sweep: give at least one learning rate.")
    settings = settings or TrainSettings()
    scores: dict[float, float] = {}
    best: TrainResult | None = None
    for rate in learning_rates:
        try:
            result = train(
                make_model(),
                task,
                tokenizer=tokenizer,
                prompt=prompt,
                settings=replace(settings, learning_rate=rate),
                examples=examples,
                output=None if output is None else Path(output) / f"{rate:g}",
                plm=plm,
                progress=progress,
            )
        except DivergedError:
            scores[rate] = -math.inf
            continue
        scores[rate] = result.dev_score
        if best is None or result.dev_score > best.dev_score:
            best = result
    if best is None:
        raise CourseError("sweep: every learning rate diverged; try smaller ones.")
    return Sweep(scores, best)


def chosen_rate(
    load: Callable[[], tuple[nn.Module, Any]],
    task: Task,
    learning_rates: Sequence[float],
    *,
    settings: TrainSettings,
    prompt: Any = None,
    folder: Path | None = None,
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> float:
    """The learning rate that is best on dev; its run is then that of the settings' seed.

    Args:
        load: gives a fresh model and its tokenizer.
        folder: keeps what each rate scored and, as seed-SEED, the training of the best; a choice
            found there is not made again.
    """
    kept = None if folder is None else folder / CHOICE
    if kept is not None and kept.is_file():
        return read_json(kept)["chosen"]
    # several processes must not load from a folder that the first one clears away
    alone = "WORLD_SIZE" not in os.environ
    tried = folder / "tried" if folder is not None and alone else None
    found = sweep(
        lambda: load()[0],
        task,
        learning_rates,
        tokenizer=load()[1],
        prompt=prompt,
        settings=settings,
        output=tried,
        progress=progress,
    )
    say(str(found))
    if kept is not None and main_process():
        _keep(found, kept, settings.seed, tried)
    return found.learning_rate


def _keep(found: Sweep, kept: Path, seed: int, tried: Path | None) -> None:
    """Writes the choice, and makes the best run the seed's own."""
    rate = found.learning_rate
    scores = {f"{r:g}": s if s > -math.inf else None for r, s in found.scores.items()}
    write_json(kept, {"chosen": rate, "dev": scores, "seed": seed})
    if tried is not None:
        place = kept.parent / f"seed-{seed}"
        if not place.exists():
            os.replace(tried / f"{rate:g}", place)
        shutil.rmtree(tried, ignore_errors=True)
