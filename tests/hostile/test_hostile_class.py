"""A class of attackers, graded two at a time beside honest students: everybody gets what is due.

What a worker contains is proved one by one in the files beside this; here the same goes through
the whole grader, with what exists only there: points, the gradebook, intake, feedback.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import sys
import zipfile
from pathlib import Path

import hostile_submissions as hostile
import nbformat
import psutil
import pytest

from autograder.course_folder import open_course
from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.release import release
from autograder.results import load_result, load_results
from autograder.sandbox.limits import Limits
from autograder.sandbox.trying import why_not
from autograder.workers import Workers

LIMITS = Limits(
    cell_seconds=4,
    call_seconds=2,
    memory_bytes=300_000_000,
    processes=24,
    file_bytes=20_000_000,
    scratch_bytes=40_000_000,
    output_bytes=200_000,
    total_output_bytes=500_000,
    reply_bytes=5_000_000,
)
MAX = hostile.ALL


@pytest.fixture(scope="module")
def workers():
    reason = why_not("bubblewrap")
    if reason:
        pytest.skip(f"no sandbox on this machine: {reason}")
    with Workers("bubblewrap", LIMITS) as opened:
        yield opened


@pytest.fixture(scope="module")
def new_course(tmp_path_factory):
    """new_course(name) -> a course folder in which "forge" is released."""
    root = tmp_path_factory.mktemp("hostile")
    place = root / "assignments" / "source" / "forge" / "forge.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(hostile.notebook(), place)
    (root / "assignments" / "checks").mkdir()
    (root / "assignments" / "checks" / "forge.py").write_text(hostile.CHECKS, "utf-8")
    release("forge", root / "released", assignments_dir=root / "assignments", run=False)
    return lambda name: shutil.copytree(root / "released", root / name)


@pytest.fixture(scope="module")
def stub(new_course) -> dict:
    path = new_course("stub") / "release" / "forge" / "forge.ipynb"
    return json.loads(path.read_text("utf-8"))


def write(folder: Path, made: dict, name: str = "forge.ipynb") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(made), "utf-8")
    return folder


def honest(stub: dict) -> dict:
    return hostile.written(stub, hostile.Attack("honest", "graded", MAX, hostile.HONEST))


class Graded:
    """A class that has been graded, and what could be seen from outside while it was."""

    def __init__(self, course: Path, results, listener: socket.socket) -> None:
        self.course, self.results = course, {r.student: r for r in results}
        self.calls = 0
        listener.settimeout(0.1)
        try:
            while True:
                listener.accept()
                self.calls += 1
        except TimeoutError:
            pass


@pytest.fixture(scope="module")
def graded(new_course, stub, workers, tmp_path_factory) -> Graded:
    course, place = new_course("course"), tmp_path_factory.mktemp("handed-in")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        known = f"PATH_OF_GRADEBOOK = {str(course / 'gradebook.db')!r}\n"
        port = str(listener.getsockname()[1])
        for student, attack in hostile.CLASS.items():
            made = hostile.written(stub, attack)
            if attack.first:
                source = made["cells"][0]["source"].replace("PORT_OF_LISTENER", port)
                made["cells"][0]["source"] = known + source if "PATH_OF" in source else source
            name = "forge (1).ipynb" if student == "stock-renamed" else "forge.ipynb"
            write(place / student, made, name)
        for student in hostile.HONEST_ONES:
            write(place / student, honest(stub))
        results = grade_class("forge", course, place, workers=workers, jobs=2, progress=False)
        return Graded(course, results, listener)


@pytest.mark.long
@pytest.mark.parametrize("student", hostile.CLASS)
def test_everybody_gets_what_is_due(graded, student):
    attack, result = hostile.CLASS[student], graded.results[student]
    statuses = (attack.status,) if isinstance(attack.status, str) else attack.status
    assert result.status in statuses, (result.status, result.reason, result.checks)
    assert (result.score, result.max_score) == (attack.score, MAX), result.checks
    for text in result.said.values():
        assert not any(mark in text["text"] for mark in ("FOUND", "WROTE", "4711"))


@pytest.mark.parametrize("student", hostile.HONEST_ONES)
def test_the_honest_lose_nothing(graded, student):
    result = graded.results[student]
    assert (result.status, result.score, result.needs_person) == ("graded", MAX, False), result


def test_the_gradebook_holds_just_the_results(graded):
    with sqlite3.connect(graded.course / "gradebook.db") as db:
        assert db.execute("select count(*) from grade where manual_score is not null") == (0,) or (
            db.execute("select count(*) from grade where manual_score is not null").fetchone()
            == (0,)
        )
    with open_course(graded.course).gradebook() as gradebook:
        scores = {s.student_id: s.score for s in gradebook.assignment_submissions("forge")}
        cells = {
            grade.name for s in gradebook.assignment_submissions("forge")
            for notebook in s.notebooks for grade in notebook.grades
        }  # fmt: skip
        assert gradebook.find_assignment("forge").max_score == MAX
    assert scores == {s: r.score for s, r in graded.results.items()}
    assert cells == {"scale-check", "gate-check", "count-check"}


def test_nothing_is_written_or_left_running_or_called(graded):
    assert graded.calls == 0
    for path in ("/var/tmp/hostile-mark", "/hostile-mark", graded.course / "new"):
        assert not os.path.exists(path)
    commands = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert not [c for c in commands if c == "sleep 4711"]


def test_feedback_shows_nothing_hidden_and_runs_nothing(graded):
    for page in feedback("forge", graded.course, ["html-everywhere", "controls", "forks"]):
        for path in page.parent.glob("*.html"):
            text = path.read_text("utf-8")
            assert hostile.HTML not in text
            assert "hidden-in-the-checks" not in text
            assert "\x1b" not in text
            assert "\0" not in text


def test_afterwards_a_new_class_is_graded_as_ever(graded, new_course, stub, workers, tmp_path):
    write(tmp_path / "next", honest(stub))
    (result,) = grade_class("forge", new_course("next"), tmp_path, workers=workers, progress=False)
    assert (result.status, result.score) == ("graded", MAX)
