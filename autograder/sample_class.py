"""A class to try the grader on: the released notebook, with each student's answers written in.

`assignments/sample_class/<assignment>.toml` says what each student answered and what the
grader must make of it; roster.csv beside it says who they are. Runs that a student hands in are
made here, small but real.
"""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.course_folder import open_course
from autograder.judging.judge import Check
from autograder.paired import assignments_folder, source_folder
from course_utils.errors import CourseError

#: what nbgrader leaves where an answer goes, in code and in words
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
WRITTEN_STUB = "YOUR ANSWER HERE"


@dataclass(frozen=True)
class Student:
    """What one student of the sample class hands in, and what the grader must find.

    Attributes:
        about: what is special, in a sentence.
        status: of the submission, when it is judged.
        fails: the judge's checks that fail, each as "exercise: name of the check", or as
            "exercise" for all of that exercise; "all" for everything. All others earn their full
            points.
        starts_from: "solution", the instructor's code in all cells that `answers` does not name; or
            "stub", as released. Written answers are never taken from the instructor.
        answers: cell -> a text for each place where an answer goes.
        file: the notebook's name, if it is another.
        colab: saved by Colab.
        copies, deletes: cells that are there twice, or not at all.
        loses: cells whose metadata is lost; "all" for all of them.
        appends: cell -> text at the end of that cell, behind the answer.
        inserts: cell -> source of a cell that the student has added before it.
        at: when it was handed in.
        penalty_percent: what lateness costs, of the points earned.
        runs: keyword arguments of `course_utils.run.run`, for each run in the zip.
        runs_of: the student whose runs are handed in instead of own ones.
        raises_scores: the records claim a score of 0.99.
        results: points that the runs must earn.
    """

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
    loses: list[str] | str = field(default_factory=list)
    appends: dict[str, str] = field(default_factory=dict)
    inserts: dict[str, str] = field(default_factory=dict)
    at: datetime.datetime | None = None
    penalty_percent: float = 0.0
    runs: list[dict[str, Any]] = field(default_factory=list)
    runs_of: str | None = None
    raises_scores: bool = False
    results: float = 0.0

    def expected(self, checks: Iterable[Check]) -> dict[str, float]:
        """ "exercise: name" -> points that this student must get for the check.

        Raises:
            CourseError: `fails` names a check that is none of them.
        """
        known = list(checks)
        names = {f"{check.exercise}: {check.name}" for check in known}
        lost = names if self.fails == "all" else set(self.fails)
        for odd in lost - names - {check.exercise for check in known}:
            raise CourseError(f"sample class, {self.name}: there is no check {odd!r}")
        return {
            f"{check.exercise}: {check.name}": 0.0
            if {check.exercise, f"{check.exercise}: {check.name}"} & lost
            else check.points
            for check in known
        }


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
    with_runs: bool = True,
) -> Path:
    """Write what the sample class hands in: a folder per student, ready for `grade`.

    Who hands in runs has a zip, as `course_utils.submit.pack` writes it, beside the notebook. Who
    handed in at a known time has a timestamp.txt.

    Args:
        assignment: released in this course folder before.
        course_dir: the course folder; the submissions go to `handed-in/<assignment>` there.
        assignments_dir: where the instructor's versions are, if not in this repository.
        with_runs: make the runs and their zips, too, which takes half a minute.

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
            if student.at is not None:
                place.with_name("timestamp.txt").write_text(student.at.isoformat() + "\n", "utf-8")
    if with_runs:
        hand_in_runs(assignment, students, folder, name)
    return folder


def hand_in_runs(assignment: str, students: Sequence[Student], folder: Path, name: str) -> None:
    """The zip of each student who hands in runs; equal runs are made once."""
    from course_utils.submit import pack

    by_name = {student.name: student for student in students}
    with tempfile.TemporaryDirectory() as place:
        made: dict[str, Path] = {}
        for student in students:
            asked = by_name[student.runs_of].runs if student.runs_of else student.runs
            if not asked or not student.handed_in:
                continue
            runs = Path(place) / student.name
            for number, wanted in enumerate(asked):
                key = json.dumps(wanted, sort_keys=True)
                if key not in made:
                    made[key] = _make_run(wanted, Path(place) / f"made-{len(made)}")
                shutil.copytree(made[key], runs / str(number))
            if student.raises_scores:
                _raise_scores(runs)
            mine = folder / student.name
            pack(
                assignment,
                notebook=mine / (student.file or name),
                runs=runs,
                output=mine / f"{assignment}.zip",
            )


def _make_run(wanted: Mapping[str, Any], output: Path) -> Path:
    from course_utils.run import run
    from course_utils.settings import TrainSettings

    given = dict(wanted)
    settings = TrainSettings(**given.pop("settings", {}))
    run(**given, settings=settings, output=output, progress=False, say=lambda text: None)
    return output


def _raise_scores(runs: Path) -> None:
    for path in runs.rglob("record.json"):
        record = json.loads(path.read_text("utf-8")) | {"score": 0.99}
        path.write_text(json.dumps(record), "utf-8")


def submission(student: Student, released: NotebookNode, original: NotebookNode) -> str:
    """One student's notebook file, made from the released one (which is changed)."""
    cells = {_id(cell): cell for cell in released.cells if _id(cell)}
    answers = {}
    if student.starts_from == "solution":
        whole = solutions(original)
        answers = {name: bodies for name, bodies in whole.items() if _is_code(cells[name])}
    answers |= student.answers
    lost = [*cells] if student.loses == "all" else student.loses
    named = {*answers, *student.copies, *student.deletes, *lost}
    named |= {*student.appends, *student.inserts}
    for unknown in named - cells.keys():
        raise CourseError(f"sample class, {student.name}: the homework has no cell {unknown!r}")
    for name, bodies in answers.items():
        cells[name].source = write_answer(cells[name].source, bodies)
    for name, text in student.appends.items():
        cells[name].source += "\n\n" + text
    for name, source in student.inserts.items():
        new = nbformat.v4.new_code_cell(source, id=f"mine-{name}")
        released.cells.insert(released.cells.index(cells[name]), new)
    for name in student.copies:
        place = released.cells.index(cells[name])
        released.cells.insert(place + 1, nbformat.from_dict(cells[name]))
    released.cells = [cell for cell in released.cells if _id(cell) not in student.deletes]
    for name in lost:
        del cells[name].metadata["nbgrader"]
    if student.colab:
        return json.dumps(_as_from_colab(released), indent=1, ensure_ascii=False)
    return json.dumps(released, indent=1, ensure_ascii=False) + "\n"


def _is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code"


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
        for index in range(len(lines))
        if lines[index].strip() == WRITTEN_STUB
        or (lines[index].strip(), *map(str.strip, lines[index + 1 : index + 2])) == STUB
    ]
    if len(starts) != len(bodies):
        raise CourseError(f"{len(bodies)} answers for {len(starts)} places in {lines[0]!r}")
    for start, body in reversed(list(zip(starts, bodies, strict=True))):
        indent = lines[start][: -len(lines[start].lstrip())]
        stub = 1 if lines[start].strip() == WRITTEN_STUB else len(STUB)
        lines[start : start + stub] = textwrap.indent(body.strip("\n"), indent).splitlines()
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
