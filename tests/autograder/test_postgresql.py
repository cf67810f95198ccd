"""The gradebook on a PostgreSQL server: what holds on SQLite holds there.

A real server, in a folder of its own and without a network port; the tests are skipped where its
programs or psycopg are missing.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
import tiny_homework as tiny

from autograder.course_folder import open_course
from autograder.export import export_for
from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.release import release
from autograder.report import report
from autograder.results import load_results

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
pytestmark = pytest.mark.skipif(
    BIN is None or sys.platform != "linux", reason="no PostgreSQL server in /usr/lib/postgresql"
)


def unprivileged() -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture(scope="module")
def server():
    """The folder with the socket of a running server."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    control = [*unprivileged(), str(BIN / "pg_ctl"), "-D", str(folder / "data"), "-w"]
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    made = [*unprivileged(), str(BIN / "initdb"), "-D", str(folder / "data"), "-U", "kit"]
    subprocess.run([*made, "--auth=trust"], check=True, stdout=subprocess.DEVNULL)
    start = [*control, "-o", options, "-l", str(folder / "log"), "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    try:
        yield folder
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def new_course(server, tmp_path_factory):
    """A function that makes a course folder whose gradebook is a database of its own there."""
    number = 0

    def make() -> Path:
        nonlocal number
        number += 1
        with psycopg.connect(
            host=str(server), user="kit", dbname="postgres", autocommit=True
        ) as db:
            db.execute(f"CREATE DATABASE class_{number}")
        root = tmp_path_factory.mktemp("on-postgresql")
        course = open_course(root / "course")
        with (course.root / "nbgrader_config.py").open("a") as file:
            url = f"postgresql+psycopg://kit@/class_{number}?host={server}"
            file.write(f"\nc = get_config()\nc.CourseDirectory.db_url = {url!r}\n")
        folder = tiny.write_assignment(root / "assignments", tiny.notebook())
        release("tiny", course.root, assignments_dir=folder, run=False)
        return root

    return make


@pytest.fixture(scope="module")
def graded(new_course, workers):
    root = new_course()
    released = root / "course" / "release" / "tiny" / "tiny.ipynb"
    tiny.write_class(root / "in", nbformat.read(released, as_version=4))
    # who never ends takes long, and has nothing to do with the gradebook
    shutil.rmtree(root / "in" / "endless")
    results = grade_class("tiny", root / "course", root / "in", workers=workers, progress=False)
    return root, {result.student: result for result in results}


def test_status_and_score(graded):
    root, results = graded
    for student, (_, _, status, score) in tiny.CLASS.items():
        if student != "endless":
            assert (results[student].status, results[student].score) == (status, score), student
    assert not (root / "course" / "gradebook.db").exists()
    with open_course(root / "course").gradebook() as gradebook:
        assert gradebook.db.bind.dialect.name == "postgresql"
        assert gradebook.find_submission("tiny", "right").score == 4


def test_a_second_run_changes_nothing(graded, workers):
    root, results = graded
    again = grade_class("tiny", root / "course", root / "in", workers=workers, progress=False)
    assert {r.student: r for r in again} == results


def test_points_by_hand_feedback_and_exports(graded):
    root, _ = graded
    course = open_course(root / "course")
    with course.gradebook() as gradebook:
        gradebook.find_grade("half-check", "tiny", "tiny", "syntax").manual_score = 0.5
        gradebook.db.commit()
    scores = {result.student: result.score for result in load_results(course, "tiny")}
    assert scores["syntax"] == 3.5
    (page,) = feedback("tiny", course.root, ["syntax"])
    assert page.with_name("tiny.html").is_file()
    with report("tiny", course.root).csv.open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: row["score"] for row in csv.DictReader(file)}
    assert float(rows["syntax"]) == 3.5
    assert "syntax" in export_for("canvas", course, "tiny").read_text("utf-8")


def test_killed_at_any_moment_it_goes_on_where_it_was(new_course, workers):
    root = new_course()
    released = nbformat.read(root / "course" / "release" / "tiny" / "tiny.ipynb", as_version=4)
    for number in range(4):
        place = root / "in" / f"s{number}" / "tiny.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(tiny.answered(nbformat.from_dict(released), tiny.SOLUTIONS), place)
    draw = random.Random(1)
    for _ in range(8):
        grader = multiprocessing.get_context("fork").Process(
            target=grade_class,
            args=("tiny", root / "course", root / "in"),
            kwargs={"workers": workers, "progress": False},
        )
        grader.start()
        grader.join(draw.uniform(0.05, 0.8))
        if grader.is_alive():
            os.kill(grader.pid, signal.SIGKILL)
            grader.join()
    results = grade_class("tiny", root / "course", root / "in", workers=workers, progress=False)
    assert [(r.student, r.score, bool(r.recorded)) for r in results] == [
        (f"s{number}", 4, True) for number in range(4)
    ]
    with open_course(root / "course").gradebook() as gradebook:
        found = gradebook.assignment_submissions("tiny")
        assert sorted(s.student_id for s in found) == [f"s{number}" for number in range(4)]
