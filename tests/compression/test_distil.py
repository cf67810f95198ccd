"""Distillation: the loss by hand, the teacher untouched, and a student that learns from it."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import small_plms
import small_tasks as small
import small_tokenizers
import torch
from safetensors.torch import load_file

import course_utils.loop as loop
from course_utils.compression import Distillation, distil
from course_utils.compression.distillation import Lesson, fingerprint, layer_pairs
from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.settings import LEARNING_RATES, TrainSettings
from course_utils.training import train
from course_utils.tuning import LoRA, attach

SETTINGS = TrainSettings(epochs=2, batch_size=8, learning_rate=5e-3)
BATCH = {
    "input_ids": torch.tensor([[2, 7, 9, 3, 0], [2, 8, 8, 11, 3]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
    "labels": torch.tensor([0, 1]),
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def of(tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


@pytest.fixture
def pair():
    """A teacher of three layers and width 16, a student of two and width 8."""
    common = {"vocab_size": small.VOCAB, "num_attention_heads": 2, "initializer_range": 0.4}
    teacher = small_plms.make("bert", 1, num_hidden_layers=3, **common)
    student = small_plms.make("bert", 2, hidden_size=8, intermediate_size=16, **common)
    return student, teacher


class TestLoss:
    @pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("temperature", [1.0, 4.0])
    def test_soft_and_hard_labels_by_hand(self, pair, alpha, temperature):
        student, teacher = pair
        lesson = Lesson(student, teacher, Distillation(temperature=temperature, alpha=alpha))
        s, t = (of(m(**BATCH).logits) for m in pair)
        p, q = softmax(t / temperature), softmax(s / temperature)
        soft = temperature**2 * (p * np.log(p / q)).sum(-1).mean()
        hard = -np.log(softmax(s)[[0, 1], [0, 1]]).mean()
        expected = alpha * soft + (1 - alpha) * hard
        assert lesson(**BATCH).loss.item() == pytest.approx(expected, rel=1e-4)

    def test_hidden_states_by_hand(self, pair):
        """Student layers 0, 1, 2 follow the teacher's 0, 2 (1.5 rounds to 2), 3; no padding."""
        student, teacher = pair
        assert layer_pairs(student, teacher) == [(0, 0), (1, 2), (2, 3)]
        lesson = Lesson(student, teacher, Distillation(alpha=0.0, hidden=0.7))
        own, theirs = (m(**BATCH, output_hidden_states=True).hidden_states for m in pair)
        real = BATCH["attention_mask"].numpy().astype(bool)
        apart = []
        for (m, g), bridge in zip(lesson.pairs, lesson.bridges, strict=True):
            gap = of(own[m]) @ of(bridge.weight).T - of(theirs[g])  # (B, T, 16)
            apart.append((gap**2).mean(-1)[real].mean())
        hard = lesson.model(**BATCH).loss.item()
        assert lesson(**BATCH).loss.item() == pytest.approx(hard + 0.7 * np.mean(apart), rel=1e-4)

    def test_a_student_that_is_the_teacher_has_nothing_to_learn(self, pair):
        _, teacher = pair
        lesson = Lesson(copy.deepcopy(teacher), teacher, Distillation(alpha=1.0))
        assert lesson(**BATCH).loss.item() == pytest.approx(0.0, abs=1e-6)

    def test_without_labels_the_teacher_is_not_asked(self, pair):
        student, teacher = pair
        lesson = Lesson(student, teacher, Distillation(hidden=1.0))
        teacher.register_forward_pre_hook(lambda *_: pytest.fail("asked"))
        batch = {k: v for k, v in BATCH.items() if k != "labels"}
        assert torch.equal(lesson(**batch).logits, student(**batch).logits)


