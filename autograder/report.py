"""What a TA looks at after grading: a table, grades.csv, and a page about the class."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from autograder.class_page import class_page
from autograder.course_folder import CourseFolder, open_course
from autograder.exercises import Paper, read_paper
from autograder.export import write_csv
from autograder.late import renew_penalties
from autograder.live import COLOURS, plain
from autograder.results import Result, load_results
from course_utils.errors import CourseError


@dataclass(frozen=True)
class Summary:
    """A class in numbers. Means are over those who handed in; of no one they are 0."""

    students: int
    handed_in: int
    statuses: dict[str, int]
    max_score: float
    mean: float
    median: float
    #: (exercise, check) -> share of its points that those who handed in earned, hardest first
    checks: dict[tuple[str, str], float]
    needs_person: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The results of a class and the files written about them."""

    results: tuple[Result, ...]
    summary: Summary
    csv: Path
    page: Path


def report(assignment: str, course_dir: Path | str = "course-run") -> Report:
    """Write grades.csv and the class page into the course folder.

    Raises:
        CourseError: nothing has been graded.
    """
    course = open_course(course_dir)
    renew_penalties(course)
    results = load_results(course, assignment)
    if not results:
        raise CourseError(
            f"no results for {assignment!r} in {course.root}. Grade it first: "
            f"course grade {assignment}"
        )
    paper = read_paper(course, assignment)
    page = course.root / f"{assignment}-class.html"
    page.write_text(class_page(assignment, results, paper), "utf-8")
    summary = summarise(results, paper)
    return Report(tuple(results), summary, write_grades(course, results), page)


def gradebook_table(results: Sequence[Result], *, dry_run: bool = False) -> Table:
    """The gradebook for a terminal: student, status, score, remarks."""
    table = Table(title="Nothing was run" if dry_run else "Gradebook", title_justify="left")
    table.add_column("student")
    table.add_column("status")
    table.add_column("score", justify="right")
    table.add_column("of", justify="right")
    table.add_column("remarks", overflow="fold")
    for result in results:
        colour = COLOURS.get(result.status, "red")
        remarks = "; ".join(filter(None, [result.reason, *result.notes, *result.findings]))
        would = dry_run and result.status == "graded"
        table.add_row(
            plain(result.student),
            f"[{colour}]{'would be judged' if would else result.status}[/]",
            "" if dry_run else f"{result.score:g}",
            "" if dry_run else f"{result.max_score:g}",
            plain(remarks),
        )
    return table


def write_grades(course: CourseFolder, results: Sequence[Result]) -> Path:
    """grades.csv: a row per student with names from the gradebook, a column per graded cell."""
    cells: dict[str, None] = {}
    given: dict[str, dict[str, float | None]] = {}
    with course.gradebook() as gradebook:
        people = {student.id: student for student in gradebook.students}
        for submission in gradebook.assignment_submissions(results[0].assignment):
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            given[submission.student_id] = {grade.name: grade.score for grade in grades}
        for notebook in gradebook.find_assignment(results[0].assignment).notebooks:
            cells |= dict.fromkeys(cell.name for cell in notebook.grade_cells)
    rows = [
        {
            "student_id": result.student,
            "last_name": getattr(people.get(result.student), "last_name", None),
            "first_name": getattr(people.get(result.student), "first_name", None),
            "assignment": result.assignment,
            "status": result.status,
            "score": result.score,
            "max_score": result.max_score,
        }
        | given.get(result.student, {})
        for result in results
    ]
    columns = ["student_id", "last_name", "first_name", "assignment", "status", "score"]
    return write_csv(course.root / "grades.csv", [*columns, "max_score", *cells], rows)


def summarise(results: Sequence[Result], paper: Paper | None = None) -> Summary:
    """A class in numbers; with the paper, those whose written answers wait need a person, too."""
    paper = paper or Paper()
    handed_in = [result for result in results if result.status != "missing"]
    scores = [result.score for result in handed_in]
    earned: dict[tuple[str, str], list[float]] = {}
    for result in handed_in:
        for check in result.checks:
            share = check.points / check.max_points if check.max_points else 1.0
            earned.setdefault((check.exercise, check.name), []).append(share)
    shares = {name: statistics.fmean(values) for name, values in earned.items()}
    return Summary(
        students=len(results),
        handed_in=len(handed_in),
        statuses=dict(Counter(result.status for result in results)),
        max_score=max((result.max_score for result in results), default=0.0),
        mean=statistics.fmean(scores) if scores else 0.0,
        median=statistics.median(scores) if scores else 0.0,
        checks=dict(sorted(shares.items(), key=lambda item: item[1])),
        needs_person=tuple(
            result.student
            for result in results
            if result.needs_person or paper.waiting(result.student)
        ),
    )
