"""Claims made up on the spot, measured by a function instead of a training."""

from __future__ import annotations

import os
from dataclasses import dataclass

from course_utils.claims.claim import Cell, Claim, Cost, Findings, Row, Scale
from course_utils.errors import CourseError
from course_utils.records import RunRecord

SMALL = Scale(seeds=3, tests=20, dev=10)
PLM = "pocket-bert-tiny"
MADE: list[tuple[str, int]] = []
"""(arm, seed) of every measurement that was really made, in order."""


@dataclass(frozen=True)
class Told:
    """A measure that is told its score, plus a hundredth of the seed."""

    arm: str
    score: float
    fails_at: int | None = None

    def __call__(self, bench, task, seed):
        if seed == self.fails_at and self.fails_at in Told.stopping:
            Told.stopping.discard(seed)
            raise KeyboardInterrupt
        MADE.append((self.arm, seed))
        return RunRecord(
            plm=bench.plm, task=task, method="told", metric="accuracy",
            score=self.score + seed / 100, n=20, seed=seed, majority=0.5, total=1000,
        )  # fmt: skip

    def cost(self, scale, seed):
        return Cost(updates=10)


Told.stopping = set()


@dataclass(frozen=True)
class Diverges:
    """A measure that can't be made."""

    def __call__(self, bench, task, seed):
        raise CourseError("the loss diverges.")


@dataclass(frozen=True)
class Killed:
    """A measure whose process is gone before it is made, as when memory is short."""

    def __call__(self, bench, task, seed):
        os._exit(9)


def told_claim(name="told", better=0.8, worse=0.6, fails_at=None, **options):
    """A claim with two arms on one task."""
    cells = (
        Cell("ours", "pocket/sst2", Told("ours", better, fails_at)),
        Cell("theirs", "pocket/sst2", Told("theirs", worse)),
    )
    values = {
        "name": name,
        "sentence": "Ours is better.",
        "source": "Somebody 2020",
        "measured": "Nothing.",
        "rule": "Gain: ours minus theirs.",
        "cells": lambda scale: cells,
        "gains": lambda findings: findings.gain("ours", "theirs"),
    }
    return Claim(**{**values, **options})


def made_up(claim: Claim, scale: Scale, seeds: int = 3) -> Findings:
    """Rows for all cells of a claim, a different score for each."""
    rows = []
    for number, cell in enumerate(claim.cells(scale)):
        scores = tuple(0.5 + 0.001 * number + 0.01 * seed for seed in range(seeds))
        rows.append(Row(cell.arm, cell.task, cell.x, PLM, scores, majority=0.5, chance=0.5))
    return Findings(tuple(rows))