class TestTraining:
    @pytest.fixture(scope="class")
    @classmethod
    def teacher(cls, tokenizer):
        teacher, task = small.bert(seed=1), small.sentiment(320)
        settings = replace(SETTINGS, epochs=6)
        train(teacher, task, tokenizer=tokenizer, settings=settings, progress=False)
        return teacher

    def test_a_student_learns_with_no_label_at_all(self, teacher, tokenizer):
        """alpha = 1: the labels are shuffled, the student still becomes right."""
        task = small.sentiment(320)
        labels = [1 - label for label in task.split("train")["label"]]
        rows = task.split("train").remove_columns("label").add_column("label", labels)
        wrong = replace(task, splits={**task.splits, "train": rows})
        result = distil(
            small.bert(seed=5),
            teacher,
            wrong,
            tokenizer=tokenizer,
            method=Distillation(alpha=1.0),
            settings=replace(SETTINGS, epochs=6),
            progress=False,
        )
        assert evaluate(result.model, task, "test", tokenizer=tokenizer).score > 0.9

    def test_teacher_stays_as_it_is_and_student_comes_back_plain(self, teacher, task, tokenizer):
        before, student = fingerprint(teacher), small.bert(seed=5)
        method = Distillation(hidden=0.5)
        result = distil(
            student,
            teacher,
            task,
            tokenizer=tokenizer,
            method=method,
            settings=SETTINGS,
            progress=False,
        )
        assert fingerprint(teacher) == before
        assert not teacher.training
        assert all(p.requires_grad and p.grad is None for p in teacher.parameters())
        assert result.model is student
        record = result.record
        assert (record.method, record.hyperparameters["hidden"]) == ("Distillation", 0.5)
        own = sum(p.numel() for p in student.parameters())
        assert (record.total, record.trainable) == (own, own + 3 * 16 * 16)  # three bridges

    def test_default_learning_rate_is_that_of_full_fine_tuning(self, teacher, task, tokenizer):
        settings = replace(SETTINGS, learning_rate=None, epochs=None, steps=1)
        result = distil(
            small.bert(), teacher, task, tokenizer=tokenizer, settings=settings, progress=False
        )
        rate = result.record.settings["learning_rate"]
        assert rate == LEARNING_RATES["FullFineTuning"][0]

    def test_a_finished_run_is_loaded_and_another_teacher_refused(
        self, teacher, task, tokenizer, tmp_path, monkeypatch
    ):
        options = {
            "tokenizer": tokenizer,
            "settings": SETTINGS,
            "output": tmp_path,
            "progress": False,
            "method": Distillation(hidden=0.5),
        }
        first = distil(small.bert(seed=5), teacher, task, **options).model
        held = set(load_file(tmp_path / "trained.safetensors"))
        assert not any("teacher" in name for name in held)
        monkeypatch.setattr(loop.CourseTrainer, "compute_loss", lambda *_: pytest.fail("again"))
        again = distil(small.bert(seed=6), teacher, task, **options).model
        assert fingerprint(again) == fingerprint(first)
        with pytest.raises(CourseError, match="another hyperparameters"):
            distil(small.bert(seed=5), small.bert(seed=9), task, **options)


class TestRefusals:
    def distil(self, student, teacher, task=None):
        return distil(student, teacher, task or small.sentiment(), tokenizer=small.tokenizer())

    def test_models_that_do_not_fit(self):
        bert = small.bert()
        for other, message in (
            (small.bert(num_labels=3), "2 labels and the teacher 3"),
            (bert, "the same model"),
            (torch.nn.Linear(2, 2), "plain or tuned, not Linear"),
        ):
            with pytest.raises(CourseError, match=message):
                self.distil(bert, other)
        with pytest.raises(CourseError, match="student must be a transformers model"):
            self.distil(attach(small.bert(), LoRA(rank=2)), bert)

    def test_another_vocabulary_of_the_same_size(self):
        student, teacher = small.bert(), small.bert()
        student.plm_tokenizer = small_tokenizers.of_words(["good", "bad"])
        teacher.plm_tokenizer = small_tokenizers.of_words(["bad", "good"])
        with pytest.raises(CourseError, match="but different words"):
            self.distil(student, teacher)

    def test_another_kind_of_task(self):
        numbers = replace(small.sentiment(), kind="regression", labels=(), metric="pearson")
        with pytest.raises(CourseError, match="needs 'classification'"):
            self.distil(small.bert(), small.bert(), numbers)

    @pytest.mark.parametrize(
        "settings", [{"temperature": 0}, {"alpha": 1.2}, {"alpha": -0.1}, {"hidden": -1}]
    )
    def test_settings(self, settings):
        with pytest.raises(CourseError, match="Distillation: "):
            Distillation(**settings)
