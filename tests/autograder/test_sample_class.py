"""HW-Prompt end to end: released, the sample class handed in, graded, given back, reported."""

from __future__ import annotations

import csv
import json
import re

import nbformat
import pytest

from autograder.bench import Bench
from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.exercises import check_in_words, read_paper
from autograder.feedback import feedback
from autograder.intake import take_in
from autograder.paired import source_folder
from autograder.preprocessors import Judge
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import (
    Student,
    build_sample_class,
    sample_students,
    solutions,
    submission,
    write_answer,
)
from course_utils.errors import CourseError

CHECKS = checks_of("hw_prompt").all
STUDENTS = sample_students("hw_prompt")
BY_NAME = {student.name: student for student in STUDENTS}
EXERCISES = {check.exercise for check in CHECKS}
BASICS = {"fill-template: writes both texts and the gap into the template"}  # all who wrote it pass
WRITTEN = 16  # points that only a person gives
MOST = 100


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


@pytest.mark.long
def test_instructor_scores_everything_but_runs_and_words(course):
    result = load_result(course, "hw_prompt", "the-instructor")
    assert (result.status, result.score, result.max_score) == ("graded", 60, MOST), result
    assert not result.needs_person
    waiting = read_paper(course, "hw_prompt").waiting("the-instructor")
    assert sum(one.most for one in waiting.values()) == WRITTEN


def test_stub_scores_nothing_and_nothing_is_said_but_that(course):
    result = load_result(course, "hw_prompt", "the-stub")
    assert (result.status, result.score) == ("graded", 0)
    assert {c.message for c in result.checks if c.exercise != "results"} == {"not written yet"}


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_student_gets_what_is_said(course, student):
    result = load_result(course, "hw_prompt", student.name)
    assert result.status == student.status, result.reason
    assert result.recorded
    expected = student.expected(CHECKS)
    got = {f"{c.exercise}: {c.name}": c.points for c in result.checks if c.exercise != "results"}
    if student.handed_in:
        assert got == expected, [c for c in result.checks if c.message]
    earned = sum(expected.values()) + student.results
    assert result.earned == (earned if student.handed_in else 0)
    assert result.score == pytest.approx(earned * (1 - student.penalty_percent / 100))
    with course.gradebook() as gradebook:
        if student.handed_in:
            found = gradebook.find_submission("hw_prompt", student.name)
            assert found.score == earned
            assert found.late_submission_penalty == pytest.approx(
                earned * student.penalty_percent / 100
            )


def test_raised_scores_are_found(course):
    result = load_result(course, "hw_prompt", "nils")
    assert len([f for f in result.findings if "the record claims" in f]) == 3
    assert not load_result(course, "hw_prompt", "nora").findings


def test_repairs_are_said(course):
    said = " ".join(load_result(course, "hw_prompt", "hana").notes)
    for words in ("(1).ipynb", "'label-scores' is there more than once", "was deleted; put back"):
        assert words in said
    assert "late: " in " ".join(load_result(course, "hw_prompt", "kofi").notes)


def test_class_covers_what_happens_to_a_ta():
    assert len(STUDENTS) >= 20
    statuses = {student.status for student in STUDENTS}
    assert {"graded", "student_error", "crashed", "timeout", "missing"} <= statuses
    assert any(s.colab for s in STUDENTS)
    assert any(s.loses for s in STUDENTS)
    assert any(s.copies for s in STUDENTS)
    assert any(s.deletes for s in STUDENTS)
    assert any(s.inserts for s in STUDENTS)
    assert any(s.runs for s in STUDENTS)
    assert {0, 20, 100} <= {s.penalty_percent for s in STUDENTS if s.at}
    wrong = [s.expected(CHECKS) for s in STUDENTS if s.handed_in and s.name != "chen"]
    assert all(any(found[name] == 0 for found in wrong) for name in wrong[0] if name not in BASICS)


def test_feedback_says_what_is_wrong_and_shows_no_check(course):
    (summary,) = feedback("hw_prompt", course.root, ["dora"])
    pages = [summary.read_text("utf-8"), summary.with_name("hw_prompt.html").read_text("utf-8")]
    failed = [c for c in load_result(course, "hw_prompt", "dora").checks if c.message]
    assert failed
    for page in pages:
        text = re.sub(r"<[^>]+>", "", page)
        assert not [c for c in failed if c.name not in text and check_in_words(c) not in text]
        assert "expect_tensor" not in text
        assert "draw." not in text


def test_report(course):
    made = report("hw_prompt", course.root)
    assert made.summary.students == len(STUDENTS) + 2
    assert made.summary.handed_in == len(STUDENTS) + 1
    assert "goran" in made.summary.needs_person
    with made.csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert rows["dora"]["last_name"] == "Díaz, de la Cruz"
    assert rows["emil"]["last_name"] == 'van "Emmy" Eck'
    assert float(rows["nora"]["results-check"]) == 18
    assert float(rows["ada"]["written-depth"] or 0) == 0
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


def test_nobody_hands_in_what_the_instructor_wrote_in_words(released, original):
    rubrics = [b for name, bodies in solutions(original).items() for b in bodies
               if name.startswith("written-")]  # fmt: skip
    assert len(rubrics) == 4
    for student in STUDENTS:
        text = "\n".join(c["source"] for c in handed_in(student, released, original)["cells"])
        assert not any(rubric.strip() in text for rubric in rubrics)
    ada = handed_in(BY_NAME["ada"], released, original)
    said = [
        c
        for c in ada["cells"]
        if c["source"].split("-->\n")[-1] in sum(BY_NAME["ada"].answers.values(), [])
    ]
    assert len(said) == 4
    assert {c["cell_type"] for c in said} == {"markdown"}


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
