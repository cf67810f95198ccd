"""What a prompted PLM answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Answers:
    """What a prompted PLM said, one row per example.

    Attributes:
        labels: the label names, position = id.
        scores: (n, n_labels) label scores, after calibration if there is one.
    """

    labels: tuple[str, ...]
    scores: Tensor

    @property
    def probabilities(self) -> Tensor:
        """(n, n_labels), rows sum to 1."""
        return self.scores.softmax(dim=-1)

    @property
    def ids(self) -> list[int]:
        """The best label's id per row."""
        return self.scores.argmax(dim=-1).tolist()

    @property
    def predictions(self) -> list[str]:
        """The best label's name per row."""
        return [self.labels[i] for i in self.ids]

    def accuracy(self, gold: Sequence[int | str]) -> float:
        """Share of rows whose best label is `gold` (ids or names)."""
        names = [self.labels[g] if not isinstance(g, str) else g for g in gold]
        if len(names) != len(self.scores) or not names:
            raise CourseError(f"{len(names)} gold labels for {len(self.scores)} answers.")
        return sum(a == b for a, b in zip(self.predictions, names, strict=True)) / len(names)
