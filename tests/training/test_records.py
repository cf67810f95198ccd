"""Records: whole or not at all, read back as written, refused when broken."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from course_utils.errors import CourseError
from course_utils.records import RunRecord, read_all, table, versions, whole_file

RECORD = RunRecord(
    plm="pocket-bert",
    task="pocket/sst2",
    method="LoRA",
    metric="accuracy",
    score=0.9,
    n=600,
    hyperparameters={"rank": 8},
    interval=(0.873, 0.922),
    train_examples=2000,
    trainable=16642,
    history=({"step": 1, "dev_score": 0.5},),
)


def test_read_back_as_written(tmp_path):
    path = RECORD.write(tmp_path / "deep" / "record.json")
    assert RunRecord.read(path) == RECORD


def test_a_failure_while_writing_leaves_the_old_record_and_no_litter(tmp_path, monkeypatch):
    path = RECORD.write(tmp_path / "record.json")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        replace(RECORD, score=0.1).write(path)
    assert RunRecord.read(path).score == 0.9
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_failure_before_the_rename_leaves_the_old_record(tmp_path, monkeypatch):
    path = RECORD.write(tmp_path / "record.json")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("interrupted")))
    with pytest.raises(OSError, match="interrupted"):
        replace(RECORD, score=0.1).write(path)
    assert RunRecord.read(path).score == 0.9
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_whole_file_takes_the_old_ones_place(tmp_path):
    path = tmp_path / "deep" / "a.zip"
    for data in (b"first", b"second"):
        with whole_file(path) as draft:
            assert draft.parent == path.parent, "a rename needs the same disk"
            draft.write_bytes(data)
    assert path.read_bytes() == b"second"
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_interrupt_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")

    def stopped():
        with whole_file(path) as draft:
            draft.write_bytes(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.zip"]


def test_read_all_takes_records_only_in_order(tmp_path):
    replace(RECORD, seed=1).write(tmp_path / "b" / "record.json")
    RECORD.write(tmp_path / "a" / "lora.record.json")
    (tmp_path / "a" / "method.json").write_text("{}")
    (tmp_path / "a" / "notarecord.json").write_text("{}")
    assert [r.seed for r in read_all(tmp_path)] == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"plm": "x", ', "broken JSON"),
        ("[]", "expected a JSON object"),
        ('{"plm": "x"}', "lacks task, method"),
        (json.dumps({"schema": 99}), "schema 99"),
    ],
)
def test_what_is_no_record(tmp_path, text, message):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(CourseError, match=message):
        RunRecord.read(tmp_path / "record.json")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CourseError, match="no file"):
        RunRecord.read(tmp_path / "record.json")
    with pytest.raises(CourseError, match="no folder"):
        read_all(tmp_path / "nowhere")


def test_fields_of_a_later_minor_version_are_ignored(tmp_path):
    path = RECORD.write(tmp_path / "record.json")
    path.write_text(path.read_text().replace('"plm"', '"colour": "red", "plm"', 1))
    assert RunRecord.read(path) == RECORD


def test_table_has_a_line_for_each():
    lines = table([RECORD, replace(RECORD, seed=1, interval=None)]).splitlines()
    assert len(lines) == 3
    assert "0.900  0.873-0.922" in lines[1]
    assert "16,642" in lines[1]


def test_versions_name_what_the_result_depends_on():
    assert {"torch", "transformers", "datasets"} <= versions().keys()
