"""The trainings of exits: what each weighs and moves, that they learn, stop and go on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_tasks as small
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import course_utils.loop as loop
from course_utils.early_exit import (
    AlternatingExits,
    ConfidenceOnly,
    EarlyExit,
    Entropy,
    InnerExits,
    JointExits,
    LastExit,
    LearnedConfidence,
    Patience,
    ask_exits,
    train_exits,
)
from course_utils.early_exit.objectives import OBJECTIVES
from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.loop import checkpoints
from course_utils.settings import LEARNING_RATES, TrainSettings, default_learning_rate

SETTINGS = TrainSettings(epochs=2, batch_size=8, learning_rate=5e-3, precision="float32")
PARTS = {"plm": "model.", "heads": "heads.", "confidence": "confidence."}


@pytest.fixture(scope="module")
def tokenizer():
    return small.tokenizer()


@pytest.fixture(scope="module")
def task():
    return small.sentiment()


def new_exits(seed: int = 0) -> EarlyExit:
    return EarlyExit(small.bert(seed=seed), seed=seed)


def run(exits, task, tokenizer, training="joint", **options):
    options = {"settings": SETTINGS, "progress": False} | options
    return train_exits(exits, task, tokenizer=tokenizer, training=training, **options)


class TestLosses:
    """By hand from the exits' logits."""

    @pytest.fixture
    def answered(self, make_exits, make_batch):
        exits, labels = make_exits("bert"), torch.arange(12) % 3
        batch = make_batch("bert")
        output = exits(**batch)
        losses = [F.cross_entropy(output.exits[:, k], labels).item() for k in range(4)]
        return exits, {**batch, "labels": labels}, losses, output

    @pytest.mark.parametrize(
        ("objective", "step", "weights"),
        [
            (JointExits(), 0, (0.25, 0.25, 0.25, 0.25)),
            (JointExits(weights="depth"), 0, (0.1, 0.2, 0.3, 0.4)),
            (AlternatingExits(), 0, (0, 0, 0, 1)),
            (AlternatingExits(), 1, (1, 1, 1, 1)),
            (AlternatingExits(), 2, (0, 0, 0, 1)),
            (LastExit(), 1, (0, 0, 0, 1)),
            (InnerExits(), 0, (1, 1, 1, 0)),
        ],
    )
    def test_weighted_sums(self, answered, objective, step, weights):
        exits, batch, losses, _ = answered
        exits.trained_by(objective).begin_step(step)
        expected = sum(w * loss for w, loss in zip(weights, losses, strict=True))
        assert exits(**batch).loss.item() == pytest.approx(expected, rel=1e-5)

    def test_the_confidence_learns_who_is_right(self, answered):
        exits, batch, _, output = answered
        right = output.exits[:, :3].argmax(-1) == batch["labels"].unsqueeze(1)
        expected = ((output.confidence - right.float()) ** 2).mean().item()
        exits.trained_by(ConfidenceOnly())
        assert exits(**batch).loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("objective", "moved"),
    [
        (JointExits(), {"plm", "heads"}),
        (AlternatingExits(), {"plm", "heads"}),
        (LastExit(), {"plm"}),
        (InnerExits(), {"heads"}),
        (ConfidenceOnly(), {"confidence"}),
    ],
    ids=list(OBJECTIVES),
)
def test_only_its_own_parameters_move(objective, moved, task, tokenizer):
    exits = new_exits()
    before = {name: p.clone() for name, p in exits.named_parameters()}
    (result,) = run(exits, task, tokenizer, objective, confidence=False)
    changed = {n for n, p in exits.named_parameters() if not torch.equal(p.cpu(), before[n])}
    assert {
        name for name, prefix in PARTS.items() if any(n.startswith(prefix) for n in changed)
    } == (moved)
    prefixes = tuple(PARTS[name] for name in moved)
    assert changed >= {n for n in before if n.startswith(prefixes) and n.endswith("dense.weight")}
    assert all(n.startswith(prefixes) for n in changed)
    assert result.record.method == type(objective).__name__
    assert result.record.total == exits.total()


class TestStages:
    def test_two_stages_leave_the_last_exit_as_the_first_made_it(self, task, tokenizer):
        exits = new_exits()
        alone = run(exits, task, tokenizer, LastExit(), confidence=False)
        first = {name: p.clone() for name, p in exits.model.named_parameters()}
        exits = new_exits()
        results = run(exits, task, tokenizer, "two-stage")
        assert [r.record.method for r in results] == ["LastExit", "InnerExits", "ConfidenceOnly"]
        assert all(torch.equal(p.cpu(), first[n].cpu()) for n, p in exits.model.named_parameters())
        assert results[1].dev_score == alone[0].dev_score

    def test_inner_exits_keep_their_last_parameters_not_their_first(self, task, tokenizer):
        """The dev score is the last exit's, which stands still: the best epoch would be the 1st."""
        exits = new_exits()
        results = run(exits, task, tokenizer, "two-stage", confidence=False)
        assert results[1].record.best_epoch == results[1].record.epochs == 2
        assert results[1].record.settings["learning_rate"] == LEARNING_RATES["HeadOnly"][0]
        assert results[0].record.settings["learning_rate"] == 5e-3

    def test_learning_rates_are_those_of_what_is_trained(self):
        exits = new_exits()
        for objective, like in (
            (JointExits(), "FullFineTuning"),
            (AlternatingExits(), "FullFineTuning"),
            (LastExit(), "FullFineTuning"),
            (InnerExits(), "HeadOnly"),
        ):
            rate = default_learning_rate(exits.trained_by(objective))
            assert rate == LEARNING_RATES[like][0]

    def test_alternating_is_told_every_optimizer_step(self, task, tokenizer, monkeypatch):
        steps, real = [], EarlyExit.begin_step

        def begin_step(self, step):
            steps.append(step)
            real(self, step)

        monkeypatch.setattr(EarlyExit, "begin_step", begin_step)
        settings = replace(SETTINGS, accumulation=2)
        run(new_exits(), task, tokenizer, "alternating", confidence=False, settings=settings)
        assert steps == [step for step in range(8) for _ in range(2)]

    def test_flags_and_rule_are_given_back(self, task, tokenizer):
        exits = new_exits()
        exits.model.bert.embeddings.requires_grad_(False)
        exits.rule = Patience(1)
        run(exits, task, tokenizer, "two-stage")
        assert exits.rule == Patience(1)
        frozen = {n for n, p in exits.named_parameters() if not p.requires_grad}
        assert frozen == {
            f"model.bert.embeddings.{n}" for n, _ in exits.model.bert.embeddings.named_parameters()
        }


