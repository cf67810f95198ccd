"""The policy's deadlines in nbgrader: its late-penalty plugin, by group and with extensions.

nbgrader knows one date for an assignment; `course release` tells it the earliest of the policy. The
plugin is asked about whoever is later than that, and judges by the student's own deadline.
"""

from __future__ import annotations

from pathlib import Path

from nbgrader.plugins import BasePlugin

from autograder.course_folder import POLICY, read_roster
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
