"""The rule from gains to a verdict, on numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from course_utils.claims.verdict import FAILS, HOLDS, LARGE, interval, judge, points
from course_utils.errors import CourseError

# mean 0.03, s = sqrt(0.00025), t(0.975, 4) = 2.776445: half width 2.776445 * 0.0158114 / sqrt(5)
FIVE = [0.01, 0.02, 0.03, 0.04, 0.05]


class TestInterval:
    def test_five_gains_by_hand(self):
        found = interval(FIVE)
        assert found.mean == pytest.approx(0.03)
        assert found.low == pytest.approx(0.010368, abs=1e-6)
        assert found.high == pytest.approx(0.049632, abs=1e-6)
        assert found.n == 5

    def test_two_gains_by_hand(self):
        """mean 0.02, s = 0.0141421, t(0.975, 1) = 12.7062: half width 0.127062."""
        found = interval([0.01, 0.03])
        assert (found.low, found.high) == pytest.approx((-0.107062, 0.147062), abs=1e-6)

    def test_one_gain_says_nothing(self):
        assert interval([0.4]).low == -math.inf
        assert interval([0.4]).high == math.inf

    @pytest.mark.parametrize("gains", [[], [0.1, math.nan], [math.inf, 0.0]])
    def test_what_is_no_number_is_refused(self, gains):
        with pytest.raises(CourseError, match="finite"):
            interval(gains)


class TestVerdict:
    @pytest.mark.parametrize(
        ("gains", "verdict"),
        [
            (FIVE, HOLDS),
            ([-g for g in FIVE], FAILS),
            ([0.02, 0.02, 0.02], HOLDS),
            ([0.0, 0.0, 0.0], FAILS),
            ([0.30, -0.20, 0.10], "not decided at 3 seeds"),
            ([0.01, 0.03], "not decided at 2 seeds"),
            ([0.5], "not decided at 1 seeds"),
            # around zero, and too narrow for a gain of a point
            ([0.001, -0.001, 0.0, 0.001, -0.001], FAILS),
            # surely positive, however small: that is what the claim says
            ([0.002, 0.0021, 0.0019, 0.002, 0.002], HOLDS),
        ],
    )
    def test_by_gains(self, gains, verdict):
        assert judge(gains).verdict == verdict

    @pytest.mark.parametrize(
        ("promised", "verdict"),
        [(0.01, HOLDS), (0.0104, "not decided at 5 seeds"), (0.04, "not decided at 5 seeds"),
         (0.05, FAILS)],
    )  # fmt: skip
    def test_a_promised_gain_must_be_below_the_whole_interval(self, promised, verdict):
        assert judge(FIVE, more_than=promised).verdict == verdict

    @pytest.mark.parametrize(
        ("allowed", "verdict"),
        [(-0.06, HOLDS), (-0.03, "not decided at 5 seeds"), (-0.0104, "not decided at 5 seeds"),
         (-0.01, FAILS)],
    )  # fmt: skip
    def test_an_allowed_loss(self, allowed, verdict):
        """Mean -0.03, interval -0.0496 to -0.0104."""
        judged = judge([-g for g in FIVE], more_than=allowed)
        assert judged.verdict == verdict
        assert "it allows" in judged.reason

    def test_only_what_fails_can_need_a_large_plm(self):
        large = "Seen at 175B."
        assert judge([-g for g in FIVE], large=large).verdict == LARGE
        assert large in judge([-g for g in FIVE], large=large).reason
        assert judge(FIVE, large=large).verdict == HOLDS
        assert judge([0.3, -0.2, 0.1], large=large).kind == "open"

    def test_the_reason_has_the_numbers(self):
        assert "+3.0 points (95 % interval +1.0 to +5.0, 5 seeds)" in judge(FIVE).reason
        assert "2.0 percent it promises" in judge(FIVE, more_than=0.02, unit="percent").reason

    def test_kinds(self):
        kinds = [judge(FIVE).kind, judge([-g for g in FIVE]).kind, judge([0.3, -0.3]).kind]
        assert kinds == ["holds", "fails", "open"]


@pytest.mark.parametrize(
    ("share", "text"), [(0.031, "+3.1"), (-0.5, "-50.0"), (-0.0001, "+0.0"), (-math.inf, "-∞")]
)
def test_points(share, text):
    assert points(share) == text
