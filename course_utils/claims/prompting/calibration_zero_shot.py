"""Calibration helps a masked PLM that is asked without training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from course_utils.claims.bench import NEW, NEW_TOO
from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import Asked
from course_utils.claims.verdict import points

TASKS = ("pocket/sst2", "pocket/agnews", "pocket/snli", "pocket/boolq")
PLAIN, FREE, PRIOR = "as it is", "by content-free input", "by 200 unlabelled texts"
WAYS = {PLAIN: None, FREE: "content-free", PRIOR: "prior"}
WORDINGS = {"first": NEW, "second": NEW_TOO}


def cells(scale: Scale) -> list[Cell]:
    return [
        Cell(arm, task, Asked(wording, calibrated=way), x=name)
        for task in scale.some(TASKS)
        for name, wording in WORDINGS.items()
        for arm, way in WAYS.items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(FREE, PLAIN)


def remark(findings: Findings) -> str:
    prior = fmean(findings.gain(PRIOR, PLAIN))
    return (
        f"Divided by its mean answer over unlabelled texts, the PLM gains {points(prior)} points."
    )


CLAIM = Claim(
    name="calibration-helps-zero-shot",
    sentence="Calibration by a content-free input helps a masked PLM asked without training.",
    source="Zhao et al. 2021 (Calibrate Before Use, arXiv 2102.09690) for causal PLMs; "
    "Ding et al. 2022 (OpenPrompt) for masked ones",
    measured="A masked PLM is asked through the two wordings of each task that were kept out of "
    "its corpus: as it is, with its answer to empty inputs divided out, and with its mean answer "
    "over 200 unlabelled training texts divided out.",
    rule="Gain: accuracy calibrated by content-free inputs minus accuracy as it is, mean over the "
    "tasks and wordings. A seed draws the test examples; the wordings are the same for all.",
    cells=cells,
    gains=gains,
    remark=remark,
    arm_title="answers",
    x_ordered=False,
    x_title="wording kept out of the corpus",
)
