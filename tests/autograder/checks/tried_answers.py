"""Answers tried against a homework's checks: as they stand, with a slip, or written anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import nbformat

from autograder.checks import checks_of
from autograder.judging.judge import Check, Draw, Judgement, Wrong, judge
from autograder.judging.student import Ran, Student, StudentError
from autograder.paired import source_folder

STUB = "raise NotImplementedError()"


def draws(usual: int) -> int:
    """How many draws of each check a right answer has to pass: $DRAWS where it is set."""
    return int(os.environ.get("DRAWS", usual))


@cache
def code(homework: str) -> dict[str, str]:
    """grade_id -> source of the instructor's cells with code, the visible checks among them."""
    path = source_folder(homework) / f"{homework}.ipynb"
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "nbgrader" in cell.metadata
    }


def to_run(homework: str) -> list[tuple[str, str]]:
    """The instructor's cells that run when grading."""
    return [(name, text) for name, text in code(homework).items() if not name.endswith("-check")]


def as_given(source: str, stub: str = STUB) -> str:
    """An answer as students get it; with a stub that raises nothing, what is below it counts."""
    kept, inside = [], False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            kept.append(line.split("#")[0] + "# YOUR CODE HERE")
            kept.append(line.split("#")[0] + stub)
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def judged_stub(homework: str, open_worker: Callable[[], Student]) -> Judgement:
    """What the notebook earns as students get it."""
    stubs = [(name, as_given(source)) for name, source in to_run(homework)]
    return judge(open_worker, stubs, checks_of(homework).all)


def fails(student: Student, check: Check, number: int) -> bool:
    """Whether a check fails on a draw of that number."""
    try:
        check.run(student, Draw(f"{number}/{check.name}"))
    except (Wrong, StudentError):
        return True
    finally:
        student.forget()
    return False


class Bench:
    """A worker with the right answers of a homework; what is tried is put back."""

    def __init__(self, homework: str, student: Student) -> None:
        self.homework, self.student = homework, student
        ran = student.run(to_run(homework))
        assert not any(cell.kind for cell in ran), ran

    def tried(
        self, exercise: str, source: str, about: str = "", draws: int = 1
    ) -> tuple[Ran, dict[str, list[bool]]]:
        """(what came of the visible check, name of a check -> whether it fails, draw by draw).

        Args:
            about: only checks whose names begin so.
        """
        cells = code(self.homework)
        mine = [c for c in checks_of(self.homework).all if c.exercise == exercise]
        try:
            ran, visible = self.student.run(
                [(exercise, source), (f"{exercise}-check", cells[f"{exercise}-check"])]
            )
            assert ran.kind == "", ran
            found = {
                c.name: [fails(self.student, c, n) for n in range(draws)]
                for c in mine
                if c.name.startswith(about)
            }
        finally:
            self.student.run([(exercise, cells[exercise])])
        return visible, found
