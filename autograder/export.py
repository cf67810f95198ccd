"""Grades for others: `nbgrader export` with quotes, and files that Canvas and Moodle read.

export_for("canvas", course, "hw_prompt")      one homework
export_for("moodle", course)                   what counts: of each one_of the better one
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin

from autograder.course_folder import CourseFolder, open_course, read_roster
from autograder.late import renew_penalties
from autograder.policy import Policy, read_policy
from course_utils.errors import CourseError, unknown_name

#: the columns of nbgrader's own export
COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)


class QuotedCsv(ExportPlugin):
    """The same table as nbgrader's CSV export, quoted as RFC 4180 asks."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the grades to `self.to`, or to grades.csv here."""
        renew_penalties(open_course(self.parent.coursedir.root))
        rows = gradebook_rows(gradebook, set(self.assignment), {str(s) for s in self.student})
        write_csv(Path(self.to or "grades.csv"), COLUMNS, rows)


def gradebook_rows(
    gradebook: Gradebook, assignments: set[str] = frozenset(), students: set[str] = frozenset()
) -> Iterator[dict[str, Any]]:
    """A row per assignment and student; an empty selection means all. Nothing handed in is 0."""
    for assignment in gradebook.assignments:
        if assignments and assignment.name not in assignments:
            continue
        for student in gradebook.students:
            if not students or student.id in students:
                yield _row(gradebook, assignment, student)


def _row(gradebook: Gradebook, assignment: Any, student: Any) -> dict[str, Any]:
    row = {
        "assignment": assignment.name,
        "duedate": assignment.duedate,
        "student_id": student.id,
        "last_name": student.last_name,
        "first_name": student.first_name,
        "email": student.email,
        "max_score": assignment.max_score,
        "timestamp": None,
        "raw_score": 0.0,
        "late_submission_penalty": 0.0,
        "score": 0.0,
    }
    try:
        submission = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:
        return row
    penalty = submission.late_submission_penalty or 0.0
    return row | {
        "timestamp": submission.timestamp,
        "raw_score": submission.score,
        "late_submission_penalty": penalty,
        "score": max(0.0, submission.score - penalty),
    }


def _canvas(scores: Scores, people: Sequence[Row], most: float, title: str) -> list[Row]:
    """Canvas' gradebook: its own five columns first, and a row with the points possible."""
    head = {"Student": "    Points Possible", title: f"{most:g}"}
    rows = [
        {
            "Student": ", ".join(filter(None, [who.get("last_name"), who.get("first_name")]))
            or who["student_id"],
            "ID": who.get("canvas_id", ""),
            "SIS User ID": who.get("sis_user_id", ""),
            "SIS Login ID": who.get("sis_login_id") or who["student_id"],
            "Section": who.get("section") or who.get("group", ""),
            title: f"{scores[who['student_id']]:g}" if who["student_id"] in scores else "",
        }
        for who in people
    ]
    return [head, *rows]


def _moodle(scores: Scores, people: Sequence[Row], most: float, title: str) -> list[Row]:
    """Moodle's grade import maps columns by hand; these are the names it proposes."""
    return [
        {
            "username": who.get("username") or who["student_id"],
            "idnumber": who.get("idnumber") or who["student_id"],
            "email": who.get("email", ""),
            title: f"{scores[who['student_id']]:g}" if who["student_id"] in scores else "-",
        }
        for who in people
    ]


Row = dict[str, str]
Scores = dict[str, float]
FORMATS = {
    "canvas": (("Student", "ID", "SIS User ID", "SIS Login ID", "Section"), _canvas),
    "moodle": (("username", "idnumber", "email"), _moodle),
}


def export_for(lms: str, course: CourseFolder, assignment: str | None = None) -> Path:
    """A CSV for an LMS in the course folder, `<assignment>-<lms>.csv`.

    Args:
        lms: "canvas" or "moodle". The roster's columns canvas_id, sis_user_id, sis_login_id,
            section, username, idnumber are used where they are there, else student_id.
        assignment: None for the whole course: a column with the homework that counts by the
            policy, of each `one_of` the better one.

    Raises:
        CourseError: another LMS, no such assignment, or nobody to export.
    """
    if lms not in FORMATS:
        raise unknown_name("format", lms, FORMATS)
    columns, write = FORMATS[lms]
    scores, most = scores_of(course, assignment)
    people = _people(course, scores)
    if not people:
        raise CourseError(f"nobody to export: no roster and no grades in {course.root}.")
    title = assignment or "Homework"
    rows = write(scores, people, most, title)
    return write_csv(course.root / f"{assignment or 'course'}-{lms}.csv", [*columns, title], rows)


def scores_of(course: CourseFolder, assignment: str | None) -> tuple[Scores, float]:
    """(student -> score, the most there is); students who handed in nothing are not among them."""
    policy = read_policy(course.policy_file) if course.policy_file.is_file() else Policy()
    renew_penalties(course)
    with course.gradebook() as gradebook:
        known = {one.name: one.max_score for one in gradebook.assignments}
        if assignment is not None and assignment not in known:
            raise unknown_name("assignment", assignment, known)
        each: dict[str, dict[str, float]] = {}
        for name in known:
            for found in gradebook.assignment_submissions(name):
                net = max(0.0, found.score - (found.late_submission_penalty or 0.0))
                each.setdefault(found.student_id, {})[name] = net
    if assignment is not None:
        return {s: own[assignment] for s, own in each.items() if assignment in own}, known[
            assignment
        ]
    most = sum(policy.counted(dict.fromkeys(known, 0.0) | known).values())
    return {student: sum(policy.counted(own).values()) for student, own in each.items()}, most


def _people(course: CourseFolder, scores: Scores) -> list[Row]:
    """The roster, and after it whoever has a score and is not on it."""
    rows = read_roster(course.roster_file) if course.roster_file.is_file() else []
    there = {row["student_id"] for row in rows}
    return [*rows, *({"student_id": student} for student in sorted(scores) if student not in there)]


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows under the named columns; an absent value is an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), restval="", extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return path
