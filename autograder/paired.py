"""The instructor's version of a homework: a text, and the notebook that is built from it.

The text (py:percent, `assignments/source/<name>/<name>.py`) is what people edit and review; the
notebook beside it is what nbgrader reads. Building twice gives the same bytes, so that a
difference between the committed pair always means that somebody forgot to build.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from course_utils.errors import CourseError, unknown_name

#: beside this package in a clone; a wheel carries the grader without the solutions
ASSIGNMENTS = Path(__file__).resolve().parent.parent / "assignments"


def assignments_folder(folder: Path | str | None = None) -> Path:
    """The folder with the instructor's versions, `ASSIGNMENTS` unless one is given.

    Raises:
        CourseError: it has no folder `source`.
    """
    folder = Path(folder) if folder is not None else ASSIGNMENTS
    if not (folder / "source").is_dir():
        raise CourseError(
            f"no instructor's versions in {folder}: expected a folder 'source' there. They are in "
            "the assignments folder of the project's repository, not in what students install; "
            "clone the repository, or name the folder with assignments_dir."
        )
    return folder


def assignment_names(folder: Path | str | None = None) -> list[str]:
    """The homework that has an instructor's version, in alphabetical order."""
    source = assignments_folder(folder) / "source"
    return sorted(path.name for path in source.iterdir() if any(path.glob("*.ipynb")))


def source_folder(assignment: str, folder: Path | str | None = None) -> Path:
    """Where the instructor's version of `assignment` is.

    Raises:
        CourseError: there is no such homework; names the nearest ones.
    """
    names = assignment_names(folder)
    if assignment not in names:
        raise unknown_name("assignment", assignment, names)
    return assignments_folder(folder) / "source" / assignment


def build_notebook(text: Path | str) -> NotebookNode:
    """The notebook that a py:percent text stands for: no outputs, the same ids every time.

    A cell's id is its nbgrader id, or its number. nbgrader's cell metadata comes from the
    text's cell headers.
    """
    notebook = jupytext.read(text)
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{number:02d}")
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def pairs(folder: Path | str | None = None) -> list[tuple[Path, Path]]:
    """Every (text, notebook) of the instructor's versions."""
    texts = sorted((assignments_folder(folder) / "source").glob("*/*.py"))
    headed = (text for text in texts if text.read_text("utf-8").startswith("# ---\n# jupyter:"))
    return [(text, text.with_suffix(".ipynb")) for text in headed]


def in_step(text: Path, notebook: Path) -> bool:
    """Whether `notebook` holds exactly what `text` builds."""
    return notebook.exists() and notebook.read_text("utf-8") == _written(text)


def build_all(folder: Path | str | None = None) -> list[Path]:
    """Write the notebook of every text that has changed; returns what was written."""
    changed = [(text, notebook) for text, notebook in pairs(folder) if not in_step(text, notebook)]
    for text, notebook in changed:
        notebook.write_text(_written(text), "utf-8")
    return [notebook for _, notebook in changed]


def _written(text: Path) -> str:
    return nbformat.writes(build_notebook(text)) + "\n"


if __name__ == "__main__":
    for written in build_all():
        print(f"wrote {written}")
