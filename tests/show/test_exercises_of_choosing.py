"""Notebook 13: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import math
import re
from statistics import fmean, pstdev, stdev

import pytest

from course_utils.show.exercises import which_method_when as exercises


def count(d, L, r):
    return 2 * L * 2 * d * r, L * (2 * d * r + r + d)


def largest_rank(limit, plm_bytes, tasks, d, L):
    return max(0, int((limit - plm_bytes) // (tasks * 4 * 2 * L * 2 * d)))


def paired(ours, theirs, t, *, spread=stdev, root=True, pairs=True):
    gains = [a - b for a, b in zip(ours, theirs, strict=True)]
    s = spread(gains) if pairs else math.hypot(stdev(ours), stdev(theirs))
    half = t * s / (math.sqrt(len(gains)) if root else 1)
    return fmean(gains), fmean(gains) - half, fmean(gains) + half


CHECKS = {
    exercises.check_count: (
        count,
        {
            "half of LoRA": lambda d, L, r: (L * 2 * d * r, count(d, L, r)[1]),
            "have no biases": lambda d, L, r: (2 * count(d, L, r)[1], count(d, L, r)[1]),
            "that is Houlsby": lambda d, L, r: (count(d, L, r)[0], 2 * count(d, L, r)[1]),
            "has a bias of r": lambda d, L, r: (count(d, L, r)[0], L * 2 * d * r),
            "Two numbers": lambda d, L, r: count(d, L, r)[:1],
        },
    ),
    exercises.check_largest_rank: (
        largest_rank,
        {
            "takes 4 bytes": lambda limit, plm, tasks, d, L: int(
                (limit - plm) // (tasks * 2 * L * 2 * d)
            ),
            "PLM itself must fit": lambda limit, plm, tasks, d, L: largest_rank(
                limit, 0, tasks, d, L
            ),
            "for one task": lambda limit, plm, tasks, d, L: largest_rank(limit, plm, 1, d, L),
            "a whole number": lambda limit, plm, tasks, d, L: (
                (limit - plm) / (tasks * 4 * 2 * L * 2 * d)
            ),
            "no rank does": lambda limit, plm, tasks, d, L: int(
                (limit - plm) // (tasks * 4 * 2 * L * 2 * d)
            ),
        },
    ),
    exercises.check_paired: (
        paired,
        {
            "other way round": lambda ours, theirs, t: paired(theirs, ours, t),
            "Divide by n - 1": lambda *a: paired(*a, spread=pstdev),
            "square root of n": lambda *a: paired(*a, root=False),
            "unpaired": lambda *a: paired(*a, pairs=False),
            "Three numbers": lambda *a: paired(*a)[:2],
        },
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_solution_is_right(check):
    verdict = check(CHECKS[check][0])
    assert verdict.state == "right", verdict


@pytest.mark.parametrize(
    ("check", "advice", "wrong"),
    [(check, advice, f) for check, (_, wrongs) in CHECKS.items() for advice, f in wrongs.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_typical_mistake_is_told_apart(check, advice, wrong):
    verdict = check(wrong)
    assert verdict.state == "not yet"
    assert re.search(advice, verdict.text), verdict.text


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_not_written_is_open(check):
    def empty(*arguments):
        raise NotImplementedError

    assert check(empty).state == "open"
    assert check(lambda *arguments: None).state == "open"
