"""The playground of differences: its words follow its numbers."""

from __future__ import annotations

from course_utils.show import difference_playground
from course_utils.tasks.metrics import binomial_p_value


def text(*settings):
    return repr(difference_playground(*settings))


def test_it_says_what_the_exact_test_says():
    shown = text("RTE", 86.6, 88.1)
    assert "277 examples" in shown
    assert "0.36 points" in shown
    assert "within noise" in shown
    assert f"{binomial_p_value(244, 277, 0.866):.2g}" in shown
    assert "above" in text("BoolQ", 84.0, 88.0)
    assert "below" in text("BoolQ", 84.0, 80.0)
    assert "within noise" in text("COPA", 92.0, 95.0)
