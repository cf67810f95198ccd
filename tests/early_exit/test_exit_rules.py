"""When to leave, by hand: entropy, patience, confidence, and the thresholds of a sweep."""

from __future__ import annotations

import math

import pytest
import torch

from course_utils.early_exit import (
    Entropy,
    ExitAnswers,
    ExitPoint,
    LearnedConfidence,
    Patience,
    most_saved,
)
from course_utils.early_exit.rules import entropy
from course_utils.errors import CourseError


def saying(*labels: str) -> torch.Tensor:
    """(N, L, 2) logits whose predictions are the digits: saying("001", "111")."""
    said = torch.tensor([[int(digit) for digit in row] for row in labels])
    return torch.nn.functional.one_hot(said, 2).float()


def answers(logits, confidence=None, gold=None) -> ExitAnswers:
    gold = [0] * len(logits) if gold is None else gold
    return ExitAnswers("small", "dev", "accuracy", logits, confidence, gold)


class TestEntropy:
    def test_by_hand(self):
        # softmax(ln 3, 0) = (3/4, 1/4)
        expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
        given = entropy(torch.tensor([[math.log(3), 0.0], [5.0, 5.0]]))
        assert given.tolist() == pytest.approx([expected, math.log(2)])

    def test_logits_a_hundred_apart_are_no_nan(self):
        assert entropy(torch.tensor([[100.0, -100.0], [1e4, -1e4]])).tolist() == [0.0, 0.0]

    def test_below_the_threshold_leaves(self):
        logits = torch.tensor([[[9.0, 0.0], [math.log(3), 0.0]]]).repeat(2, 1, 1)
        assert Entropy(0.57).sure(logits, None).tolist() == [True, True]
        assert Entropy(0.56).sure(logits, None).tolist() == [False, False]


class TestPatience:
    @pytest.mark.parametrize(
        ("said", "patience", "layers"),
        [
            ("0000", 1, 2),
            ("0000", 2, 3),
            ("0000", 3, 4),
            ("0100", 1, 4),
            ("0110", 1, 3),
            ("0101", 1, 4),
            ("01111", 2, 4),
            ("00111", 2, 5),
            ("00", 5, 2),
        ],
    )
    def test_counts_agreements_in_a_row(self, said, patience, layers):
        assert answers(saying(said)).leaving(Patience(patience)).tolist() == [layers]

    def test_rows_are_counted_apart(self):
        given = answers(saying("0000", "0101", "0110")).leaving(Patience(1))
        assert given.tolist() == [2, 4, 3]


def test_a_row_leaves_at_the_first_exit_that_is_sure():
    confidence = torch.tensor([[0.2, 0.9, 0.1], [0.1, 0.2, 0.7], [0.5, 0.5, 0.5]])
    given = answers(saying("0000", "0000", "0000"), confidence)
    assert given.leaving(LearnedConfidence(0.6)).tolist() == [2, 3, 4]
    assert given.leaving(LearnedConfidence(0.5)).tolist() == [2, 3, 4]  # above, not equal
    assert given.leaving(LearnedConfidence(0.4)).tolist() == [2, 3, 1]


class TestSweep:
    def test_score_and_layers_of_a_point_by_hand(self):
        given = answers(saying("0011", "0110", "1111", "0001"), gold=[1, 0, 1, 1])
        assert given.by_layer() == [0.5, 0.25, 0.5, 1.0]
        assert given.full == 1.0
        point = given.at(Patience(1))  # leaves at 2 (0), 3 (1), 2 (1), 2 (0)
        assert (point.score, point.layers, point.saved) == (0.25, 2.25, 1 - 2.25 / 4)
        assert point.row() == {
            "rule": "patience",
            "threshold": 1,
            "score": 0.25,
            "layers": 2.25,
            "saved": 0.4375,
        }

    @pytest.mark.parametrize("kind", ["entropy", "confidence"])
    def test_reaches_from_one_layer_to_all(self, kind):
        torch.manual_seed(0)
        given = answers(torch.randn(40, 4, 3), torch.rand(40, 3))
        points = given.sweep(kind)
        assert (points[0].layers, points[-1].layers) == (1.0, 4.0)
        assert [p.saved for p in points] == sorted((p.saved for p in points), reverse=True)
        assert len({p.layers for p in points}) > 10
        assert points[-1].score == given.full

    def test_patience_has_one_point_per_value(self):
        points = answers(saying("00000")).sweep("patience")
        assert [p.layers for p in points] == [2, 3, 4, 5]

    def test_most_saved_keeps_the_share_of_the_score(self):
        rules = [Entropy(t) for t in (0.9, 0.5, 0.1, 0.05)]
        points = [
            ExitPoint(rules[0], 0.70, 1.0, 0.75),
            ExitPoint(rules[1], 0.891, 2.0, 0.5),
            ExitPoint(rules[2], 0.95, 3.0, 0.25),
            ExitPoint(rules[3], 0.90, 4.0, 0.0),
        ]
        assert most_saved(points, full=0.9).rule == rules[1]
        assert most_saved(points, full=0.9, share=1.0).rule == rules[2]
        assert most_saved(points, full=0.9, share=0.7).rule == rules[0]
        assert most_saved(points[:1], full=0.9) is None


class TestRefusals:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Entropy(-0.1),
            lambda: Entropy(math.nan),
            lambda: Patience(0),
            lambda: Patience(1.5),
            lambda: LearnedConfidence(1.1),
        ],
    )
    def test_thresholds_that_mean_nothing(self, make):
        with pytest.raises(CourseError):
            make()

    def test_an_unknown_rule(self):
        with pytest.raises(CourseError, match="Did you mean 'entropy'"):
            answers(saying("00")).sweep("entropie")

    def test_a_confidence_nobody_trained(self):
        given = answers(saying("00"))
        for ask in (lambda: given.sweep("confidence"), lambda: given.at(LearnedConfidence(0.5))):
            with pytest.raises(CourseError, match="confidence=True"):
                ask()
