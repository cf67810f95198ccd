"""nbgrader's own commands, typed in a course folder, agree with this package."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys

import pytest
import tiny_homework as tiny

from autograder.grade import grade_class


def nbgrader(folder, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture
def stocked(course_dir, hand_in):
    hand_in("ann", **tiny.SOLUTIONS)
    folder = hand_in("ben", **{**tiny.CLASS["noisy"][0], "double": "return 4"})
    hand_in("eve", **{**tiny.SOLUTIONS, "half": "raise ValueError(x)"})
    for student in ("ann", "ben", "eve"):
        shutil.copytree(folder / student, course_dir / "submitted" / student / "tiny")
    return course_dir


@pytest.mark.long
def test_autograde_feedback_export(stocked, workers):
    nbgrader(stocked, "autograde", "tiny")
    nbgrader(stocked, "generate_feedback", "tiny")
    nbgrader(stocked, "export")
    with (stocked / "grades.csv").open(newline="") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == {"ann": 4, "ben": 2, "eve": 3}
    page = (stocked / "feedback" / "ben" / "tiny" / "tiny.html").read_text("utf-8")
    assert "double of a large number: not the value" in page
    assert "expect_value" not in page
    ours = grade_class("tiny", stocked, workers=workers, progress=False)
    assert {result.student: result.score for result in ours} == rows
    again = grade_class("tiny", stocked, workers=workers, regrade=True, progress=False)
    assert [r.checks for r in again] == [r.checks for r in ours]  # with what an exception quotes


def test_release_by_nbgrader_is_the_same_release(stocked):
    path = stocked / "release" / "tiny" / "tiny.ipynb"
    ours = path.read_text("utf-8")
    nbgrader(stocked, "generate_assignment", "tiny", "--force")
    assert path.read_text("utf-8") == ours
