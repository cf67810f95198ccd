"""What a prompted PLM answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from course_utils.errors import CourseError, unknown_name


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
        """Share of rows whose best label is `gold` (ids or names).

        Raises:
            CourseError: more or fewer gold labels than answers, or one that is no label.
        """
        ids = [self._id(label) for label in gold]
        if len(ids) != len(self.scores) or not ids:
            raise CourseError(f"{len(ids)} gold labels for {len(self.scores)} answers.")
        return sum(a == b for a, b in zip(self.ids, ids, strict=True)) / len(ids)

    def _id(self, label: int | str) -> int:
        if isinstance(label, str):
            if label not in self.labels:
                raise unknown_name("gold label", label, self.labels)
            return self.labels.index(label)
        if not 0 <= label < len(self.labels):
            raise CourseError(
                f"gold label {label} is no id of {', '.join(self.labels)} (0 to "
                f"{len(self.labels) - 1}): leave examples without a gold label out."
            )
        return int(label)
