"""Whatever stops the grader, nothing is lost: another run, and the class is as if undisturbed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import contextmanager

import nbformat
import pytest
import tiny_homework as tiny

from autograder.course_folder import open_course
from autograder.grade import grade_class
from autograder.results import load_results
from autograder.workers import Workers
from course_utils.errors import CourseError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and kills what it forked")
KILLS = 50
STUDENTS = 6


@pytest.fixture
def folder(tmp_path, released):
    """What a small class hands in; no two the same."""
    for number in range(STUDENTS):
        answers = {"half": tiny.SOLUTIONS["half"]} | ({"double": "return 4"} if number % 2 else {})
        notebook = tiny.answered(nbformat.from_dict(released), answers)
        place = tmp_path / "in" / f"s{number}" / "tiny.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    return tmp_path / "in"


def graded(course_dir, folder, workers):
    return grade_class("tiny", course_dir, folder, workers=workers, progress=False)


def in_gradebook(course_dir):
    """Every row of the gradebook that grading writes, by student and cell."""
    with open_course(course_dir).gradebook() as gradebook:
        return sorted(
            (submission.student_id, grade.name, grade.score, grade.needs_manual_grade)
            for submission in gradebook.assignment_submissions("tiny")
            for notebook in submission.notebooks
            for grade in notebook.grades
        )


@pytest.mark.long
def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path, tiny_course, folder, workers):
    whole = shutil.copytree(tiny_course / "course", tmp_path / "whole")
    expected = {r.student: r.score for r in graded(whole, folder, workers)}
    rows = in_gradebook(whole)
    draw, kills, rounds = random.Random(0), 0, 0
    while kills < KILLS:
        rounds += 1
        course = shutil.copytree(tiny_course / "course", tmp_path / f"killed-{rounds}")
        while True:
            grader = multiprocessing.get_context("fork").Process(
                target=graded, args=(course, folder, workers)
            )
            grader.start()
            grader.join(draw.uniform(0.02, 0.5) if kills < KILLS else None)
            if not grader.is_alive():
                break
            os.kill(grader.pid, signal.SIGKILL)
            grader.join()
            kills += 1
        assert grader.exitcode == 0
        again = graded(course, folder, workers)
        assert {r.student: r.score for r in again} == expected
        assert all(r.recorded for r in again)
        assert in_gradebook(course) == rows


def test_the_sandbox_dies_in_mid_class(course_dir, folder, workers):
    with Workers(workers.kind, workers.limits) as own:
        own.start()
        before = own._sandbox
        process = getattr(before, "process", None) or before._host.process
        os.kill(process.pid, signal.SIGKILL)
        results = graded(course_dir, folder, own)
        assert own._sandbox is not before
    assert {r.status for r in results} == {"graded"}
    assert [r.score for r in results] == [1, 2] * (STUDENTS // 2)


def test_two_graders_at_once(course_dir, folder, workers):
    import fcntl

    with (course_dir / ".grading").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CourseError, match="another grader works in"):
            graded(course_dir, folder, workers)
    assert {r.status for r in graded(course_dir, folder, workers)} == {"graded"}


def test_a_locked_gradebook_costs_nothing_but_another_run(course_dir, folder, workers):
    with sqlite3.connect(course_dir / "gradebook.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        results = grade_class("tiny", course_dir, folder, ["s0"], workers=workers, progress=False)
    assert [r.status for r in results] == ["infra_error"]
    assert "locked" in results[0].reason
    other.close()
    (again,) = grade_class("tiny", course_dir, folder, ["s0"], workers=workers, progress=False)
    assert (again.status, again.score) == ("graded", 1)
    assert load_results(open_course(course_dir), "tiny") == [again]


@contextmanager
def small_disk(folder, size: int):
    """A file system of so many bytes; needs the right to mount one."""
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size={size} none {folder} 2>/dev/null"):
        pytest.skip("no right to mount a small file system")
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")


def _fill(path) -> None:
    """Grows a file until the file system is full."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"0" * 512)
    with pytest.raises(OSError, match="No space left"):
        os.write(file, b"0" * 512)
    os.close(file)


def test_a_full_disk_costs_nothing_but_another_run(tmp_path, tiny_course, folder, workers):
    with small_disk(tmp_path / "disk", 2_000_000) as disk:
        course = shutil.copytree(tiny_course / "course", disk / "course")
        filler = disk / "filler"
        _fill(filler)
        results = graded(course, folder, workers)
        assert {r.status for r in results} == {"infra_error"}
        filler.unlink()
        again = graded(course, folder, workers)
        assert [r.score for r in again] == [1, 2] * (STUDENTS // 2)
        assert len(in_gradebook(course)) == 2 * STUDENTS


def test_interrupted_by_hand(course_dir, folder, workers):
    """Ctrl-C: what is done is kept, the rest is done by the next run."""
    grader = multiprocessing.get_context("fork").Process(
        target=graded, args=(course_dir, folder, workers)
    )
    grader.start()
    results = course_dir / "results" / "tiny"
    deadline = time.monotonic() + 60
    while not list(results.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(grader.pid, signal.SIGINT)
    grader.join(30)
    assert not grader.is_alive()
    assert {r.status for r in graded(course_dir, folder, workers)} == {"graded"}
