"""The real files of the course's tasks, where they are at hand: sizes, labels, spans."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from course_utils.errors import CourseError
from course_utils.tasks import load_task
from course_utils.tasks.formats.jsonl import read_jsonl
from course_utils.tasks.inputs import texts

REAL = Path(
    os.environ.get("COURSE_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "real")
)

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")


def load(name, folder):
    return load_task(name, data=REAL / folder)


@pytest.mark.parametrize(
    ("name", "folder", "sizes"),
    [
        ("superglue/rte", "superglue/RTE", {"train": 2490, "dev": 277}),
        ("superglue/boolq", "superglue/BoolQ", {"dev": 3270}),
        ("superglue/wsc", "superglue/WSC", {"dev": 104}),
        ("glue/sst2", "glue/SST-2", {"train": 67349, "dev": 872}),
        ("ner/conll04", "conll04", {"train": 910, "dev": 243, "test": 288}),
        ("e2e", "e2e", {"dev": 4672, "test": 4693}),
    ],
)
def test_sizes_are_the_published_ones(name, folder, sizes):
    task = load(name, folder)
    assert {split: len(rows) for split, rows in task.splits.items()} == sizes


def test_majorities_are_the_published_ones():
    assert round(100 * load("superglue/boolq", "superglue/BoolQ").majority("dev"), 1) == 62.2
    assert round(100 * load("superglue/rte", "superglue/RTE").majority("dev"), 1) == 52.7
    assert round(100 * load("superglue/wsc", "superglue/WSC").majority("dev"), 1) == 63.5


def test_label_conventions():
    rte = load("superglue/rte", "superglue/RTE").split("dev")[0]
    assert (rte["hypothesis"], rte["label"]) == ("Christopher Reeve had an accident.", 1)
    boolq = load("superglue/boolq", "superglue/BoolQ").split("dev")[0]
    assert boolq["question"].startswith("does ethanol take more energy")
    assert boolq["label"] == 0


def test_fewglue_has_sixteen_of_each():
    for name in ("train", "dev"):
        path = REAL / "superglue" / "RTE" / f"fewglue_{name}32.jsonl"
        labels = {"entailment": 0, "not_entailment": 1}
        rows = read_jsonl(path, {"premise": str, "hypothesis": str}, labels=labels)
        assert len(rows) == 32
        assert set(Counter(row["label"] for row in rows)) == {0, 1}


def test_winograd_spans_stand_in_their_texts():
    task = load("superglue/wsc", "superglue/WSC")
    raw = (REAL / "superglue" / "WSC" / "val.jsonl").read_text().splitlines()
    changed = 0
    for row, line in zip(task.split("dev"), raw, strict=True):
        target = json.loads(line)["target"]
        for span in ("span1", "span2"):
            assert row[f"{span}_text"] in row["text"]
            assert row[f"{span}_text"].casefold() == target[f"{span}_text"].casefold()
            changed += row[f"{span}_text"] != target[f"{span}_text"]
    assert changed == 8, "eight begin with a capital that the text does not have"


def test_the_starred_word_is_the_pronoun():
    for row in load("superglue/wsc", "superglue/WSC").split("dev"):
        _, starred, _ = row["starred"].split("*")
        assert starred.strip(".,;:!?").casefold() == row["span2_text"].casefold()
        assert row["starred"].replace("*", "").split() == row["text"].split()


def test_conll04_has_its_entities():
    """Counted over the whole corpus, as Roth and Yih (2004) and those after them give them."""
    task = load("ner/conll04", "conll04")
    counts: Counter[str] = Counter()
    for split in ("train", "dev", "test"):
        for tags in task.split(split)["tags"]:
            counts.update(kind for kind, _, _ in get_entities([task.labels[tag] for tag in tags]))
    assert counts == {"Loc": 1968, "Peop": 1691, "Org": 984, "Other": 706}


def test_e2e_lists_its_tables_once_for_each_text():
    task = load("e2e", "e2e")
    assert len(set(task.split("dev")["meaning_representation"])) == 547
    assert len(set(task.split("test")["meaning_representation"])) == 630
    assert texts(task, task.split("test")[0]) == (
        "name[Blue Spice], eatType[coffee shop], area[city centre] :",
    )


def test_a_split_that_is_not_there_names_its_file():
    with pytest.raises(CourseError, match=r"no split 'train': .* has no train\.jsonl"):
        load("superglue/boolq", "superglue/BoolQ").split("train")
