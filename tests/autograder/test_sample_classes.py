"""Both homeworks end to end: released, the sample class handed in, graded, given back, reported."""

from __future__ import annotations

import csv
import json
import re
from typing import NamedTuple

import nbformat
import pytest

from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.exercises import check_in_words, read_paper
from autograder.feedback import feedback
from autograder.paired import source_folder
from autograder.report import report
from autograder.results import load_result
from autograder.sample_class import sample_students, solutions, submission

MOST = 100


class Worth(NamedTuple):
    """What a homework's parts are worth, and where people write words."""

    code: float  #: with the bonus
    words: tuple[str, ...]
    written: float  #: which only a person gives
    of_nora: float  #: who has everything right: by her runs
    copied: str  #: the cell that hana hands in twice


HOMEWORK = {
    "hw_prompt": Worth(
        code=60,
        words=("written-depth", "written-zeros", "written-above", "written-runs"),
        written=16,
        of_nora=18,
        copied="label-scores",
    ),
    "hw_adapter": Worth(
        code=MOST - 16 - 10 + 10,
        words=("merging", "falling-loss", "verdict"),
        written=10,
        of_nora=16,
        copied="token-shift",
    ),
}
STUDENTS = {name: sample_students(name) for name in HOMEWORK}


@pytest.fixture(params=HOMEWORK)
def homework(request) -> str:
    return request.param


@pytest.fixture
def worth(homework) -> Worth:
    return HOMEWORK[homework]


@pytest.fixture
def course(homework, request):
    """The folder in which everybody is graded."""
    return open_course(request.getfixturevalue(f"{homework}_class") / "course")


@pytest.mark.long
def test_instructor_scores_everything_but_runs_and_words(course, homework, worth):
    result = load_result(course, homework, "the-instructor")
    assert (result.status, result.score, result.max_score) == ("graded", worth.code, MOST), result
    assert not result.needs_person
    waiting = read_paper(course, homework).waiting("the-instructor")
    assert {one.name for one in waiting} == set(worth.words)
    assert sum(one.most for one in waiting.values()) == worth.written


def test_stub_scores_nothing_and_nothing_is_said_but_that(course, homework):
    result = load_result(course, homework, "the-stub")
    assert (result.status, result.score) == ("graded", 0)
    assert {c.message for c in result.checks if c.exercise != "results"} == {"not written yet"}


@pytest.mark.parametrize(
    ("homework", "student"),
    [pytest.param(name, student, id=f"{name}-{student.name}")
     for name, students in STUDENTS.items() for student in students],
    indirect=["homework"],
)  # fmt: skip
def test_student_gets_what_is_said(course, homework, worth, student):
    result = load_result(course, homework, student.name)
    assert result.status == student.status, result.reason
    assert result.recorded
    assert result.max_score == MOST
    if not student.handed_in:
        assert (result.earned, result.score) == (0, 0)
        return
    expected = student.expected(checks_of(homework).all)
    got = {f"{c.exercise}: {c.name}": c.points for c in result.checks if c.exercise != "results"}
    assert got == expected, [c for c in result.checks if c.message]
    assert sum(c.points for c in result.of("results")) == student.results
    earned = sum(expected.values()) + student.results
    late = earned * student.penalty_percent / 100
    assert result.earned == earned
    assert result.score == pytest.approx(earned - late)
    waiting = {one.name for one in read_paper(course, homework).waiting(student.name)}
    assert waiting == {name for name in worth.words if name in student.answers}
    with course.gradebook() as gradebook:
        found = gradebook.find_submission(homework, student.name)
        assert (found.score, found.max_score) == (earned, MOST)
        assert found.late_submission_penalty == pytest.approx(late)


def test_repairs_are_said(course, homework, worth):
    said = " ".join(load_result(course, homework, "hana").notes)
    for words in (
        "(1).ipynb",
        f"{worth.copied!r} is there more than once",
        "was deleted; put back",
    ):
        assert words in said
    assert "late: " in " ".join(load_result(course, homework, "kofi").notes)


def test_class_covers_what_happens_to_a_ta(homework):
    students = STUDENTS[homework]
    assert {s.name for s in students} == {s.name for s in STUDENTS["hw_prompt"]}
    assert len(students) >= 20
    statuses = {student.status for student in students}
    assert {"graded", "student_error", "crashed", "timeout", "missing"} <= statuses
    for kind in ("colab", "loses", "copies", "deletes", "inserts", "appends", "runs", "file"):
        assert any(getattr(student, kind) for student in students), kind
    assert {0, 20} <= {s.penalty_percent for s in students if s.at}


def test_feedback_says_what_is_wrong_and_shows_no_check(course, homework):
    (summary,) = feedback(homework, course.root, ["dora"])
    pages = [summary.read_text("utf-8"), summary.with_name(f"{homework}.html").read_text("utf-8")]
    failed = [c for c in load_result(course, homework, "dora").checks if c.message]
    assert failed
    for page in pages:
        text = re.sub(r"<[^>]+>", "", page).replace("&#x27;", "'")
        assert not [c for c in failed if c.name not in text and check_in_words(c) not in text]
        assert "expect_tensor" not in text
        assert "draw." not in text


def test_report_counts_the_class_and_lists_points(course, homework, worth):
    made = report(homework, course.root)
    everybody = len(STUDENTS[homework]) + 2  # the instructor and the stub
    assert (made.summary.students, made.summary.handed_in) == (everybody, everybody - 1)
    with made.csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert float(rows["nora"]["results-check"]) == worth.of_nora
    assert float(rows["ada"][worth.words[0]] or 0) == 0


def test_nobody_hands_in_what_the_instructor_wrote_in_words(course, homework, worth):
    original = nbformat.read(source_folder(homework) / f"{homework}.ipynb", as_version=4)
    released = nbformat.read(course.step("release", homework) / f"{homework}.ipynb", as_version=4)
    written = solutions(original)
    rubrics = [body.strip() for name in worth.words for body in written[name]]
    assert len(rubrics) == len(worth.words)
    assert all("*Rubric" in rubric for rubric in rubrics)
    for student in STUDENTS[homework]:
        made = json.loads(submission(student, nbformat.from_dict(released), original))
        text = "\n".join(cell["source"] for cell in made["cells"])
        assert not any(rubric in text for rubric in rubrics)
        if student.name == "ada":
            answers = sum(student.answers.values(), [])
            said = [c for c in made["cells"] if c["source"].split("-->\n")[-1] in answers]
            assert len(said) == len(worth.words)
            assert {cell["cell_type"] for cell in said} == {"markdown"}
