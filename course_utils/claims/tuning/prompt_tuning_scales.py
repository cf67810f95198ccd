"""Prompt tuning closes the gap to full fine-tuning as the PLM grows.

Through a prompt in words, as in the paper, where T5 answers with a word: what the soft prompt has
to do is then to steer, and not to make a head's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from course_utils.claims.bench import NEW
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.verdict import points

TASKS = ("pocket/sst2", "pocket/snli", "pocket/agnews")
SIZES = {"0.2M": "pocket-bert-tiny", "1.2M": "pocket-bert-base", "5.5M": "pocket-bert-large"}
FULL, SOFT = "full fine-tuning", "soft prompt"
METHODS = {FULL: "full", "LoRA": "lora", "Pfeiffer": "pfeiffer", SOFT: "soft-prompt"}
EXAMPLES, UPDATES, TRIES = 2000, 400, (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    size = {
        "shots": None,
        "examples": EXAMPLES,
        "wording": NEW,
        "updates": scale.updates(UPDATES),
        "tries": scale.some(TRIES),
    }
    return [
        Cell(arm, task, FineTuned(method=method, **size), x, plm)
        for task in scale.some(TASKS)
        for x, plm in SIZES.items()
        for arm, method in METHODS.items()
    ]


def gap(findings: Findings, x: str) -> list[float]:
    """By seed: how far the soft prompt is behind full fine-tuning at a size."""
    return [-gain for gain in findings.gain(SOFT, FULL, x=x)]


def gains(findings: Findings) -> Sequence[float]:
    small, *_, large = SIZES
    pairs = zip(gap(findings, small), gap(findings, large), strict=True)
    return [before - after for before, after in pairs]


def remark(findings: Findings) -> str:
    told = ", ".join(f"{x} {points(fmean(gap(findings, x)), sign=False)}" for x in SIZES)
    return f"Points that the soft prompt is behind full fine-tuning, by parameters: {told}."


CLAIM = Claim(
    name="prompt-tuning-scales",
    sentence="Prompt tuning closes the gap to full fine-tuning as the PLM grows.",
    source="Lester et al. 2021 (arXiv 2104.08691), figure 1",
    measured="Three sizes of PLM, pre-trained by one recipe, are tuned on 2,000 examples through a "
    "prompt whose wording was kept out of the pre-training corpus: all of the PLM, LoRA, an "
    "adapter, or a soft prompt in front.",
    rule="Gain: the distance between soft prompt and full fine-tuning at the smallest PLM minus "
    "that at the largest, mean over the tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    large="The paper's gap closes at about 10 billion parameters.",
    x_title="parameters of the PLM",
)
