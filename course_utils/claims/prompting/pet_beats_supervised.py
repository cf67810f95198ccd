"""PET beats a classifier trained on the same few labels."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.pattern_exploiting import SHOTS, PatternExploiting

TASKS = ("pocket/sst2", "pocket/snli")
PET, SUPERVISED, PROMPT = "PET", "supervised: new head", "one prompt, no unlabelled texts"


def pet_sizes(scale: Scale) -> dict[str, int]:
    """Sizes of PET's parts at a scale, shared with the claim about iPET."""
    return {
        "updates": scale.updates(120),
        "student_updates": scale.updates(300),
        "texts": 200 if scale.quick else 1000,
    }


def cells(scale: Scale) -> list[Cell]:
    found = []
    for task in scale.some(TASKS):
        same = {"shots": SHOTS, "updates": scale.updates(120)}
        found.append(Cell(SUPERVISED, task, FineTuned(**same)))
        found.append(Cell(PROMPT, task, FineTuned(**same, wording=NEW)))
        found.append(Cell(PET, task, PatternExploiting(**pet_sizes(scale))))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(PET, SUPERVISED)


CLAIM = Claim(
    name="pet-beats-supervised",
    sentence="PET beats supervised training with the same labels.",
    source="Schick & Schütze 2021 (PET, arXiv 2001.07676), table 1",
    measured=f"{SHOTS} labelled examples of each class. Supervised: a new head on the same PLM. "
    "PET: two wordings kept out of the corpus, tuned twice each, label 1,000 texts, and a "
    "classifier with a new head learns these soft labels. One prompt alone is shown beside it: "
    "what the unlabelled texts add.",
    rule="Gain: accuracy of PET's classifier minus the supervised one's, mean over the tasks.",
    cells=cells,
    gains=gains,
)
