"""The class as one page: how it went, who needs a person, what was hard, what runs showed."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from autograder.evidence.alike import alike
from autograder.exercises import Exercise, Paper, check_in_words
from autograder.page import bar, document, esc, many, points
from autograder.results import RESULTS, STATUSES, Check, Result

BINS = 10  # of the chart
LOOK = {
    "infra_error": "The grader failed: grade again (course grade, the same command)",
    "crashed": "Ended its Python process: look for the reason in the notebook",
    "student_error": "The file could not be read",
}


def class_page(assignment: str, results: Sequence[Result], paper: Paper | None = None) -> str:
    """The class as one HTML page; everything a student wrote is escaped.

    Args:
        paper: titles of the exercises, what people have given, who was late.
    """
    paper = paper or Paper()
    handed_in = [result for result in results if result.status != "missing"]
    parts = [
        f"<h1>{esc(paper.title or assignment)}</h1><p class=quiet>The class</p>",
        _headline(results, handed_in, paper),
        _chart([r.score for r in handed_in], max((r.max_score for r in results), default=0.0)),
        _people(results, paper),
        _code(handed_in, paper),
        _runs(handed_in, paper),
        _written(handed_in, paper),
        _late(results, paper),
        _statuses(results),
        _students(results, paper),
    ]
    return document(f"{assignment} · the class", "\n".join(filter(None, parts)))


def _headline(results: Sequence[Result], handed_in: Sequence[Result], paper: Paper) -> str:
    scores = [result.score for result in handed_in]
    waiting = {r.student: paper.waiting(r.student) for r in handed_in}
    answers = sum(map(len, waiting.values()))
    of = f" of {points(max(result.max_score for result in results))}" if results else ""
    said = f"<p class=big>{len(handed_in)} of {len(results)} handed in</p>"
    if scores:
        said += (
            f"<p>Mean <b>{statistics.fmean(scores):.1f}</b>, median "
            f"<b>{points(statistics.median(scores))}</b>{of} points, of those who handed in.</p>"
        )
    if answers:
        students = many(sum(map(bool, waiting.values())), "student")
        said += (
            f"<p><b>Not final:</b> {many(answers, 'written answer')} of {students} wait for a "
            "person. Until then they count 0.</p>"
        )
    return f"<div class=box>{said}</div>"


def _chart(scores: Sequence[float], most: float) -> str:
    """How many scored in each tenth of the points, for the back row."""
    if not scores or not most:
        return ""
    counts = Counter(min(max(int(BINS * s / most), 0), BINS - 1) for s in scores)
    tallest, wide, high = max(counts.values()), 90, 260
    median = statistics.median(scores)
    at = 40 + wide * BINS * min(median / most, 1)
    shapes = [
        f"<path d='M{at:.0f} {50 + high}V4' stroke='#d55e00' stroke-width='5' "
        "stroke-dasharray='10 8'/>"
    ]
    for i in range(BINS):
        number = counts.get(i, 0)
        x, height = 40 + i * wide, high * number / tallest
        shapes.append(
            f"<rect x='{x + 4}' y='{50 + high - height:.0f}' width='{wide - 8}' "
            f"height='{height:.0f}' fill='#0072b2'/>"
        )
        if number:
            shapes.append(
                f"<text x='{x + wide / 2:g}' y='{40 + high - height:.0f}' stroke='#fff' "
                f"stroke-width='10' paint-order='stroke'>{number}</text>"
            )
    for i in range(BINS + 1):
        shapes.append(f"<text x='{40 + i * wide}' y='{high + 88}'>{points(most * i / BINS)}</text>")
    return (
        f"<h2>Scores</h2><svg viewBox='0 0 980 {high + 150}' role='img' aria-label='Distribution "
        "of scores' font-family='sans-serif' font-size='30' text-anchor='middle' fill='#1a1a1a'>"
        f"{''.join(shapes)}"
        f"<path d='M40 {50 + high}H{40 + wide * BINS}' stroke='#1a1a1a' stroke-width='3'/>"
        f"<text x='490' y='{high + 134}'>points; dashed: the median, {points(median)}; "
        "on the bars: students</text></svg>"
    )


def _people(results: Sequence[Result], paper: Paper) -> str:
    """Who needs a person, and why: one row for each reason."""
    rows: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.status in ("infra_error", "crashed"):
            rows[LOOK[result.status]].append(_because(result.student, result.reason))
        elif result.needs_person and result.status == "student_error" and not result.checks:
            rows[LOOK["student_error"]].append(_because(result.student, result.reason))
        elif result.needs_person and (result.notes or result.findings):
            said = "; ".join([*result.notes, *result.findings])
            rows["Not certain when taken in, or about runs"].append(_because(result.student, said))
        elif result.needs_person and not paper.waiting(result.student):
            rows["To be looked at"].append(_because(result.student, result.reason))
    for students, files in _same_files(results).items():
        said = "; ".join(f"the same {what} in {', '.join(runs)}" for what, runs in files.items())
        who = _because(", ".join(students), said)
        rows["Handed in the same files as others: it may be honest"].append(who)
    waiting = Counter(one for r in results for one in paper.waiting(r.student))
    if waiting:
        who = [r.student for r in results if paper.waiting(r.student)]
        what = "; ".join(f"{esc(one.title)}: {number}" for one, number in waiting.items())
        rows["Written answers to read, in formgrader"].append(
            f"{what}<br><span class=quiet>{esc(', '.join(who))}</span>"
        )
    if not rows:
        return "<h2>Who needs a person</h2><p>Nobody.</p>"
    cells = "".join(f"<tr><th>{esc(why)}<td>{'<br>'.join(who)}" for why, who in rows.items())
    return f"<h2>Who needs a person, and why</h2><table class=why>{cells}</table>"


def _same_files(results: Sequence[Result]) -> dict[tuple[str, ...], dict[str, list[str]]]:
    """Students -> kind of file -> runs in which they share it."""
    found: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for one in alike({result.student: result.digests for result in results}):
        found.setdefault(one.students, {}).setdefault(one.what, []).extend(one.runs)
    return found


def _because(who: str, why: str) -> str:
    return f"<b>{esc(who)}</b> <span class=quiet>{esc(why)}</span>"


def _code(handed_in: Sequence[Result], paper: Paper) -> str:
    """The exercises in order, the hardest check of each first."""
    exercises = dict.fromkeys(one for r in handed_in for one in paper.of_code(r))
    if not exercises:
        return ""
    known = list(paper.exercises)
    order = sorted(exercises, key=lambda e: known.index(e.name) if e.name in known else len(known))
    parts, section = [], ""
    for exercise in order:
        if exercise.section and exercise.section != section:
            parts.append(f"<h3>{esc(exercise.section)}</h3>")
        section = exercise.section
        parts.append(_exercise(exercise, handed_in))
    return (
        "<h2>The code, exercise by exercise</h2><p class=quiet>What those who handed in earned of "
        f"the points. Inside, the hardest check comes first.</p>{''.join(parts)}"
    )


def _exercise(exercise: Exercise, handed_in: Sequence[Result]) -> str:
    found = _shares([check for r in handed_in for check in r.of(exercise.name)])
    most = sum(check.max_points for check in found)
    earned = sum(check.max_points * share for check, share in found.items())
    rows = "".join(_row(c, s) for c, s in sorted(found.items(), key=lambda item: item[1]))
    share = earned / most if most else 1.0
    return (
        f"<details open><summary><span>{esc(exercise.title)} <span class=quiet>"
        f"{many(most, 'point')}</span></span><span class=n>{share:.0%}</span></summary>"
        f"<table class=checks>{rows}</table></details>"
    )


def _shares(checks: Sequence[Check]) -> dict[Check, float]:
    """Check, as if nothing had been earned -> the mean share of its points."""
    earned: dict[Check, list[float]] = defaultdict(list)
    for check in checks:
        share = check.points / check.max_points if check.max_points else 1.0
        earned[Check(check.exercise, check.name, 0.0, check.max_points)].append(share)
    return {check: statistics.fmean(shares) for check, shares in earned.items()}


def _row(check: Check, share: float) -> str:
    return (
        f"<tr><td>{esc(check_in_words(check))}<td class=n>{points(check.max_points)} p."
        f"<td class=n>{share:.0%}<td class=wide>{bar(share)}"
    )


def _runs(handed_in: Sequence[Result], paper: Paper) -> str:
    """What runs earned, and what was found: recomputed from predictions, never a student's word."""
    found = _shares([check for r in handed_in for check in r.of(RESULTS)])
    if not found:
        return ""
    with_runs = sum(bool(result.digests) for result in handed_in)
    rows = "".join(_row(check, share) for check, share in found.items())
    odd = "".join(
        f"<tr><th>{esc(result.student)}<td>{'<br>'.join(map(esc, result.findings))}"
        for result in handed_in
        if result.findings
    )
    odd = f"<h3>What was found</h3><table class=why>{odd}</table>" if odd else ""
    title = paper.exercise(RESULTS).title
    return (
        f"<h2>The runs{'' if title == RESULTS else f': {esc(title)}'}</h2>"
        f"<p class=quiet>{many(with_runs, 'student')} of {len(handed_in)} handed in runs. Scores "
        "are recomputed from the predictions; what a record claims does not count.</p>"
        f"<table class=checks>{rows}</table>{odd}"
    )


