"""Evaluation: the right answers in the right order, for every kind of model and task."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import small_tasks as small
import torch
from datasets import Dataset
from torch import nn
from transformers import logging
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError
from course_utils.evaluation import evaluate, predict
from course_utils.model_facts import plain, token_limit
from course_utils.tasks import Task
from course_utils.tasks.batches import Collator
from course_utils.tasks.inputs import encode

TOKENIZER = small.tokenizer()
GOOD = [TOKENIZER.convert_tokens_to_ids(w) for w in small.GOOD]


class Reader(nn.Module):
    """Answers 1 exactly when a good word is in the text."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.batches = []

    def forward(self, input_ids, attention_mask, token_type_ids=None, labels=None):
        self.batches.append(tuple(input_ids.shape))
        found = torch.isin(input_ids, torch.tensor(GOOD)).any(-1).float()
        return SequenceClassifierOutput(logits=torch.stack([0.5 - found, found - 0.5], -1))


class TestClassification:
    def test_predictions_come_back_in_row_order(self, task):
        result = evaluate(Reader(), task, "test", tokenizer=TOKENIZER, batch_size=7)
        assert result.score == 1.0
        assert result.predictions == result.labels == list(task.split("test")["label"])
        assert (result.n, result.majority, result.ids[:3]) == (40, 0.5, [0, 1, 2])

    def test_long_texts_first_and_little_padding(self, task):
        model = Reader()
        evaluate(model, task, "test", tokenizer=TOKENIZER, batch_size=8)
        lengths = [length for _, length in model.batches]
        assert lengths == sorted(lengths, reverse=True)
        assert len(set(lengths)) > 2

    def test_half_wrong_is_half(self, task):
        flipped = [1 - v if i < 20 else v for i, v in enumerate(task.split("test")["label"])]
        rows = task.split("test").remove_columns("label").add_column("label", flipped)
        result = evaluate(
            Reader(), replace(task, splits={"test": rows}), "test", tokenizer=TOKENIZER
        )
        assert result.score == 0.5
        assert result.interval == pytest.approx((0.3519, 0.6481), abs=1e-3)

    def test_rows_without_gold_do_not_count_but_are_predicted(self, task):
        labels = [-1 if i % 4 == 0 else v for i, v in enumerate(task.split("test")["label"])]
        rows = task.split("test").remove_columns("label").add_column("label", labels)
        odd = replace(task, splits={"test": rows})
        result = evaluate(Reader(), odd, "test", tokenizer=TOKENIZER)
        assert result.n == 30
        assert -1 not in result.labels
        assert 0 not in result.ids
        assert len(predict(Reader(), odd, "test", tokenizer=TOKENIZER)) == 40

    def test_no_gold_at_all(self, task):
        rows = task.split("test").remove_columns("label").add_column("label", [-1] * 40)
        with pytest.raises(CourseError, match="no example of split 'test' has a gold label"):
            evaluate(Reader(), replace(task, splits={"test": rows}), "test", tokenizer=TOKENIZER)

    def test_unlabelled_pool(self, task):
        pool = task.split("test").remove_columns("label")
        odd = replace(task, splits={"unlabelled": pool})
        assert predict(Reader(), odd, tokenizer=TOKENIZER) == [0, 1] * 20

    def test_without_a_public_test_set_dev_is_scored(self, task):
        public = {k: v for k, v in task.splits.items() if k != "test"}
        assert evaluate(Reader(), replace(task, splits=public), tokenizer=TOKENIZER).split == "dev"

    def test_the_mode_of_the_model_is_put_back(self, task):
        model = small.bert().train()
        evaluate(model, task, tokenizer=TOKENIZER)
        assert model.training

    def test_written_predictions(self, task, tmp_path):
        result = evaluate(Reader(), task, tokenizer=TOKENIZER)
        lines = result.write(tmp_path / "predictions.jsonl").read_text().splitlines()
        assert json.loads(lines[1]) == {"id": 1, "prediction": 1, "label": 1}
        assert len(lines) == 40


