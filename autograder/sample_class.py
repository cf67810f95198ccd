"""A class to try the grader on: the released notebook, with each student's answers written in.

`assignments/sample_class/<assignment>.toml` says what each student answered and what the
grader must make of it; roster.csv beside it says who they are.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.course_folder import open_course
from autograder.paired import assignments_folder, source_folder
from course_utils.errors import CourseError

#: what nbgrader leaves where an answer goes
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")


@dataclass(frozen=True)
class Student:
    """What one student of the sample class hands in, and what the grader must find."""

    name: str
    about: str
    status: str
    fails: list[str] | str
    starts_from: str = "stub"
    answers: dict[str, list[str]] = field(default_factory=dict)
    handed_in: bool = True
    file: str | None = None
    colab: bool = False
    copies: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)

    def expected(self, points: dict[str, float]) -> dict[str, float]:
        """Check -> points this student must get, where `points` are the full ones."""
        lost = points if self.fails == "all" else self.fails
        return {name: 0.0 if name in lost else most for name, most in points.items()}


def sample_students(assignment: str, assignments_dir: Path | str | None = None) -> list[Student]:
    """The sample class of an assignment.

    Raises:
        CourseError: it has none.
    """
    path = assignments_folder(assignments_dir) / "sample_class" / f"{assignment}.toml"
    if not path.exists():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.toml")))
        raise CourseError(f"no sample class for {assignment!r}. There is one for: {known}.")
    described = tomllib.loads(path.read_text("utf-8"))
    return [Student(name, **student) for name, student in described.items()]


def sample_roster(assignments_dir: Path | str | None = None) -> Path:
    """roster.csv of the sample class."""
    return assignments_folder(assignments_dir) / "sample_class" / "roster.csv"


def build_sample_class(
    assignment: str,
    course_dir: Path | str = "course-run",
    *,
    assignments_dir: Path | str | None = None,
) -> Path:
    """Write what the sample class hands in: a folder per student, ready for `grade`.

    Args:
        assignment: released in this course folder before.
        course_dir: the course folder; the submissions go to `handed-in/<assignment>` there.
        assignments_dir: where the instructor's versions are, if not in this repository.

    Returns:
        The folder with the submissions.

    Raises:
        CourseError: not released, no sample class, or an answer to a cell that is not there.
    """
    students = sample_students(assignment, assignments_dir)
    course = open_course(course_dir)
    if not course.is_released(assignment):
        raise CourseError(
            f"{assignment!r} is not released in {course.root}. First: course release {assignment}"
        )
    name = course.notebook_name(assignment)
    released = (course.step("release", assignment) / name).read_text("utf-8")
    original = nbformat.read(source_folder(assignment, assignments_dir) / name, as_version=4)
    folder = course.root / "handed-in" / assignment
    for student in students:
        if student.handed_in:
            notebook = nbformat.reads(released, as_version=4)
            text = submission(student, notebook, original)
            place = folder / student.name / (student.file or name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
    return folder


def submission(student: Student, released: NotebookNode, original: NotebookNode) -> str:
    """One student's notebook file, made from the released one (which is changed)."""
    cells = {_id(cell): cell for cell in released.cells if _id(cell)}
    answers = solutions(original) if student.starts_from == "solution" else {}
    answers |= student.answers
    for unknown in {*answers, *student.copies, *student.deletes} - cells.keys():
        raise CourseError(f"sample class, {student.name}: the homework has no cell {unknown!r}")
    for name, bodies in answers.items():
        cells[name].source = write_answer(cells[name].source, bodies)
    for name in student.copies:
        place = released.cells.index(cells[name])
        released.cells.insert(place + 1, nbformat.from_dict(cells[name]))
    released.cells = [cell for cell in released.cells if _id(cell) not in student.deletes]
    if student.colab:
        return json.dumps(_as_from_colab(released), indent=1, ensure_ascii=False)
    return json.dumps(released, indent=1, ensure_ascii=False) + "\n"


def solutions(original: NotebookNode) -> dict[str, list[str]]:
    """Cell id -> the instructor's text for each place where an answer goes."""
    found = {
        _id(cell): list(_regions(cell.source))
        for cell in original.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    return {name: bodies for name, bodies in found.items() if bodies}


def _regions(source: str) -> Iterator[str]:
    lines: list[str] | None = None
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            lines = []
        elif "END SOLUTION" in line and lines is not None:
            yield textwrap.dedent("\n".join(lines))
            lines = None
        elif lines is not None:
            lines.append(line)


def write_answer(source: str, bodies: list[str]) -> str:
    """A released cell with a text for each of its stubs.

    Raises:
        CourseError: the numbers of texts and stubs differ.
    """
    lines = source.splitlines()
    starts = [
        index
        for index in range(len(lines) - 1)
        if (lines[index].strip(), lines[index + 1].strip()) == STUB
    ]
    if len(starts) != len(bodies):
        raise CourseError(f"{len(bodies)} answers for {len(starts)} places in {lines[0]!r}")
    for start, body in reversed(list(zip(starts, bodies, strict=True))):
        indent = lines[start][: -len(lines[start].lstrip())]
        lines[start : start + 2] = textwrap.indent(body.strip("\n"), indent).splitlines()
    return "\n".join(lines)


def _as_from_colab(notebook: NotebookNode) -> dict:
    """The shape Colab saves: no cell ids, its own metadata, and its own first cell."""
    data = json.loads(json.dumps(notebook))
    mount = "from google.colab import drive\ndrive.mount('/content/drive')"
    first = {"cell_type": "code", "source": mount, "metadata": {}, "outputs": []}
    data["cells"].insert(0, first | {"execution_count": 1})
    for number, cell in enumerate(data["cells"]):
        cell.pop("id", None)
        cell["metadata"] |= {"id": f"aB3{number:09d}"}
        if cell["cell_type"] == "code":
            cell["metadata"]["outputId"] = f"0c8e-{number}"
    data["metadata"] |= {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"}
    data["nbformat_minor"] = 0
    return data


def _id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")
