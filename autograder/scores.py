"""Read the outcome of a submission that ran: points from the gradebook, messages and the status
from the executed notebook.
"""

from __future__ import annotations

from dataclasses import replace

import nbformat
from nbformat import NotebookNode
from nbgrader import utils

from autograder.course_folder import CourseFolder
from autograder.results import Check, Result

#: an answer cell that raises this has simply not been written
UNWRITTEN = "NotImplementedError"


def read_scores(course: CourseFolder, blank: Result) -> Result:
    """`blank` with status, reason, score and checks of what nbgrader has just graded."""
    folder = course.step("autograded", blank.assignment, blank.student)
    path = folder / course.notebook_name(blank.assignment)
    executed = nbformat.read(path, as_version=4)
    with course.gradebook() as gradebook:
        submission = gradebook.find_submission(blank.assignment, blank.student)
        score, most = submission.score, submission.max_score
        by_person = submission.needs_manual_grade
        scores = {
            grade.name: (grade.score or 0.0, grade.max_score)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
    checks = tuple(
        Check(name, *scores[name], message=_message(cell))
        for cell in executed.cells
        if utils.is_grade(cell)
        for name in [cell.metadata["nbgrader"]["grade_id"]]
        if name in scores
    )
    status, reason = _status(executed)
    return replace(
        blank,
        status=status,
        reason=reason,
        score=score,
        max_score=most,
        checks=checks,
        needs_person=by_person or status == "infra_error",
    )


def _errors(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.get("outputs", []) if output.output_type == "error"]


def _message(cell: NotebookNode) -> str:
    """What a check says when it failed: the error's own words, without its traceback."""
    for error in _errors(cell):
        return (error.evalue if error.ename == "AssertionError" else _one_line(error)) or "failed"
    return ""


def _one_line(error: NotebookNode) -> str:
    return f"{error.ename}: {error.evalue}".strip().splitlines()[0][:300].rstrip(": ")


def _status(executed: NotebookNode) -> tuple[str, str]:
    """The status of a notebook that ran, and the reason when it is not "graded".

    Failing checks are what grading is about. An answer cell that can't even be defined is the
    student's error; a locked set-up cell that fails or takes too long is the grader's.
    """
    found = [
        (cell, error, cell.metadata.get("nbgrader", {}).get("grade_id", "a cell of the student's"))
        for cell in executed.cells
        for error in _errors(cell)
    ]
    for cell, error, name in found:
        if utils.is_locked(cell) and not utils.is_grade(cell):
            return "infra_error", f"{name}: {_one_line(error)}"
    for _, error, name in found:
        if error.ename == "CellTimeoutError":
            return "timeout", f"{name} took too long"
    for cell, error, name in found:
        if utils.is_solution(cell) and error.ename != UNWRITTEN:
            return "student_error", f"{name}: {_one_line(error)}"
    return "graded", ""
