"""Adapters are better than full fine-tuning when data are few."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.claims.verdict import interval, points

TASKS = ("pocket/sst2", "pocket/snli", "pocket/wsc")
FULL, ADAPTER = "full fine-tuning", "adapter (Houlsby)"
METHODS = {FULL: "full", ADAPTER: "houlsby", "LoRA": "lora"}
UPDATES = {50: 150, 200: 250, 1000: 400, 5000: 800}
FEW, TRIES = (50, 200), (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    return [
        Cell(
            arm,
            task,
            FineTuned(
                shots=None,
                examples=examples,
                method=method,
                updates=scale.updates(updates),
                tries=scale.some(TRIES),
            ),
            examples,
        )
        for task in scale.some(TASKS)
        for examples, updates in UPDATES.items()
        for arm, method in METHODS.items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(ADAPTER, FULL, x=FEW)


def remark(findings: Findings) -> str:
    told = ", ".join(
        f"{x} examples {points(interval(findings.gain(ADAPTER, FULL, x=x)).mean)}"
        for x in findings.xs
    )
    return f"Adapter minus full fine-tuning in points: {told}."


CLAIM = Claim(
    name="adapters-small-data",
    sentence="Adapters are better than full fine-tuning when data are few.",
    source="He et al. 2021 (On the effectiveness of adapter-based tuning, arXiv 2106.03164)",
    measured="The same examples, 50 to 5,000, train all of the PLM, an adapter or LoRA, each with "
    "a new classification head, the same number of updates and of learning rates tried.",
    rule="Gain: accuracy of the adapter minus that of full fine-tuning at 50 and 200 examples, "
    "mean over the tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    x_title="training examples",
)