class TestOtherKinds:
    def test_choice_scores_are_compared_within_an_example(self):
        rows = {
            "premise": ["it was", "it was"],
            "choice1": ["good", "bad"],
            "choice2": ["bad", "good"],
            "question": ["cause", "effect"],
            "label": [0, 1],
        }
        columns = ("premise", "choice1", "choice2", "question")
        data = {"test": Dataset.from_dict(rows)}
        copa = Task("small/copa", "choice", columns, ("first", "second"), "accuracy", data)

        class Choose(Reader):
            def forward(self, input_ids, **batch):
                found = torch.isin(input_ids, torch.tensor(GOOD)).any(-1).float()  # (B, C)
                return SequenceClassifierOutput(logits=found)

        assert evaluate(Choose(), copa, tokenizer=TOKENIZER).score == 1.0
        model = small.bert("choice")
        batch = Collator(0)(encode(copa, copa.split("test"), TOKENIZER, max_length=32).features)
        assert model(**batch).logits.shape == (2, 2)
        assert len(evaluate(model, copa, tokenizer=TOKENIZER).predictions) == 2

    def test_tagging_reads_first_sub_tokens_and_counts_cut_words_as_outside(self):
        tokens = [["name", "city", "food"], ["food"] * 9]
        tags = [[0, 1, 0], [0] * 8 + [1]]
        data = {"test": Dataset.from_dict({"tokens": tokens, "tags": tags})}
        ner = Task("small/ner", "tagging", ("tokens",), ("O", "B-LOC"), "seqeval_f1", data)
        city = TOKENIZER.convert_tokens_to_ids("city")

        class Tag(Reader):
            def forward(self, input_ids, **batch):
                found = (input_ids == city).float()
                return SequenceClassifierOutput(logits=torch.stack([0.5 - found, found - 0.5], -1))

        result = evaluate(Tag(), ner, tokenizer=TOKENIZER, max_length=8)
        assert result.predictions == [["O", "B-LOC", "O"], ["O"] * 9]
        # one of two entities found, none wrongly: P 1, R 1/2
        assert result.score == pytest.approx(2 / 3)

    def test_regression_gives_numbers(self):
        rows = {
            "sentence1": ["good", "bad", "a"],
            "sentence2": ["it"] * 3,
            "label": [5.0, 0.0, 1.0],
        }
        data = {"test": Dataset.from_dict(rows)}
        sts = Task("small/sts", "regression", ("sentence1", "sentence2"), (), "pearson", data)
        result = evaluate(small.bert(num_labels=1), sts, tokenizer=TOKENIZER)
        assert all(isinstance(p, float) for p in result.predictions)
        assert -1 <= result.score <= 1


class TestGeneration:
    causal = small.tokenizer(causal=True)

    def task(self, sources, references):
        columns = ("meaning_representation", "human_reference")
        data = {"test": Dataset.from_dict(dict(zip(columns, (sources, references), strict=True)))}
        return Task("small/e2e", "generation", columns, (), "bleu", data)

    def test_batched_writing_equals_writing_one_by_one(self):
        task = self.task(["name city", "food is cheap good fine", "a"], ["x", "y", "z"])
        model = small.gpt2()
        together = predict(model, task, "test", tokenizer=self.causal, batch_size=3)
        alone = predict(model, task, "test", tokenizer=self.causal, batch_size=1)
        assert together == alone
        assert any(together)

    def test_what_pads_rows_that_have_ended_is_no_reason_to_warn(self, monkeypatch):
        """Of a batch of texts of one length, `generate` drops the mask, and the PLM warns."""
        model, levels = small.gpt2(), []
        generate, level = model.generate, logging.get_verbosity()

        def listen(**settings):
            levels.append(logging.get_verbosity())
            return generate(**settings)

        monkeypatch.setattr(model, "generate", listen)
        predict(model, self.task(["name", "food"], ["x", "y"]), "test", tokenizer=self.causal)
        assert levels == [logging.ERROR]
        assert logging.get_verbosity() == level

    def test_references_of_one_table_are_scored_together(self):
        task = self.task(["name city", "food", "name city"], ["good film", "bad", "fine film"])
        result = evaluate(small.gpt2(), task, tokenizer=self.causal)
        assert result.n == 2
        assert result.labels == [["good film", "fine film"], ["bad"]]
        assert result.ids == [0, 1]

    def test_a_column_of_references_is_used(self):
        task = self.task(["name city"], ["good film"])
        rows = task.split("test").add_column("references", [["good film", "fine film"]])
        result = evaluate(small.gpt2(), replace(task, splits={"test": rows}), tokenizer=self.causal)
        assert result.labels == [["good film", "fine film"]]


class TestLimits:
    def test_positions_are_the_limit(self):
        assert token_limit(small.bert(), TOKENIZER) == 32
        assert token_limit(small.bert(), TOKENIZER, 10) == 10
        with pytest.raises(CourseError, match="at most 32"):
            token_limit(small.bert(), TOKENIZER, 33)

    def test_the_plm_is_found_inside_wrappers(self):
        model = small.bert()
        assert plain(nn.DataParallel(model)) is model