def _written(handed_in: Sequence[Result], paper: Paper) -> str:
    """The written questions: how many are answered, read, and how they went."""
    rows = ""
    for exercise in paper.exercises.values():
        if not exercise.written:
            continue
        given = [paper.written(r.student).get(exercise) for r in handed_in]
        waits = sum(bool(one and one.waits) for one in given)
        read = [one.points / one.most for one in given if one and one.by_hand and one.most]
        share = statistics.fmean(read) if read else 0.0
        earned = f"{share:.0%} of the points, {bar(share)}" if read else ""
        rows += (
            f"<tr><td>{esc(exercise.title)}<td class=n>{points(exercise.points)} p.<td class=n>"
            f"{waits} wait<td class=n>{len(read)} read<td class=wide>{earned}"
        )
    return f"<h2>The written answers</h2><table class=checks>{rows}</table>" if rows else ""


def _late(results: Sequence[Result], paper: Paper) -> str:
    late = [(r.student, paper.late[r.student]) for r in results if r.student in paper.late]
    rows = "".join(
        f"<tr><td>{esc(student)}<td>{esc(one)}<td class=n>"
        + (f"{points(-one.costs)} points" if one.costs else "costs nothing")
        for student, one in sorted(late, key=lambda pair: -pair[1].costs)
    )
    return f"<h2>Handed in late</h2><table class=sum>{rows}</table>" if rows else ""


def _statuses(results: Sequence[Result]) -> str:
    """The statuses that occurred, in words."""
    counts = Counter(result.status for result in results)
    rows = "".join(
        f"<tr><td><code>{status}</code><td class=n>{counts[status]}<td>{esc(meaning)}"
        for status, meaning in STATUSES.items()
        if counts[status]
    )
    return f"<h2>How grading ended</h2><table class=sum>{rows}</table>"


def _students(results: Sequence[Result], paper: Paper) -> str:
    rows = ""
    for r in results:
        waits: Mapping = paper.waiting(r.student)
        more = f"+ up to {points(sum(one.most for one in waits.values()))}" if waits else ""
        remarks = "; ".join(filter(None, [r.reason, *r.notes]))
        rows += (
            f"<tr><td>{esc(r.student)}<td class=n>{points(r.score)}<td class=n>{more}"
            f"<td><code>{r.status}</code> <span class=quiet>{esc(remarks)}</span>"
        )
    return (
        "<h2>Students</h2><table><tr><th>student<th class=n>score<th class=n>waits"
        f"<th>status and remarks{rows}</table>"
    )
