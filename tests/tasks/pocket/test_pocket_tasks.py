"""Pocket tasks: the same from run to run, no test example in training, half the words unseen."""

from __future__ import annotations

import re

import pytest

from course_utils.errors import CourseError
from course_utils.plm.pocket import lexicon
from course_utils.tasks import load_task
from course_utils.tasks.load import POCKET_TASKS
from course_utils.tasks.pocket.build import LABEL_NOISE, SIZES
from course_utils.tasks.pocket.twins import TWINS


@pytest.fixture(scope="module")
def tasks():
    return {name: load_task(name) for name in POCKET_TASKS}


def test_every_twin_has_a_name():
    assert {f"pocket/{name}" for name in TWINS} == set(POCKET_TASKS)


@pytest.mark.parametrize("name", POCKET_TASKS)
def test_splits_have_their_sizes(tasks, name):
    task = tasks[name]
    assert {"train", "dev", "test", "unlabelled"} <= set(task.splits)
    assert all(len(rows) == SIZES[split] for split, rows in task.splits.items())
    assert task.description
    assert task.how_to_answer
    assert task.label_column not in task.split("unlabelled").column_names or name == "pocket/e2e"


@pytest.mark.parametrize("name", ["pocket/sst2", "pocket/ner", "pocket/e2e"])
def test_the_same_seed_gives_the_same_task(tasks, name):
    again = load_task(name)
    other = load_task(name, seed=1)
    assert again.split("test").to_list() == tasks[name].split("test").to_list()
    assert other.split("test").to_list() != tasks[name].split("test").to_list()


@pytest.mark.parametrize("name", POCKET_TASKS)
def test_no_test_example_is_trained_on(tasks, name):
    task = tasks[name]
    inputs = [c for c in task.columns if c != "human_reference"]

    def keys(split):
        return {tuple(str(row[c]) for c in inputs) for row in task.split(split)}

    assert not keys("test") & keys("train")
    assert not keys("dev") & keys("train")
    assert not keys("test") & keys("dev")


def test_training_shows_half_of_the_words(tasks):
    praise = {w for _, g, b in lexicon.ASPECTS.values() for w in g + b}

    def used(split):
        return {w for row in tasks["pocket/sst2"].split(split) for w in row["sentence"].split()}

    assert used("train") & praise <= {w for w in praise if lexicon.shown(w)}
    unseen = (used("test") & praise) - used("train")
    assert len(unseen) > 0.3 * len(used("test") & praise)


def test_labels_carry_the_announced_noise(tasks):
    """Agreement of an oracle that knows the sections with the labels."""
    task = tasks["pocket/agnews"]
    words = {
        w: i for i, lists in enumerate(lexicon.SECTIONS.values()) for group in lists for w in group
    }
    right = 0
    for row in task.split("test"):
        votes = [words[w] for w in row["text"].split() if w in words]
        right += max(set(votes), key=votes.count) == row["label"]
    assert 0.75 < right / 1000 <= 1 - LABEL_NOISE + 0.015


@pytest.mark.parametrize("name", ["pocket/ner", "pocket/srl"])
def test_tags_are_well_formed(tasks, name):
    task = tasks[name]
    for row in task.split("test").select(range(200)):
        assert len(row["tokens"]) == len(row["tags"])
        tags = [task.labels[t] for t in row["tags"]]
        for before, tag in zip(["O", *tags], tags, strict=False):
            if tag.startswith("I-"):
                assert before[2:] == tag[2:]
        if "verb_index" in row:
            assert tags[row["verb_index"]] == "B-V"
            assert tags.count("B-V") == 1


def test_tables_are_said_completely(tasks):
    for row in tasks["pocket/e2e"].split("test").select(range(200)):
        values = [field.split(" : ")[1] for field in row["meaning_representation"].split(" | ")]
        assert all(v in row["human_reference"] for v in values), row


def test_every_category_is_in_every_split(tasks):
    for split in ("train", "dev", "test"):
        categories = list(tasks["pocket/e2e"].split(split)["category"])
        assert {c for c in categories if categories.count(c) > len(categories) / 5} == {
            "venue",
            "person",
            "town",
        }


def test_unseen_categories_are_unseen(tasks):
    train = set(tasks["pocket/e2e"].split("train")["category"])
    assert not train & set(tasks["pocket/e2e"].split("ood")["category"])


def test_a_choice_is_in_either_place(tasks):
    labels = tasks["pocket/copa"].gold("test")
    assert 0.4 < sum(labels) / len(labels) < 0.6


def test_unknown_names_suggest_near_ones():
    with pytest.raises(CourseError, match="pocket/sst2"):
        load_task("pocket/sst")


def test_in_half_of_the_premises_somebody_else_does_something_else(tasks):
    rows = list(tasks["pocket/snli"].split("test"))
    two = [r for r in rows if r["premise"].count(" is ") == 2]
    assert 0.4 < len(two) / len(rows) < 0.6
    for row in two:
        scenes = re.split(r" (?:while|and) (?=(?:a|an) )", row["premise"])
        subjects = {scene.split(" is ")[0].split()[-1] for scene in scenes}
        assert len(subjects) == 2, row["premise"]
