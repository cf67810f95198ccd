"""HW-Prompt end to end: released, a class graded, feedback, report."""

from __future__ import annotations

import csv
import re

import nbformat
import pytest

from autograder.course_folder import open_course
from autograder.feedback import feedback
from autograder.release import hidden_lines
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import (
    build_sample_class,
    sample_students,
    write_answer,
)
from course_utils.errors import CourseError

STUDENTS = sample_students("hw_prompt")


@pytest.fixture(scope="module")
def points(hw_prompt_class) -> dict[str, float]:
    result = load_result(open_course(hw_prompt_class / "course"), "hw_prompt", "the-instructor")
    return {check.name: check.max_points for check in result.checks}


def test_instructor_scores_everything(hw_prompt_class):
    result = load_result(open_course(hw_prompt_class / "course"), "hw_prompt", "the-instructor")
    assert (result.status, result.score, result.max_score) == ("graded", 40, 40), result


def test_stub_scores_nothing_and_raises_only_not_implemented(hw_prompt_class):
    course = open_course(hw_prompt_class / "course")
    result = load_result(course, "hw_prompt", "the-stub")
    assert (result.status, result.score) == ("graded", 0)
    executed = nbformat.read(
        course.step("autograded", "hw_prompt", "the-stub") / "hw_prompt.ipynb", as_version=4
    )
    errors = [o.ename for c in executed.cells for o in c.get("outputs", []) if "ename" in o]
    assert len(errors) >= len(result.checks) == 12
    assert set(errors) == {"NotImplementedError"}


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_student_gets_what_is_expected(hw_prompt_class, points, student):
    result = load_result(open_course(hw_prompt_class / "course"), "hw_prompt", student.name)
    expected = student.expected(points)
    assert result.status == student.status, result.reason
    assert result.score == sum(expected.values())
    if result.checks:
        assert {check.name: check.points for check in result.checks} == expected


def test_repairs_are_said(hw_prompt_class):
    result = load_result(open_course(hw_prompt_class / "course"), "hw_prompt", "hana")
    said = " ".join(result.notes)
    for words in ("(1).ipynb", "'label-scores' is there more than once", "'extend-batch-more'"):
        assert words in said


def test_class_covers_what_happens_to_a_ta():
    assert {s.status for s in STUDENTS} == {"graded", "student_error", "crashed", "missing"}
    assert any(s.colab for s in STUDENTS)
    assert len(STUDENTS) >= 8


def test_feedback_shows_no_hidden_test(hw_prompt_class):
    course = open_course(hw_prompt_class / "course")
    secret = hidden_lines(
        nbformat.read(course.step("source", "hw_prompt") / "hw_prompt.ipynb", as_version=4)
    )
    (summary,) = feedback("hw_prompt", course.root, ["dora"])
    page = summary.with_name("hw_prompt.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    tests = [line for line in secret if line.startswith("assert") and len(line) > 40]
    assert len(tests) > 10
    assert not [line for line in tests if line in text]
    assert "a training step changed the vocabulary" in text


def test_report(hw_prompt_class):
    made = report("hw_prompt", hw_prompt_class / "course")
    assert made.summary.students == len(STUDENTS) + 2
    assert made.summary.handed_in == len(STUDENTS) + 1
    assert "goran" in made.summary.needs_person
    with made.csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert rows["dora"]["last_name"] == "Díaz, de la Cruz"
    assert rows["emil"]["last_name"] == 'van "Emmy" Eck'
    assert float(rows["chen"]["score"]) == 20
    assert float(rows["fatima"]["label-scores-check"]) == 0
    assert "SyntaxError" in made.page.read_text("utf-8")


def test_class_follows_the_homework(hw_prompt_class):
    with pytest.raises(CourseError, match="2 answers for 1 places"):
        write_answer("def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()", ["a", "b"])
    with pytest.raises(CourseError, match="course release hw_prompt"):
        build_sample_class("hw_prompt", hw_prompt_class / "nothing-released")
    with pytest.raises(CourseError, match="There is one for: hw_prompt"):
        sample_students("hw_adapter")
