"""In-context learning grows with the number of examples shown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from course_utils.claims.bench import KNOWN, NEW
from course_utils.claims.claim import CAUSAL, Cell, Claim, Findings, Scale
from course_utils.claims.measures import Asked
from course_utils.claims.verdict import points

TASKS = ("pocket/sst2", "pocket/agnews")
SHOWN = (0, 1, 2, 4, 8)
STRANGE, FAMILIAR = "wording kept out of the corpus", "wording of the corpus"


def cells(scale: Scale) -> list[Cell]:
    return [
        Cell(arm, task, Asked(wording, shown=k), x=k, plm=CAUSAL)
        for task in scale.some(TASKS)
        for k in ((0, 8) if scale.quick else SHOWN)
        for arm, wording in ((STRANGE, NEW), (FAMILIAR, KNOWN))
    ]


def growth(findings: Findings, arm: str) -> list[float]:
    """Per seed: accuracy with the most examples minus accuracy with none."""
    most = max(findings.xs)
    pairs = zip(findings.scores(arm, x=most), findings.scores(arm, x=0), strict=True)
    return [many - none for many, none in pairs]


def gains(findings: Findings) -> Sequence[float]:
    return growth(findings, STRANGE)


def remark(findings: Findings) -> str:
    gain = fmean(growth(findings, FAMILIAR))
    return f"With a wording of the corpus, which needs no explaining, it is {points(gain)} points."


CLAIM = Claim(
    name="in-context-grows",
    sentence="Few-shot in context grows with the number of examples shown.",
    source="Brown et al. 2020 (GPT-3, arXiv 2005.14165), figures 1.2 and 3.8",
    measured="A causal PLM is asked with 0 to 8 training examples before the question, without any "
    "training, in a wording kept out of its corpus and in one of the corpus. A seed draws the "
    "examples shown, their order and the test examples.",
    rule="Gain: accuracy with 8 examples minus accuracy with none, in the wording kept out of the "
    "corpus, mean over the tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    large="Brown et al. find that larger PLMs make more of the examples: the gain is small at 1.3B "
    "parameters and steep at 175B.",
    arm_title="asked in a",
    x_title="examples shown before the question (k)",
)
