"""A page for each student: nbgrader's where the notebook ran, a short one where it did not."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from autograder.course_folder import CourseFolder, open_course, why_nbgrader_failed
from autograder.results import BONUS, STATUSES, Check, Result, load_results
from course_utils.errors import CourseError

#: the look of every page written here, inside the page: it is sent to students as one file
PAGE_STYLE = (
    "<meta charset='utf-8'><meta name='viewport' content='width=device-width'><style>"
    "body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%;table-layout:fixed}"
    "th.n{width:4rem}td,th{padding:.3rem .6rem;text-align:left;"
    "border-bottom:1px solid #ccc;vertical-align:top}td.n,th.n{text-align:right}"
    "caption{text-align:left;font-weight:bold;padding:.6rem 0}</style>"
)


def feedback(
    assignment: str,
    course_dir: Path | str = "course-run",
    students: Iterable[str] | None = None,
) -> list[Path]:
    """Write `feedback/<student>/<assignment>/`: the notebook's page, and summary.html.

    The notebook's page is nbgrader's, with the student's cells, outputs and any comments from
    formgrader. The summary says the status and every check with its points and message.

    Returns:
        The summaries, in the order of the students.

    Raises:
        CourseError: nothing has been graded.
    """
    course = open_course(course_dir)
    results = load_results(course, assignment)
    if students is not None:
        wanted = set(students)
        results = [result for result in results if result.student in wanted]
    if not results:
        raise CourseError(
            f"no results for {assignment!r} in {course.root}. Grade it first: "
            f"course grade {assignment}"
        )
    api = course.nbgrader()
    return [_write(course, api, result) for result in results]


def _write(course: CourseFolder, api, result: Result) -> Path:
    folder = course.step("feedback", result.assignment, result.student)
    page = None
    if any(course.step("autograded", result.assignment, result.student).glob("*.ipynb")):
        outcome = api.generate_feedback(result.assignment, result.student, force=True)
        if outcome["success"]:
            page = course.notebook_name(result.assignment).replace(".ipynb", ".html")
        else:
            note = f"nbgrader wrote no page of the notebook: {why_nbgrader_failed(outcome)}"
            result = replace(result, notes=(*result.notes, note))
    folder.mkdir(parents=True, exist_ok=True)
    summary = folder / "summary.html"
    summary.write_text(summary_page(result, page), "utf-8")
    return summary


def summary_page(result: Result, notebook_page: str | None = None) -> str:
    """A result as an HTML page; everything a student wrote is escaped."""
    title = html.escape(f"{result.assignment} · {result.student}")
    parts = [
        f"<!doctype html><html lang='en'><title>{title}</title>{PAGE_STYLE}<h1>{title}</h1>",
        f"<p><b>{result.score:g} of {result.max_score:g} points.</b> "
        f"Status: {result.status} ({STATUSES[result.status]}).</p>",
    ]
    bonus = sum(c.points for c in result.checks if c.exercise.startswith(BONUS))
    if bonus:
        parts.append(f"<p>{bonus:g} of them are a bonus, which may lead above the maximum.</p>")
    if result.needs_person:
        parts.append(
            "<p>A person has still to look at this: written answers, or what could not be judged "
            "with certainty. Points may be added.</p>"
        )
    if result.reason:
        parts.append(f"<p>{html.escape(result.reason)}</p>")
    if result.notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in result.notes)
        parts.append(f"<p>When your work was taken in:</p><ul>{items}</ul>")
    if result.findings:
        items = "".join(f"<li>{html.escape(finding)}</li>" for finding in result.findings)
        parts.append(f"<p>About your runs:</p><ul>{items}</ul>")
    for exercise in dict.fromkeys(check.exercise for check in result.checks):
        parts.append(_exercise_table(exercise, result.of(exercise)))
    if notebook_page:
        parts.append(
            f"<p><a href='{html.escape(notebook_page)}'>Your notebook with outputs</a></p>"
        )
    return "\n".join(parts) + "</html>\n"


def _exercise_table(exercise: str, checks: Sequence[Check]) -> str:
    earned = sum(check.points for check in checks)
    most = sum(check.max_points for check in checks)
    rows = "".join(
        f"<tr><td>{'✓' if check.points >= check.max_points else '✗'} {html.escape(check.name)}"
        f"<td class=n>{check.points:g}<td class=n>{check.max_points:g}"
        f"<td>{html.escape(check.message)}"
        for check in checks
    )
    return (
        f"<table><caption>{html.escape(exercise)} · {earned:g} of {most:g}</caption>"
        f"<tr><th>check<th class=n>points<th class=n>of<th>what it says{rows}</table>"
    )
