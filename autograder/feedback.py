"""A page for each student: nbgrader's where the notebook ran, a short one where it did not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from autograder.course_folder import CourseFolder, open_course, why_nbgrader_failed
from autograder.exercises import (
    Exercise,
    Given,
    Paper,
    bonus_points,
    check_in_words,
    read_paper,
)
from autograder.late import renew_penalties
from autograder.page import bar, document, esc, many, points
from autograder.results import BONUS, RESULTS, STATUSES, Check, Result, load_results
from course_utils.errors import CourseError


def feedback(
    assignment: str,
    course_dir: Path | str = "course-run",
    students: Iterable[str] | None = None,
) -> list[Path]:
    """Write `feedback/<student>/<assignment>/`: the notebook's page, and summary.html.

    The notebook's page is nbgrader's, with the student's cells, outputs and any comments from
    formgrader. The summary says what was earned, what still waits for a person, and every check
    with its points and message.

    Returns:
        The summaries, in the order of the students.

    Raises:
        CourseError: nothing has been graded.
    """
    course = open_course(course_dir)
    renew_penalties(course)
    results = load_results(course, assignment)
    if students is not None:
        wanted = set(students)
        results = [result for result in results if result.student in wanted]
    if not results:
        raise CourseError(
            f"no results for {assignment!r} in {course.root}. Grade it first: "
            f"course grade {assignment}"
        )
    api, paper = course.nbgrader(), read_paper(course, assignment)
    return [_write(course, api, result, paper) for result in results]


def _write(course: CourseFolder, api, result: Result, paper: Paper) -> Path:
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
    summary.write_text(summary_page(result, page, paper), "utf-8")
    return summary


def summary_page(
    result: Result, notebook_page: str | None = None, paper: Paper | None = None
) -> str:
    """A result as an HTML page; everything a student wrote is escaped.

    Args:
        notebook_page: the file beside it with the student's cells and outputs.
        paper: titles of the exercises, and what people have given.
    """
    paper = paper or Paper()
    title = paper.title or result.assignment
    parts = [
        f"<h1>{esc(title)}</h1><p class=quiet>{esc(result.student)} · status: {result.status}</p>",
        _score(result, paper),
        _adds_up(result, paper),
        _remarks(result, paper),
        _by_exercise(result, paper),
    ]
    if notebook_page:
        parts.append(
            f"<h2>Your notebook</h2><p><a href='{esc(notebook_page)}'>With its outputs and the "
            "comments on your answers</a></p>"
        )
    return document(f"{result.assignment} · {result.student}", "\n".join(filter(None, parts)))


def _score(result: Result, paper: Paper) -> str:
    """The number everybody looks for, and whether it is the last word."""
    waiting = paper.waiting(result.student)
    open_points = sum(one.most for one in waiting.values())
    most = max(result.max_score, result.score + open_points) or 1.0
    said = [
        f"<p class=big>{points(result.score)} of {points(result.max_score)} points</p>",
        bar(result.score / most, open_points / most),
    ]
    if waiting:
        said.append(
            f"<p><b>Not final: {points(open_points)} more points wait for a person</b>, who reads "
            f"{many(len(waiting), 'answer')} of yours: "
            f"{', '.join(esc(one.short) for one in waiting)}. (Hatched in the bar.)</p>"
        )
    elif result.needs_person:
        said.append("<p><b>Not final:</b> a person has still to look at this.</p>")
    elif result.status != "missing":
        said.append("<p>Nothing waits any more; this is your score.</p>")
    if result.status not in ("graded", "missing"):
        meaning = STATUSES[result.status]
        said.append(f"<p><b>{esc(meaning[0].upper() + meaning[1:])}.</b></p>")
    elif result.status == "missing":
        said.append("<p><b>Nothing was handed in.</b></p>")
    if result.reason:
        said.append(f"<p>{esc(result.reason)}</p>")
    kind = "box" if result.status == "graded" else "box warn"
    return f"<div class='{kind}'>{''.join(said)}</div>"


def _adds_up(result: Result, paper: Paper) -> str:
    """Where the score comes from, as a sum; "" where nothing was judged."""
    if not result.checks:
        return ""
    written = paper.written(result.student)
    code = [c for c in result.checks if c.exercise != RESULTS and not c.exercise.startswith(BONUS)]
    rows = [("code, by checks", *_sum(code)), ("runs", *_sum(result.of(RESULTS)))]
    if written:
        given = sum(one.points for one in written.values())
        rows.append(("written answers", given, sum(one.most for one in written.values())))
    rows = [row for row in rows if row[2]]
    bonus = bonus_points(result.checks)
    total = sum(row[1] for row in rows) + bonus
    if bonus:
        rows.append(("bonus, which may lead above the maximum", bonus, None))
    late = paper.late.get(result.student)
    if late and late.costs:
        rows.append((f"handed in {late}", -late.costs, None))
        total = max(0.0, total - late.costs)
    if abs(result.score - total) > 0.005:
        rows.append(("changed by a person", result.score - total, None))
    cells = "".join(
        f"<tr><td>{esc(what)}<td class=n>{points(given)}"
        f"<td class=n>{'' if most is None else f'of {points(most)}'}"
        for what, given, most in rows
    )
    return (
        f"<table class=sum>{cells}<tr><th>score<th class=n>{points(result.score)}"
        f"<th class=n>of {points(result.max_score)}</table>"
    )


def _sum(checks: Iterable[Check]) -> tuple[float, float]:
    checks = tuple(checks)
    return sum(c.points for c in checks), sum(c.max_points for c in checks)


def _remarks(result: Result, paper: Paper) -> str:
    """What was noticed when the work was taken in, and about runs."""
    late = paper.late.get(result.student)
    notes = [n for n in result.notes if not (late and late.costs and n.startswith("late: "))]
    found = ""
    for heading, lines in (
        ("When your work was taken in", notes),
        ("About your runs", result.findings),
    ):
        if lines:
            items = "".join(f"<li>{esc(line)}" for line in lines)
            found += f"<h2>{heading}</h2><ul>{items}</ul>"
    return found


def _by_exercise(result: Result, paper: Paper) -> str:
    """Every exercise; those that lost points are open, the others fold."""
    given = paper.given.get(result.student, {})
    runs, written = result.of(RESULTS), paper.written(result.student)
    parts, section = [], ""
    for one in paper.of_code(result):
        if one.section != section and one.section:
            parts.append(f"<h3>{esc(one.section)}</h3>")
        section = one.section
        parts.append(_exercise(one, result.of(one.name), given.get(one.name)))
    if parts:
        parts.insert(
            0,
            "<h2>Your code</h2><p class=quiet>Each line is a promise of the exercise: ✓ kept, "
            "◐ in part, ✗ not kept. Below it stands what was expected or seen.</p>",
        )
    if runs:
        its = paper.exercise(RESULTS, runs)
        parts += ["<h2>Your runs</h2>", _exercise(its, runs, given.get(RESULTS))]
    if written:
        parts += ["<h2>Your written answers</h2>", *(_answer(*pair) for pair in written.items())]
    return "".join(parts)


def _exercise(exercise: Exercise, checks: Sequence[Check], given: Given | None) -> str:
    """An exercise's checks, and the points that a person may have put in their place."""
    earned, most = _sum(checks)
    total = f"{points(earned)} of {points(most)}"
    if given and given.by_hand:
        total = f"{points(given.points)} of {points(most)}, by a person"
    name = "" if exercise.name in (exercise.title, RESULTS) else exercise.name
    return (
        f"<details{' open' if earned < most else ''}><summary>"
        f"<span>{esc(exercise.title)} <code class=quiet>{esc(name)}</code></span>"
        f"<span class=n>{total}</span></summary>{''.join(map(_check, checks))}</details>"
    )


def _check(check: Check) -> str:
    kept = check.points >= check.max_points
    mark = "✓" if kept else "◐" if check.points else "✗"
    said = check.message.removeprefix(f"{check.name}: ")
    said = f"<span class=said>{esc(said)}</span>" if said else ""
    return (
        f"<div class=check><b class='{'' if kept else 'not'}'>{mark}</b>"
        f"<span>{esc(check_in_words(check))}{said}</span>"
        f"<span class=n>{points(check.points)} of {points(check.max_points)}</span></div>"
    )


def _answer(exercise: Exercise, given: Given) -> str:
    said = f"{points(given.points)} of {points(given.most)}"
    if given.waits:
        said = f"{points(given.most)} points wait for a person"
    elif not given.by_hand and not given.points:
        said = f"not answered, {said}"
    return f"<div class=check><span>{esc(exercise.title)}</span><span class=n>{said}</span></div>"
