"""The policy's deadlines in nbgrader: its late-penalty plugin, by group and with extensions.

nbgrader knows one date for an assignment; `course release` tells it the earliest of the policy. The
plugin is asked about whoever is later than that, and judges by the student's own deadline.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from nbgrader.plugins import BasePlugin

from autograder.course_folder import POLICY, CourseFolder, read_roster
from autograder.policy import Policy, read_policy
from course_utils.errors import CourseError


class GroupDeadlines(BasePlugin):
    """Points that a late submission loses by the course folder's policy.toml."""

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float | None:
        """nbgrader's question; None where there is no policy.

        Raises:
            CourseError: a wrong policy, or a student whose group has no deadline.
        """
        root = Path(self.config.CourseDirectory.root)
        if not (root / POLICY).is_file():
            return None
        policy = read_policy(root / POLICY)
        assignment = self.parent.assignment_id
        handed_in = self.parent.gradebook.find_submission(assignment, student_id).timestamp
        return policy.penalty(assignment, score, handed_in, group_of(student_id, root), student_id)


@dataclass(frozen=True)
class Late:
    """A late submission: by how much (None: no deadline is known), and the points it costs."""

    by: datetime.timedelta | None
    costs: float

    def __str__(self) -> str:
        if self.by is None:
            return "late"
        hours, rest = divmod(int(self.by.total_seconds()), 3600)
        if hours < 1:
            return f"{rest // 60} min late"
        return f"{hours} h late" if hours < 48 else f"{hours // 24} days late"


def handed_in_late(course: CourseFolder, assignment: str) -> dict[str, Late]:
    """Who handed in behind the own deadline, by student; nobody where there is no policy."""
    if not course.policy_file.is_file():
        return {}
    policy, found = read_policy(course.policy_file), {}
    with course.gradebook() as gradebook:
        for one in gradebook.assignment_submissions(assignment):
            if not one.timestamp or not one.total_seconds_late:
                continue
            by = None
            try:
                due = policy.due(assignment, group_of(one.student_id, course.root), one.student_id)
                by = due and one.timestamp.replace(tzinfo=datetime.UTC) - due
            except CourseError:
                pass  # in no group that has a deadline
            costs = one.late_submission_penalty or 0.0
            if by is None or by > datetime.timedelta(0):
                found[one.student_id] = Late(by, costs)
    return found


def renew_penalties(course: CourseFolder) -> None:
    """Lateness costs its share of the score there is now.

    nbgrader reckons it when it grades, before a person has given points for written answers; of a
    late submission these would stay whole.
    """
    if not course.policy_file.is_file():
        return
    policy = read_policy(course.policy_file)
    with course.gradebook() as gradebook:
        for assignment in gradebook.assignments:
            for one in gradebook.assignment_submissions(assignment.name):
                if not one.timestamp or not one.total_seconds_late:
                    continue
                try:
                    group = group_of(one.student_id, course.root)
                    due = policy.due(assignment.name, group, one.student_id)
                except CourseError:
                    continue  # in no group that has a deadline: `course grade` says so
                if due is None:
                    continue
                behind = one.timestamp.replace(tzinfo=datetime.UTC) - due
                for notebook in one.notebooks:
                    notebook.late_submission_penalty = policy.penalty_of(notebook.score, behind)
        gradebook.db.commit()


def group_of(student: str, root: Path) -> str:
    """The student's group in the course folder's roster; "" without a roster or a group."""
    if not (root / "roster.csv").is_file():
        return ""
    rows = {row["student_id"]: row for row in read_roster(root / "roster.csv")}
    return (rows.get(student, {}).get("group") or "").strip()


def check_groups(policy: Policy, assignment: str, roster: list[dict[str, str]]) -> None:
    """Refuses, before anything is graded, a class in which somebody has no deadline.

    Raises:
        CourseError: the first such student.
    """
    if policy.earliest(assignment) is None:
        return
    known = {row["student_id"] for row in roster}
    for row in roster:
        policy.due(assignment, (row.get("group") or "").strip(), row["student_id"])
    for extension in policy.extensions:
        if roster and extension.student not in known:
            raise CourseError(
                f"the policy gives more time to {extension.student!r}, who is not on the roster."
            )
