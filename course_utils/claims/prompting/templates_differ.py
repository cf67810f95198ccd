"""Templates differ: wordings a person takes for the same give different scores.

Naming the best and the worst of seven by their own scores would find a difference in pure noise.
So for every seed the two are chosen by the *other* seeds' scores, and compared on this seed's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import Asked, FineTuned

TASKS = ("pocket/sst2", "pocket/snli")
WORDINGS = 7
ASKED, TUNED = "asked, no training", "tuned on 16 per class"


def cells(scale: Scale) -> list[Cell]:
    found = []
    for task in scale.some(TASKS):
        for number in range(3 if scale.quick else WORDINGS):
            found.append(Cell(ASKED, task, Asked(number), x=number))
            tuned = FineTuned(wording=number, updates=scale.updates(120))
            found.append(Cell(TUNED, task, tuned, x=number))
    return found


def spread(findings: Findings, arm: str) -> list[float]:
    """Per seed: best minus worst wording, chosen by the other seeds; mean over the tasks."""
    by_task = []
    for task in findings.tasks:
        rows = [row.scores for row in findings.select(arm, task)]
        gaps = []
        for seed in range(findings.seeds):
            elsewhere = [fmean(v for s, v in enumerate(row) if s != seed) for row in rows]
            best = rows[elsewhere.index(max(elsewhere))]
            worst = rows[elsewhere.index(min(elsewhere))]
            gaps.append(best[seed] - worst[seed])
        by_task.append(gaps)
    return [fmean(gaps) for gaps in zip(*by_task, strict=True)]


def gains(findings: Findings) -> Sequence[float]:
    return spread(findings, TUNED)


def remark(findings: Findings) -> str:
    asked, tuned = (100 * fmean(spread(findings, arm)) for arm in (ASKED, TUNED))
    return (
        f"Best and worst wording are {asked:.1f} points apart without training and {tuned:.1f} "
        "after 16 examples per class. The last two wordings were kept out of the corpus."
    )


CLAIM = Claim(
    name="templates-differ",
    sentence="The wording of a template alone moves accuracy by more than two points.",
    source="Gao et al. 2021 (LM-BFF), table 2; Schick & Schütze 2021 (PET)",
    measured="Every wording of the task is asked without training, and tuned on 16 examples of "
    "each class. The best and the worst wording are named by the other seeds' scores.",
    rule="Gain: accuracy of the best minus that of the worst wording after tuning, both named by "
    "the other seeds, mean over the tasks; promised are more than 2 points.",
    cells=cells,
    gains=gains,
    more_than=0.02,
    remark=remark,
    arm_title="how",
    x_ordered=False,
    x_title="number of the wording (`course task show`)",
)
