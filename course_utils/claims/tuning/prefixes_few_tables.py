"""Prefix tuning beats full fine-tuning at table to text when tables are few."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import CAUSAL, Cell, Claim, Findings, Scale
from course_utils.claims.verdict import interval, points
from course_utils.claims.writing import FROM_WORDS, FULL, PREFIX, TASK, UPDATES, methods, tuned

FEW = (50, 100)


def cells(scale: Scale) -> list[Cell]:
    return [
        Cell(arm, TASK, tuned(scale, method, tables), tables, CAUSAL)
        for tables in scale.some(tuple(UPDATES))
        for arm, method in methods().items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(PREFIX, FULL, x=FEW)


def remark(findings: Findings) -> str:
    told = [
        f"{arm} minus full fine-tuning at "
        + ", ".join(
            f"{x} tables {points(interval(findings.gain(arm, FULL, x=x)).mean)}"
            for x in findings.xs
        )
        for arm in (PREFIX, FROM_WORDS)
    ]
    return f"In points of BLEU, {'; '.join(told)}."


CLAIM = Claim(
    name="prefixes-few-tables",
    sentence="Prefix tuning beats full fine-tuning at table to text when tables are few.",
    source="Li & Liang 2021 (arXiv 2101.00190), section 6.3",
    measured="A causal PLM learns to put tables into words, asked in a form that it has not read, "
    "from 50, 100, 200 or 500 tables: all of it, a prefix of length 10 with its MLP, or the same "
    "prefix started from real words; the same number of updates and of learning rates tried.",
    rule="Gain: BLEU of prefix tuning minus that of full fine-tuning at 50 and 100 tables.",
    cells=cells,
    gains=gains,
    remark=remark,
    large="The paper measured it on GPT-2 medium, with 345 million parameters.",
    x_title="tables to learn from",
)
