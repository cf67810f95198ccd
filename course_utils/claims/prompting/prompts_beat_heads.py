"""Prompts beat heads when labels are few.

A new head starts from nothing and has to learn what its outputs mean. A prompt asks through the
head the PLM was pre-trained with, so the few labels only have to steer what is there already. The
wording is one that was kept out of the pocket models' corpus: it is not recall of the phrase.
"""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import Asked, FineTuned
from course_utils.claims.verdict import interval, points

TASKS = ("pocket/sst2", "pocket/snli", "pocket/boolq")
SHOTS, FEW, ALL = (4, 8, 16, 32, 64), (4, 8, 16), "all"
PROMPT, HEAD, CONTROL = "prompt", "new head", "new head, no pre-training"


def cells(scale: Scale) -> list[Cell]:
    found = []
    for task in scale.some(TASKS):
        found.append(Cell(PROMPT, task, Asked(NEW), x=0))
        for x in (4, 16, ALL) if scale.quick else (*SHOTS, ALL):
            size = {"shots": x, "updates": scale.updates(120)}
            if x == ALL:
                size = {"shots": None, "updates": scale.updates(800), "tries": (0.4, 1.0, 2.0)}
            found.append(Cell(PROMPT, task, FineTuned(wording=NEW, **size), x))
            found.append(Cell(HEAD, task, FineTuned(**size), x))
            found.append(Cell(CONTROL, task, FineTuned(pretrained=False, **size), x))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(PROMPT, HEAD, x=FEW)


def remark(findings: Findings) -> str:
    """Where the curves meet: from which K on the interval has the zero inside."""
    places = [x for x in findings.xs if findings.select(HEAD, x=x)]
    apart = [x for x in places if interval(findings.gain(PROMPT, HEAD, x=x)).low > 0]
    by_k = ", ".join(
        f"{x}: {points(interval(findings.gain(PROMPT, HEAD, x=x)).mean)}" for x in places
    )
    after = places[places.index(apart[-1]) + 1 :] if apart else places
    if not apart:
        meet = "At no K is the prompt surely ahead."
    elif not after:
        meet = "They do not meet: with all examples the prompt is still surely ahead."
    else:
        meet = f"They meet at K = {after[0]}: from there on the prompt is not surely ahead."
    zero, few = findings.scores(PROMPT, x=0), findings.scores(PROMPT, x=FEW)
    moved = sum(few) / len(few) - sum(zero) / len(zero)
    return (
        f"{meet} Gain in points by K, {by_k}. Few labels move the prompt {points(moved)} points "
        "from zero-shot."
    )


CLAIM = Claim(
    name="prompts-beat-heads",
    sentence="A prompt beats a new head when labels are few.",
    source="Schick & Schütze 2021 (PET, arXiv 2001.07676); Gao et al. 2021 (LM-BFF, arXiv "
    "2012.15723), table 3; Le Scao & Rush 2021 (arXiv 2103.08493)",
    measured="The whole PLM is fine-tuned on K examples of each class, once through a prompt whose "
    "wording was kept out of the pre-training corpus, once with a new classification head, and "
    "with a new head from random weights as the control. K = 0 is the prompt without training.",
    rule="Gain: accuracy of the prompt minus that of the new head, mean over the tasks and "
    "K = 4, 8, 16.",
    cells=cells,
    gains=gains,
    remark=remark,
    arm_title="trained through",
    x_title="examples of each class (K)",
)
