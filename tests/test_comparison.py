"""Runs beside published results: who is grouped, and when a difference is one."""

from __future__ import annotations

import dataclasses

import pytest

from course_utils.comparison import ABOVE, BELOW, UNKNOWN, WITHIN, compare, table, verdict
from course_utils.errors import CourseError
from course_utils.records import RunRecord
from course_utils.tasks.metrics import binomial_p_value

RTE = RunRecord(
    plm="roberta-large", task="superglue/rte", method="PTuningV2", metric="accuracy", score=0.866,
    n=277, split="dev", majority=0.527, seed=11, hyperparameters={"length": 128},
    settings={"seed": 11, "keep": "best", "choose_on": "dev", "learning_rate": 5e-3},
    history=({"epoch": 1, "dev_score": 0.8}, {"epoch": 2, "dev_score": 0.866}),
)  # fmt: skip


def seed(number, score, **changes):
    settings = RTE.settings | {"seed": number} | changes.pop("settings", {})
    return dataclasses.replace(RTE, seed=number, score=score, settings=settings, **changes)


def test_runs_that_differ_in_the_seed_only_are_one_group():
    (found,) = compare([seed(11, 0.85), seed(12, 0.87), seed(13, 0.86)])
    assert found.scores == pytest.approx((85.0, 87.0, 86.0))
    assert found.mean == pytest.approx(86.0)
    assert found.deviation == pytest.approx(1.0)
    assert (found.released, found.verdict) == (86.6, WITHIN)
    assert found.beats, "one of three seeds is above 86.6"
    assert found.flattered


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"learning_rate": 1e-3}},
        {"hyperparameters": {"length": 8}},
        {"train_examples": 100},
        {"plm": "bert-large"},
        {"settings": {"choose_on": "selection"}},
        {"notes": {"pretrained": False}},
    ],
)
def test_any_other_difference_makes_two(change):
    assert len(compare([seed(11, 0.85), seed(12, 0.85, **change)])) == 2


def test_a_part_of_train_does_not_flatter():
    (found,) = compare([seed(11, 0.85, settings={"choose_on": "selection"})])
    assert not found.flattered
    assert "*" not in table([found])


def test_one_seed_is_judged_by_the_exact_test():
    """277 examples: 92 % is 15 more right than 86.6 % (p 0.007); 88 % is 4 more (p 0.5)."""
    said, p = verdict([92.0], 86.6, "accuracy", 277)
    assert said == ABOVE
    assert p == binomial_p_value(255, 277, 0.866)
    assert p < 0.01
    assert verdict([88.0], 86.6, "accuracy", 277)[0] == WITHIN
    assert verdict([80.0], 86.6, "accuracy", 277)[0] == BELOW


def test_seeds_that_scatter_undo_what_the_examples_say():
    steady = [91.0, 91.2, 90.8]
    scattered = [80.0, 99.0, 94.0]
    assert verdict(steady, 86.6, "accuracy", 1000)[0] == ABOVE
    assert verdict(scattered, 86.6, "accuracy", 1000)[0] == WITHIN


def test_f1_needs_seeds():
    assert verdict([92.0, 92.1], 88.4, "seqeval_f1", 288) == (UNKNOWN, None)
    assert verdict([92.0, 92.1, 91.9], 88.4, "seqeval_f1", 288) == (ABOVE, None)
    assert verdict([92.0, 80.0, 91.9], 88.4, "seqeval_f1", 288) == (WITHIN, None)


def test_five_equal_seeds_on_few_examples_are_not_above():
    """COPA: 100 examples, one point each. No spread over seeds says nothing of other examples."""
    assert verdict([94.0] * 5, 92.0, "accuracy", 100)[0] == WITHIN


def test_brown_is_compared_with_brown():
    record = dataclasses.replace(
        RTE, task="srl/conll05", metric="seqeval_f1", split="ood", score=0.83, n=800
    )
    (found,) = compare([record])
    assert found.released == 83.9


def test_the_page(capsys):
    text = table(compare([seed(11, 0.95), seed(12, 0.95), seed(13, 0.951)]))
    header, line, remark = text.splitlines()
    assert header.split() == [
        "task", "PLM", "method", "seeds", "score", "majority", "published", "p", "verdict",
    ]  # fmt: skip
    assert line.split()[:3] == ["superglue/rte", "roberta-large", "PTuningV2"]
    assert "95.0 ± 0.1*" in line
    assert "52.7" in line
    assert "86.6" in line
    assert line.endswith(ABOVE)
    assert "chosen on this very set" in remark


def test_nothing_to_compare():
    with pytest.raises(CourseError, match="no record to compare"):
        compare([])
