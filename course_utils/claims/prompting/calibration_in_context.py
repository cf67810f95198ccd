"""Calibration helps in-context learning: what the PLM would say anyway is divided out."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev

from course_utils.claims.bench import NEW
from course_utils.claims.claim import CAUSAL, Cell, Claim, Findings, Scale
from course_utils.claims.measures import Asked

TASKS = ("pocket/sst2", "pocket/agnews")
SHOWN = (0, 1, 4, 8)
PLAIN, FREE = "as it is", "calibrated"


def cells(scale: Scale) -> list[Cell]:
    return [
        Cell(arm, task, Asked(NEW, shown=k, calibrated=way), x=k, plm=CAUSAL)
        for task in scale.some(TASKS)
        for k in ((0, 4) if scale.quick else SHOWN)
        for arm, way in ((PLAIN, None), (FREE, "content-free"))
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(FREE, PLAIN)


def remark(findings: Findings) -> str:
    plain, free = (stdev(findings.scores(arm, x=4)) for arm in (PLAIN, FREE))
    return (
        "The paper also promises steadier answers: with 4 examples shown, draws differ by "
        f"{plain:.3f} (standard deviation) as it is and by {free:.3f} calibrated."
    )


CLAIM = Claim(
    name="calibration-helps-in-context",
    sentence="Calibration by a content-free input helps in-context learning.",
    source="Zhao et al. 2021 (Calibrate Before Use, arXiv 2102.09690), table 1",
    measured="A causal PLM is asked with 0, 1, 4 and 8 training examples before the question, in a "
    "wording kept out of its corpus; the same again with the answer to content-free inputs, behind "
    "the same examples, divided out.",
    rule="Gain: accuracy calibrated minus accuracy as it is, mean over the tasks and 0 to 8 "
    "examples.",
    cells=cells,
    gains=gains,
    remark=remark,
    arm_title="answers",
    x_title="examples shown before the question (k)",
)
