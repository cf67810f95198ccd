"""The outcome of one submission, kept in a small file of its own.

Every submission ends in one status, the worst that happened on the way; what each exercise earned
stands in its checks.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from autograder.course_folder import CourseFolder

CHECK = "-check"  #: exercise X has its points in the cell X-check
RESULTS = "results"  #: the exercise whose points come from runs
BONUS = "bonus-"  #: exercises whose points come on top

#: status -> what it means, for the report and for `course grade --help`
STATUSES = {
    "graded": "every exercise was judged",
    "student_error": "an answer does not run, or the file can't be read; the rest is scored",
    "timeout": "an exercise took too long and earns nothing; the others are scored",
    "out_of_memory": "an exercise used more memory than allowed; the others are scored",
    "output_limit": "an exercise gave more than allowed; the others are scored",
    "crashed": "an exercise ended its Python process; the others are scored",
    "missing": "nothing was handed in",
    "infra_error": "the grader failed, not the student; run it again",
}


@dataclass(frozen=True)
class Check:
    """One promise of an exercise: what it earned, and why not more."""

    exercise: str
    name: str
    points: float
    max_points: float
    message: str = ""


@dataclass(frozen=True)
class Result:
    """What came of one student's submission.

    Attributes:
        score: the gradebook's: checks, what a person has given, less what lateness costs.
        earned: what the checks alone give.
        reason: one line on a status other than "graded".
        notes: what intake repaired or left out.
        findings: what is wrong, or odd, about runs.
        digests: run -> checksums of its files, to compare students by.
        said: cell number in the notebook -> what it printed, or the exception it raised.
        digest: what was judged (see `homework.digest`); "" where there was nothing to judge.
        recorded: by which deadlines it is in the gradebook; "" while it is not.
        needs_person: whether somebody should look. In the file: the judge's doubts alone; whether
            written answers still wait, the gradebook knows (see `exercises.Paper`).
    """

    student: str
    assignment: str
    status: str
    score: float = 0.0
    max_score: float = 0.0
    checks: tuple[Check, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    said: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: float = 0.0
    digest: str = ""
    recorded: str = ""
    needs_person: bool = False

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is none of {', '.join(STATUSES)}")

    @property
    def earned(self) -> float:
        return sum(check.points for check in self.checks)

    def __str__(self) -> str:
        """Status and score, and in a line each what cost points."""
        first = f"{self.student}, {self.assignment}: {self.status}, {self.score:g} of "
        lost = [
            f"  {check.points:g}/{check.max_points:g}  {check.exercise}: {check.name}"
            + (f": {check.message}" if check.message else "")
            for check in self.checks
            if check.points < check.max_points
        ]
        said = [f"  {one}" for one in (self.reason, *self.notes, *self.findings) if one]
        look = ["  a person has still to look at this"] if self.needs_person else []
        return "\n".join([f"{first}{self.max_score:g}", *lost, *said, *look])

    def of(self, exercise: str) -> tuple[Check, ...]:
        """The checks of one exercise."""
        return tuple(check for check in self.checks if check.exercise == exercise)


def result_file(course: CourseFolder, assignment: str, student: str) -> Path:
    return course.root / "results" / assignment / f"{student}.json"


def save_result(course: CourseFolder, result: Result) -> Path:
    """Write the file in one step: a killed run leaves the old one or the new one, whole."""
    path = result_file(course, result.assignment, result.student)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            # what a student wrote may hold half a character, which UTF-8 has no place for
            json.dump(asdict(result), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def load_result(course: CourseFolder, assignment: str, student: str) -> Result | None:
    """The last result, or None when there is none (or its file is damaged, or of another kit)."""
    try:
        data = json.loads(result_file(course, assignment, student).read_text("utf-8"))
        for name in ("notes", "findings"):
            data[name] = tuple(data[name])
        data["checks"] = tuple(Check(**check) for check in data["checks"])
        return Result(**data)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def load_results(course: CourseFolder, assignment: str) -> list[Result]:
    """Every student's last result, by student, with the scores the gradebook has now.

    A person may have given points in formgrader since the run; they count. Whether answers
    still wait is another question: see `exercises.read_paper`.
    """
    folder = course.root / "results" / assignment
    found = (load_result(course, assignment, path.stem) for path in sorted(folder.glob("*.json")))
    results = [result for result in found if result is not None]
    if not results:
        return []
    with course.gradebook() as gradebook:
        scores = {
            submission.student_id: max(
                0.0, submission.score - (submission.late_submission_penalty or 0.0)
            )
            for submission in gradebook.assignment_submissions(assignment)
        }
    return [replace(result, score=scores.get(result.student, result.score)) for result in results]
