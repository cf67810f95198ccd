"""What leaving early costs and saves: all exits asked once, then every rule and threshold tried.

    answers = ask_exits(exits, task, "dev", tokenizer=tokenizer)
    answers.by_layer()                         # the score of each exit, first to last
    answers.at(Entropy(0.3))                   # score, mean layers used, share of layers saved
    points = answers.sweep("entropy")          # the same for many thresholds
    best = most_saved(points, answers.full)    # most layers saved at 99 % of the full score
    exits.rule = best.rule                     # chosen on dev; evaluate(exits, ...) on test

A rule only looks at exits a text has passed, so what it would have done can be read off the
answers of all exits: no threshold needs another forward pass. The count of layers is that of the
layers themselves; the exits' own work (d² per exit and text, against about 12 d² per layer and
token) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from course_utils.device import autocast, device_of
from course_utils.early_exit.exits import EarlyExit
from course_utils.early_exit.rules import LearnedConfidence, Rule, thresholds
from course_utils.early_exit.training import check_task
from course_utils.errors import CourseError
from course_utils.evaluation import prepare
from course_utils.tasks.metrics import score
from course_utils.tasks.task import Task


@dataclass(frozen=True)
class ExitPoint:
    """One rule on one split: `layers` is the mean number used, `saved` the share not used."""

    rule: Rule
    score: float
    layers: float
    saved: float

    def row(self) -> dict[str, Any]:
        """Plain values for a table or a plot."""
        return {
            "rule": self.rule.kind,
            "threshold": self.rule.threshold,
            "score": self.score,
            "layers": self.layers,
            "saved": self.saved,
        }


@dataclass(frozen=True)
class ExitAnswers:
    """What every exit says of every example of a split.

    Attributes:
        logits: (N, L, labels). confidence: (N, L - 1), None where it is not trained.
        gold: N label ids.
    """

    task: str
    split: str
    metric: str
    logits: Tensor = field(repr=False)
    confidence: Tensor | None = field(repr=False)
    gold: Sequence[int] = field(repr=False)

    @property
    def exits(self) -> int:
        """How many exits, L."""
        return self.logits.shape[1]

    @property
    def full(self) -> float:
        """The score with all layers."""
        return self.by_layer()[-1]

    def by_layer(self) -> list[float]:
        """The score of each exit if all texts left there."""
        said = self.logits.argmax(-1)  # (N, L)
        return [self._score(said[:, k]) for k in range(self.exits)]

    def leaving(self, rule: Rule) -> Tensor:
        """(N,) the number of layers each text uses under this rule."""
        self._need_confidence(isinstance(rule, LearnedConfidence))
        layers = torch.full((len(self.logits),), self.exits)
        for k in range(self.exits - 1, 0, -1):  # from the back: the first exit has the last word
            confidence = None if self.confidence is None else self.confidence[:, :k]
            layers[rule.sure(self.logits[:, :k], confidence)] = k
        return layers

    def at(self, rule: Rule) -> ExitPoint:
        """Score and layers under this rule."""
        layers = self.leaving(rule)
        chosen = self.logits[torch.arange(len(layers)), layers - 1]  # (N, labels)
        mean = layers.double().mean().item()
        return ExitPoint(rule, self._score(chosen.argmax(-1)), mean, 1 - mean / self.exits)

    def sweep(self, kind: str = "entropy", rules: Iterable[Rule] | None = None) -> list[ExitPoint]:
        """Points from most to fewest layers saved.

        Args:
            kind: "entropy", "patience" or "confidence", with thresholds over their whole range.
            rules: these instead.
        """
        if rules is None:
            self._need_confidence(kind == "confidence")
            rules = thresholds(kind, self.logits, self.confidence)
        return sorted((self.at(rule) for rule in rules), key=lambda point: -point.saved)

    def _score(self, said: Tensor) -> float:
        return score(self.metric, said.tolist(), self.gold)

    def _need_confidence(self, wanted: bool) -> None:
        if wanted and self.confidence is None:
            raise CourseError(
                "the confidence of these exits is not trained: train_exits(..., confidence=True)."
            )


def most_saved(points: Iterable[ExitPoint], full: float, share: float = 0.99) -> ExitPoint | None:
    """The point that saves most layers among those that keep `share` of the full score.

    Chosen on dev it is a promise, not a result: score its rule on test. None if no point does.
    """
    good = [point for point in points if point.score >= share * full]
    return max(good, key=lambda point: (point.saved, point.score), default=None)


def ask_exits(
    exits: EarlyExit,
    task: Task,
    split: str | None = None,
    *,
    tokenizer: Any,
    batch_size: int = 64,
    max_length: int | None = None,
    precision: str = "auto",
) -> ExitAnswers:
    """Every exit's answer to the examples of a split that have a gold label, in one pass.

    Args:
        split: "dev" when not given: thresholds are chosen there.
    """
    check_task(exits, task)
    split = split or "dev"
    prepared = prepare(exits, task, split, tokenizer, max_length=max_length)
    device, was_training = device_of(exits), exits.training
    n = len(prepared.encoded.features)
    logits = torch.empty(n, exits.layers, exits.config.num_labels)
    confidence = torch.empty(n, exits.layers - 1)
    exits.eval()
    try:
        with torch.inference_mode(), autocast(device, precision):
            for rows, batch in prepared.batches(batch_size):
                inputs = {k: v.to(device) for k, v in batch.items() if k != "labels"}
                said, sure = exits.every_exit(inputs)
                logits[rows], confidence[rows] = said.float().cpu(), sure.float().cpu()
    finally:
        exits.train(was_training)
    return ExitAnswers(
        task=task.name,
        split=split,
        metric=task.metric,
        logits=logits,
        confidence=confidence if exits.confidence_trained else None,
        gold=prepared.gold(),
    )
