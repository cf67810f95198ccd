"""Multitask prompted training end to end on tiny PLMs: what it promises, resuming, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_plms
import torch
from datasets import Dataset

from course_utils import loop
from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.prompting import (
    MultitaskSettings,
    PromptModel,
    PromptScores,
    score_prompts,
    train_multitask,
)
from course_utils.prompting import multitask as multitask_module
from course_utils.prompting.prompt_scores import usable_prompts
from course_utils.settings import default_learning_rate
from course_utils.tasks.task import Prompt, Task
from course_utils.training import TrainSettings
from course_utils.tuning import LoRA

GOOD, BAD = ("great", "joy"), ("bad", "dull")
NO_YES = {"negative": "no", "positive": "yes"}
SST2 = (Prompt("{sentence} yes or no ? {mask} .", NO_YES), Prompt("{mask} , {sentence}", NO_YES))
BOOLQ = (
    Prompt("{passage} yes or no ? {mask} .", {"false": "no", "true": "yes"}),
    Prompt("i think {mask} : {passage}", {"false": "no", "true": "yes"}, True),
    Prompt("{passage} ? {mask} !", {"false": "no", "true": "yes"}),
)
QUICK = MultitaskSettings(
    cap=24, dev=6, training=TrainSettings(batch_size=4, evaluate_every=4, learning_rate=3e-3)
)


def rows(column, count, start=0):
    made = []
    for i in range(start, start + count):
        word = (BAD, GOOD)[i % 2][i // 2 % 2]
        made.append({column: f"the {word} film in {'town' if i % 3 else 'iraq'}", "label": i % 2})
    return made


def make_task(name, column, labels, prompts, **changes):
    splits = {"train": rows(column, 24), "dev": rows(column, 8, 24), "test": rows(column, 12, 32)}
    settings = {
        "name": name,
        "kind": "classification",
        "columns": (column,),
        "labels": labels,
        "metric": "accuracy",
        "splits": {split: Dataset.from_list(made) for split, made in splits.items()},
        "prompts": prompts,
    }
    return Task(**settings | changes)


@pytest.fixture
def sst2():
    return make_task("small/sst2", "sentence", ("negative", "positive"), SST2)


@pytest.fixture
def boolq():
    return make_task("small/boolq", "passage", ("false", "true"), BOOLQ)


@pytest.fixture
def copa():
    choices = [{"premise": "the rain", "choice1": "the town", "choice2": "a dog was warm",
                "question": "cause", "label": i % 2} for i in range(6)]  # fmt: skip
    return make_task(
        "small/copa", "premise", ("choice1", "choice2"), (), kind="choice",
        columns=("premise", "choice1", "choice2", "question"),
        splits={"test": Dataset.from_list(choices)},
    )  # fmt: skip


class TestTraining:
    def test_what_is_learnt_is_known_of_a_task_never_trained_on(self, tmp_path, bert, sst2, boolq):
        model = small_plms.bert(bert, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        plm = small_plms.saved(tmp_path / "steady", model, bert)
        training = TrainSettings(
            batch_size=8, learning_rate=5e-3, schedule="constant", evaluate_every=30
        )
        settings = replace(QUICK, passes=30, training=training)
        result = train_multitask(plm, [sst2], [boolq], settings=settings)
        assert result.training.dev_score == 1.0
        # The same kind of text, asked in the same words, under labels of its own.
        assert result.before[0].scores[0] == 0.5
        assert result.after[0].scores[0] == 1.0
        lift = result.after[0].median - result.before[0].median
        assert result.lift == {"small/boolq": lift}

    def test_every_prompt_of_the_held_out_task_is_scored(self, plm, sst2, boolq, bert):
        result = train_multitask(plm, [sst2], [boolq], settings=QUICK)
        scores = result.after[0]
        assert scores.templates == tuple(prompt.template for prompt in BOOLQ)
        assert scores.held_out == (False, True, False)
        assert (scores.n, scores.majority) == (12, 0.5)
        for prompt, score in zip(BOOLQ, scores.scores, strict=True):
            asked = PromptModel(
                result.model, bert, prompt.template, prompt.words, labels=boolq.labels
            )
            assert evaluate(asked, boolq, "test", tokenizer=bert).score == score
        assert "before  small/boolq test: median accuracy" in str(result)

    def test_it_is_trained_on_the_mixture(self, plm, sst2, boolq):
        agnews = make_task("small/agnews", "sentence", ("negative", "positive"), SST2[:1])
        settings = replace(QUICK, cap=10, passes=2)
        result = train_multitask(plm, [sst2, agnews], [boolq], settings=settings)
        record = result.training.record
        assert record.train_examples == 2 * (10 + 10)
        assert record.epochs == 1
        assert record.task == "small/sst2 + small/agnews"

    def test_what_is_not_said_is_filled_in(self, plm, sst2, boolq):
        settings = replace(QUICK, passes=10, training=TrainSettings(batch_size=4))
        result = train_multitask(plm, [sst2], [boolq], settings=settings)
        record, alone = result.training.record, default_learning_rate(result.model)
        assert record.steps == 60
        assert [entry["step"] for entry in record.history] == list(range(6, 61, 6))
        assert record.settings["learning_rate"] == pytest.approx(alone / 5)

    def test_with_a_method_only_it_is_trained(self, plm, sst2, boolq):
        result = train_multitask(plm, [sst2], [boolq], method=LoRA(rank=2), settings=QUICK)
        assert result.training.record.method == "LoRA"
        assert 0 < result.training.record.trainable < result.training.record.total

    def test_the_seed_decides(self, plm, sst2, boolq):
        first = train_multitask(plm, [sst2], [boolq], settings=QUICK)
        again = train_multitask(plm, [sst2], [boolq], settings=QUICK)
        other = train_multitask(plm, [sst2], [boolq], settings=replace(QUICK, seed=1))
        assert equal(first, again)
        assert not equal(first, other)

    def test_a_causal_plm_drops_the_full_stop_and_skips_what_goes_on(
        self, tmp_path, gpt2_model, gpt2, sst2, boolq
    ):
        plm = small_plms.saved(tmp_path / "causal", gpt2_model, gpt2)
        result = train_multitask(plm, [sst2], [boolq], settings=QUICK)
        assert result.after[0].templates == ("{passage} yes or no ? {mask}", "{passage} ? {mask}")

    def test_a_held_out_task_may_be_one_of_choices(self, plm, sst2, copa):
        result = train_multitask(plm, [sst2], [copa], settings=QUICK)
        assert len(result.after[0].scores) == 2
        assert result.after[0].n == 6


class TestResuming:
    def run(self, plm, sst2, boolq, folder=None, settings=QUICK):
        return train_multitask(plm, [sst2], [boolq], settings=settings, output=folder)

    def test_an_interrupted_training_ends_as_it_would_have(
        self, plm, sst2, boolq, tmp_path, monkeypatch
    ):
        whole = self.run(plm, sst2, boolq)
        real = loop.Watch.on_step_end

        def dies(watch, args, state, control, **kwargs):
            if state.global_step == 5:
                raise KeyboardInterrupt
            real(watch, args, state, control, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(loop.Watch, "on_step_end", dies)
            with pytest.raises(KeyboardInterrupt):
                self.run(plm, sst2, boolq, tmp_path / "run")
        asked = []
        scored = score_prompts

        def counted(*args, **kwargs):
            asked.append(args)
            return scored(*args, **kwargs)

        monkeypatch.setattr(multitask_module, "score_prompts", counted)
        resumed = self.run(plm, sst2, boolq, tmp_path / "run")
        assert len(asked) == 1  # only after; before is read back
        assert resumed.before == whole.before
        assert resumed.after == whole.after
        assert equal(resumed, whole)
        assert self.run(plm, sst2, boolq, tmp_path / "run").after == whole.after
        assert len(asked) == 1  # a finished run is read back

    def test_a_folder_belongs_to_one_run(self, plm, sst2, boolq, tmp_path):
        self.run(plm, sst2, boolq, tmp_path)
        with pytest.raises(CourseError, match="multitask run with another settings"):
            self.run(plm, sst2, boolq, tmp_path, replace(QUICK, cap=10))
        with pytest.raises(CourseError, match="another tasks"):
            self.run(plm, sst2.subset(9), boolq, tmp_path)


class TestPromptScores:
    def scores(self, *values):
        names = tuple(f"t{i}" for i in range(len(values)))
        return PromptScores("x", "test", "accuracy", 9, 0.5, names, values, (False,) * len(values))

    def test_median_quartiles_and_spread_by_hand(self):
        found = self.scores(0.9, 0.5, 0.6, 0.7, 0.8)
        assert found.median == 0.7
        assert found.quartiles == pytest.approx((0.6, 0.8))
        assert found.spread == pytest.approx(0.4)

    def test_one_prompt(self):
        assert self.scores(0.6).quartiles == (0.6, 0.6)

    def test_on_some_examples(self, bert_model, bert, boolq):
        assert score_prompts(bert_model, bert, boolq, examples=5).n == 5
        assert score_prompts(bert_model, bert, boolq, examples=500, split="dev").n == 8

    def test_given_prompts_must_work_and_own_ones_may_be_skipped(self, gpt2_model, boolq):
        own = [p.template for p in usable_prompts(boolq, gpt2_model)]
        assert own == ["{passage} yes or no ? {mask}", "{passage} ? {mask}"]
        with pytest.raises(CourseError, match="causal"):
            usable_prompts(boolq, gpt2_model, BOOLQ)
        with pytest.raises(CourseError, match="has 1 prompts, all with words behind"):
            usable_prompts(replace(boolq, prompts=BOOLQ[1:2]), gpt2_model)


class TestRefusals:
    def test_tasks(self, plm, sst2, boolq, copa):
        for tasks, held_out in (([], [boolq]), ([sst2], [])):
            with pytest.raises(CourseError, match="one at least of each"):
                train_multitask(plm, tasks, held_out)
        with pytest.raises(CourseError, match="'small/sst2' is given twice"):
            train_multitask(plm, [sst2, sst2], [boolq])
        with pytest.raises(CourseError, match="of kind 'choice'"):
            train_multitask(plm, [copa], [boolq])
        with pytest.raises(CourseError, match="unknown task 'pocket/stt2'.*'pocket/sst2'"):
            train_multitask(plm, ["pocket/stt2"], [boolq])
        unlabelled = Dataset.from_list([{"sentence": "x", "label": -1}])
        bare = replace(sst2, splits={**sst2.splits, "dev": unlabelled})
        with pytest.raises(CourseError, match="no labels in 'dev'"):
            train_multitask(plm, [bare], [boolq])

    def test_the_same_family_on_both_sides(self, plm, sst2, boolq):
        rte, snli = replace(sst2, name="small/rte"), replace(boolq, name="small/snli")
        with pytest.raises(CourseError, match="both are of the family 'inference'"):
            train_multitask(plm, [rte], [snli], settings=QUICK)
        families = {"small/rte": "one", "small/snli": "other"}
        result = train_multitask(plm, [rte], [snli], settings=QUICK, families=families)
        assert result.after[0].task == "small/snli"

    def test_prompts(self, plm, sst2, boolq):
        with pytest.raises(CourseError, match="has 0 prompts"):
            train_multitask(plm, [replace(sst2, prompts=())], [boolq])
        with pytest.raises(CourseError, match="given for 'small/x'"):
            train_multitask(plm, [sst2], [boolq], prompts={"small/x": SST2})
        with pytest.raises(CourseError, match="unknown label in the verbalizer 'negative'"):
            train_multitask(plm, [sst2], [boolq], prompts={"small/boolq": SST2})
        other = [("{sentence} {mask}", {"false": "no", "true": "yes"})]
        with pytest.raises(CourseError, match="'sentence', which the example lacks"):
            train_multitask(plm, [sst2], [boolq], prompts={"small/boolq": other})

    def test_settings(self):
        with pytest.raises(CourseError, match="cap must be 1 or more"):
            MultitaskSettings(cap=0)
        with pytest.raises(CourseError, match="follows from cap and passes"):
            MultitaskSettings(training=TrainSettings(steps=10))


def equal(first, second) -> bool:
    """Whether two trained PLMs are the same, bit for bit."""
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
