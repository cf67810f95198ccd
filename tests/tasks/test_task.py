"""A Task: what it checks, what it counts, how it is subsampled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from datasets import Dataset

from course_utils.errors import CourseError
from course_utils.tasks import Prompt, Task, load_task


def rows(labels, **columns):
    texts = [f"text {i}" for i in range(len(labels))]
    return Dataset.from_dict({"sentence": texts, "label": labels, **columns})


def make(train=(0, 1, 1, 1), **changes):
    values = {
        "name": "small/sst2",
        "kind": "classification",
        "columns": ("sentence",),
        "labels": ("negative", "positive"),
        "metric": "accuracy",
        "splits": {"train": rows(list(train)), "dev": rows([0, 1, 1])},
    }
    return Task(**{**values, **changes})


class TestChecks:
    def test_empty_split(self):
        with pytest.raises(CourseError, match=r"'small/sst2', split 'dev' is empty"):
            make(splits={"train": rows([0]), "dev": rows([])})

    def test_missing_column(self):
        with pytest.raises(CourseError, match="lacks column 'premise'; it has sentence, label"):
            make(columns=("premise",))

    def test_label_outside(self):
        with pytest.raises(CourseError, match=r"label 2; .* between 0 and 1"):
            make(train=(0, 2))

    def test_unknown_kind_and_metric_suggest(self):
        with pytest.raises(CourseError, match="'classification'"):
            make(kind="clasification")
        with pytest.raises(CourseError, match="'accuracy'"):
            make(metric="acuracy")

    def test_unlabelled_split_needs_no_labels(self):
        pool = Dataset.from_dict({"sentence": ["a"]})
        assert len(make(splits={"train": rows([0]), "unlabelled": pool}).split("unlabelled")) == 1

    def test_missing_split_names_those_there(self):
        with pytest.raises(CourseError, match=r"Known: dev, train\. .*use 'dev'"):
            make().split("test")


class TestNumbers:
    def test_majority_and_chance(self):
        task = make()
        assert task.majority("train") == 0.75
        assert task.majority() == pytest.approx(2 / 3)
        assert task.chance == 0.5

    def test_majority_leaves_out_rows_without_gold(self):
        assert make(train=(-1, -1, -1, 0, 1, 1, 1)).majority("train") == 0.75

    def test_majority_is_in_the_tasks_own_metric(self):
        assert make(metric="matthews").majority() == 0.0
        assert make(metric="f1").majority() == pytest.approx(0.8)  # precision 2/3, recall 1
        assert make(metric="f1").chance == 0.0

    def test_chance_of_a_choice_counts_the_choices(self):
        columns = ("premise", "choice1", "choice2", "question")
        data = Dataset.from_dict({c: ["x"] for c in columns} | {"label": [1]})
        task = make(kind="choice", columns=columns, splits={"train": data})
        assert task.choices == ("choice1", "choice2")
        assert task.chance == 0.5


class TestIds:
    def test_the_rows_own(self):
        assert make(splits={"train": rows([0, 1], id=["a", "b"])}).ids("train") == ["a", "b"]
        assert make(splits={"train": rows([0, 1], idx=[7, 3])}).ids("train") == [7, 3]

    def test_id_goes_before_idx(self):
        both = rows([0, 1], idx=[7, 3], id=["a", "b"])
        assert make(splits={"train": both}).ids("train") == ["a", "b"]

    def test_else_their_numbers(self):
        assert make().ids("dev") == [0, 1, 2]


class TestSubset:
    task = make(train=[0] * 30 + [1] * 50)

    def test_n_examples_same_seed_same_draw(self):
        draws = [list(self.task.subset(9, seed=s).split("train")["sentence"]) for s in (0, 0, 1)]
        assert draws[0] == draws[1] != draws[2]
        assert len(set(draws[0])) == 9

    def test_k_per_class(self):
        small = self.task.subset(per_class=16, seed=3)
        assert Counter(small.split("train")["label"]) == {0: 16, 1: 16}
        assert len(small.split("dev")) == 3
        assert list(small.split("train")["label"]) != sorted(small.split("train")["label"])

    @pytest.mark.parametrize(
        ("size", "message"),
        [
            ({"n": 81}, "has 80"),
            ({"n": 0}, "has 80"),
            ({"per_class": 31}, "30 of label 'negative'"),
            ({}, "exactly one"),
            ({"n": 1, "per_class": 1}, "exactly one"),
        ],
    )
    def test_impossible_sizes(self, size, message):
        with pytest.raises(CourseError, match=message):
            self.task.subset(**size)


class TestPrompts:
    def test_plain_pairs_become_prompts(self):
        task = make(prompts=(("{sentence} {mask}", {"negative": "bad", "positive": ["good"]}),))
        assert task.prompts[0] == Prompt(
            "{sentence} {mask}", {"negative": ("bad",), "positive": ("good",)}, False
        )

    def test_summary_tells_sizes_and_baselines(self):
        text = replace(make(), how_to_answer="Read it.").summary()
        assert "train 4, dev 3" in text
        assert "Majority on dev 0.667, chance 0.500" in text
        assert "Read it." in text


def test_unknown_task_suggests_a_near_one():
    with pytest.raises(CourseError, match="Did you mean 'glue/sst2'"):
        load_task("glue/sst3")


def test_pocket_tasks_take_no_data_folder(tmp_path):
    with pytest.raises(CourseError, match="leave data"):
        load_task("pocket/sst2", data=tmp_path)
