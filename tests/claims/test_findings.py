"""Gains are paired by seed and by place."""

from __future__ import annotations

import pytest

from course_utils.claims.claim import Findings, Row, Scale
from course_utils.errors import CourseError


def row(arm, task, x, *scores):
    return Row(arm, task, x, "pocket-bert-tiny", scores)


ROWS = Findings(
    (
        row("a", "t1", 4, 0.6, 0.7),
        row("b", "t1", 4, 0.5, 0.5),
        row("a", "t2", 4, 0.9, 0.8),
        row("b", "t2", 4, 0.8, 0.9),
        row("a", "t1", 0, 0.1, 0.1),
        row("a", "t1", "all", 0.9, 0.9),
        row("b", "t1", "all", 0.9, 0.8),
    )
)


def test_gain_is_the_mean_over_tasks_of_the_pairs():
    assert ROWS.gain("a", "b", x=4) == pytest.approx([0.1, 0.05])


def test_places_without_a_pair_do_not_count():
    assert ROWS.gain("a", "b", task="t1") == pytest.approx([0.05, 0.15])


def test_several_places():
    assert ROWS.scores("a", x=(0, 4)) == pytest.approx([1.6 / 3, 1.6 / 3])


def test_order_of_first_meeting():
    assert (ROWS.arms, ROWS.tasks, ROWS.xs) == (["a", "b"], ["t1", "t2"], [4, 0, "all"])


@pytest.mark.parametrize("ask", [lambda f: f.scores("c"), lambda f: f.gain("a", "b", x=0)])
def test_what_was_not_measured_is_named(ask):
    with pytest.raises(CourseError, match="measured"):
        ask(ROWS)


def test_a_row_comes_back_from_json():
    import json

    there = Row("a", "t", 4, "p", (0.5, 0.7), learning_rate=2e-4, notes=("x",))
    data = json.loads(json.dumps(there.to_json()))
    assert Row.from_json(data) == there
    assert (data["mean"], data["std"]) == (0.6, 0.1414)


def test_scales():
    assert Scale.made().seeds == 5
    assert Scale.made(quick=True).seeds == 2
    assert Scale.made(7, quick=True).seeds == 7
    assert Scale.made(quick=True).updates(120) < Scale.made().updates(120) == 120
    with pytest.raises(CourseError, match="2 seeds or more"):
        Scale.made(1)
