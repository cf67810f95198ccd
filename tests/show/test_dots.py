"""Rows of dots: every run drawn, names and numbers written, nothing over anything else."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.show.dots import score_dots


def texts(chart):
    chart.draw_without_rendering()
    axes = chart.axes[0]
    return [t.get_text() for t in (*axes.texts, *axes.get_yticklabels())]


def test_every_row_has_its_name_its_runs_and_its_mean():
    chart = score_dots({"plain": [0.5, 0.7], "LM-BFF": 0.9}, majority=0.5)
    found = texts(chart)
    assert {"plain", "LM-BFF", "0.600 ± 0.141", "0.900", "majority class 0.50"} <= set(found)
    drawn = sorted(
        x for line in chart.axes[0].lines if len(line.get_xdata()) for x in line.get_xdata()
    )
    assert drawn.count(0.7) == 1
    assert "plain 0.600" in chart.alt


def test_names_that_come_back_keep_their_colour():
    chart = score_dots({"one": {"before": 0.5, "after": 0.7}, "two": {"before": 0.6, "after": 0.8}})
    means = [line for line in chart.axes[0].lines if line.get_markersize() == 13]
    colours = [line.get_color() for line in means]
    assert colours[0] == colours[2] != colours[1] == colours[3]


def test_rows_do_not_overlap_and_long_names_are_broken():
    long = "{premise} . is it true that {hypothesis} ? {mask} . and a good deal more"
    chart = score_dots({"known": {long: 0.9, "b": 0.8}, "new": {"c": [0.7]}}, title="x " * 50)
    chart.draw_without_rendering()
    boxes = [t.get_window_extent() for t in chart.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in zip(boxes, boxes[1:], strict=False))
    assert all(box.x0 >= 0 for box in boxes)


def test_no_line_of_a_name_begins_with_punctuation():
    names = ["{premise} . {mask} , {hypothesis} .", "no comma:  {premise} ? {mask} {hypothesis}"]
    chart = score_dots(dict.fromkeys(names, 0.5))
    chart.draw_without_rendering()
    shown = [t.get_text() for t in chart.axes[0].get_yticklabels()]
    assert [line for text in shown for line in text.splitlines() if line[0] in ".,?"] == []
    assert [" ".join(text.split()) for text in shown] == [" ".join(name.split()) for name in names]


@pytest.mark.parametrize("nothing", [{}, {"a": []}, {"a": {}}])
def test_nothing_to_draw(nothing):
    with pytest.raises(CourseError, match="nothing to draw"):
        score_dots(nothing)
