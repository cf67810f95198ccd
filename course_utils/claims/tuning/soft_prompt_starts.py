"""A soft prompt that starts from words is better than one that starts at random."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned

TASKS = ("pocket/sst2", "pocket/snli", "pocket/agnews")
RANDOM, VOCABULARY, LABELS = "random", "vocabulary", "label words"
WORDS = {
    "pocket/sst2": ("terrible", "great"),
    "pocket/snli": ("yes", "maybe", "no"),
    "pocket/agnews": ("world", "sports", "business", "science"),
}
UPDATES, TRIES = (50, 200, 800), (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    from course_utils.tuning.soft_prompt import SoftPrompt

    found = []
    for task in scale.some(TASKS):
        starts = {
            RANDOM: SoftPrompt(init="random"),
            VOCABULARY: SoftPrompt(init="vocabulary"),
            LABELS: SoftPrompt(init="labels", words=WORDS[task]),
        }
        for updates in UPDATES:
            size = {"shots": None, "examples": 1000, "updates": scale.updates(updates)}
            for arm, method in starts.items():
                measure = FineTuned(method=method, wording=NEW, tries=scale.some(TRIES), **size)
                found.append(Cell(arm, task, measure, updates))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(LABELS, RANDOM)


CLAIM = Claim(
    name="soft-prompt-starts",
    sentence="A soft prompt that starts from the label words is better than one that starts at "
    "random.",
    source="Lester et al. 2021 (arXiv 2104.08691), section 3.2 and figure 3b",
    measured="Soft prompts of 20 vectors, started at random, from common words, or from the label "
    "words, trained on 1,000 examples for 50, 200 and 800 updates through a prompt.",
    rule="Gain: accuracy of the start from label words minus that of the random one, mean over the "
    "numbers of updates and the tasks.",
    cells=cells,
    gains=gains,
    arm_title="start",
    x_title="updates",
)
