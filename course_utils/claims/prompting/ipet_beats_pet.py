"""iPET, generations of models that teach each other, beats PET."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.pattern_exploiting import SHOTS, PatternExploiting
from course_utils.claims.prompting.pet_beats_supervised import pet_sizes

TASKS = ("pocket/sst2", "pocket/snli")
PET, IPET = "PET", "iPET"


def cells(scale: Scale) -> list[Cell]:
    found, generations = [], 2 if scale.quick else 3
    for task in scale.some(TASKS):
        sizes = pet_sizes(scale)
        found.append(Cell(PET, task, PatternExploiting(**sizes)))
        found.append(Cell(IPET, task, PatternExploiting(**sizes, generations=generations)))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(IPET, PET)


CLAIM = Claim(
    name="ipet-beats-pet",
    sentence="iPET, whose models teach each other first, beats PET.",
    source="Schick & Schütze 2021 (PET, arXiv 2001.07676), section 3.4 and table 1",
    measured=f"{SHOTS} labelled examples of each class, PET as in the claim before. iPET: three "
    "generations, the training set five times larger in each, labelled by a quarter of the other "
    "models.",
    rule="Gain: accuracy of iPET's classifier minus that of PET's, mean over the tasks.",
    cells=cells,
    gains=gains,
)
