"""Every task of the Hub, from a stand-in with the columns and features of the real one."""

from __future__ import annotations

import json

import datasets
import pytest
from huggingface_hub import constants

from course_utils.errors import CourseError
from course_utils.tasks import load_task
from course_utils.tasks.inputs import encode
from course_utils.tasks.real import REAL

ON_HUB = [name for name, real in REAL.items() if real.hub is not None]
TEXT = datasets.Value("string")


def classes(*names):
    return datasets.ClassLabel(names=names)


YES_NO = classes("False", "True")
ENTAILMENT = classes("entailment", "not_entailment")
THREE = classes("entailment", "neutral", "contradiction")
NUMBER = datasets.Value("int32")

# (features, a row): what the real repositories hold, apart from columns nobody reads
PAIRS = {"sentence1": TEXT, "sentence2": TEXT}
HELD = {
    "superglue/boolq": ({"question": TEXT, "passage": TEXT, "label": YES_NO}, ["q", "p", 1]),
    "superglue/cb": (
        {"premise": TEXT, "hypothesis": TEXT,
         "label": classes("entailment", "contradiction", "neutral")}, ["p", "h", 2]),
    "superglue/copa": (
        {"premise": TEXT, "choice1": TEXT, "choice2": TEXT, "question": TEXT,
         "label": classes("choice1", "choice2")}, ["p", "a", "b", "cause", 1]),
    "superglue/rte": ({"premise": TEXT, "hypothesis": TEXT, "label": ENTAILMENT}, ["p", "h", 1]),
    "superglue/wic": (
        {"word": TEXT, **PAIRS, "start1": NUMBER, "label": YES_NO}, ["w", "a w", "w b", 2, 0]),
    "superglue/wsc": (
        {"text": TEXT, "span1_index": NUMBER, "span2_index": NUMBER, "span1_text": TEXT,
         "span2_text": TEXT, "label": YES_NO}, ["The cat saw that it fell .", 0, 4, "the cat",
                                                "it", 1]),
    "glue/sst2": ({"sentence": TEXT, "label": classes("negative", "positive")}, ["s", 1]),
    "glue/cola": ({"sentence": TEXT, "label": classes("unacceptable", "acceptable")}, ["s", 0]),
    "glue/mrpc": ({**PAIRS, "label": classes("not_equivalent", "equivalent")}, ["a", "b", 1]),
    "glue/qnli": ({"question": TEXT, "sentence": TEXT, "label": ENTAILMENT}, ["q", "s", 0]),
    "glue/qqp": (
        {"question1": TEXT, "question2": TEXT, "label": classes("no", "yes")}, ["a", "b", 1]),
    "glue/rte": ({**PAIRS, "label": ENTAILMENT}, ["a", "b", 0]),
    "glue/mnli": ({"premise": TEXT, "hypothesis": TEXT, "label": THREE}, ["a", "b", 2]),
    "glue/stsb": ({**PAIRS, "label": datasets.Value("float32")}, ["a", "b", 3.8]),
    "snli": ({"premise": TEXT, "hypothesis": TEXT, "label": THREE}, ["a", "b", 1]),
    "agnews": ({"text": TEXT, "label": classes("World", "Sports", "Business", "Sci/Tech")},
               ["t", 3]),
    "ner/conll03": (
        {"tokens": datasets.List(TEXT), "ner_tags": datasets.List(classes(
            "O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"))},
        [["Ann", "in", "Rome"], [1, 0, 5]]),
    "ner/conll04": (
        {"tokens": datasets.List(TEXT),
         "entities": datasets.List({"start": NUMBER, "end": NUMBER, "type": TEXT})},
        [["Ann", "Bee", "in", "Rome"], [{"start": 0, "end": 2, "type": "Peop"},
                                       {"start": 3, "end": 4, "type": "Loc"}]]),
    "srl/conll12": (
        {"sentences": datasets.List({
            "words": datasets.List(TEXT),
            "srl_frames": datasets.List({"verb": TEXT, "frames": datasets.List(classes(
                "O", "B-ARG0", "B-V", "B-ARG1", "I-ARG1"))})})},
        [[{"words": ["He", "saw", "the", "cat"],
           "srl_frames": [{"verb": "saw", "frames": [1, 2, 3, 4]}]},
          {"words": ["Yes"], "srl_frames": []}]]),
    "e2e": ({"meaning_representation": TEXT, "human_reference": TEXT}, ["name[X]", "X is."]),
    "webnlg": (
        {"input": datasets.List(TEXT), "target": TEXT, "references": datasets.List(TEXT),
         "webnlg_id": TEXT}, [["A_B | is | c"], "A B is c.", ["A B is c.", "c is A B."], "1"]),
}  # fmt: skip
TAGS = {
    "ner/conll03": ["B-PER", "O", "B-LOC"],
    "ner/conll04": ["B-Peop", "I-Peop", "O", "B-Loc"],
    "ner/ontonotes": ["B-PERSON", "O", "B-GPE"],
    "srl/conll12": ["B-ARG0", "B-V", "B-ARG1", "I-ARG1"],
}
ROWS = 20


def path_of(pattern: str, split: str) -> str:
    """A file name as the pattern wants it, with the Hub's ways of numbering."""
    name = pattern.replace("train*.json", "train00.json")
    if name.endswith("-*.parquet"):
        name = name.replace("-*.parquet", "-00000-of-00001.parquet")
        return "data/" + name.removeprefix("*") if name[0] == "*" else name
    name = name.replace("/*.parquet", "/0000.parquet")
    return "default/" + name.removeprefix("*") if name[0] == "*" else name


