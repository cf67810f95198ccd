"""Metrics of written text on the real E2E dev set: people against one another."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from course_utils.tasks.metrics import score
from course_utils.tasks.text_metrics import TEXT_METRICS

REAL = Path(
    os.environ.get("COURSE_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "real")
)
FILE = REAL / "e2e" / "devset.csv"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the real E2E is not here")


@pytest.fixture(scope="module")
def people() -> tuple[list[str], list[list[str]]]:
    """For every table with several texts: the first, and the others as its references."""
    texts: dict[str, list[str]] = {}
    with FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            texts.setdefault(row["mr"], []).append(row["ref"])
    several = [group for group in texts.values() if len(group) > 1]
    return [group[0] for group in several], [group[1:] for group in several]


@pytest.mark.parametrize(
    ("name", "low", "high"),  # published systems have 0.66 to 0.71, 8.4 to 8.9, 2.4 to 2.5
    [("bleu", 0.5, 0.75), ("nist", 7.5, 10), ("cider", 1.5, 3), ("rouge_l", 0.5, 0.8)],
)
def test_scales_are_those_of_published_tables(people, name, low, high):
    assert low < score(name, *people) < high


@pytest.mark.parametrize("name", TEXT_METRICS)
def test_a_text_about_another_table_is_worse(people, name):
    texts, gold = (side[:60] for side in people)
    assert score(name, texts[1:] + texts[:1], gold) < 0.8 * score(name, texts, gold)
