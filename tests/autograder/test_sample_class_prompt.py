"""HW-Prompt's sample class, beyond what test_sample_classes.py says of both."""

from __future__ import annotations

import csv
import json
import re

import nbformat
import pytest

from autograder.bench import Bench
from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.intake import take_in
from autograder.paired import source_folder
from autograder.preprocessors import Judge
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import (
    Student,
    build_sample_class,
    sample_students,
    submission,
    write_answer,
)
from course_utils.errors import CourseError

CHECKS = checks_of("hw_prompt").all
STUDENTS = sample_students("hw_prompt")
BY_NAME = {student.name: student for student in STUDENTS}
BASICS = {"fill-template: writes both texts and the gap into the template"}  # all who wrote it pass


@pytest.fixture
def course(hw_prompt_class):
    return open_course(hw_prompt_class / "course")


@pytest.fixture(scope="module")
def original():
    return nbformat.read(source_folder("hw_prompt") / "hw_prompt.ipynb", as_version=4)


@pytest.fixture
def released(course):
    path = course.step("release", "hw_prompt") / "hw_prompt.ipynb"
    return nbformat.read(path, as_version=4)


def handed_in(student: Student, released, original) -> dict:
    return json.loads(submission(student, nbformat.from_dict(released), original))


def test_raised_scores_are_found(course):
    result = load_result(course, "hw_prompt", "nils")
    assert len([f for f in result.findings if "the record claims" in f]) == 3
    assert not load_result(course, "hw_prompt", "nora").findings


def test_somebody_is_a_week_late():
    assert 100 in {student.penalty_percent for student in STUDENTS if student.at}


def test_each_check_is_failed_by_somebody_who_has_written_something():
    wrong = [s.expected(CHECKS) for s in STUDENTS if s.handed_in and s.name != "chen"]
    assert all(any(found[name] == 0 for found in wrong) for name in wrong[0] if name not in BASICS)


def test_report_shows_names_and_what_looks_copied(course):
    made = report("hw_prompt", course.root)
    assert "goran" in made.summary.needs_person
    with made.csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert rows["dora"]["last_name"] == "Díaz, de la Cruz"
    assert rows["emil"]["last_name"] == 'van "Emmy" Eck'
    page = made.page.read_text("utf-8")
    assert "nils, nora the same adapter" in re.sub(r"<[^>]+>", "", page)
    assert "the record claims" in page


def test_nbgrader_would_judge_the_same_cells(course, monkeypatch):
    """What was judged is known again from what nbgrader reads: nothing is judged twice."""

    def judged(*_):
        raise AssertionError("judged for a second time")

    monkeypatch.setattr(Judge, "_judged", judged)
    outcome = course.nbgrader().autograde("hw_prompt", "mei", force=True)
    assert outcome["success"], outcome["error"]


def test_the_plain_function_says_the_same(course, workers):
    from autograder.homework import open_homework

    job = open_homework("hw_prompt", course)
    folder = course.root / "handed-in" / "hw_prompt" / "chen"
    taken = take_in(folder, job.notebook_name, job.source)
    found = Bench(job, workers).judge("chen", taken)
    assert found.checks == load_result(course, "hw_prompt", "chen").checks


def test_lost_metadata_is_lost(released, original):
    mei = handed_in(BY_NAME["mei"], released, original)
    assert not any("nbgrader" in cell["metadata"] for cell in mei["cells"])


def test_class_follows_the_homework(released, original, tmp_path):
    with pytest.raises(CourseError, match="course release hw_prompt"):
        build_sample_class("hw_prompt", tmp_path / "nothing-released")
    with pytest.raises(CourseError, match="There is one for: hw_"):
        sample_students("hw_none")
    with pytest.raises(CourseError, match="2 answers for 1 places"):
        write_answer("def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()", ["a", "b"])
    odd = Student("zoe", "", "graded", ["label-scores: gives the moon"])
    with pytest.raises(CourseError, match="there is no check 'label-scores: gives the moon'"):
        odd.expected(CHECKS)
    odd = Student("zoe", "", "graded", [], answers={"label-score": ["pass"]})
    with pytest.raises(CourseError, match="the homework has no cell 'label-score'"):
        handed_in(odd, released, original)
