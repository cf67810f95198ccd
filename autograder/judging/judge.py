"""Points for a student's work: named checks, each with its points and its words.

    @check("a mask of another dtype stays of that dtype", points=2, exercise="extend-batch")
    def _(student, draw):
        got = student.call("extend_batch", ...)
        expect_tensor("attention_mask", got["attention_mask"], expected)

A check asks the worker and compares with values of the judge's own, drawn anew for each run; it
raises `Wrong` with words for the student and never with the hidden values themselves. Whatever ends
the worker costs the check at hand: the next one gets a new worker, in which the cells ran again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import torch

from autograder.judging.frame import Lost
from autograder.judging.student import Ran, Student, StudentError
from course_utils.errors import CourseError

MOST_RESTARTS = 8
CHECK_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 1e-2,
                   torch.bfloat16: 5e-2}  # fmt: skip


class Wrong(Exception):
    """The answer is not right; the message is for the student."""


class Draw:
    """What a check draws: another run, other sizes and numbers."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(self.random.getrandbits(40))

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator).to(dtype)

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """From low to high - 1."""
        return torch.randint(low, high, shape, generator=self.generator)

    def between(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return self.random.randint(low, high)


@dataclass(frozen=True)
class Check:
    """One promise of an exercise.

    Attributes:
        name: what is promised, in the student's words.
        exercise: the grade_id of the answer's cell.
        run: asks and compares; raises Wrong.
    """

    name: str
    points: float
    exercise: str
    run: Callable[[Student, Draw], None] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a check earned, and why not more."""

    check: Check
    earned: float
    message: str = ""
    status: str = "graded"


@dataclass(frozen=True)
class Judgement:
    """All checks of a submission.

    Attributes:
        status: "graded", or the worst that happened on the way: "student_error", "timeout",
            "crashed", "out_of_memory", "output_limit".
        cells: what came of the cells, as they ran the first time.
        reason: the cell that ended the worker, if none of the checks did; else "".
    """

    outcomes: tuple[Outcome, ...]
    cells: tuple[Ran, ...]
    status: str
    reason: str = ""

    @property
    def earned(self) -> float:
        return sum(outcome.earned for outcome in self.outcomes)

    @property
    def most(self) -> float:
        return sum(outcome.check.points for outcome in self.outcomes)


class Checks:
    """The checks of a homework, in order."""

    def __init__(self) -> None:
        self.all: list[Check] = []

    def __call__(self, name: str, *, points: float, exercise: str):
        """Decorator: the function is a check."""
        if any(known.name == name and known.exercise == exercise for known in self.all):
            raise CourseError(f"exercise {exercise!r} has two checks named {name!r}.")

        def add(run: Callable[[Student, Draw], None]) -> Callable[[Student, Draw], None]:
            self.all.append(Check(name, points, exercise, run))
            return run

        return add

    def points_of(self, exercise: str) -> float:
        return sum(known.points for known in self.all if known.exercise == exercise)


def judge(
    open_worker: Callable[[], Student],
    cells: Sequence[tuple[str, str]],
    checks: Iterable[Check],
    *,
    seed: str = "0",
    seconds: float | None = None,
) -> Judgement:
    """Runs the cells at a worker and all checks against it.

    Args:
        open_worker: gives a fresh worker; called again after one is lost.
        cells: (grade_id, source), the instructor's and the student's, in order.
        seed: of what the checks draw.
        seconds: for all of it; what is not judged by then earns nothing.
    """
    checks = list(checks)
    bench = _Bench(open_worker, cells, {check.exercise for check in checks}, seconds)
    outcomes = []
    try:
        for one in checks:
            outcomes.append(bench.outcome(one, f"{seed}/{one.exercise}/{one.name}"))
    finally:
        bench.close()
    worst = next((s for s in _WORST if s in bench.statuses), "graded")
    return Judgement(tuple(outcomes), tuple(bench.ran), worst, bench.reason)


_WORST = ("crashed", "out_of_memory", "output_limit", "timeout", "student_error")


#: what a check raises that stumbles over an answer: a zero to divide by, text for a number ...
_NOT_TO_COMPARE = (AttributeError, TypeError, KeyError, IndexError, ValueError, RuntimeError,
                   ArithmeticError)  # fmt: skip


class _Bench:
    """A worker with the cells run, made anew when it is lost."""

    def __init__(
        self,
        open_worker: Callable[[], Student],
        cells: Sequence[tuple[str, str]],
        answers: Set[str],
        seconds: float | None,
    ) -> None:
        self.open_worker, self.cells, self.answers = open_worker, list(cells), answers
        self.until = None if seconds is None else time.monotonic() + seconds
        self.given_up: dict[str, str] = {}  # exercise -> why its other checks are not tried
        self.reason = ""
        self.student: Student | None = None
        self.ran: list[Ran] = []
        self.statuses: set[str] = set()
        self.restarts = -1

    def outcome(self, one: Check, seed: str) -> Outcome:
        if one.exercise in self.given_up:
            why = self.given_up[one.exercise]
            return Outcome(one, 0.0, f"not judged: the exercise {_IN_WORDS[why]}.", why)
        if self.until is not None and time.monotonic() > self.until:
            self.statuses.add("timeout")
            return Outcome(one, 0.0, "not judged: the time for a submission is used up.", "timeout")
        student = self._ready()
        if student is None:
            return Outcome(one, 0.0, "not judged: the work could not be run.", "crashed")
        try:
            one.run(student, Draw(seed))
        except Wrong as wrong:
            return Outcome(one, 0.0, str(wrong))
        except StudentError as raised:
            if raised.kind == "NotImplementedError":  # not written yet, which is no error
                return Outcome(one, 0.0, self._said(one, raised))
            self.statuses.add("student_error")
            return Outcome(one, 0.0, self._said(one, raised), "student_error")
        except Lost as lost:
            self._drop(lost)
            if lost.why == "timeout":  # each further check would take as long
                self.given_up[one.exercise] = lost.why
            return Outcome(one, 0.0, f"{_IN_WORDS.get(lost.why, str(lost))}", lost.why)
        except _NOT_TO_COMPARE as odd:
            # the check stumbled over an answer of another kind than it can compare
            return Outcome(one, 0.0, f"gives something that can't be compared ({_name(odd)}).")
        return Outcome(one, one.points)

    def close(self) -> None:
        if self.student is not None:
            self.student.close()
            self.student = None

    def _said(self, one: Check, raised: StudentError) -> str:
        cell = next((ran for ran in self.ran if ran.name == one.exercise and ran.kind), None)
        if cell is not None and cell.kind == "SystemExit" and cell.error in _IN_WORDS.values():
            return f"the cell {cell.error}"
        if cell is not None:
            return f"the cell raises {cell.kind}: {cell.error}" if cell.error else (
                f"the cell raises {cell.kind}"
            )  # fmt: skip
        if raised.kind == "NotImplementedError":
            return "not written yet"
        return f"raises {raised}"

    def _ready(self) -> Student | None:
        """A worker in which the cells have run; None where they can't be got to run."""
        while self.student is None:
            if self.restarts >= MOST_RESTARTS:
                return None
            self.restarts += 1
            self.student = self.open_worker()
            self._run_cells()
        return self.student

    def _run_cells(self) -> None:
        """The cells, one by one; one that ends the worker is left out the next time."""
        ran = []
        for number, cell in enumerate(self.cells):
            try:
                seconds = self.student.cell_seconds
                if self.until is not None:
                    seconds = min(seconds, max(1.0, self.until - time.monotonic()))
                ran += self.student.run([cell], seconds)
            except Lost as lost:
                self._drop(lost)
                self.reason = self.reason or f"{cell[0]} {_IN_WORDS[lost.why]}"
                self.cells[number] = (cell[0], f"raise SystemExit({_IN_WORDS[lost.why]!r})")
                return
        if not self.ran:
            self.ran = ran
            broken = [c for c in ran if c.kind not in ("", "NotImplementedError")]
            if any(cell.name in self.answers for cell in broken):
                self.statuses.add("student_error")

    def _drop(self, lost: Lost) -> None:
        self.statuses.add(lost.why)
        self.close()


_IN_WORDS = {
    "timeout": "took too long and was ended",
    "crashed": "ended the Python process",
    "out_of_memory": "used more memory than allowed",
    "output_limit": "printed more than allowed",
}


def expect(condition: bool, message: str) -> None:
    """Raises Wrong with the message unless the condition holds."""
    if not condition:
        raise Wrong(message)


def expect_value(what: str, got: Any, expected: Any) -> None:
    """The same value of the same type; the message shows neither."""
    expect(
        type(got) is type(expected),
        f"{what}: expected a {type(expected).__name__}, got {_kind(got)}.",
    )
    expect(got == expected, f"{what}: not the value that the docstring asks for.")


def expect_tensor(what: str, got: Any, expected: torch.Tensor, tolerance: float = 0.0) -> None:
    """A plain tensor of the same dtype, shape and, nearly, values, all finite.

    Args:
        tolerance: absolute and relative; that of the dtype when 0. Integers must be equal.
    """
    expect(type(got) is torch.Tensor, f"{what}: expected a tensor, got {_kind(got)}.")
    shapes = f"expected the shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    expect(got.shape == expected.shape, f"{what}: {shapes}.")
    expect(got.dtype == expected.dtype, f"{what}: expected {expected.dtype}, got {got.dtype}.")
    if not expected.is_floating_point():
        expect(torch.equal(got, expected), f"{what}: the values are not right.")
        return
    expect(bool(got.isfinite().all()), f"{what}: holds numbers that are not finite.")
    allowed = tolerance or CHECK_TOLERANCE[expected.dtype]
    near = torch.allclose(got.double(), expected.double(), rtol=allowed, atol=allowed)
    expect(near, f"{what}: the values are not right.")


def expect_refusal(what: str, call: Callable[[], Any], kind: str = "ValueError") -> None:
    """The call raises that exception."""
    try:
        call()
    except StudentError as raised:
        if raised.kind == "NotImplementedError" != kind:
            raise  # not written yet, which is no refusal
        expect(
            raised.kind == kind,
            f"{what}: expected a {kind}, got {raised.kind}.",
        )
        return
    raise Wrong(f"{what}: expected a {kind}, but nothing was raised.")


def _name(raised: Exception) -> str:
    return type(raised).__name__


def _kind(value: Any) -> str:
    name = getattr(value, "is_a", "") or type(value).__name__
    return f"a {name.rsplit('.', 1)[-1]}" if value is not None else "None"
