"""Training: it learns, it keeps the best epoch, it resumes exactly, it trains only what it may."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_tasks as small
import torch
from safetensors.torch import load_file

import course_utils.loop as loop
from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.loop import LengthGrouped, checkpoints, trained_state
from course_utils.records import RunRecord
from course_utils.settings import TrainSettings, default_learning_rate, updates_per_epoch
from course_utils.sweep import sweep
from course_utils.training import train

SETTINGS = TrainSettings(epochs=4, batch_size=8, learning_rate=5e-3, precision="float32")


def run(task, tokenizer, settings=SETTINGS, model=None, **options):
    model = model or small.bert()
    return train(model, task, tokenizer=tokenizer, settings=settings, progress=False, **options)


class TestResult:
    def test_learns_a_separable_task(self, task, tokenizer):
        task = small.sentiment(320)
        result = run(task, tokenizer, replace(SETTINGS, epochs=6))
        assert evaluate(result.model, task, "test", tokenizer=tokenizer).score > 0.9

    def test_record_says_what_was_run(self, task, tokenizer):
        record = run(task, tokenizer, plm="small-bert").record
        assert (record.plm, record.task, record.method) == (
            "small-bert",
            "small/sentiment",
            "FullFineTuning",
        )
        assert record.steps == 32
        assert record.epochs == 4
        assert record.train_examples == 64
        assert record.trainable == record.total == sum(p.numel() for p in small.bert().parameters())
        assert record.settings["learning_rate"] == 5e-3
        assert record.majority == 0.5
        assert record.interval[0] < record.score < record.interval[1] or record.score in (0, 1)
        assert record.peak_memory_mb > 0
        assert "torch" in record.versions

    def test_same_seed_same_run_other_seed_other_run(self, task, tokenizer):
        first, again = run(task, tokenizer), run(task, tokenizer)
        other = run(task, tokenizer, replace(SETTINGS, seed=1))
        losses = [[e["loss"] for e in r.history] for r in (first, again, other)]
        assert losses[0] == losses[1]
        assert losses[0] != losses[2]

    @pytest.mark.parametrize("precision", ["float16", "bfloat16"])
    def test_16_bit_on_a_cpu_is_slow_but_allowed(self, task, tokenizer, precision):
        record = run(task, tokenizer, replace(SETTINGS, epochs=1, precision=precision)).record
        assert record.precision == precision
        assert record.steps == 8

    def test_only_what_requires_a_gradient_moves(self, task, tokenizer):
        model = small.bert()
        model.bert.requires_grad_(False)
        before = {name: p.clone() for name, p in model.named_parameters()}
        result = run(task, tokenizer, model=model)
        moved = {n for n, p in model.named_parameters() if not torch.equal(p.cpu(), before[n])}
        assert moved == {"classifier.weight", "classifier.bias"}
        assert result.record.trainable == 16 * 2 + 2

    def test_examples_without_a_gold_label_change_nothing(self, task, tokenizer):
        from datasets import Dataset, concatenate_datasets

        odd = Dataset.from_dict({"sentence": ["good bad film"] * 5, "label": [-1] * 5})
        splits = {
            name: concatenate_datasets([rows, odd.cast(rows.features)])
            for name, rows in task.splits.items()
        }
        with_odd = run(replace(task, splits=splits), tokenizer)
        assert with_odd.record.n == 40
        assert [e["loss"] for e in with_odd.history] == [
            e["loss"] for e in run(task, tokenizer).history
        ]


class TestBestEpoch:
    def scores(self, monkeypatch, values):
        """Dev scores as given; the parameters at each score are remembered."""
        seen = []

        def fake(self, loss, state, model):
            given = values[len(self.history)]
            seen.append(trained_state(model))
            self.score_dev = lambda: given
            real(self, loss, state, model)

        real = loop.Watch._score
        monkeypatch.setattr(loop.Watch, "_score", fake)
        return seen

    def same(self, model, state):
        return all(torch.equal(p.cpu(), state[n].cpu()) for n, p in model.named_parameters())

    def test_the_best_not_the_last_is_kept(self, task, tokenizer, monkeypatch):
        seen = self.scores(monkeypatch, [0.5, 0.9, 0.7, 0.9])
        result = run(task, tokenizer)
        assert result.record.best_epoch == 2
        assert result.record.dev_score == 0.9
        assert self.same(result.model, seen[1])
        assert not self.same(result.model, seen[3])

    def test_the_last_is_kept_when_asked(self, task, tokenizer, monkeypatch):
        seen = self.scores(monkeypatch, [0.5, 0.9, 0.7, 0.6])
        result = run(task, tokenizer, replace(SETTINGS, keep="last"))
        assert result.record.best_epoch == 4
        assert self.same(result.model, seen[3])

    def test_patience_stops_early(self, task, tokenizer, monkeypatch):
        self.scores(monkeypatch, [0.5, 0.9, 0.7, 0.6])
        result = run(task, tokenizer, replace(SETTINGS, patience=1))
        assert [e["dev_score"] for e in result.history] == [0.5, 0.9, 0.7]
        assert result.record.best_epoch == 2


class Stop(Exception):
    """Stands for a lost connection or Ctrl-C."""


def interrupted(monkeypatch, task, tokenizer, folder, settings, at_step, model):
    """A run that breaks off at a step."""
    real = loop.Watch.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == at_step:
            raise Stop
        real(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Watch, "on_step_end", on_step_end)
        with pytest.raises(Stop):
            run(task, tokenizer, settings, model=model, output=folder)


class TestResume:
    @pytest.mark.parametrize(
        ("settings", "at_step"),
        [
            (SETTINGS, 19),
            (replace(SETTINGS, evaluate_every=5), 18),
            (replace(SETTINGS, accumulation=3, evaluate_every=2), 7),
        ],
        ids=["at an epoch", "inside an epoch", "with accumulation"],
    )
    def test_equals_an_uninterrupted_run(
        self, task, tokenizer, tmp_path, monkeypatch, settings, at_step
    ):
        whole = run(task, tokenizer, settings, output=tmp_path / "whole")
        folder = tmp_path / "broken"
        interrupted(monkeypatch, task, tokenizer, folder, settings, at_step, small.bert())
        assert len(checkpoints(folder)) == 1
        resumed = run(task, tokenizer, settings, output=folder)

        def plain(history):
            return [{k: v for k, v in e.items() if k != "seconds"} for e in history]

        assert plain(resumed.history) == plain(whole.history)
        states = [load_file(f / "trained.safetensors") for f in (folder, tmp_path / "whole")]
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            assert torch.equal(states[0][name], states[1][name]), name
        assert resumed.record.best_epoch == whole.record.best_epoch

    def test_the_best_before_the_break_is_not_lost(self, task, tokenizer, tmp_path, monkeypatch):
        scores = iter([0.9, 0.5, 0.6, 0.7])
        real = loop.Watch._score

        def fake(self, loss, state, model):
            value = next(scores)
            self.score_dev = lambda: value
            real(self, loss, state, model)

        monkeypatch.setattr(loop.Watch, "_score", fake)
        interrupted(monkeypatch, task, tokenizer, tmp_path, SETTINGS, 18, small.bert())
        best = load_file(loop.best_file(tmp_path, 8))
        resumed = run(task, tokenizer, output=tmp_path)
        assert resumed.record.best_epoch == 1
        assert all(torch.equal(p.cpu(), best[n].cpu()) for n, p in resumed.model.named_parameters())

    def test_a_break_between_a_new_best_and_its_checkpoint(
        self, task, tokenizer, tmp_path, monkeypatch
    ):
        """The checkpoint left is an older one, and its own best is still there."""
        real, calls = loop.CourseTrainer._save_checkpoint, []

        def fail_second(self, *arguments):
            calls.append(1)
            if len(calls) == 2:
                raise Stop
            real(self, *arguments)

        scores = iter([0.6, 0.9, 0.5, 0.5, 0.5])
        score = loop.Watch._score

        def fake(self, loss, state, model):
            value = next(scores)
            self.score_dev = lambda: value
            score(self, loss, state, model)

        monkeypatch.setattr(loop.Watch, "_score", fake)
        with monkeypatch.context() as patch:
            patch.setattr(loop.CourseTrainer, "_save_checkpoint", fail_second)
            with pytest.raises(Stop):
                run(task, tokenizer, output=tmp_path)
        best = load_file(loop.best_file(tmp_path, 8))
        resumed = run(task, tokenizer, output=tmp_path)
        assert resumed.record.best_epoch == 1
        assert all(torch.equal(p.cpu(), best[n].cpu()) for n, p in resumed.model.named_parameters())

    def test_other_settings_are_refused(self, task, tokenizer, tmp_path, monkeypatch):
        interrupted(monkeypatch, task, tokenizer, tmp_path, SETTINGS, 19, small.bert())
        with pytest.raises(CourseError, match="another settings"):
            run(task, tokenizer, replace(SETTINGS, learning_rate=1e-3), output=tmp_path)

    def test_a_checkpoint_holds_only_what_is_trained(self, task, tokenizer, tmp_path, monkeypatch):
        model = small.bert()
        model.bert.requires_grad_(False)
        interrupted(monkeypatch, task, tokenizer, tmp_path, SETTINGS, 19, model)
        folder = checkpoints(tmp_path)[0]
        state = load_file(folder / loop.PARAMETERS)
        assert sorted(state) == ["classifier.bias", "classifier.weight"]
        assert sum(p.stat().st_size for p in folder.iterdir()) < 60_000

    def test_a_break_while_saving_leaves_the_former_checkpoint(
        self, task, tokenizer, tmp_path, monkeypatch
    ):
        real = loop.CourseTrainer._save_rng_state
        calls = []

        def fail_second(self, folder):
            calls.append(folder)
            if len(calls) == 2:
                raise OSError("no space left on device")
            real(self, folder)

        with monkeypatch.context() as patch:
            patch.setattr(loop.CourseTrainer, "_save_rng_state", fail_second)
            with pytest.raises(OSError, match="no space"):
                run(task, tokenizer, output=tmp_path)
        assert [p.name for p in checkpoints(tmp_path)] == ["checkpoint-8"]
        whole = run(task, tokenizer)
        assert (
            run(task, tokenizer, output=tmp_path).history[-1]["loss"] == (whole.history[-1]["loss"])
        )

    def test_afterwards_the_record_and_the_parameters_are_left(self, task, tokenizer, tmp_path):
        result = run(task, tokenizer, output=tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == [
            "last.safetensors",
            "record.json",
            "run.json",
            "trained.safetensors",
        ]
        assert RunRecord.read(tmp_path / "record.json") == result.record

    def test_a_finished_run_is_loaded_not_repeated(self, task, tokenizer, tmp_path, monkeypatch):
        first = run(task, tokenizer, output=tmp_path)
        monkeypatch.setattr(loop.CourseTrainer, "train", None)
        again = run(task, tokenizer, model=small.bert(seed=5), output=tmp_path)
        assert again.record == first.record
        assert again.evaluation.predictions == first.evaluation.predictions


class TestErrors:
    def test_nothing_to_train(self, task, tokenizer):
        model = small.bert().requires_grad_(False)
        with pytest.raises(CourseError, match="nothing to train"):
            run(task, tokenizer, model=model)

    def test_a_diverging_run_says_so(self, task, tokenizer):
        with pytest.raises(CourseError, match=r"not finite at step .* Lower it"):
            run(task, tokenizer, replace(SETTINGS, learning_rate=1e30, warmup=0.0))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"epochs": 1, "steps": 1}, "not both"),
            ({"epochs": 0}, "more than 0"),
            ({"batch_size": -1}, "batch_size -1"),
            ({"schedule": "magic"}, "linear, constant, cosine"),
            ({"precision": "int8"}, "bfloat16"),
            ({"warmup": 6}, "is a share"),
        ],
    )
    def test_settings(self, wrong, message):
        with pytest.raises(CourseError, match=message):
            TrainSettings(**wrong)

    def test_more_tokens_than_positions(self, task, tokenizer):
        with pytest.raises(CourseError, match="at most 32 tokens"):
            run(task, tokenizer, replace(SETTINGS, max_length=64))


class TestDefaults:
    def test_few_examples_get_enough_updates(self):
        filled = TrainSettings(batch_size=16).filled(small.bert(), 32)
        assert filled.steps == 120
        assert filled.steps / filled.evaluate_every <= 12

    def test_many_examples_get_five_epochs_each_scored(self):
        filled = TrainSettings(batch_size=16).filled(small.bert(), 1600)
        assert (filled.steps, filled.evaluate_every) == (500, 100)

    def test_updates_count_accumulation_and_processes(self):
        settings = TrainSettings(batch_size=8, accumulation=3)
        assert updates_per_epoch(settings, 64) == 3
        assert updates_per_epoch(settings, 64, processes=4) == 1

    def test_frozen_plm_gets_a_higher_rate_than_full_fine_tuning(self):
        partly = small.bert()
        partly.bert.requires_grad_(False)
        assert default_learning_rate(partly) > default_learning_rate(small.bert())


class TestOrder:
    lengths = [(7 * i) % 13 + 1 for i in range(203)]

    def test_every_example_once_an_epoch_in_a_new_order(self):
        order = LengthGrouped(self.lengths, 8, seed=0, group=True)
        first = list(order)
        order.set_epoch(1)
        second = list(order)
        assert sorted(first) == sorted(second) == list(range(203))
        assert first != second

    def test_batches_have_similar_lengths(self):
        def spread(group):
            order = list(LengthGrouped(self.lengths, 8, seed=0, group=group))
            batches = [order[i : i + 8] for i in range(0, len(order), 8)]
            return sum(max(self.lengths[i] for i in b) * len(b) for b in batches)

        assert spread(True) < 0.7 * spread(False)


class TestSweep:
    def test_chooses_on_dev_and_survives_a_diverging_rate(self, tokenizer):
        found = sweep(
            small.bert,
            small.sentiment(320),  # enough that the middle rate learns whatever dropout draws
            [1e30, 1e-6, 5e-3],
            tokenizer=tokenizer,
            settings=replace(SETTINGS, warmup=0.0),
            progress=False,
        )
        assert found.learning_rate == 5e-3
        assert found.scores[1e30] == float("-inf")
        assert found.scores[5e-3] == max(found.scores.values()) == found.best.dev_score

    def test_all_diverging_is_an_error(self, task, tokenizer):
        with pytest.raises(CourseError, match="every learning rate diverged"):
            sweep(small.bert, task, [1e30], tokenizer=tokenizer, settings=SETTINGS, progress=False)
