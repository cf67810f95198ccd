"""UniPELT, several methods behind gates, is better than each of them alone."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned

TASKS = ("pocket/sst2", "pocket/snli", "pocket/boolq")
AP, APL, PARTS = "UniPELT (AP)", "UniPELT (APL)", ("adapter", "prefix", "LoRA")
EXAMPLES, UPDATES, TRIES = 1000, 600, (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    from course_utils.tuning.unipelt import UniPELT

    size = {
        "shots": None,
        "examples": EXAMPLES,
        "updates": scale.updates(UPDATES),
        "tries": scale.some(TRIES),
    }
    whole = UniPELT(parts="APL")
    arms = {AP: UniPELT(parts="AP"), APL: whole, **dict(zip(PARTS, whole.methods, strict=True))}
    return [
        Cell(arm, task, FineTuned(method=method, **size))
        for task in scale.some(TASKS)
        for arm, method in arms.items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    """Against the part that is best on the task, seed by seed."""
    by_task = []
    for task in findings.tasks:
        best = [max(seed) for seed in zip(*(findings.scores(p, task) for p in PARTS), strict=True)]
        together = findings.scores(APL, task)
        by_task.append([a - b for a, b in zip(together, best, strict=True)])
    return [sum(seed) / len(seed) for seed in zip(*by_task, strict=True)]


CLAIM = Claim(
    name="unipelt-beats-its-parts",
    sentence="UniPELT is as good as the best of its parts, task by task, or better.",
    source="Mao et al. 2022 (UniPELT, arXiv 2110.07577)",
    measured="Adapter, prefix and LoRA alone, and behind gates together, on 1,000 examples with "
    "the same number of updates and of learning rates tried.",
    rule="Gain: accuracy of UniPELT (APL) minus that of its best part on the same task and seed, "
    "mean over the tasks; it may lose 1 point.",
    cells=cells,
    gains=gains,
    more_than=-0.01,
)
