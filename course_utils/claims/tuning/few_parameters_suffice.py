"""A few trained parameters suffice.

Every method of the course on every task, with the same examples, updates and number of learning
rates tried. The chart of the course comes from here: accuracy against trained parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from course_utils.claims.claim import NO_PRETRAINING, Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.verdict import points

TASKS = tuple(f"pocket/{t}" for t in ("sst2", "snli", "boolq", "rte", "wic", "wsc", "agnews"))
FULL = "full fine-tuning"
SMALL = ("Houlsby", "Pfeiffer", "LoRA")  # the methods of which the papers say it
METHODS = {
    FULL: "full",
    "top layers": "top-layers",
    "Houlsby": "houlsby",
    "Pfeiffer": "pfeiffer",
    "parallel adapter": "parallel-adapter",
    "AdaMix": "adamix",
    "UniPELT": "unipelt",
    "LoRA": "lora",
    "prefix tuning": "prefix-tuning",
    "P-tuning v2": "p-tuning-v2",
    "P-tuning": "p-tuning",
    "soft prompt": "soft-prompt",
    "AdapterBias": "adapter-bias",
    "BitFit": "bitfit",
    "IA3": "ia3",
    "head only": "head-only",
}
EXAMPLES, UPDATES, TRIES = 2000, 500, (1.0, 0.4, 2.5)
ALLOWED = 0.03


def cells(scale: Scale) -> list[Cell]:
    size = {
        "shots": None,
        "examples": EXAMPLES,
        "updates": scale.updates(UPDATES),
        "tries": scale.some(TRIES),
    }
    found = []
    for task in scale.some(TASKS):
        for arm, method in METHODS.items():
            found.append(Cell(arm, task, FineTuned(method=method, **size)))
        found.append(Cell(NO_PRETRAINING, task, FineTuned(pretrained=False, **size)))
    return found


def gains(findings: Findings) -> Sequence[float]:
    each = [findings.gain(arm, FULL) for arm in SMALL]
    return [fmean(seed) for seed in zip(*each, strict=True)]


def remark(findings: Findings) -> str:
    """All arms by what they lose, and what the control loses."""
    lost = {arm: fmean(findings.gain(arm, FULL)) for arm in findings.arms if arm != FULL}
    told = ", ".join(
        f"{arm} {points(lost[arm])}" for arm in sorted(lost, key=lost.__getitem__, reverse=True)
    )
    return f"Mean distance from full fine-tuning in points: {told}."


CLAIM = Claim(
    name="few-parameters-suffice",
    sentence="Adapters and LoRA come close to full fine-tuning with a few per cent of its "
    "parameters.",
    source="Houlsby et al. 2019 (arXiv 1902.00751); Pfeiffer et al. 2021 (arXiv 2005.00247); "
    "Hu et al. 2021 (LoRA, arXiv 2106.09685), table 2",
    measured="Each method is trained on 2,000 examples with a new classification head, at the "
    "sizes its paper gives; every method sees as many updates and tries as many learning rates. "
    "The control is full fine-tuning from random weights.",
    rule="Gain: mean accuracy of Houlsby, Pfeiffer and LoRA minus that of full fine-tuning, mean "
    "over the tasks; it may lose 3 points.",
    cells=cells,
    gains=gains,
    more_than=-ALLOWED,
    remark=remark,
    chart="parameters",
)
