"""One submission, judged: its cells run at a worker, the homework's checks, its runs.

    result = judge_submission(job, "ada", notebook, open_worker)
    write_verdict(notebook, result)      what nbgrader reads the points from

Both ways of grading, `course grade` and `nbgrader autograde`, go through here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import utils

from autograder.homework import Homework, cells_to_run, digest
from autograder.judging.judge import Judgement, judge
from autograder.judging.student import Lost, Ran, Student
from autograder.results import BONUS, CHECK, RESULTS, Check, Result

UNWRITTEN = "NotImplementedError"  #: what an answer raises that has not been written
SECONDS = 600.0  # for a whole submission
MOST_TEXT = 2_000  # characters of a message or of what a cell printed, in the result

#: what notebooks take for granted and a plain Python has not: lines for Jupyter do nothing
PRELUDE = """
class _NoShell:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None

def get_ipython():
    return _NoShell()

def display(*objects, **kwargs):
    for one in objects:
        print(one)

"""


@dataclass(frozen=True)
class Runs:
    """What the runs that were handed in are worth.

    Attributes:
        checks: of the exercise "results".
        findings: what is wrong or odd, in sentences.
        digests: run -> checksums of its files.
        needs_person: whether somebody should look before the points stand.
    """

    checks: tuple[Check, ...] = ()
    findings: tuple[str, ...] = ()
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    needs_person: bool = False


def judge_submission(
    job: Homework,
    student: str,
    notebook: NotebookNode,
    open_worker: Callable[[], Student],
    *,
    packed: Sequence[bytes] = (),
    runs: Runs | None = None,
    notes: Sequence[str] = (),
    doubt: bool = False,
    seconds: float | None = SECONDS,
    training: bool = False,
) -> Result:
    """Everything but the gradebook: status, checks and what the cells said.

    Args:
        notebook: taken in and repaired.
        open_worker: a fresh worker; called again after one is lost.
        packed: the zips of runs, for the digest.
        runs: what they are worth; nothing when None.
        notes, doubt: what intake repaired, and whether somebody should look at that.
        seconds: for the whole submission.
        training: run training cells, too.

    Raises:
        CourseError: no worker can be had: the grader's failure, not the student's.
    """
    started = time.monotonic()
    cells = cells_to_run(notebook, training)
    sources = [("prelude", PRELUDE), *((name, plain_python(source)) for _, name, source in cells)]
    name = digest(job, notebook, packed, training)
    judgement = judge(open_worker, sources, job.checks.all, seed=job.draws(name), seconds=seconds)
    runs = runs or Runs()
    status, reason = _status(judgement, notebook, lambda name: _fails_alone(job, name, open_worker))
    checks = tuple(
        Check(o.check.exercise, o.check.name, o.earned, o.check.points, clean(o.message))
        for o in judgement.outcomes
    )
    return Result(
        student,
        job.name,
        status,
        reason=reason,
        checks=checks + runs.checks,
        notes=tuple(map(clean, notes)),
        findings=tuple(map(clean, runs.findings)),
        digests=runs.digests,
        said=_said(cells, judgement.cells[1:]),
        seconds=round(time.monotonic() - started, 2),
        digest=name,
        needs_person=doubt or runs.needs_person or status in ("infra_error", "crashed"),
    )


def plain_python(source: str) -> str:
    """A cell without what only Jupyter understands: `%magic`, `!command`, `thing?`."""
    from IPython.core.inputtransformer2 import TransformerManager

    if not any(mark in source for mark in "%!?"):
        return source
    try:
        return TransformerManager().transform_cell(source)
    except (SyntaxError, ValueError, RecursionError):
        return source  # the worker says what is wrong with it


def clean(text: str) -> str:
    """Text of unknown origin that any file can hold: whole characters, not too many."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 4] + " ..."


