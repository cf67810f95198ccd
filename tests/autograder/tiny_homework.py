"""A homework of two lines: `double` (1 + 2 points) and `half` (1 point), and a class."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.sample_class import write_answer

#: the checks of this homework, as an instructor writes them
CHECKS = """
from autograder.judging.judge import Checks, expect_value

check = Checks()


@check("doubles 2", points=1, exercise="double")
def _(student, draw):
    expect_value("double(2)", student.call("double", 2), 4)


@check("doubles any number", points=2, exercise="double")
def _(student, draw):
    number = draw.between(1000, 9999)
    expect_value("double of a large number", student.call("double", number), 2 * number)


@check("halves any number", points=1, exercise="half")
def _(student, draw):
    number = draw.between(1, 999)
    expect_value("half", student.call("half", number), number / 2)
"""

SOLUTIONS = {"double": "return x + x  # the secret way", "half": "return x / 2  # by halves"}


def _cell(grade_id: str, source: str, points: int | None = None, solution: bool = False):
    meta = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        meta["points"] = points
    source = f"# id: {grade_id}\n{source}"
    return new_code_cell(source, id=grade_id, metadata={"nbgrader": meta})


def _answer(name: str, body: str):
    region = f"    ### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION"
    return _cell(name, f"def {name}(x):\n{region}", solution=True)


def notebook(setup: str = "import math") -> NotebookNode:
    """The instructor's version."""
    made = new_notebook(
        cells=[
            new_markdown_cell("# Tiny", id="title"),
            _cell("setup", setup),
            _answer("double", SOLUTIONS["double"]),
            _cell("double-check", "assert double(2) == 4, f'expected 4, got {double(2)}'", 3),
            _answer("half", SOLUTIONS["half"]),
            _cell("half-check", "assert half(2) == 1, f'expected 1, got {half(2)}'", 1),
        ]
    )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made.metadata["kernelspec"] = kernel
    return made


def write_assignment(folder: Path, original: NotebookNode) -> Path:
    """An assignments folder with this notebook as "tiny"."""
    place = folder / "source" / "tiny" / "tiny.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(original, place)
    (folder / "checks").mkdir(exist_ok=True)
    (folder / "checks" / "tiny.py").write_text(CHECKS, "utf-8")
    return folder


def answered(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """A released notebook (which is changed) with answers written in."""
    for cell in released.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell.source = write_answer(cell.source, [answers[name]])
    return released


def _tagged(made: NotebookNode, tag: str) -> None:
    for cell in made.cells:
        cell.metadata["tags"] = [tag]


#: student -> (answers, what else is done to the notebook, status, score)
CLASS = {
    "right": (SOLUTIONS, None, "graded", 4),
    "only-what-shows": ({**SOLUTIONS, "double": "return 4"}, None, "graded", 2),
    "unwritten": ({}, None, "graded", 0),
    "syntax": ({**SOLUTIONS, "half": "return x /"}, None, "student_error", 3),
    "exits": ({**SOLUTIONS, "half": "import os\nos._exit(0)"}, None, "crashed", 3),
    "endless": ({**SOLUTIONS, "half": "while True:\n    pass"}, None, "timeout", 3),
    "noisy": (
        {**SOLUTIONS, "half": "import os, sys\nos.write(2, b'low')\nprint(x, file=sys.stderr)\n"
         "return x / 2"},
        None,
        "graded",
        4,
    ),
    "skips-by-tag": ({"double": "return 0"}, lambda nb: _tagged(nb, "skip-execution"), "graded", 0),
    "trains-by-tag": ({"double": "return 0"}, lambda nb: _tagged(nb, "training"), "graded", 0),
    "html": ({"double": "raise ValueError('<script>alert(1)</script>')"}, None, "student_error", 0),
}  # fmt: skip


def write_class(folder: Path, released: NotebookNode) -> None:
    """Everybody's submission, and one that is no notebook at all."""
    for student, (answers, change, _, _) in CLASS.items():
        made = answered(nbformat.from_dict(json.loads(json.dumps(released))), answers)
        if change:
            change(made)
        place = folder / student / "tiny.ipynb"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(made), "utf-8")
    (folder / "no-notebook").mkdir()
    (folder / "no-notebook" / "tiny.ipynb").write_text("{'not': JSON", "utf-8")
