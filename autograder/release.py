"""From the instructor's version to the students': built by nbgrader, then checked.

Two promises, both checked on the released file itself: no line of a solution or of a hidden
test is left in it, and whoever runs it without writing anything meets NotImplementedError and
no other error.
"""

from __future__ import annotations

import datetime
import shutil
import subprocess
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from autograder.course_folder import (
    POLICY,
    CourseFolder,
    add_source,
    open_course,
    why_nbgrader_failed,
)
from autograder.homework import open_homework
from autograder.nbgrader_config import TRAINING_TAG
from autograder.paired import assignments_folder
from autograder.policy import read_policy
from course_utils.errors import CourseError

#: for a cell: on a busy machine importing torch and transformers takes minutes
CELL_SECONDS = 600

#: the regions that students must not see, by nbgrader's markers
REGIONS = ("SOLUTION", "HIDDEN TESTS")


def release(
    assignment: str,
    course_dir: Path | str = "course-run",
    *,
    assignments_dir: Path | str | None = None,
    run: bool = True,
) -> Path:
    """Build the students' version of `assignment` in a course folder.

    Releasing again replaces the file; grades already given stay in the gradebook.

    Args:
        assignment: such as "hw_prompt".
        course_dir: the course folder, made if need be.
        assignments_dir: where the instructor's versions are, if not in this repository.
        run: also execute the released notebook (some seconds) to see that it raises nothing
            but NotImplementedError.

    Returns:
        The released notebook.

    Raises:
        CourseError: there is no such assignment, the policy is wrong, its points are not those of
            the checks, nbgrader refuses it, or a promise is broken.
    """
    course = open_course(course_dir)
    add_policy(course, assignments_dir)
    source = add_source(course, assignment, assignments_dir)
    open_homework(assignment, course)
    outcome = course.nbgrader().generate_assignment(assignment, force=True)
    if not outcome["success"]:
        raise CourseError(
            f"nbgrader could not release {assignment!r}: {why_nbgrader_failed(outcome)}. If it is "
            f"about cells, look at their nbgrader metadata in {source}."
        )
    released = course.step("release", assignment) / course.notebook_name(assignment)
    original = nbformat.read(source / released.name, as_version=4)
    notebook = nbformat.read(released, as_version=4)
    problems = leaks(original, notebook)
    if run and not problems:
        problems = unexpected_errors(run_cells(notebook))
    if problems:
        _take_back(course, assignment)
        raise CourseError(f"{assignment!r} was not released: " + "; ".join(problems))
    set_deadline(course, assignment)
    return released


def add_policy(course: CourseFolder, assignments_dir: Path | str | None = None) -> None:
    """Puts the course's policy into the folder, unless it has one; a wrong one is refused."""
    shipped = assignments_folder(assignments_dir) / POLICY
    if not course.policy_file.exists() and shipped.is_file():
        shutil.copyfile(shipped, course.policy_file)
    if course.policy_file.is_file():
        read_policy(course.policy_file)


def set_deadline(course: CourseFolder, assignment: str) -> None:
    """Tells nbgrader the policy's earliest deadline: it asks about everybody who is later."""
    if not course.policy_file.is_file():
        return
    due = read_policy(course.policy_file).earliest(assignment)
    if due is None:
        return
    in_utc = due.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(sep=" ")
    with course.gradebook() as gradebook:
        gradebook.update_or_create_assignment(assignment, duedate=in_utc)


def hidden_lines(notebook: NotebookNode) -> set[str]:
    """The lines inside solutions and hidden tests that stand nowhere else in the notebook."""
    inside: set[str] = set()
    outside: set[str] = set()
    for cell in notebook.cells:
        region = None
        for line in map(str.strip, cell.source.splitlines()):
            marks = [name for name in REGIONS if f"BEGIN {name}" in line or f"END {name}" in line]
            if marks:
                region = marks[0] if "BEGIN" in line else None
            else:
                (outside if region is None else inside).add(line)
    return {line for line in inside - outside if any(map(str.isalnum, line))}


def leaks(original: NotebookNode, released: NotebookNode) -> list[str]:
    """What of the solutions and hidden tests is still in the released notebook."""
    secret = hidden_lines(original)
    return [
        f"cell {index} still has the line {line.strip()!r}"
        for index, cell in enumerate(released.cells)
        for line in cell.source.splitlines()
        if line.strip() in secret or any(f"BEGIN {region}" in line for region in REGIONS)
    ]


def run_cells(notebook: NotebookNode) -> NotebookNode:
    """The notebook executed in an empty folder but for training; errors are kept as outputs."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            startup_timeout=CELL_SECONDS,
            allow_errors=True,
            skip_cells_with_tag=TRAINING_TAG,
            resources={"metadata": {"path": folder}},
        )
        # The kernel's own remarks are not for the reader; errors come back as outputs.
        return client.execute(stderr=subprocess.DEVNULL)


def unexpected_errors(executed: NotebookNode) -> list[str]:
    """Errors other than NotImplementedError, as one line each."""
    return [
        f"cell {index} raises {output.ename}: {output.evalue}"
        for index, cell in enumerate(executed.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error" and output.ename != "NotImplementedError"
    ]


def _take_back(course: CourseFolder, assignment: str) -> None:
    for path in course.step("release", assignment).glob("*.ipynb"):
        path.unlink()
