"""PET's arithmetic by hand: weights, soft labels, the distillation loss, iPET's growing sets."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting.distillation import distillation_loss, weighted_mean
from course_utils.prompting.ipet import draw_examples, new_per_label, teachers_of


class TestSoftLabels:
    def test_logits_are_averaged_by_weight(self):
        first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
        # weights .75 and .25 (of .9 and .3): (1.5, 1.0)
        assert weighted_mean([first, second], [0.9, 0.3])[0].tolist() == pytest.approx([1.5, 1.0])

    def test_a_teacher_of_no_weight_is_not_heard(self):
        first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
        assert torch.equal(weighted_mean([first, second], [0.0, 0.5]), second)

    def test_all_weights_zero_means_all_alike(self):
        first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
        assert weighted_mean([first, second], [0.0, 0.0])[0].tolist() == [1.0, 2.0]

    def test_refusals(self):
        with pytest.raises(CourseError, match="1 teachers' answers for 2 weights"):
            weighted_mean([torch.zeros(1, 2)], [1.0, 1.0])
        with pytest.raises(CourseError, match="negative"):
            weighted_mean([torch.zeros(1, 2)], [-1.0])


class TestDistillationLoss:
    def test_by_hand(self):
        # T = 2: teacher logits 2 ln 3, 0 -> (3/4, 1/4); student 0, 0 -> (1/2, 1/2)
        teacher, student = torch.tensor([[2 * math.log(3), 0.0]]), torch.zeros(1, 2)
        kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        assert distillation_loss(student, teacher, 2.0).item() == pytest.approx(4 * kl, abs=1e-6)

    def test_nothing_to_learn_from_oneself(self):
        logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
        assert distillation_loss(logits, logits + 7.0).item() == pytest.approx(0.0, abs=1e-6)

    def test_it_is_the_mean_over_the_batch(self):
        teacher, student = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
        one = distillation_loss(student, teacher)
        many = distillation_loss(student.expand(6, -1), teacher.expand(6, -1))
        torch.testing.assert_close(one, many)


class TestTeachers:
    def test_a_quarter_of_the_others(self):
        for model in range(9):
            chosen = teachers_of(model, 9, 0.25, seed=0)
            assert len(chosen) == 2
            assert model not in chosen
            assert chosen == teachers_of(model, 9, 0.25, seed=0)
        assert {i for m in range(9) for i in teachers_of(m, 9, 0.25, seed=0)} >= {0, 1, 2}

    def test_one_at_least(self):
        assert teachers_of(0, 2, 0.25, seed=0) == [1]
        with pytest.raises(CourseError, match="two models"):
            teachers_of(0, 1, 0.25, seed=0)


class TestGrowth:
    def test_five_times_as_many_each_generation_and_the_balance_kept(self):
        labels = [0] * 6 + [1] * 2
        assert new_per_label(labels, 2, 5, 1) == [24, 8]  # 8 + 32 = 5 * 8
        assert new_per_label(labels, 2, 5, 2) == [144, 48]  # 8 + 192 = 25 * 8
        assert new_per_label([0, 0], 3, 5, 1) == [8, 0, 0]

    def answers(self, sure):
        """(n, 2) logits whose first probability is as given."""
        p = torch.tensor(sure)
        return torch.stack([p, 1 - p], dim=1).log()

    def test_rows_get_the_label_their_teachers_prefer(self):
        logits = self.answers([0.9, 0.1, 0.8, 0.2, 0.7])
        drawn = draw_examples([logits], [1.0], [2, 2], seed=0)
        assert [label for _, label in drawn] == [0, 0, 1, 1]
        assert {row for row, label in drawn if label == 1} == {1, 3}
        assert {row for row, label in drawn if label == 0} <= {0, 2, 4}

    def test_surer_rows_are_drawn_more_often(self):
        logits = self.answers([0.95, 0.55, 0.05])
        counts = Counter(
            draw_examples([logits], [1.0], [1, 0], seed=seed)[0][0] for seed in range(400)
        )
        assert counts[0] / 400 == pytest.approx(0.95 / 1.5, abs=0.08)
        assert set(counts) == {0, 1}

    def test_too_few_are_filled_up_with_the_surest_others(self):
        logits = self.answers([0.9, 0.8, 0.7, 0.6])
        drawn = draw_examples([logits], [1.0], [1, 2], seed=0)
        others = {row for row, label in drawn if label == 0}
        expected = [row for row in (3, 2, 1, 0) if row not in others][:2]
        assert [row for row, label in drawn if label == 1] == expected

    def test_no_row_twice_and_a_small_pool_gives_what_it_has(self):
        logits = self.answers([0.9, 0.2, 0.6])
        drawn = draw_examples([logits], [1.0], [5, 5], seed=0)
        assert sorted(row for row, _ in drawn) == [0, 1, 2]
