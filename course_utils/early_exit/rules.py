"""When to leave: the rule that looks at the exits a text has passed so far.

| rule | a text leaves at exit k when | from |
|---|---|---|
| `Entropy(s)` | -sum p log p < s, p = softmax(y_k) | DeeBERT, Xin et al. 2020, 2004.12993 |
| `Patience(t)` | exits k-t ... k all give the same label | PABEE, Zhou et al. 2020, 2006.04152 |
| `LearnedConfidence(c)` | sigmoid(w·v_k + b) > c | BERxiT, Xin et al. 2021 (EACL) |

At the last exit everything leaves. Entropy trusts the exit's own probabilities, which may be sure
and wrong. Patience trusts agreement, and needs t + 1 exits at least. A learned confidence is
trained to say whether the exit is right, by one vector w for all exits; it also works where there
is no distribution to take an entropy of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from course_utils.errors import CourseError, unknown_name

KINDS = ("entropy", "patience", "confidence")


def entropy(logits: Tensor) -> Tensor:
    """(...,) entropy in nats of softmax(logits), logits (..., labels).

    From log_softmax: log(softmax(y)) is -inf, and its product with 0 not a number, as soon as
    logits lie a hundred apart.
    """
    log_p = logits.float().log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


@dataclass(frozen=True)
class Entropy:
    """Leave when the exit's distribution has an entropy (nats) below the threshold."""

    threshold: float
    kind: ClassVar[str] = "entropy"

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise CourseError(
                f"Entropy({self.threshold!r}): an entropy in nats, 0 (never sure) to log(labels)."
            )

    def sure(self, logits: Tensor, confidence: Tensor) -> Tensor:
        """(B,) booleans. logits (B, k, labels) of the k exits so far, confidence (B, k)."""
        return entropy(logits[:, -1]) < self.threshold


@dataclass(frozen=True)
class Patience:
    """Leave when the prediction has stayed the same `exits` times in a row."""

    exits: int
    kind: ClassVar[str] = "patience"

    def __post_init__(self) -> None:
        if not isinstance(self.exits, int) or self.exits < 1:
            raise CourseError(f"Patience({self.exits!r}): a whole number of exits, 1 or more.")

    @property
    def threshold(self) -> float:
        return self.exits

    def sure(self, logits: Tensor, confidence: Tensor) -> Tensor:
        """(B,) booleans. logits (B, k, labels) of the k exits so far, confidence (B, k)."""
        said = logits.argmax(-1)[:, -self.exits - 1 :]  # (B, exits + 1) or fewer
        if said.shape[1] <= self.exits:
            return torch.zeros(len(said), dtype=torch.bool, device=said.device)
        return (said == said[:, -1:]).all(-1)


@dataclass(frozen=True)
class LearnedConfidence:
    """Leave when the exit is predicted to be right with more than this probability."""

    threshold: float
    kind: ClassVar[str] = "confidence"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise CourseError(f"LearnedConfidence({self.threshold!r}): a probability, 0 to 1.")

    def sure(self, logits: Tensor, confidence: Tensor) -> Tensor:
        """(B,) booleans. logits (B, k, labels) of the k exits so far, confidence (B, k)."""
        return confidence[:, -1] > self.threshold


Rule = Entropy | Patience | LearnedConfidence


def thresholds(kind: str, logits: Tensor, confidence: Tensor, points: int = 21) -> list[Rule]:
    """Rules from "everything leaves at the first exit" to "nothing leaves early".

    Entropy and confidence differ much from model to model, so their thresholds are quantiles of
    what the inner exits say: in between, equally many exits become sure from one to the next.

    Args:
        kind: one of `KINDS`.
        logits: (N, L, labels) of all exits. confidence: (N, L - 1).
    """
    if kind not in KINDS:
        raise unknown_name("exit rule", kind, KINDS)
    inner = logits.shape[1] - 1
    if kind == "patience":
        return [Patience(t) for t in range(1, inner + 1)]
    values = entropy(logits[:, :-1]) if kind == "entropy" else confidence
    cuts = values.double().flatten().quantile(torch.linspace(0, 1, points, dtype=torch.double))
    if kind == "entropy":
        above_all = cuts[-1].item() + 0.01
        return [Entropy(cut) for cut in sorted({*cuts.tolist(), above_all}, reverse=True)]
    return [LearnedConfidence(cut) for cut in sorted({0.0, *cuts.tolist()})]
