"""From one difference per seed to a verdict, by one rule for all claims.

Let d_1 ... d_n be the gains of n seeds, each a pair of scores on the same data. The mean's 95 %
interval is Student's,

    mean(d) ± t(0.975, n - 1) * s / sqrt(n),        s the sample standard deviation of d,

and with m the gain the claim promises (0 if it promises only a direction, below 0 if it allows a
loss)

    low > m                    holds
    high < max(m, 0.01)        does not hold here: no room for a gain worth a point (m >= 0)
    high <= m                  does not hold here: more is lost than the claim allows (m < 0)
    otherwise                  not decided at n seeds

A claim whose source reports the effect for large PLMs only, and that does not hold here, "needs a
large PLM". Nothing is corrected for the number of claims: of 20 true zeros at 95 %, one interval
misses the zero by chance, half the time in the claimed direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from course_utils.errors import CourseError

HOLDS, FAILS, LARGE = "holds", "does not hold here", "needs a large PLM"
WORTH = 0.01  # a gain below one point is not worth a claim
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Mean of n gains with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return self.spoken("points")

    def spoken(self, unit: str) -> str:
        """In hundredths, with what a hundredth is called."""
        low, high = points(self.low), points(self.high)
        return f"{points(self.mean)} {unit} (95 % interval {low} to {high}, {self.n} seeds)"


@dataclass(frozen=True)
class Judgement:
    """A verdict, the interval it follows from, and the reason in one sentence."""

    verdict: str
    interval: Interval
    reason: str

    @property
    def kind(self) -> str:
        """ "holds", "fails", "large" or "open": the verdict in one word."""
        return {HOLDS: "holds", FAILS: "fails", LARGE: "large"}.get(self.verdict, "open")


def interval(gains: Sequence[float]) -> Interval:
    """Student's 95 % interval of the mean; the whole line for a single number.

    Raises:
        CourseError: no numbers, or one that is not finite.
    """
    if not gains or not all(math.isfinite(gain) for gain in gains):
        raise CourseError(f"an interval needs finite numbers, one per seed: got {list(gains)}.")
    mean, n = fmean(gains), len(gains)
    if n == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    from scipy.stats import t

    half = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * stdev(gains) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def judge(
    gains: Sequence[float], more_than: float = 0.0, large: str = "", unit: str = "points"
) -> Judgement:
    """The verdict on gains, one per seed.

    Args:
        more_than: the gain the claim promises; below 0 the loss it allows.
        large: what the source says of size; see the rule above.
        unit: what a hundredth of a gain is called.
    """
    found = interval(gains)
    bar = _bar(more_than, unit)
    gain = f"The mean gain is {found.spoken(unit)}"
    if found.low > more_than:
        return Judgement(HOLDS, found, f"{gain}: the whole interval is above {bar}.")
    if found.high <= more_than or 0 <= more_than <= WORTH > found.high:
        if found.high <= more_than:
            reason = f"{gain}: none of the interval is above {bar}."
        else:
            reason = f"{gain}: no room for a gain of {points(WORTH, sign=False)} {unit}."
        if large:
            return Judgement(LARGE, found, f"{reason} {large}")
        return Judgement(FAILS, found, reason)
    verdict = f"not decided at {found.n} seeds"
    return Judgement(verdict, found, f"{gain}: it has {bar} inside, more seeds may tell.")


def _bar(more_than: float, unit: str) -> str:
    if more_than == 0:
        return "zero"
    amount = f"{points(abs(more_than), sign=False)} {unit}"
    return f"the {amount} it promises" if more_than > 0 else f"a loss of the {amount} it allows"


def points(share: float, sign: bool = True) -> str:
    """A share as points of a hundred: 0.0312 is +3.1."""
    if math.isinf(share):
        return "-∞" if share < 0 else "+∞"
    value = round(100 * share, 1) + 0.0
    return f"{value:+.1f}" if sign else f"{value:.1f}"
