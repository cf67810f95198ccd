"""The probes of bug hunts see what they say they see, and the verdict follows from it."""

from __future__ import annotations

import math

import torch
from torch import nn

from course_utils.show.exercises import symptoms
from course_utils.show.exercises.symptoms import Finding, bug_hunt
from course_utils.show.exercises.verdict import NotYet

GOOD = Finding("a", "1", "1", True)
GIVEN = Finding("b", "1", "2", False, given=True)
NEW = Finding("c", "1", "3", False)


class TestVerdicts:
    @staticmethod
    def said(*findings):
        return bug_hunt(lambda answer: ("learnt.", findings))(None)

    def test_all_fine_is_right(self):
        verdict = self.said(GOOD, Finding("b", "1", "1", True, given=True))
        assert verdict.state == "right"
        assert "learnt." in str(verdict)

    def test_only_what_was_wrong_from_the_start_is_open(self):
        verdict = self.said(GOOD, GIVEN)
        assert verdict.state == "open"
        lines = str(verdict).splitlines()
        assert lines[1].split() == ["look", "at", "expected", "got"]
        assert lines[3].split() == ["b", "1", "2", "<--"]
        assert "learnt." not in str(verdict)

    def test_something_new_is_not_yet_and_named(self):
        verdict = self.said(GOOD, GIVEN, NEW)
        assert verdict.state == "not yet"
        assert '"b" and "c"' in str(verdict)

    def test_it_never_raises(self):
        def raising(error):
            def check(answer):
                raise error

            return bug_hunt(check)(None)

        assert raising(NotImplementedError()).state == "open"
        assert str(raising(NotYet("advice."))) == "not yet. advice."
        assert "ValueError: odd" in str(raising(ValueError("odd")))
        assert bug_hunt(lambda answer: ("", []))(...).state == "open"


class TestProbes:
    def test_what_trains(self):
        model = symptoms.small_plm()
        model.requires_grad_(False)
        model.classifier.bias.requires_grad_(True)
        model.bert.encoder.layer[1].output.dense.bias.requires_grad_(True)
        assert symptoms.trained_count(model) == 2 + 16
        assert symptoms.trained_count(model, "classifier") == 2
        assert symptoms.trained_count(model, "output") == 16
        assert set(symptoms.trained(model)) == {
            "classifier.bias",
            "bert.encoder.layer.1.output.dense.bias",
        }

    def test_what_moves(self):
        model = symptoms.small_plm()
        model.requires_grad_(False)
        model.classifier.bias.requires_grad_(True)
        assert symptoms.moved(model, symptoms.small_batch(), 2) == {"classifier.bias"}
        model.requires_grad_(False)
        assert symptoms.moved(model, symptoms.small_batch(), 2) == set()

    def test_the_small_task_can_be_learnt_and_a_blind_model_stays_at_ln_2(self):
        batch = symptoms.small_batch()
        assert batch["labels"].float().mean() == 0.5
        assert symptoms.losses(symptoms.small_plm(), batch, 60)[-1] < 0.1
        same = {**batch, "input_ids": torch.full_like(batch["input_ids"], 5)}
        blind = symptoms.losses(symptoms.small_plm(), same, 60)[-1]
        assert abs(blind - math.log(2)) < 0.01

    def test_random_states_are_left_alone(self):
        torch.manual_seed(4)
        linear, state = nn.Linear(3, 3), torch.get_rng_state()
        symptoms.losses(symptoms.small_plm(), symptoms.small_batch(), 2)
        symptoms.looks_at(linear, torch.zeros(1, 2, 3))
        assert torch.equal(torch.get_rng_state(), state)

    def test_which_places_a_module_looks_at(self):
        assert torch.equal(
            symptoms.looks_at(nn.Linear(3, 3), torch.zeros(1, 4, 3)), torch.eye(4).bool()
        )

        class Before(nn.Linear):
            def forward(self, x):
                return super().forward(torch.roll(x, 1, dims=1))

        seen = symptoms.looks_at(Before(3, 3), torch.zeros(1, 4, 3))
        assert seen[2].tolist() == [False, True, False, False]

    def test_looking_changes_no_parameter(self):
        linear = nn.Linear(3, 3)
        before = linear.weight.detach().clone()
        symptoms.looks_at(linear, torch.zeros(1, 2, 3))
        assert torch.equal(linear.weight, before)

    def test_how_numbers_are_written(self):
        assert [symptoms.number(x) for x in (0, 1234.0, 0.00031, 0.693)] == [
            "0",
            "1,234",
            "0.00031",
            "0.69",
        ]
