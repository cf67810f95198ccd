"""How exits are trained: a weighted sum of the exits' cross-entropies, and what it may move.

    loss = sum_k w_k(step) · CE(y_k, label)

| training | weights | moves | from |
|---|---|---|---|
| joint | all at once, equal or growing with depth | everything | BranchyNet, 1709.01686 |
| two-stage | first the last exit, then the others | PLM; then exits | DeeBERT, 2004.12993 |
| alternating | even steps the last exit, odd steps all | everything | BERxiT, 2021.eacl-main.8 |

Schwartz et al. (2020, 2004.07453) train BERT jointly with equal weights, PABEE (2006.04152) with
weights that grow.

One network has to serve L exits. Joint training bends it towards the early ones, which can cost the
last one some of its accuracy; two stages leave the last exit as good as ordinary fine-tuning makes
it, but the early ones must do with features made for the last; alternating is between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from course_utils.errors import unknown_name

WEIGHTS = ("equal", "depth")
PLM, HEADS, CONFIDENCE = "plm", "heads", "confidence"


@dataclass(frozen=True)
class JointExits:
    """All exits at once. `weights`: "equal", or "depth", where exit k weighs k (PABEE)."""

    weights: str = "equal"
    name: ClassVar[str] = "joint"
    moves: ClassVar[tuple[str, ...]] = (PLM, HEADS)

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise unknown_name("weighting of the exits", self.weights, WEIGHTS)

    def weigh(self, exits: int, step: int) -> Sequence[float]:
        """One weight per exit, first to last, adding up to 1."""
        raw = [1.0] * exits if self.weights == "equal" else [k + 1.0 for k in range(exits)]
        return [w / sum(raw) for w in raw]


@dataclass(frozen=True)
class AlternatingExits:
    """Even steps train by the last exit, odd steps by the sum of all."""

    name: ClassVar[str] = "alternating"
    moves: ClassVar[tuple[str, ...]] = (PLM, HEADS)

    def weigh(self, exits: int, step: int) -> Sequence[float]:
        return [1.0 if step % 2 else 0.0] * (exits - 1) + [1.0]


@dataclass(frozen=True)
class LastExit:
    """First stage of two: ordinary fine-tuning of the PLM and its own head."""

    name: ClassVar[str] = "last-exit"
    moves: ClassVar[tuple[str, ...]] = (PLM,)

    def weigh(self, exits: int, step: int) -> Sequence[float]:
        return [0.0] * (exits - 1) + [1.0]


@dataclass(frozen=True)
class InnerExits:
    """Second stage of two: the other exits, on a PLM that is frozen with its last exit."""

    name: ClassVar[str] = "inner-exits"
    moves: ClassVar[tuple[str, ...]] = (HEADS,)

    def weigh(self, exits: int, step: int) -> Sequence[float]:
        return [1.0] * (exits - 1) + [0.0]


@dataclass(frozen=True)
class ConfidenceOnly:
    """The confidence alone: the mean square of (predicted - right or wrong) over inner exits.

    BERxiT trains it beside the exits and lets its gradient into the PLM, so that v_k can learn to
    say how sure it is. Here it is a stage of its own, on vectors that stay as they are: it costs
    the exits nothing and compares all trainings alike, and has less to read.
    """

    name: ClassVar[str] = "confidence"
    moves: ClassVar[tuple[str, ...]] = (CONFIDENCE,)

    def weigh(self, exits: int, step: int) -> Sequence[float]:
        return [0.0] * exits


Objective = JointExits | AlternatingExits | LastExit | InnerExits | ConfidenceOnly

OBJECTIVES = {
    kind.name: kind for kind in (JointExits, AlternatingExits, LastExit, InnerExits, ConfidenceOnly)
}
"""The objectives by name, as `save_exits` writes it."""

TRAININGS: dict[str, tuple[type, ...]] = {
    "joint": (JointExits,),
    "two-stage": (LastExit, InnerExits),
    "alternating": (AlternatingExits,),
}
"""The trainings by name, each as its stages."""
