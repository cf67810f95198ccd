"""A homework of two one-line exercises that needs no torch, and classes graded once per run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import judging_host
import nbformat
import pytest
import tiny_homework as tiny
from made_once import made_once

from autograder.course_folder import open_course
from autograder.grade import grade_class
from autograder.release import release
from autograder.sample_class import build_sample_class, sample_roster
from autograder.sandbox.limits import Limits
from autograder.sandbox.trying import why_not
from autograder.workers import Workers

LIMITS = Limits(call_seconds=6, cell_seconds=30)


@pytest.fixture(scope="session")
def workers():
    """One sandbox for all tests of a process: opening one takes seconds.

    Where this machine can have none, the code runs without: what tests hand in is ours.
    """
    kind = "none" if why_not("bubblewrap") else "bubblewrap"
    with Workers(kind, LIMITS) as opened:
        yield opened


@pytest.fixture
def assignments(tmp_path: Path) -> Path:
    """A folder with the instructor's version of "tiny"."""
    return tiny.write_assignment(tmp_path / "assignments", tiny.notebook())


@pytest.fixture(scope="session")
def tiny_course(tmp_path_factory) -> Path:
    """A course folder in which "tiny" is released, to be copied (a new gradebook takes seconds)."""

    def make(root: Path) -> None:
        folder = tiny.write_assignment(root / "assignments", tiny.notebook())
        release("tiny", root / "course", assignments_dir=folder, run=False)

    return made_once(tmp_path_factory, "tiny-course", make)


@pytest.fixture
def course_dir(tiny_course: Path, tmp_path: Path) -> Path:
    """A fresh course folder in which "tiny" is released."""
    return shutil.copytree(tiny_course / "course", tmp_path / "course")


@pytest.fixture
def released(tiny_course: Path) -> nbformat.NotebookNode:
    path = tiny_course / "course" / "release" / "tiny" / "tiny.ipynb"
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="session")
def tiny_class(tmp_path_factory, workers) -> Path:
    """A course folder in which everybody of tiny_homework.CLASS is graded."""

    def make(root: Path) -> None:
        folder = tiny.write_assignment(root / "assignments", tiny.notebook())
        release("tiny", root / "course", assignments_dir=folder, run=False)
        stub = nbformat.read(root / "course" / "release" / "tiny" / "tiny.ipynb", as_version=4)
        tiny.write_class(root / "in", stub)
        roster = root / "roster.csv"
        roster.write_text("student_id\nabsent\n" + "\n".join(tiny.CLASS) + "\n", "utf-8")
        grade_class(
            "tiny", root / "course", root / "in", roster=roster, workers=workers, progress=False
        )

    return made_once(tmp_path_factory, "tiny-class", make)


def sample_class_graded(homework: str, workers: Workers) -> Callable[[Path], None]:
    """What grades a homework's sample class, its instructor and a stub in a course folder."""

    def make(root: Path) -> None:
        stub = release(homework, root / "course")
        folder = build_sample_class(homework, root / "course")
        source = open_course(root / "course").step("source", homework) / stub.name
        for student, notebook in (("the-instructor", source), ("the-stub", stub)):
            (folder / student).mkdir()
            (folder / student / stub.name).write_bytes(notebook.read_bytes())
        grade_class(homework, root / "course", folder, roster=sample_roster(), workers=workers)

    return make


@pytest.fixture(scope="session")
def hw_prompt_class(tmp_path_factory, workers) -> Path:
    """A course folder in which the sample class, the instructor and a stub are graded."""
    return made_once(tmp_path_factory, "hw-prompt-class", sample_class_graded("hw_prompt", workers))


@pytest.fixture(scope="session")
def hw_adapter_class(tmp_path_factory, workers) -> Path:
    """The same for HW-Adapter."""
    return made_once(
        tmp_path_factory, "hw-adapter-class", sample_class_graded("hw_adapter", workers)
    )


@pytest.fixture(scope="module")
def connect():
    """connect(folder) -> a connection to a new worker."""
    with judging_host.workers() as connect:
        yield connect


@pytest.fixture
def hand_in(tmp_path: Path, released) -> Callable[..., Path]:
    """hand_in(student, **answers) -> the folder with everybody's submissions."""

    def write(student: str, **answers: str) -> Path:
        text = json.dumps(tiny.answered(nbformat.from_dict(released), answers))
        place = tmp_path / "in" / student / "tiny.ipynb"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")
        return tmp_path / "in"

    return write