@pytest.fixture(scope="module")
def trained(tokenizer):
    task, exits = small.sentiment(320), new_exits()
    run(exits, task, tokenizer, settings=replace(SETTINGS, epochs=6))
    return exits, task


class TestOutcome:
    def test_every_exit_learns_a_separable_task(self, trained, tokenizer):
        exits, task = trained
        assert min(ask_exits(exits, task, "test", tokenizer=tokenizer).by_layer()) > 0.9

    def test_the_confidence_learns_that_they_are_right(self, trained, tokenizer):
        exits, task = trained
        assert ask_exits(exits, task, "test", tokenizer=tokenizer).confidence.mean() > 0.8

    @pytest.mark.parametrize("rule", [Entropy(0.05), Patience(1), LearnedConfidence(0.9)])
    def test_really_leaving_scores_what_the_sweep_says(self, trained, tokenizer, rule):
        exits, task = trained
        exits.rule = rule
        try:
            found = evaluate(exits, task, "test", tokenizer=tokenizer, batch_size=16)
        finally:
            exits.rule = None
        point = ask_exits(exits, task, "test", tokenizer=tokenizer).at(rule)
        assert found.score == point.score
        assert 1 <= point.layers <= 2

    def test_the_full_score_is_that_of_evaluate(self, trained, tokenizer):
        exits, task = trained
        full = ask_exits(exits, task, "dev", tokenizer=tokenizer).full
        assert full == evaluate(exits, task, "dev", tokenizer=tokenizer).score
        assert full == evaluate(exits.model, task, "dev", tokenizer=tokenizer).score


class Stop(Exception):
    """Stands for a lost connection."""


def test_alternating_goes_on_as_if_it_had_not_been_interrupted(
    task, tokenizer, tmp_path, monkeypatch
):
    """Stopped after an odd number of steps: which of the two losses is next must not be lost."""
    settings = replace(SETTINGS, evaluate_every=5)
    run(new_exits(), task, tokenizer, "alternating", settings=settings, output=tmp_path / "whole")
    real = loop.Watch.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 8:
            raise Stop
        real(self, args, state, control, **kwargs)

    folder = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(loop.Watch, "on_step_end", on_step_end)
        with pytest.raises(Stop):
            run(new_exits(), task, tokenizer, "alternating", settings=settings, output=folder)
    assert [c.name for c in checkpoints(folder / "1-alternating")] == ["checkpoint-5"]
    exits = new_exits()
    run(exits, task, tokenizer, "alternating", settings=settings, output=folder)
    for stage in ("1-alternating", "2-confidence"):
        states = [
            load_file(tmp_path / f / stage / "trained.safetensors") for f in ("whole", "broken")
        ]
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            assert torch.equal(states[0][name], states[1][name]), name
    assert exits.confidence_trained


def test_a_finished_training_is_loaded_not_repeated(task, tokenizer, tmp_path, monkeypatch):
    first = new_exits()
    run(first, task, tokenizer, "two-stage", output=tmp_path)

    def forbidden(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop.CourseTrainer, "compute_loss", forbidden)
    again = new_exits(seed=7)
    run(again, task, tokenizer, "two-stage", output=tmp_path)
    ours, theirs = dict(again.named_parameters()), dict(first.named_parameters())
    assert all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in ours)


class TestRefusals:
    def test_an_unknown_training(self, task, tokenizer):
        with pytest.raises(CourseError, match="Did you mean 'joint'"):
            run(new_exits(), task, tokenizer, "join")
        with pytest.raises(CourseError, match="or an objective such as"):
            run(new_exits(), task, tokenizer, 3)

    def test_a_model_without_exits(self, task, tokenizer):
        with pytest.raises(CourseError, match=r"needs EarlyExit\(model\)"):
            run(small.bert(), task, tokenizer)

    def test_another_number_of_labels(self, task, tokenizer):
        with pytest.raises(CourseError, match="3 labels and task"):
            run(EarlyExit(small.bert(num_labels=3)), task, tokenizer)

    def test_another_kind_of_task(self, task, tokenizer):
        numbers = replace(task, kind="regression", labels=(), metric="pearson")
        with pytest.raises(CourseError, match="must be 'classification'"):
            run(new_exits(), numbers, tokenizer)

    def test_an_unknown_weighting(self):
        with pytest.raises(CourseError, match="weighting of the exits"):
            JointExits(weights="deep")