def _status(
    judgement: Judgement, notebook: NotebookNode, fails_alone: Callable[[str], bool]
) -> tuple[str, str]:
    """The status of a submission, and the reason when it is not "graded".

    An answer that gives something wrong is what grading is about; one that raises, ends its worker
    or can't even be defined is said. The instructor's own cell that fails is the grader's trouble,
    unless it fails only after the student's cells.

    Args:
        fails_alone: whether an instructor's cell fails in the instructor's notebook, too.
    """
    known = {c.metadata.nbgrader["grade_id"]: c for c in notebook.cells if "nbgrader" in c.metadata}
    for ran in judgement.cells:
        locked = ran.name in known and utils.is_locked(known[ran.name])
        if ran.kind and locked:
            if fails_alone(ran.name):
                return "infra_error", clean(f"{ran.name}: {_in_a_line(ran)}")
            if ran.kind != UNWRITTEN:  # it met an answer not written yet
                worst = judgement.status if judgement.status != "graded" else "student_error"
                return worst, clean(f"{ran.name} fails after other cells: {_in_a_line(ran)}")
    if judgement.status == "graded":
        return "graded", ""
    for ran in judgement.cells if judgement.status == "student_error" else ():
        if ran.kind not in ("", UNWRITTEN) and ran.name in known:
            return judgement.status, clean(f"{ran.name}: {_in_a_line(ran)}")
    those = [o for o in judgement.outcomes if o.status == judgement.status]
    exercises = ", ".join(dict.fromkeys(o.check.exercise for o in those))
    if judgement.reason or not those:
        return judgement.status, clean(judgement.reason or exercises)
    return judgement.status, clean(f"{exercises}: {those[0].message}")


def _fails_alone(job: Homework, name: str, open_worker: Callable[[], Student]) -> bool:
    """Whether a cell fails where nothing of a student's has run: the instructor's notebook."""
    student = open_worker()
    try:
        for _, cell, source in [(0, "prelude", PRELUDE), *cells_to_run(job.source)]:
            (ran,) = student.run([(cell, plain_python(source))])
            if cell == name:
                return bool(ran.kind)
    except Lost:
        return True
    finally:
        student.close()
    return False


def _in_a_line(ran: Ran) -> str:
    return f"{ran.kind}: {ran.error}".strip().splitlines()[0][:300].rstrip(": ")


def _said(cells: Sequence[tuple[int, str, str]], ran: Sequence[Ran]) -> dict[str, dict[str, str]]:
    """Number of the cell -> what it printed and raised, of those that did either."""
    return {
        str(index): {"text": clean(one.said), "kind": clean(one.kind), "error": clean(one.error)}
        for (index, _, _), one in zip(cells, ran, strict=False)
        if one.said or one.kind
    }


# --- into the notebook ----------------------------------------------------------------------


def write_verdict(notebook: NotebookNode, result: Result) -> None:
    """Puts into a notebook's outputs what the judge found.

    The cell X-check gets a line for each check of X and, as its value, the points, which nbgrader
    takes for partial credit. Other cells get what they printed or raised at the worker.
    """
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if utils.is_grade(cell) and not utils.is_solution(cell):
            _write_points(cell, result)
        elif str(index) in result.said:
            cell.outputs = _outputs(result.said[str(index)])


def _write_points(cell: NotebookNode, result: Result) -> None:
    exercise = cell.metadata.nbgrader["grade_id"].removesuffix(CHECK)
    checks = result.of(exercise)
    most = float(cell.metadata.nbgrader["points"])
    points = min(most, sum(check.points for check in checks))
    lines = [line_of(check) for check in checks] or ["not judged"]
    if exercise == RESULTS:
        lines += result.findings
    cell.outputs = [new_output("stream", name="stdout", text="\n".join(lines) + "\n")]
    if not exercise.startswith(BONUS):
        value = {"text/plain": f"{points:g}"}
        cell.outputs.append(new_output("execute_result", data=value, execution_count=None))


def line_of(check: Check) -> str:
    """A check in a line: a mark, its points, its name and what it says."""
    part = "◐" if check.points else "✗"
    mark = "✓" if check.points >= check.max_points else part
    said = f": {check.message}" if check.message else ""
    return f"{mark} {check.points:g}/{check.max_points:g}  {check.name}{said}"


def _outputs(said: dict[str, str]) -> list[NotebookNode]:
    found = []
    if said["text"]:
        found.append(new_output("stream", name="stdout", text=said["text"]))
    if said["kind"]:
        line = f"{said['kind']}: {said['error']}"
        found.append(
            new_output("error", ename=said["kind"], evalue=said["error"], traceback=[line])
        )
    return found


def bonus_of(result: Result) -> dict[str, float]:
    """Cell -> points that come on top of the homework's."""
    found: dict[str, float] = {}
    for check in result.checks:
        if check.exercise.startswith(BONUS):
            cell = f"{check.exercise}{CHECK}"
            found[cell] = found.get(cell, 0.0) + check.points
    return found
