"""The working folder of one course, laid out as nbgrader wants it.

    course-run/
      nbgrader_config.py   the settings of autograder.nbgrader_config
      source/              the instructor's notebooks, copied from assignments/
      release/             what students get
      submitted/           what they handed in
      autograded/          the same, judged
      feedback/            a page for each student
      results/             one small file per submission: status, checks, reason
      gradebook.db         nbgrader's database
      seed                 what the checks draw from
      checks/              checks of an instructor's own homework
      roster.csv           who is in the class (optional)
      policy.toml          deadlines, lateness, what counts (optional)

It is made where the user says, never inside the package, and may be deleted at any time: all
of it but `submitted/` and the gradebook can be made again.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader import api
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.nbgrader_config import (
    CONFIG_FILE,
    COURSE_ID,
    configure,
    prepare_environment,
)
from autograder.paired import assignments_folder, source_folder
from course_utils.errors import CourseError

POLICY, CONFIG, DATABASE = "policy.toml", "nbgrader_config.py", "gradebook.db"

#: the columns of roster.csv that go into the gradebook; others are left alone
ROSTER_COLUMNS = ("student_id", "first_name", "last_name", "email")


@dataclass(frozen=True)
class CourseFolder:
    """The paths of a course folder, and nbgrader opened on it."""

    root: Path

    def step(self, name: str, assignment: str, student: str = ".") -> Path:
        """`root/name/student/assignment`; source and release have no student ("." )."""
        return self.root / name / student / assignment

    @property
    def roster_file(self) -> Path:
        return self.root / "roster.csv"

    @property
    def policy_file(self) -> Path:
        return self.root / POLICY

    def notebook_name(self, assignment: str) -> str:
        """The file name of the assignment's notebook, as it was released."""
        return next(self.step("release", assignment).glob("*.ipynb")).name

    def seed(self) -> str:
        """What this course's checks draw from; made once, and never in a student's reach."""
        path = self.root / "seed"
        if not path.is_file():
            draft = path.with_suffix(f".{secrets.token_hex(4)}")
            draft.write_text(secrets.token_hex(16), "utf-8")
            with contextlib.suppress(FileExistsError):  # another grader was faster: its seed holds
                os.link(draft, path)
            draft.unlink()
        return path.read_text("utf-8").strip()

    def is_released(self, assignment: str) -> bool:
        return any(self.step("release", assignment).glob("*.ipynb"))

    def config(self) -> Config:
        """The folder's nbgrader_config.py, with whatever was added to it.

        Raises:
            CourseError: it can't be run; says what it raises.
        """
        path = self.root / CONFIG
        if not path.is_file():
            return configure(Config(), self.root)
        loader = PyFileConfigLoader(path.name, path=str(self.root))
        try:
            return loader.load_config()
        except Exception as broken:
            raise CourseError(f"{path}: {type(broken).__name__}: {broken}") from broken

    @property
    def db_url(self) -> str:
        """Where the gradebook is: SQLite in this folder, unless nbgrader_config.py says another."""
        return self.config().CourseDirectory.get("db_url") or f"sqlite:///{self.root / DATABASE}"

    def nbgrader(self) -> NbGraderAPI:
        """nbgrader's own interface, on this folder. It says only what goes wrong."""
        api = NbGraderAPI(config=self.config())
        api.log_level = "ERROR"
        return api

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        """The database, closed at the end of the block."""
        about = self.config().CourseDirectory
        with Gradebook(self.db_url, about.get("course_id", COURSE_ID)) as gradebook:
            yield gradebook


@contextmanager
def one_engine() -> Iterator[None]:
    """Within the block, all gradebooks of one address share an engine.

    nbgrader opens the database some ten times for a submission, and each time SQLAlchemy compiles
    the same queries again: more than half of what writing a grade costs.
    """
    engines: dict[str, Any] = {}
    usual = api.create_engine

    def shared(url: str, **options: Any) -> Any:
        if url not in engines:
            engines[url] = usual(url, **options)
        return engines[url]

    api.create_engine = shared
    try:
        yield
    finally:
        api.create_engine = usual
        for engine in engines.values():
            engine.dispose()


def open_course(course_dir: Path | str = "course-run") -> CourseFolder:
    """The course folder at `course_dir`, made if need be. Your files there are left alone.

    Raises:
        CourseError: the path is a file.
    """
    root = Path(course_dir).expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise CourseError(f"expected a folder for the course, but {root} is a file.")
    for name in ("source", "release", "submitted", "autograded", "feedback", "results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    prepare_environment()
    config = root / CONFIG
    if not config.exists():
        config.write_text(CONFIG_FILE, "utf-8")
    return CourseFolder(root)


def why_nbgrader_failed(outcome: dict) -> str:
    """The first exception in what nbgrader's interface returned, as one line.

    The last one only says that something went wrong earlier.
    """
    text = f"{outcome.get('log') or ''}\n{outcome.get('error') or ''}"
    lines = [line.strip() for line in text.splitlines()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit)\b", line)]
    return (errors or lines or ["no reason given"])[0][:500]


def add_source(
    course: CourseFolder, assignment: str, assignments_dir: Path | str | None = None
) -> Path:
    """Copy the instructor's version into the course folder, replacing an older copy.

    The paired text stays behind: nbgrader would hand it to the students.
    """
    origin = source_folder(assignment, assignments_dir)
    target = course.step("source", assignment)
    shutil.rmtree(target, ignore_errors=True)
    texts = [notebook.with_suffix(".py").name for notebook in origin.glob("*.ipynb")]
    ignored = shutil.ignore_patterns(*texts, "__pycache__", ".ipynb_checkpoints")
    shutil.copytree(origin, target, ignore=ignored)
    for path in target.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.pop("jupytext", None)  # students have no paired text
        nbformat.write(notebook, path)
    checks = assignments_folder(assignments_dir) / "checks" / f"{assignment}.py"
    if checks.is_file():
        (course.root / "checks").mkdir(exist_ok=True)
        shutil.copyfile(checks, course.root / "checks" / checks.name)
    return target


def read_roster(path: Path | str) -> list[dict[str, str]]:
    """The class, a dict per student with at least "student_id".

    Raises:
        CourseError: no such file, no column student_id, or a line whose id is missing, there
            for the second time, or no name for a folder; names the line.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except OSError as error:
        raise CourseError(f"no roster: {path} can't be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise CourseError(
            f"{path}: expected text in UTF-8. Save the roster as CSV UTF-8."
        ) from None
    if "student_id" not in columns:
        raise CourseError(f"{path}: expected a column 'student_id', got {', '.join(columns)}.")
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        student = row["student_id"] = (row["student_id"] or "").strip()
        problem = ""
        if not student:
            problem = "no student_id"
        elif student in seen:
            problem = f"student {student!r} for the second time"
        elif not re.fullmatch(r"[^./\\*?\[][^/\\*?\[]*", student):
            problem = f"student_id {student!r} can't be a folder's name"
        if problem:
            raise CourseError(f"{path}, line {line}: {problem}. Expected each student once.")
        seen.add(student)
    return rows


def add_roster(course: CourseFolder, roster: Path | str) -> list[str]:
    """Put the class into the gradebook and keep the file as roster.csv; returns the ids."""
    rows = read_roster(roster)
    if Path(roster).resolve() != course.roster_file:
        shutil.copyfile(roster, course.roster_file)
    with course.gradebook() as gradebook:
        for row in rows:
            known = {name: row[name] for name in ROSTER_COLUMNS[1:] if row.get(name)}
            gradebook.update_or_create_student(row["student_id"], **known)
    return [row["student_id"] for row in rows]
