"""PET from end to end on a tiny PLM: what is learnt from what, resuming, and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from datasets import Dataset

from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.plm import load_plm
from course_utils.prompting import PETSettings, PromptModel, train_pet
from course_utils.prompting import pet as pet_module
from course_utils.prompting.distillation import weighted_mean
from course_utils.tasks.task import Prompt, Task
from course_utils.training import TrainSettings

GOOD, BAD = ("great", "good", "warm", "joy"), ("bad", "terrible", "cold", "dull")
PATTERNS = (
    Prompt("{sentence} it was {mask} .", {"negative": ("no",), "positive": ("yes",)}),
    Prompt("{mask} , {sentence}", {"negative": ("no",), "positive": ("yes",)}),
)
QUICK = TrainSettings(steps=4, batch_size=4, keep="last", evaluate_every=4)
SETTINGS = PETSettings(repetitions=2, pattern=QUICK, classifier=QUICK)


def rows(count, start=0, labels=True):
    made = []
    for i in range(start, start + count):
        word = (BAD, GOOD)[i % 2][i // 2 % 4]
        made.append({"sentence": f"the {word} film and {'town' if i % 3 else 'rain'}"})
        if labels:
            made[-1]["label"] = i % 2
    return made


@pytest.fixture
def task():
    return Task(
        name="small/sentiment",
        kind="classification",
        columns=("sentence",),
        labels=("negative", "positive"),
        metric="accuracy",
        splits={
            "train": Dataset.from_list(rows(4)),
            "dev": Dataset.from_list(rows(8, 4)),
            "test": Dataset.from_list(rows(16, 12)),
            "unlabelled": Dataset.from_list(rows(20, 28, labels=False)),
        },
        prompts=PATTERNS,
    )


class TestPET:
    def test_every_pattern_and_repetition_votes_and_a_classifier_learns(self, plm, task):
        result = train_pet(plm, task, settings=SETTINGS)
        assert [(m.pattern, m.repetition) for m in result.members] == [
            (0, 0), (0, 1), (1, 0), (1, 1),
        ]  # fmt: skip
        expected = weighted_mean(
            [m.logits for m in result.members], [m.weight for m in result.members]
        )
        assert torch.equal(result.soft_labels, expected)
        assert result.soft_labels.shape == (20, 2)
        score = evaluate(result.model, task, "test", tokenizer=result.tokenizer)
        assert score.n == 16
        assert result.student.record.train_examples == 20

    def test_the_weight_is_the_accuracy_before_training(self, plm, task):
        result = train_pet(plm, task, settings=replace(SETTINGS, repetitions=1))
        model, tokenizer = load_plm(plm)
        for member, (template, words, _) in zip(result.members, PATTERNS, strict=True):
            prompt = PromptModel(model, tokenizer, template, words, labels=task.labels)
            before = prompt.predict(task.split("train"))
            assert member.weight == before.accuracy(task.gold("train"))
            after = prompt.predict(task.split("unlabelled")).scores
            assert not torch.allclose(member.logits, after)

    def test_ipet_learns_from_five_times_as_many(self, plm, task):
        settings = replace(SETTINGS, repetitions=1, generations=2)
        result = train_pet(plm, task, settings=settings)
        assert [m.train_examples for m in result.members] == [20, 20]
        assert [m.generation for m in result.members] == [1, 1]

    def test_the_same_seed_gives_the_same_soft_labels(self, plm, task):
        settings = replace(SETTINGS, repetitions=1)
        first = train_pet(plm, task, settings=settings).soft_labels
        assert torch.equal(train_pet(plm, task, settings=settings).soft_labels, first)


class TestResuming:
    def test_an_interrupted_run_goes_on_where_it_was(self, plm, task, tmp_path, monkeypatch):
        whole = train_pet(plm, task, settings=SETTINGS)
        trained = []
        real = pet_module.train

        def dies_at_the_third(model, *args, **kwargs):
            if len(trained) == 2:
                raise KeyboardInterrupt
            trained.append(model)
            return real(model, *args, **kwargs)

        monkeypatch.setattr(pet_module, "train", dies_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            train_pet(plm, task, settings=SETTINGS, output=tmp_path / "run")
        again = []

        def counted(model, *args, **kwargs):
            again.append(model)
            return real(model, *args, **kwargs)

        monkeypatch.setattr(pet_module, "train", counted)
        result = train_pet(plm, task, settings=SETTINGS, output=tmp_path / "run")
        assert len(again) == 3  # two of four prompts, and the classifier
        assert torch.equal(result.soft_labels, whole.soft_labels)
        assert result.members[0].weight == whole.members[0].weight

    def test_a_folder_belongs_to_one_run(self, plm, task, tmp_path):
        settings = replace(SETTINGS, repetitions=1)
        train_pet(plm, task, settings=settings, output=tmp_path / "run")
        with pytest.raises(CourseError, match="another settings"):
            train_pet(plm, task, settings=SETTINGS, output=tmp_path / "run")
        with pytest.raises(CourseError, match="another train"):
            train_pet(plm, task.subset(3), settings=settings, output=tmp_path / "run")


class TestRefusals:
    def changed(self, task, **splits):
        kept = {name: rows for name, rows in (task.splits | splits).items() if rows is not None}
        return replace(task, splits={n: _dataset(r) for n, r in kept.items()})

    def test_no_unlabelled_texts(self, plm, task):
        with pytest.raises(CourseError, match="no split 'unlabelled'"):
            train_pet(plm, self.changed(task, unlabelled=None))

    def test_unlabelled_texts_with_labels(self, plm, task):
        with pytest.raises(CourseError, match="'unlabelled' has labels"):
            train_pet(plm, self.changed(task, unlabelled=rows(6)))

    def test_unlabelled_texts_marked_as_such_are_fine(self, plm, task):
        marked = [{**row, "label": -1} for row in rows(6)]
        settings = replace(SETTINGS, repetitions=1)
        train_pet(plm, self.changed(task, unlabelled=marked), settings=settings)

    def test_fewer_examples_than_classes(self, plm, task):
        with pytest.raises(CourseError, match="1 training examples for 2 classes"):
            train_pet(plm, self.changed(task, train=rows(1)))

    def test_a_class_without_an_example(self, plm, task):
        with pytest.raises(CourseError, match="no training example has the label 'positive'"):
            train_pet(plm, self.changed(task, train=rows(4)[::2]))

    def test_a_pattern_that_cannot_work(self, plm, task):
        with pytest.raises(CourseError, match="which the example lacks"):
            train_pet(plm, task, patterns=[("{text} {mask}", PATTERNS[0].words)])
        with pytest.raises(CourseError, match="unknown label in the verbalizer 'x'"):
            train_pet(plm, task, patterns=[("{sentence} {mask}", {"negative": "no", "x": "yes"})])
        with pytest.raises(CourseError, match="needs patterns"):
            train_pet(plm, task, patterns=[])

    def test_settings(self):
        with pytest.raises(CourseError, match="repetitions"):
            PETSettings(repetitions=0)
        with pytest.raises(CourseError, match="growth"):
            PETSettings(growth=1)


def _dataset(made):
    return Dataset.from_list(made) if isinstance(made, list) else made
