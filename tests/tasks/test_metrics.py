"""Every metric against values worked out by hand."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.tasks.metrics import binomial_p_value, interval, paired_p_value, score


class TestByHand:
    def test_accuracy(self):
        assert score("accuracy", [1, 0, 1, 1], [1, 1, 1, 0]) == 0.5

    def test_f1_of_label_one(self):
        # true positives 2, false positives 1, false negatives 1: precision = recall = 2/3
        assert score("f1", [1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx(2 / 3)

    def test_f1_of_three_labels_is_the_mean_over_labels(self):
        # label 0: F1 1; label 1: P 1/2, R 1, F1 2/3; label 2: never predicted, 0
        assert score("f1", [0, 1, 1], [0, 1, 2]) == pytest.approx((1 + 2 / 3 + 0) / 3)

    def test_matthews(self):
        # tp 2, tn 1, fp 1, fn 1: (2*1 - 1*1) / sqrt(3 * 3 * 2 * 2)
        assert score("matthews", [1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx(1 / 6)

    def test_pearson(self):
        # deviations (-1, 0, 1) and (-1, 1, 0): 1 / (sqrt 2 * sqrt 2)
        assert score("pearson", [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == pytest.approx(0.5)
        assert score("pearson", [1.0, 1.0], [1.0, 2.0]) == 0.0

    def test_seqeval_counts_whole_entities(self):
        gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]
        found = [["B-PER", "O", "O", "B-LOC"], ["O", "B-ORG"]]
        # 3 found, 2 of them exact, 3 true: the half-found person counts on neither side
        assert score("seqeval_f1", found, gold) == pytest.approx(2 / 3)


class TestWorth:
    def test_wilson_interval(self):
        # p 0.8, n 100, z 1.96: centre (0.8 + 0.0192) / 1.0384, half-width 0.0779
        low, high = interval(0.8, 100)
        assert low == pytest.approx(0.7112, abs=2e-4)
        assert high == pytest.approx(0.8666, abs=2e-4)

    def test_interval_stays_inside_and_is_not_a_point_at_the_ends(self):
        assert interval(1.0, 10)[1] == 1.0
        assert interval(1.0, 10)[0] == pytest.approx(10 / (10 + 1.959964**2))

    def test_more_examples_narrower(self):
        widths = [interval(0.7, n)[1] - interval(0.7, n)[0] for n in (50, 500, 5000)]
        assert widths == sorted(widths, reverse=True)

    def test_exact_binomial(self):
        # 9 or 10 or 0 or 1 heads of 10: 22 / 1024
        assert binomial_p_value(9, 10, 0.5) == pytest.approx(22 / 1024)
        assert binomial_p_value(5, 10, 0.5) == pytest.approx(1.0)

    def test_paired_counts_only_where_one_model_is_right(self):
        gold = [1] * 20
        first = [1] * 18 + [0, 0]
        second = [1] * 12 + [0] * 6 + [0, 0]
        # 6 against 0: 2 * (1/2)^6
        assert paired_p_value(first, second, gold) == pytest.approx(2 / 64)
        assert paired_p_value(first, first, gold) == 1.0


class TestErrors:
    def test_unknown(self):
        with pytest.raises(CourseError, match="'accuracy'"):
            score("accurracy", [1], [1])

    def test_nothing_to_score(self):
        with pytest.raises(CourseError, match="nothing to score"):
            score("accuracy", [], [])

    def test_lengths(self):
        with pytest.raises(CourseError, match="1 predictions for 2"):
            score("accuracy", [1], [1, 0])

    def test_missing_package_is_named(self, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "seqeval", None)
        monkeypatch.setitem(sys.modules, "seqeval.metrics", None)
        with pytest.raises(CourseError, match="pip install seqeval"):
            score("seqeval_f1", [["O"]], [["O"]])