def repository(name: str, folder) -> None:
    """Files for every split; test labels are -1 where they are not public."""
    for split, pattern in REAL[name].hub.files.items():
        place = folder / path_of(pattern, split)
        place.parent.mkdir(parents=True, exist_ok=True)
        if name == "ner/ontonotes":
            line = json.dumps({"tokens": ["Ann", "in", "Rome"], "tags": [4, 0, 7]})
            place.write_text("\n".join([line] * ROWS))
            continue
        features, row = HELD[name]
        columns = {c: [value] * ROWS for c, value in zip(features, row, strict=True)}
        if split == "unlabelled" and "label" in columns:
            columns["label"] = [-1] * ROWS
        datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(place)


@pytest.fixture
def served(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")

    def serve(name):
        folder = tmp_path / name.replace("/", "-")
        repository(name, folder)
        hub.add("dataset", REAL[name].hub.repository, folder, REAL[name].hub.revision)
        return hub

    return serve


def load(name):
    """At a named revision: the sizes of the pinned one are not those of the stand-in."""
    return load_task(name, revision=REAL[name].hub.revision)


@pytest.mark.parametrize("name", ON_HUB)
def test_it_loads_with_its_columns_and_labels(served, name):
    hub = served(name)
    task = load(name)
    assert task.source == REAL[name].hub.repository
    assert task.revision == hub.repositories[0].commit
    expected = set(REAL[name].hub.files)
    assert set(task.splits) == expected
    row = task.split("dev")[0]
    assert all(column in row for column in task.columns)
    if name in TAGS:
        assert [task.labels[tag] for tag in row["tags"]] == TAGS[name]
    elif "label" in row:
        assert row["label"] == pytest.approx(HELD[name][1][-1])
    if "unlabelled" in expected:
        assert "label" not in task.split("unlabelled").column_names


def test_roles_are_a_row_for_each_predicate(served):
    served("srl/conll12")
    task = load("srl/conll12")
    assert task.split("train")[0]["tokens"] == ["He", "saw", "the", "cat"]
    assert task.split("train")[0]["verb_index"] == 1
    assert len(task.split("train")) == ROWS


def test_webnlg_has_a_row_for_each_text(served):
    served("webnlg")
    rows = load("webnlg").split("dev")
    assert len(rows) == 2 * ROWS
    assert rows[1]["human_reference"] == "c is A B."
    assert rows[0]["meaning_representation"] == "A B | is | c"


def test_the_hubs_winograd_is_repaired_and_starred(served):
    served("superglue/wsc")
    row = load("superglue/wsc").split("dev")[0]
    assert row["span1_text"] == "The cat"
    assert row["starred"] == "The cat saw that *it* fell ."


def test_rows_without_gold_reach_neither_loss_nor_metric(hub, tmp_path, monkeypatch):
    from small_tokenizers import of_words

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    features, _ = HELD["snli"]
    for split, labels in {"train": [0, -1, 2], "validation": [-1, 1], "test": [-1, -1, 0]}.items():
        place = tmp_path / "snli" / "plain_text" / f"{split}-00000-of-00001.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        columns = {"premise": list("abc")[: len(labels)], "hypothesis": list("def")[: len(labels)]}
        rows = datasets.Dataset.from_dict(
            columns | {"label": labels}, features=datasets.Features(features)
        )
        rows.to_parquet(place)
    hub.add("dataset", "stanfordnlp/snli", tmp_path / "snli")
    task = load_task("snli", revision="main")
    assert (task.gold("train"), task.gold("dev"), task.gold("test")) == ([0, 2], [1], [0])
    encoded = encode(task, task.split("train"), of_words(list("abcdef")), max_length=10)
    assert [feature["labels"] for feature in encoded.features] == [0, 2]


def test_agnews_dev_is_a_part_of_train(served):
    served("agnews")
    task = load("agnews")
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 18, "dev": 2, "test": 20,
    }  # fmt: skip


def test_another_size_than_published_is_refused(served):
    """The stand-in answers to the pinned revision, but has twenty rows."""
    served("glue/sst2")
    with pytest.raises(CourseError, match="has 20 rows; expected 67,349. The repository has"):
        load_task("glue/sst2")


def test_offline_afterwards(served, monkeypatch):
    hub = served("superglue/rte")
    load("superglue/rte")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.requests.clear()
    assert len(load("superglue/rte").split("dev")) == ROWS
    assert not hub.requests


def test_a_copy_of_the_repository_is_a_data_folder(served, tmp_path):
    served("superglue/rte")
    task = load_task("superglue/rte", data=tmp_path / "superglue-rte")
    assert len(task.split("train")) == ROWS
    assert task.source == "local files"


def test_without_network_both_ways_out_are_named():
    with pytest.raises(CourseError) as caught:
        load_task("superglue/rte")
    message = str(caught.value)
    assert "hf download aps/super_glue --repo-type dataset --local-dir super_glue" in message
    assert "data=FOLDER" in message
    assert "--data FOLDER" in message
    assert "train.jsonl and val.jsonl" in message


def test_only_the_tasks_own_files_are_downloaded(served, tmp_path):
    hub = served("superglue/rte")
    other = tmp_path / "superglue-rte" / "record" / "train-00000-of-00001.parquet"
    other.parent.mkdir()
    other.write_bytes(b"not for us")
    load("superglue/rte")
    assert not any("record" in request for request in hub.requests)


def test_a_file_that_is_no_parquet(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    for split in ("train", "validation", "test"):
        place = tmp_path / "glue" / "sst2" / f"{split}-00000-of-00001.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"nonsense")
    hub.add("dataset", "nyu-mll/glue", tmp_path / "glue")
    with pytest.raises(CourseError, match="glue/sst2: train-00000-of-00001.parquet can't be read"):
        load_task("glue/sst2", revision="main")
