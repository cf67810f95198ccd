"""Limits as a course writes them."""

from __future__ import annotations

import pytest

from autograder.sandbox.limits import Limits
from course_utils.errors import CourseError


def test_what_a_table_leaves_out_keeps_its_default():
    limits = Limits.from_table({"cell_seconds": 5, "memory_bytes": 10})
    assert (limits.cell_seconds, limits.memory_bytes) == (5, 10)
    assert limits.call_seconds == Limits().call_seconds


def test_a_name_that_is_no_limit_is_told_with_the_nearest():
    with pytest.raises(CourseError, match="no limit 'memory_byte'; did you mean 'memory_bytes'"):
        Limits.from_table({"memory_byte": 1})


@pytest.mark.parametrize("value", [0, -1, "5", None, True, float("nan"), float("inf"), 2**63])
def test_a_value_that_is_no_number_above_zero_is_refused(value):
    with pytest.raises(CourseError, match="cell_seconds: expected a number above 0"):
        Limits.from_table({"cell_seconds": value})


def test_bytes_are_whole_numbers():
    with pytest.raises(CourseError, match="memory_bytes: expected a whole number above 0"):
        Limits(memory_bytes=1.5)
