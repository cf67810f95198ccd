"""Gradual pruning: a little at a time, with training in between to make up for it.

Rounds of prune, then train (Han et al. 2015). How much is gone after round t of n follows Zhu and
Gupta (2018, arXiv:1710.01878), fast while there is much to spare and slowly towards the end:

    s_t = s_n · (1 - (1 - t/n)³)

Theirs prunes within one training, every few hundred steps. Here each round is a training of its
own, which starts its optimizer anew: simpler, it can be interrupted at any point, and every round
is a point of the curve of score against share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from course_utils.compression.pruning import prune
from course_utils.errors import CourseError
from course_utils.settings import TrainSettings
from course_utils.tasks.task import Task
from course_utils.training import TrainResult, train


@dataclass(frozen=True)
class PruningRound:
    """One round: the share pruned, and what training after it came to."""

    share: float
    result: TrainResult = field(repr=False)

    @property
    def dev_score(self) -> float:
        return self.result.dev_score


def shares(final: float, rounds: int) -> list[float]:
    """The cubic schedule above: the share after each round, the last one `final`."""
    if not 0 < final < 1 or rounds < 1:
        raise CourseError(
            f"shares({final}, {rounds}): a final share above 0 and below 1, and 1 round or more."
        )
    return [final * (1 - (1 - t / rounds) ** 3) for t in range(1, rounds)] + [final]


def prune_gradually(
    model: PreTrainedModel,
    task: Task,
    *,
    tokenizer: Any,
    steps: Sequence[float],
    scope: str = "global",
    settings: TrainSettings | None = None,
    examples: int | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
) -> list[PruningRound]:
    """Prune to each share in turn and train after each, in place.

    Args:
        model: a model trained on the task already.
        steps: increasing shares, such as shares(0.9, 4) or (0.3, 0.5, 0.7, 0.9).
        settings: of each round's training.
        output: a folder with a folder per round; interrupted, it goes on where it was.

    Raises:
        CourseError: shares that do not grow, and what `prune` and `train` refuse.
    """
    steps = list(steps)
    if not steps or steps != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] < 1:
        raise CourseError(f"steps {steps}: expected shares above 0 and below 1 that grow.")
    rounds = []
    for number, share in enumerate(steps, start=1):
        pruned = prune(model, share, scope)
        try:
            result = train(
                pruned,
                task,
                tokenizer=tokenizer,
                settings=settings,
                examples=examples,
                output=None if output is None else Path(output) / f"{number}-{share:g}",
                progress=progress,
            )
        finally:
            pruned.release()
        rounds.append(PruningRound(share, result))
    return rounds
