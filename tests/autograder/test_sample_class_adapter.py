"""HW-Adapter's sample class, beyond what test_sample_classes.py says of both: bonus and runs."""

from __future__ import annotations

import csv

import pytest

from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.homework import BONUS
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import sample_students

CHECKS = checks_of("hw_adapter").all
STUDENTS = sample_students("hw_adapter")
RUNS = 16
WRITTEN = 10  # points that only a person gives
ON_TOP = 10  # of the bonus
MOST = 100
WORDS = ("merging", "falling-loss", "verdict")


@pytest.fixture
def course(hw_adapter_class):
    return open_course(hw_adapter_class / "course")


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


def test_each_check_is_failed_by_somebody_who_has_part_of_its_exercise_right():
    changed = "add-lora: leaves the model's answers as they were"  # who changes them has nothing
    several = {c.exercise for c in CHECKS if not c.exercise.startswith("hunt-")}
    found = {changed}
    for student in (s for s in STUDENTS if s.handed_in):
        earned = student.expected(CHECKS)
        part = {name.split(": ")[0] for name, points in earned.items() if points}
        found |= {n for n, points in earned.items() if not points and n.split(": ")[0] in part}
    assert not {f"{c.exercise}: {c.name}" for c in CHECKS if c.exercise in several} - found


def test_a_person_is_needed_for_crashes_alone(course):
    for student in (s for s in STUDENTS if s.handed_in):
        needed = load_result(course, "hw_adapter", student.name).needs_person
        assert needed == (student.status == "crashed"), student.name


def test_the_report_goes_above_the_maximum(course):
    with report("hw_adapter", course.root).csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert float(rows["nora"]["score"]) == MOST - WRITTEN + ON_TOP
