"""HW-Prompt run in this process: answers and checks without a kernel, a tenth of a second each."""

from __future__ import annotations

from collections.abc import Callable

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.paired import source_folder
from autograder.sample_class import solutions, write_answer


@pytest.fixture(scope="session")
def original() -> NotebookNode:
    """The instructor's notebook."""
    return nbformat.read(source_folder("hw_prompt") / "hw_prompt.ipynb", as_version=4)


def stubbed(source: str) -> str:
    """A solution cell as nbgrader releases it."""
    lines, inside = [], False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            indent = line[: -len(line.lstrip())]
            lines += [f"{indent}# YOUR CODE HERE", f"{indent}raise NotImplementedError()"]
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


@pytest.fixture(scope="session")
def judge(original: NotebookNode) -> Callable[..., dict[str, str]]:
    """judge(cell=bodies, ...) -> check -> what it complains about ("" when it passes).

    Cells that are not named keep the instructor's answer. Only the checks of named cells run;
    without names, all of them.
    """
    cells = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in original.cells
             if "nbgrader" in cell.metadata}  # fmt: skip
    base: dict[str, object] = {}
    for name in ("setup", "check-tools"):
        exec(compile(cells[name].source, name, "exec"), base)
    right = solutions(original)

    def run(answers: dict[str, list[str]] | None = None) -> dict[str, str]:
        answers = answers or {}
        space = dict(base)
        for name, bodies in (right | answers).items():
            exec(compile(write_answer(stubbed(cells[name].source), bodies), name, "exec"), space)
        said = {}
        for name, cell in cells.items():
            about = name.removesuffix("-check").removesuffix("-more")
            if cell.metadata["nbgrader"]["grade"] and (not answers or about in answers):
                try:
                    exec(compile(cell.source, name, "exec"), dict(space))
                    said[name] = ""
                except Exception as error:
                    said[name] = f"{type(error).__name__}: {error}"
        return said

    return run
