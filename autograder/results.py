"""The outcome of one submission, kept in a small file of its own.

Every submission ends in one status. Statuses speak of the submission as a whole; what each
exercise earned stands in the checks.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from autograder.course_folder import CourseFolder

#: status -> what it means, for the report and for `course grade --help`
STATUSES = {
    "graded": "ran to the end; the score stands",
    "student_error": "an answer does not run, or the file can't be read; the rest is scored",
    "timeout": "took too long; what ran before is scored",
    "out_of_memory": "used more memory than allowed",
    "output_limit": "printed more than allowed",
    "crashed": "ended its own Python process; scored 0, a person should look",
    "missing": "nothing was handed in",
    "infra_error": "the grader failed, not the student; run it again",
}


@dataclass(frozen=True)
class Check:
    """One graded cell: what it earned, and why not more."""

    name: str
    points: float
    max_points: float
    message: str = ""


@dataclass(frozen=True)
class Result:
    """What came of one student's submission.

    `score` is the gradebook's (checks plus what a person has given), `reason` one line on a
    status other than "graded", `notes` what intake repaired or left out, `digest` what was
    graded (see `grade.digest`).
    """

    student: str
    assignment: str
    status: str
    score: float = 0.0
    max_score: float = 0.0
    checks: tuple[Check, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    digest: str = ""
    needs_person: bool = field(default=False)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is none of {', '.join(STATUSES)}")


def result_file(course: CourseFolder, assignment: str, student: str) -> Path:
    return course.root / "results" / assignment / f"{student}.json"


def save_result(course: CourseFolder, result: Result) -> Path:
    """Write the file in one step: a killed run leaves the old one or the new one, whole."""
    path = result_file(course, result.assignment, result.student)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False), "utf-8")
    os.replace(draft, path)
    return path


def load_result(course: CourseFolder, assignment: str, student: str) -> Result | None:
    """The last result, or None when there is none (or its file is damaged)."""
    try:
        data = json.loads(result_file(course, assignment, student).read_text("utf-8"))
        checks = tuple(Check(**check) for check in data.pop("checks"))
        return Result(**data | {"checks": checks, "notes": tuple(data["notes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def load_results(course: CourseFolder, assignment: str) -> list[Result]:
    """Every student's last result, by student, with the scores the gradebook has now.

    A person may have given points in formgrader since the run; they count.
    """
    folder = course.root / "results" / assignment
    found = (load_result(course, assignment, path.stem) for path in sorted(folder.glob("*.json")))
    results = [result for result in found if result is not None]
    if not results:
        return []
    with course.gradebook() as gradebook:
        scores = {
            submission.student_id: (submission.score, submission.needs_manual_grade)
            for submission in gradebook.assignment_submissions(assignment)
        }
    return [
        replace(result, score=score, needs_person=result.needs_person or manual)
        for result in results
        for score, manual in [scores.get(result.student, (result.score, False))]
    ]
