"""Prefix tuning is better than full fine-tuning on kinds of table that training never showed."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import CAUSAL, Cell, Claim, Findings, Scale
from course_utils.claims.measures import OnSplit
from course_utils.claims.verdict import interval, points
from course_utils.claims.writing import FULL, PREFIX, TASK, UPDATES, methods, tuned

SEEN, UNSEEN = "seen", "unseen"


def cells(scale: Scale) -> list[Cell]:
    found = []
    for arm, method in methods().items():
        one = tuned(scale, method, max(UPDATES))
        found.append(Cell(arm, TASK, one, SEEN, CAUSAL))
        found.append(Cell(arm, TASK, OnSplit(one, "ood"), UNSEEN, CAUSAL))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(PREFIX, FULL, x=UNSEEN)


def remark(findings: Findings) -> str:
    at_home = points(interval(findings.gain(PREFIX, FULL, x=SEEN)).mean)
    return f"On the kinds seen the same difference is {at_home} points of BLEU."


CLAIM = Claim(
    name="prefixes-unseen-tables",
    sentence="Prefix tuning is better than full fine-tuning on unseen kinds of table.",
    source="Li & Liang 2021 (arXiv 2101.00190), section 6.4",
    measured="A causal PLM learns from 500 tables of venues, persons and towns, as in the claim "
    "above, and puts tables of these kinds and of products and teams into words.",
    rule="Gain: BLEU of prefix tuning minus that of full fine-tuning on the unseen kinds.",
    cells=cells,
    gains=gains,
    remark=remark,
    large="The paper measured it on GPT-2 medium and large, which have read about almost "
    "everything; the pocket PLM has not.",
    x_title="kinds of table",
    x_ordered=False,
)
