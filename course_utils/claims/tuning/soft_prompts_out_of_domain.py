"""Soft prompts lose less than full fine-tuning where texts are of another kind than in training.

A frozen PLM can't overfit its words to a domain: all that was learnt is a few vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned, OnSplit

TASKS = ("pocket/sst2", "pocket/snli", "pocket/boolq")
FULL, SOFT = "full fine-tuning", "soft prompt"
METHODS = {FULL: "full", "LoRA": "lora", SOFT: "soft-prompt"}
INSIDE, OUTSIDE = "as in training", "another domain"
EXAMPLES, UPDATES, TRIES = 2000, 400, (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    size = {
        "shots": None,
        "examples": EXAMPLES,
        "wording": NEW,
        "updates": scale.updates(UPDATES),
        "tries": scale.some(TRIES),
    }
    found = []
    for task in scale.some(TASKS):
        for arm, method in METHODS.items():
            tuned = FineTuned(method=method, splits=("ood",), **size)
            found.append(Cell(arm, task, tuned, INSIDE))
            found.append(Cell(arm, task, OnSplit(tuned, "ood"), OUTSIDE))
    return found


def gains(findings: Findings) -> Sequence[float]:
    inside = findings.gain(SOFT, FULL, x=INSIDE)
    outside = findings.gain(SOFT, FULL, x=OUTSIDE)
    return [there - here for there, here in zip(outside, inside, strict=True)]


CLAIM = Claim(
    name="soft-prompts-out-of-domain",
    sentence="Soft prompts lose less than full fine-tuning in another domain.",
    source="Lester et al. 2021 (arXiv 2104.08691), table 1",
    measured="A PLM is tuned on 2,000 examples through a prompt and scored twice: on test texts "
    "like those of training, and on texts of another domain.",
    rule="Gain: accuracy of the soft prompt minus that of full fine-tuning in the other domain, "
    "minus the same difference on texts as in training; mean over the tasks.",
    cells=cells,
    gains=gains,
    large="The paper measured it on T5-XXL with 11 billion parameters.",
    x_title="test texts",
    x_ordered=False,
)
