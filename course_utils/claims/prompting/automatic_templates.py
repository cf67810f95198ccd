"""Templates written by the PLM against those a person writes down."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import KNOWN, NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.searched import FoundTemplate

FRAMES = {
    "pocket/sst2": "{sentence} * {mask} *",
    "pocket/snli": "{premise} * {mask} * {hypothesis}",
}
MANUAL, FOUND, IN_CORPUS = "template by hand", "template found", "template of the corpus"


def cells(scale: Scale) -> list[Cell]:
    updates, found = scale.updates(120), []
    for task in scale.some(tuple(FRAMES)):
        size = {"beam": 4, "longest": 1, "tried": 2} if scale.quick else {}
        search = FoundTemplate(updates=updates, frame=FRAMES[task], **size)
        found.append(Cell(MANUAL, task, FineTuned(wording=NEW, updates=updates)))
        found.append(Cell(FOUND, task, search))
        found.append(Cell(IN_CORPUS, task, FineTuned(wording=KNOWN, updates=updates)))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(FOUND, MANUAL)


CLAIM = Claim(
    name="automatic-templates",
    sentence="Templates found by a PLM beat templates written by hand.",
    source="Gao et al. 2021 (LM-BFF, arXiv 2012.15723), section 5.2 and table 5",
    measured="16 examples of each class, the same label words. By hand: a wording that was kept "
    "out of the corpus, as a person writes who has not read it. Found: the masked PLM fills the "
    "gaps of a frame (up to two words before and behind the mask; in the paper T5 does); the four "
    "likeliest are tuned, 16 dev examples of each class pick one. For comparison a wording of the "
    "corpus, which no one knows of a real PLM.",
    rule="Gain: accuracy with the found template minus that with the template by hand, mean over "
    "the tasks.",
    cells=cells,
    gains=gains,
    arm_title="template",
)
