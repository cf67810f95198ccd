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
    task = load_task("glue/sst2", data=folder)
    with pytest.raises(CourseError, match=r"no split 'dev': .* has no dev\.tsv"):
        task.split("dev")
    with pytest.raises(CourseError, match="does not exist"):
        load_task("glue/sst2", data=tmp_path / "nowhere")
    (folder / "train.tsv").rename(folder / "training.txt")
    with pytest.raises(CourseError, match=r"holds training\.txt; expected GLUE's train\.tsv"):
        load_task("glue/sst2", data=folder)


FILES = {
    "glue/cola": ("gj04\t1\t\tOur friends came.\ngj04\t0\t*\tCame our.\n", [1, 0]),
    "glue/mrpc": (
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said so.\tHe said it.\n",
        [1],
    ),
    "glue/qnli": (
        "index\tquestion\tsentence\tlabel\n0\tWho?\tHe did.\tentailment\n"
        "1\tWho?\tIt rained.\tnot_entailment\n",
        [0, 1],
    ),
    "glue/qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tHow old?\tWhat age?\t1\n",
        [1],
    ),
    "glue/rte": (
        "index\tsentence1\tsentence2\tlabel\n0\tIt rains.\tIt is wet.\tentailment\n",
        [0],
    ),
    "glue/mnli": (
        "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n"
        "0\tfiction\tIt rains.\tIt is dry.\tneutral\tcontradiction\n",
        [2],
    ),
    "glue/stsb": (
        "index\tgenre\tsentence1\tsentence2\tscore\n0\tnews\tA man.\tA person.\t3.800\n",
        [3.8],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_task_reads_its_own_columns(tmp_path, name):
    text, labels = FILES[name]
    for file in ("train.tsv", "dev.tsv"):
        (tmp_path / file).write_text(text)
    task = load_task(name, data=tmp_path)
    assert list(task.split("train")["label"]) == labels
    assert all(task.split("dev")[0][column] for column in task.columns)


def test_mnli_has_two_dev_sets(tmp_path):
    text = FILES["glue/mnli"][0]
    (tmp_path / "dev_matched.tsv").write_text(text)
    (tmp_path / "dev_mismatched.tsv").write_text(text.replace("contradiction", "entailment"))
    task = load_task("glue/mnli", data=tmp_path)
    assert task.gold("dev") == [2]
    assert task.gold("dev_mismatched") == [0]


def test_the_few_broken_lines_of_qqp_are_left_out(tmp_path):
    text = FILES["glue/qqp"][0] + "1\t3\t4\tWhy\n"
    (tmp_path / "dev.tsv").write_text(text)
    assert len(load_task("glue/qqp", data=tmp_path).split("dev")) == 1
    (tmp_path / "dev.tsv").write_text(text + "1\t3\t4\tWhy\n" * 10)
    with pytest.raises(CourseError, match="line 13: 4 fields; expected 6"):
        load_task("glue/qqp", data=tmp_path)


@pytest.mark.parametrize("score", ["5.1", "-1", "high", "nan"])
def test_a_similarity_is_a_number_from_0_to_5(tmp_path, score):
    (tmp_path / "dev.tsv").write_text(FILES["glue/stsb"][0].replace("3.800", score))
    with pytest.raises(
        CourseError, match=f"line 2: label '{score}'; expected a number from 0 to 5"
    ):
        load_task("glue/stsb", data=tmp_path)
