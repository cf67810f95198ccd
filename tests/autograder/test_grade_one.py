"""`grade(path, "hw_prompt")`, the plain function: as a TA would at a Python prompt."""

from __future__ import annotations

import json
import zipfile

import nbformat
import pytest
import tiny_homework as tiny

from autograder.grade import grade
from autograder.workers import Workers
from course_utils.errors import CourseError


@pytest.fixture
def one(assignments, workers):
    """one(path) -> the result of "tiny"."""
    return lambda path, **options: grade(
        path, "tiny", **{"assignments_dir": assignments, "workers": workers} | options
    )


@pytest.fixture
def notebook(released, tmp_path):
    """A right `double`, and nothing for `half`."""
    answers = {"double": tiny.SOLUTIONS["double"]}
    path = tmp_path / "ada" / "tiny.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(tiny.answered(nbformat.from_dict(released), answers)), "utf-8")
    return path


def test_a_notebook(one, notebook):
    result = one(notebook)
    assert (result.student, result.status, result.score, result.max_score) == (
        "tiny", "graded", 3, 4,
    )  # fmt: skip
    assert str(result) == (
        "tiny, tiny: graded, 3 of 4\n  0/1  half: halves any number: not written yet"
    )


def test_a_folder_a_zip_and_a_relative_path(one, notebook, monkeypatch):
    with zipfile.ZipFile(notebook.with_name("tiny.zip"), "w") as archive:
        archive.write(notebook, "notebook.ipynb")
    monkeypatch.chdir(notebook.parent)
    found = [one(str(notebook.parent)), one("tiny.zip"), one(".")]
    assert [(r.student, r.status, r.score) for r in found] == [
        ("ada", "graded", 3), ("tiny", "graded", 3), ("ada", "graded", 3),
    ]  # fmt: skip


def test_what_is_wrong_with_the_submission_is_in_the_result(one, tmp_path):
    (tmp_path / "bob.ipynb").write_text("{'no': JSON", "utf-8")
    (tmp_path / "cyd.zip").write_text("no zip", "utf-8")
    (tmp_path / "dan").mkdir()
    bob, cyd, dan = (one(tmp_path / name) for name in ("bob.ipynb", "cyd.zip", "dan"))
    assert (bob.status, bob.score, bob.max_score) == ("student_error", 0, 4)
    assert "not JSON" in str(bob)
    assert "a person has still to look" in str(bob)
    assert (cyd.status, "is no zip" in str(cyd)) == ("student_error", True)
    assert (dan.status, dan.needs_person) == ("missing", False)


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("nowhere.ipynb", {}, "there is no .*nowhere.ipynb. Give the path of a notebook"),
        ("notes.txt", {}, r"notes.txt is neither a notebook \(.ipynb\) nor a packed zip"),
        (None, {}, "submission=None: expected the path"),
        ("ada/tiny.ipynb", {"replay": "yes"}, "expected 'no', 'sample' or 'all'"),
        ("ada/tiny.ipynb", {"workers": None, "sandbox": "dokcer"}, "there is no sandbox 'dokcer'"),
    ],
)
def test_what_is_wrong_with_the_call_is_an_error(one, notebook, tmp_path, path, options, says):
    (tmp_path / "notes.txt").write_text("hello", "utf-8")
    with pytest.raises(CourseError, match=says):
        one(path and tmp_path / path, **options)


def test_an_unknown_homework_names_the_nearest(notebook):
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        grade(notebook, "hw_promt", workers=Workers("none"))
