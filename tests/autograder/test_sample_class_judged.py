"""Each student of HW-Prompt's sample class before the judge, without gradebook and sandbox."""

from __future__ import annotations

import csv
import datetime
import json
import re

import nbformat
import pytest
from judging_host import workers
from nbgrader.preprocessors import ClearSolutions

from autograder.checks import checks_of
from autograder.evidence.packed import read_packed
from autograder.evidence.recompute import judge_run
from autograder.judging.judge import judge
from autograder.judging.student import Student as Worker
from autograder.paired import source_folder
from autograder.policy import read_policy
from autograder.sample_class import (
    Student,
    hand_in_runs,
    sample_roster,
    sample_students,
    solutions,
    submission,
    write_answer,
)
from course_utils.errors import CourseError
from course_utils.tasks import load_task

CHECKS = checks_of("hw_prompt").all
STUDENTS = sample_students("hw_prompt")
BY_NAME = {student.name: student for student in STUDENTS}
EXERCISES = {check.exercise for check in CHECKS}
SECONDS = 5.0  # for a call; a loop without end costs that for each check
WITHOUT_END = 1.5
BASICS = {"fill-template: writes both texts and the gap into the template"}  # all who wrote it pass


@pytest.fixture(scope="module")
def original():
    return nbformat.read(source_folder("hw_prompt") / "hw_prompt.ipynb", as_version=4)


@pytest.fixture(scope="module")
def released(original):
    """The students' version, as nbgrader makes it."""
    return ClearSolutions().preprocess(nbformat.from_dict(original), {})[0]


@pytest.fixture(scope="module")
def connect():
    with workers() as connect:
        yield connect


def handed_in(student: Student, released, original) -> dict:
    return json.loads(submission(student, nbformat.from_dict(released), original))


def cells_of(notebook: dict, released) -> list[tuple[str, str]]:
    """(name, source) of setup, answers and cells that the student has added; known by the first
    line, and of copies the first."""
    theirs = {cell.source for cell in released.cells}
    found: dict[str, str] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            name = re.match(r"# id: (\S+)", cell["source"])
            if name and name[1] in EXERCISES | {"setup"}:
                found.setdefault(name[1], cell["source"])
            elif not name and cell["source"] not in theirs and "google.colab" not in cell["source"]:
                found[f"added {number}"] = cell["source"]
    return list(found.items())


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_judge_finds_what_is_said(student, released, original, connect, tmp_path):
    expected = student.expected(CHECKS)
    if not student.handed_in:
        assert not any(expected.values())
        return
    cells = cells_of(handed_in(student, released, original), released)
    seconds = WITHOUT_END if student.status == "timeout" else SECONDS
    found = judge(lambda: Worker(connect(tmp_path), seconds=seconds), cells, CHECKS)
    got = {f"{o.check.exercise}: {o.check.name}": o.earned for o in found.outcomes}
    assert got == expected
    assert found.status == student.status


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


def test_dora_sees_no_check_fail(released, original, connect, tmp_path):
    """What is visible is not what earns the points."""
    notebook = handed_in(BY_NAME["dora"], released, original)
    named = [(re.match(r"# id: (\S+)", c["source"]), c) for c in notebook["cells"]]
    cells = [(n[1], c["source"]) for n, c in named if n and n[1] != "results-check"]
    worker = Worker(connect(tmp_path), seconds=SECONDS)
    ran = worker.run(cells)
    worker.close()
    assert len([cell for cell in ran if cell.name.endswith("-check")]) == len(EXERCISES)
    assert not [cell for cell in ran if cell.kind]


def test_lateness_is_what_the_policy_takes():
    policy = read_policy(source_folder("hw_prompt").parents[1] / "policy.toml")
    with sample_roster().open(newline="", encoding="utf-8") as file:
        groups = {row["student_id"]: row["group"] for row in csv.DictReader(file)}
    assert groups.keys() >= BY_NAME.keys()
    for student in STUDENTS:
        if student.at is not None:
            assert isinstance(student.at, datetime.datetime)
            taken = policy.penalty("hw_prompt", 100, student.at, groups[student.name], student.name)
            assert taken == student.penalty_percent


@pytest.mark.long
def test_runs_earn_what_is_said(released, original, tmp_path):
    """Real runs, packed as students do; records that claim more than was predicted earn nothing."""
    policy = read_policy(source_folder("hw_prompt").parents[1] / "policy.toml")
    students = [student for student in STUDENTS if student.runs or student.runs_of]
    for student in students:
        (tmp_path / student.name).mkdir()
        text = submission(student, nbformat.from_dict(released), original)
        (tmp_path / student.name / "hw_prompt.ipynb").write_text(text, "utf-8")
    hand_in_runs("hw_prompt", students, tmp_path, "hw_prompt.ipynb")
    assert {student.results for student in students} == {0, 18}
    for student in students:
        runs = read_packed(tmp_path / student.name / "hw_prompt.zip").runs.values()
        evidence = [judge_run(run, load_task(json.loads(run.record)["task"])) for run in runs]
        earned = policy.earned("hw_prompt", evidence)
        assert len(evidence) == 3
        assert sum(one.points for one in earned) == student.results, earned


def test_nobody_hands_in_what_the_instructor_wrote_in_words(released, original):
    rubrics = [b for name, bodies in solutions(original).items() for b in bodies
               if name.startswith("written-")]  # fmt: skip
    assert len(rubrics) == 4
    for student in STUDENTS:
        text = "\n".join(c["source"] for c in handed_in(student, released, original)["cells"])
        assert not any(rubric.strip() in text for rubric in rubrics)
    ada = handed_in(BY_NAME["ada"], released, original)
    said = [c for c in ada["cells"] if c["source"] in sum(BY_NAME["ada"].answers.values(), [])]
    assert len(said) == 4
    assert {c["cell_type"] for c in said} == {"markdown"}


def test_lost_metadata_is_lost_and_first_lines_stay(released, original):
    mei = handed_in(BY_NAME["mei"], released, original)
    assert not any("nbgrader" in cell["metadata"] for cell in mei["cells"])
    assert {name for name, _ in cells_of(mei, released)} == EXERCISES | {"setup"}


def test_class_follows_the_homework(released, original):
    with pytest.raises(CourseError, match="2 answers for 1 places"):
        write_answer("def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()", ["a", "b"])
    odd = Student("zoe", "", "graded", ["label-scores: gives the moon"])
    with pytest.raises(CourseError, match="there is no check 'label-scores: gives the moon'"):
        odd.expected(CHECKS)
    odd = Student("zoe", "", "graded", [], answers={"label-score": ["pass"]})
    with pytest.raises(CourseError, match="the homework has no cell 'label-score'"):
        handed_in(odd, released, original)
