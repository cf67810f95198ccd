"""Label words found by the PLM against those a person writes down."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.searched import FoundWords

TASKS = ("pocket/sst2", "pocket/snli")
MANUAL, FOUND = "words by hand", "words found"


def cells(scale: Scale) -> list[Cell]:
    updates, found = scale.updates(120), []
    for task in scale.some(TASKS):
        found.append(Cell(MANUAL, task, FineTuned(wording=NEW, updates=updates)))
        search = FoundWords(updates=updates, tried=2 if scale.quick else 4)
        found.append(Cell(FOUND, task, search))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(FOUND, MANUAL)


CLAIM = Claim(
    name="automatic-words",
    sentence="Label words found by the PLM beat label words written by hand.",
    source="Gao et al. 2021 (LM-BFF, arXiv 2012.15723), section 5.1 and table 5",
    measured="16 examples of each class, one template. By hand: the task's own words. Found: the "
    "four combinations that classify the training examples best without training (out of the 50 "
    "likeliest words of each label) are tuned, 16 dev examples of each class pick one.",
    rule="Gain: accuracy with the found words minus that with words by hand, mean over the tasks.",
    cells=cells,
    gains=gains,
    arm_title="label words",
)
