"""GLUE files: read as they are, refused with file, line and what was expected."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.tasks import load_task

TRAIN = "sentence\tlabel\na fine film\t1\na dull film\t0\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_text(TRAIN)
    (tmp_path / "dev.tsv").write_text(TRAIN)
    return tmp_path


def test_reads_rows_labels_and_order(folder):
    task = load_task("glue/sst2", data=folder)
    assert list(task.split("train")["sentence"]) == ["a fine film", "a dull film"]
    assert list(task.split("train")["label"]) == [1, 0]
    assert task.labels == ("negative", "positive")
    assert task.evaluation_split == "dev"


def test_quotation_marks_and_odd_line_ends_are_characters(folder):
    (folder / "train.tsv").write_text('sentence\tlabel\n" a \x85 film \u2028 \t1\n', newline="")
    assert list(load_task("glue/sst2", data=folder).split("train")["sentence"]) == [
        '" a \x85 film \u2028 '
    ]


def test_windows_files_columns_in_another_order_and_bom(folder):
    text = "\ufefflabel\tsentence\r\npositive\ta fine film\r\n"
    (folder / "train.tsv").write_text(text, encoding="utf-8", newline="")
    train = load_task("glue/sst2", data=folder).split("train")
    assert (train[0]["sentence"], train[0]["label"]) == ("a fine film", 1)


def test_a_test_file_has_no_labels_and_becomes_the_unlabelled_split(folder):
    (folder / "test.tsv").write_text("index\tsentence\n0\tan odd film\n")
    task = load_task("glue/sst2", data=folder)
    assert task.split("unlabelled").column_names == ["sentence"]
    assert "test" not in task.splits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRAIN + "no label here\n", r"train\.tsv, line 4: 1 fields; expected 2 \(sentence, label"),
        (TRAIN + "a\tb\t1\n", r"line 4: 3 fields"),
        (TRAIN + "odd\t2\n", r"line 4: label '2'; expected 0 \(negative\) or 1 \(positive\)"),
        (TRAIN + "\nlate\t1\n", r"line 4: empty"),
        ("text\tlabel\na\t1\n", r"line 1: no column 'sentence'; .* found text, label"),
        ("sentence\tlabel\n", "has a header but no example"),
        ("", "line 1: no column 'sentence'"),
    ],
)
def test_broken_files(folder, text, message):
    (folder / "train.tsv").write_text(text)
    with pytest.raises(CourseError, match=message):
        load_task("glue/sst2", data=folder)


def test_not_utf8_names_the_line(folder):
    (folder / "dev.tsv").write_bytes(TRAIN.encode() + b"caf\xe9\t1\n")
    with pytest.raises(CourseError, match=r"dev\.tsv, line 4: not UTF-8"):
        load_task("glue/sst2", data=folder)


def test_missing_split_and_folder(folder, tmp_path):
    (folder / "dev.tsv").unlink()
    with pytest.raises(CourseError, match=r"dev\.tsv is missing; .* holds train\.tsv"):
        load_task("glue/sst2", data=folder)
    with pytest.raises(CourseError, match="does not exist"):
        load_task("glue/sst2", data=tmp_path / "nowhere")


class TestHub:
    def test_without_a_network_the_way_out_is_named(self):
        with pytest.raises(CourseError, match=r"nyu-mll/glue.* --data FOLDER"):
            load_task("glue/sst2")

    def test_rows_without_gold_are_dropped_and_test_is_unlabelled(self, monkeypatch):
        import datasets

        def stand_in(repository, config, revision=None):
            assert (repository, config) == ("nyu-mll/glue", "sst2")
            assert revision == "0123abc"
            features = datasets.Features(
                {
                    "sentence": datasets.Value("string"),
                    "label": datasets.ClassLabel(names=["negative", "positive"]),
                    "idx": datasets.Value("int32"),
                }
            )

            def rows(labels):
                texts = [f"t{i}" for i in range(len(labels))]
                columns = {"sentence": texts, "label": labels, "idx": list(range(len(labels)))}
                return datasets.Dataset.from_dict(columns, features=features)

            return datasets.DatasetDict(
                train=rows([0, 1, -1]), validation=rows([1, 0]), test=rows([-1, -1])
            )

        monkeypatch.setattr(datasets, "load_dataset", stand_in)
        task = load_task("glue/sst2", revision="0123abc")
        assert list(task.split("train")["label"]) == [0, 1]
        assert "label" not in task.split("unlabelled").column_names
        assert task.revision == "0123abc"
