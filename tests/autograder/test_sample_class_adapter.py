"""HW-Adapter end to end: released, the sample class handed in, graded, given back, reported."""

from __future__ import annotations

import csv
import json
import re

import nbformat
import pytest

from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.exercises import read_paper
from autograder.feedback import feedback
from autograder.homework import BONUS
from autograder.paired import source_folder
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import sample_students, solutions, submission

CHECKS = checks_of("hw_adapter").all
STUDENTS = sample_students("hw_adapter")
BY_NAME = {student.name: student for student in STUDENTS}
RUNS = 16
WRITTEN = 10  # points that only a person gives
ON_TOP = 10  # of the bonus
MOST = 100
WORDS = ("merging", "falling-loss", "verdict")


@pytest.fixture
def course(hw_adapter_class):
    return open_course(hw_adapter_class / "course")


@pytest.fixture(scope="module")
def original():
    return nbformat.read(source_folder("hw_adapter") / "hw_adapter.ipynb", as_version=4)


@pytest.mark.long
def test_instructor_scores_everything_and_the_bonus_but_runs_and_words(course):
    result = load_result(course, "hw_adapter", "the-instructor")
    code = MOST - RUNS - WRITTEN
    assert (result.status, result.score, result.max_score) == ("graded", code + ON_TOP, MOST)
    assert not result.needs_person
    waiting = read_paper(course, "hw_adapter").waiting("the-instructor")
    assert sum(one.most for one in waiting.values()) == WRITTEN


def test_stub_scores_nothing_and_nothing_is_said_but_that(course):
    result = load_result(course, "hw_adapter", "the-stub")
    assert (result.status, result.score) == ("graded", 0)
    assert {c.message for c in result.checks if c.exercise != "results"} == {"not written yet"}


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_student_gets_what_is_said(course, student):
    result = load_result(course, "hw_adapter", student.name)
    assert result.status == student.status, result.reason
    assert result.recorded
    if not student.handed_in:
        assert (result.earned, result.score, result.max_score) == (0, 0, MOST)
        return
    expected = student.expected(CHECKS)
    got = {f"{c.exercise}: {c.name}": c.points for c in result.checks if c.exercise != "results"}
    assert got == expected, [c for c in result.checks if c.message]
    assert sum(c.points for c in result.of("results")) == student.results
    earned = sum(expected.values()) + student.results
    assert result.earned == earned
    assert result.score == pytest.approx(earned * (1 - student.penalty_percent / 100))
    assert result.needs_person == (student.status == "crashed")
    waiting = {one.name for one in read_paper(course, "hw_adapter").waiting(student.name)}
    assert waiting == {name for name in WORDS if name in student.answers}
    with course.gradebook() as gradebook:
        found = gradebook.find_submission("hw_adapter", student.name)
        assert (found.score, found.max_score) == (earned, MOST)
        assert found.late_submission_penalty == pytest.approx(
            earned * student.penalty_percent / 100
        )


def test_bonus_is_extra_credit_and_goes_above_the_maximum(course):
    bonus = sum(check.points for check in CHECKS if check.exercise.startswith(BONUS))
    assert bonus == ON_TOP
    with course.gradebook() as gradebook:
        (notebook,) = gradebook.find_submission("hw_adapter", "nora").notebooks
        grades = {grade.name: grade for grade in notebook.grades}
        assert grades["bonus-adamix-check"].extra_credit == ON_TOP
        assert grades["bonus-adamix-check"].auto_score == 0
        assert notebook.score == MOST - WRITTEN + ON_TOP
        for name in WORDS:
            assert grades[name].needs_manual_grade
        (without,) = gradebook.find_submission("hw_adapter", "sami").notebooks
        assert without.score == MOST - WRITTEN - RUNS


def test_runs_earn_for_two_methods_and_say_why_not_more(course):
    (two,) = load_result(course, "hw_adapter", "nora").of("results")
    assert (two.points, two.max_points) == (RUNS, RUNS)
    (one,) = load_result(course, "hw_adapter", "nils").of("results")
    assert one.points == RUNS / 2
    other = load_result(course, "hw_adapter", "petra")
    assert any("SoftPrompt" in finding for finding in other.findings), other.findings


def test_repairs_are_said(course):
    said = " ".join(load_result(course, "hw_adapter", "hana").notes)
    for words in ("(1).ipynb", "'token-shift' is there more than once", "was deleted; put back"):
        assert words in said
    assert "late: " in " ".join(load_result(course, "hw_adapter", "kofi").notes)


def test_class_covers_what_happens_to_a_ta():
    assert {student.name for student in STUDENTS} == {s.name for s in sample_students("hw_prompt")}
    statuses = {student.status for student in STUDENTS}
    assert {"graded", "student_error", "crashed", "timeout", "missing"} <= statuses
    for kind in ("colab", "loses", "copies", "deletes", "inserts", "appends", "runs", "file"):
        assert any(getattr(student, kind) for student in STUDENTS), kind
    assert {0, 20} <= {s.penalty_percent for s in STUDENTS if s.at}


def test_each_check_is_failed_by_somebody_who_has_part_of_its_exercise_right():
    changed = "add-lora: leaves the model's answers as they were"  # who changes them has nothing
    several = {c.exercise for c in CHECKS if not c.exercise.startswith("hunt-")}
    found = {changed}
    for student in (s for s in STUDENTS if s.handed_in):
        earned = student.expected(CHECKS)
        part = {name.split(": ")[0] for name, points in earned.items() if points}
        found |= {n for n, points in earned.items() if not points and n.split(": ")[0] in part}
    assert not {f"{c.exercise}: {c.name}" for c in CHECKS if c.exercise in several} - found


def test_feedback_says_what_is_wrong_and_shows_no_check(course):
    (summary,) = feedback("hw_adapter", course.root, ["dora"])
    pages = [summary.read_text("utf-8"), summary.with_name("hw_adapter.html").read_text("utf-8")]
    failed = [c for c in load_result(course, "hw_adapter", "dora").checks if c.message]
    assert failed
    for page in pages:
        text = re.sub(r"<[^>]+>", "", page)
        assert not [c.name for c in failed if c.name not in text.replace("&#x27;", "'")]
        assert "expect_tensor" not in text
        assert "draw." not in text


def test_report(course):
    made = report("hw_adapter", course.root)
    assert made.summary.students == len(STUDENTS) + 2
    assert made.summary.handed_in == len(STUDENTS) + 1
    with made.csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert float(rows["nora"]["results-check"]) == RUNS
    assert float(rows["nora"]["score"]) == MOST - WRITTEN + ON_TOP
    assert float(rows["ada"]["merging"] or 0) == 0


def test_nobody_hands_in_what_the_instructor_wrote_in_words(course, original):
    path = course.step("release", "hw_adapter") / "hw_adapter.ipynb"
    rubrics = [b for name, bodies in solutions(original).items() for b in bodies if "Rubric" in b]
    assert len(rubrics) == 3
    for student in STUDENTS:
        made = json.loads(submission(student, nbformat.read(path, as_version=4), original))
        text = "\n".join(cell["source"] for cell in made["cells"])
        assert not any(rubric.strip() in text for rubric in rubrics)
    ada = json.loads(submission(BY_NAME["ada"], nbformat.read(path, as_version=4), original))
    said = sum(BY_NAME["ada"].answers.values(), [])
    assert len([c for c in ada["cells"] if c["source"].split("-->\n")[-1] in said]) == 3
