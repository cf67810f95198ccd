"""Metrics by name, each from the library its field uses, and what a difference is worth.

Every metric is higher-is-better and on a 0 to 1 scale (Matthews and Pearson: -1 to 1), BLEU,
METEOR and ROUGE-L too, so that one axis fits every plot. Only NIST (in bits, no upper end) and
CIDEr (0 to 10) keep the scales of their papers. The libraries load on first use.

Interval and test are exact or nearly so because classroom test sets are small: on COPA one
example is worth a whole point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from course_utils.errors import CourseError, unknown_name
from course_utils.tasks import text_metrics


def accuracy(predictions: Sequence[int], gold: Sequence[int]) -> float:
    """Share of equal entries."""
    return sum(p == g for p, g in zip(predictions, gold, strict=True)) / len(gold)


def f1(predictions: Sequence[int], gold: Sequence[int]) -> float:
    """F1 of label 1 for two labels (MRPC, QQP); macro F1 for more (CB)."""
    from sklearn.metrics import f1_score

    average = "binary" if max(*predictions, *gold) <= 1 else "macro"
    return float(f1_score(gold, predictions, average=average, zero_division=0))


def matthews(predictions: Sequence[int], gold: Sequence[int]) -> float:
    """Matthews correlation coefficient (CoLA); 0 for a constant prediction."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(gold, predictions))


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson correlation (STS-B); 0 where one side is constant and it is undefined."""
    from scipy.stats import pearsonr

    if len(gold) < 2 or len(set(predictions)) == 1 or len(set(gold)) == 1:
        return 0.0
    return float(pearsonr(predictions, gold).statistic)


def seqeval_f1(predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """Micro F1 over whole entities from BIO tag names, as CoNLL's scorer counts them."""
    from seqeval.metrics import f1_score

    return float(f1_score([list(g) for g in gold], [list(p) for p in predictions]))


METRICS: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "pearson": pearson,
    "seqeval_f1": seqeval_f1,
    **{name: getattr(text_metrics, name) for name in text_metrics.TEXT_METRICS},
}

_PACKAGES = {"sklearn": "scikit-learn", "rouge_score": "rouge-score"}


def score(metric: str, predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """The value of a metric by name.

    Raises:
        CourseError: unknown metric, nothing to score, different lengths, or a package that is
            not installed (it says which).
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if len(gold) == 0:
        raise CourseError(f"{metric}: there is nothing to score (no example has a gold answer).")
    if len(predictions) != len(gold):
        raise CourseError(
            f"{metric}: {len(predictions)} predictions for {len(gold)} gold answers; "
            "give one prediction for each."
        )
    try:
        return METRICS[metric](predictions, gold)
    except ModuleNotFoundError as missing:
        package = _PACKAGES.get(missing.name, missing.name)
        raise CourseError(
            f"the metric {metric!r} needs the package {package!r}: pip install {package}"
        ) from missing


def interval(value: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for an accuracy.

    With z the normal quantile, centre (p + z²/2n) / (1 + z²/n), half-width
    z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n). Unlike p ± 1.96 sd it stays inside [0, 1] and holds
    for few examples (Wilson 1927; Brown, Cai and DasGupta 2001).

    Args:
        value: the accuracy, 0 to 1.
        n: number of examples behind it.
        confidence: 0.95 for the usual 95 % interval.
    """
    from statistics import NormalDist

    if n < 1 or not 0 <= value <= 1:
        raise CourseError(f"an interval needs n >= 1 and a value in [0, 1], got {value}, n={n}.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    scale = 1 + z * z / n
    centre = (value + z * z / (2 * n)) / scale
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def binomial_p_value(correct: int, n: int, reference: float) -> float:
    """Exact two-sided test: how likely is a count this far off if the truth is `reference`?

    Compares a run with a published accuracy (or a majority baseline) taken as known.
    Small = unlike the reference.
    """
    from scipy.stats import binomtest

    if not 0 <= correct <= n or n < 1 or not 0 <= reference <= 1:
        raise CourseError(
            f"expected 0 <= correct <= n, n >= 1 and a reference in [0, 1]; "
            f"got {correct}, {n}, {reference}."
        )
    return float(binomtest(correct, n, reference).pvalue)


def paired_p_value(first: Sequence[Any], second: Sequence[Any], gold: Sequence[Any]) -> float:
    """Exact McNemar test of two models on the same examples.

    Only the examples that exactly one model gets right count; under "equally good" each falls
    to either with probability 1/2.
    """
    only_first = only_second = 0
    for a, b, g in zip(first, second, gold, strict=True):
        only_first += a == g and b != g
        only_second += b == g and a != g
    different = only_first + only_second
    return binomial_p_value(only_first, different, 0.5) if different else 1.0
