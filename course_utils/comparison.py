"""Runs beside what was published: mean and spread over seeds, and what a difference is worth.

    found = compare(read_all("runs"))
    print(table(found))

A published accuracy is one number, taken as known. Ours comes from n examples and a few seeds, so
it has two errors: another n examples would give another number (the exact binomial test asks how
often n flips of a coin with the published probability fall as far off), and another seed would too
(standard deviation; Student's t). "above" and "below" are said when both agree; else "within
noise". F1 and correlations are no mean over examples: only the seeds speak, from three on.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from course_utils.claims.verdict import interval
from course_utils.errors import CourseError
from course_utils.recipes import DIGITS, released
from course_utils.records import RunRecord, aligned
from course_utils.tasks.metrics import binomial_p_value

LEVEL = 0.05
SEEDS_FOR_T = 3
ABOVE, WITHIN, BELOW, UNKNOWN = "above", "within noise", "below", "not decided"


@dataclass(frozen=True)
class Compared:
    """The runs of one task, PLM and method, beside the published result.

    Attributes:
        scores: one per seed, in per cent, as `released` is.
        released: the published result; None where there is none.
        p_value: exact binomial test of the mean score against it (accuracy only).
        verdict: "above", "within noise", "below" the published result; "not decided" where there
            are too few seeds for a metric without an exact test; "" without a result.
        flattered: whether the epoch was chosen on the set that is reported.
    """

    task: str
    plm: str
    method: str
    metric: str
    split: str
    n: int
    scores: tuple[float, ...]
    majority: float | None
    released: float | None
    p_value: float | None
    verdict: str
    flattered: bool

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def deviation(self) -> float | None:
        """Over seeds; None for a single one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def best(self) -> float:
        return max(self.scores)

    @property
    def beats(self) -> bool | None:
        """Whether the best seed is above the published number as printed, noise or not."""
        return None if self.released is None else round(self.best, DIGITS) > self.released


def compare(records: Iterable[RunRecord]) -> list[Compared]:
    """Groups of runs that differ in nothing but the seed, each with its verdict.

    Raises:
        CourseError: no record at all.
    """
    groups: dict[tuple[Any, ...], list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[_setting(record)].append(record)
    if not groups:
        raise CourseError("there is no record to compare: give folders in which runs were made.")
    return [_compared(group) for group in groups.values()]


def verdict(
    scores: Sequence[float], reference: float, metric: str, n: int
) -> tuple[str, float | None]:
    """(what the scores say of the reference, the exact test's p value or None).

    Args:
        scores, reference: in per cent.
        n: examples behind each score.
    """
    mean = statistics.fmean(scores)
    seeds_say = _outside(scores, reference) if len(scores) >= SEEDS_FOR_T else None
    p_value = None
    if metric == "accuracy":
        p_value = binomial_p_value(round(mean / 100 * n), n, reference / 100)
        outside = p_value < LEVEL and seeds_say is not False
    elif seeds_say is None:
        return UNKNOWN, None
    else:
        outside = seeds_say
    if not outside:
        return WITHIN, p_value
    return (ABOVE if mean > reference else BELOW), p_value


def _outside(scores: Sequence[float], reference: float) -> bool:
    """Whether the reference lies outside the 95 % interval of the seeds' mean (Student's t)."""
    found = interval(scores)
    return not found.low <= reference <= found.high


def _setting(record: RunRecord) -> tuple[Any, ...]:
    """What runs of one group have in common: all but the seed and what follows from it."""
    settings = {k: v for k, v in record.settings.items() if k != "seed"}
    chosen_on = record.notes.get("chosen_on", record.settings.get("choose_on", "dev"))
    return (
        record.plm,
        record.task,
        record.method,
        repr(sorted(record.hyperparameters.items())),
        repr(sorted(settings.items(), key=lambda item: item[0])),
        record.split,
        record.train_examples,
        record.notes.get("pretrained", True),
        record.notes.get("template", ""),
        chosen_on,
    )


def _compared(group: list[RunRecord]) -> Compared:
    first = group[0]
    found = released(first.task, first.plm)
    result = None
    if found is not None and first.metric in ("accuracy", "seqeval_f1"):
        result = found.result_on(first.split)
    scores = tuple(100 * record.score for record in sorted(group, key=lambda r: r.seed))
    said, p_value = "", None
    if result is not None:
        said, p_value = verdict(scores, result, first.metric, first.n)
    return Compared(
        task=first.task,
        plm=first.plm,
        method=first.method,
        metric=first.metric,
        split=first.split,
        n=first.n,
        scores=scores,
        majority=None if first.majority is None else 100 * first.majority,
        released=result,
        p_value=p_value,
        verdict=said,
        flattered=_flattered(first),
    )


def _flattered(record: RunRecord) -> bool:
    """Whether the score is the best of several looks at the set that is reported."""
    settings = record.settings
    looked = len(record.history) > 1 and settings.get("keep") == "best"
    return looked and settings.get("choose_on", "dev") == record.split


def table(found: Iterable[Compared]) -> str:
    """The comparison as text, one line per group."""
    rows = list(found)
    lines = [
        ("task", "PLM", "method", "seeds", "score", "majority", "published", "p", "verdict"),
        *(_line(one) for one in rows),
    ]
    text = aligned(lines)
    if any(one.flattered for one in rows):
        text += "\n* the best epoch was chosen on this very set, as published results often are"
    return text


def _line(one: Compared) -> tuple[str, ...]:
    spread = "" if one.deviation is None else f" ± {one.deviation:.1f}"
    return (
        one.task,
        one.plm.rsplit("/", 1)[-1],
        one.method,
        str(len(one.scores)),
        f"{one.mean:.1f}{spread}{'*' if one.flattered else ''}",
        f"{one.majority:.1f}" if one.majority else "",
        "" if one.released is None else f"{one.released:.1f}",
        "" if one.p_value is None else f"{one.p_value:.2g}",
        one.verdict,
    )
