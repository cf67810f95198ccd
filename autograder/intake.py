"""From what a student handed in to a notebook that nbgrader can grade.

Whatever is certain is repaired, and every repair is said in the student's notes: a renamed
file, a cell that was copied, metadata that Colab lost (cells say who they are in their first
line, `# id: ...`), a deleted test. What can't be repaired is a reason, never an exception: one
bad submission must not stop the class.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

#: larger notebooks are not read: an honest one has some 100 kB
MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Intake:
    """A notebook fit for grading, or None and the reason why there is none."""

    notebook: NotebookNode | None
    notes: tuple[str, ...] = ()
    reason: str = ""
    found: bool = True  #: whether anything was handed in at all


def take_in(folder: Path, name: str, released: NotebookNode) -> Intake:
    """Read the submission in `folder`, or in the notebook that `folder` itself is.

    Args:
        folder: what one student handed in.
        name: the notebook's file name as released.
        released: the students' version, to repair by.
    """
    path, notes, reason = _find(folder, name)
    if path is None:
        return Intake(None, tuple(notes), reason, found=bool(reason))
    try:
        if path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size / 1e6
            return Intake(None, tuple(notes), f"{path.name} has {size:.0f} MB, expected a notebook")
        notebook = read_notebook(path)
    except (OSError, ValueError, RecursionError) as error:
        return Intake(None, tuple(notes), f"{path.name} can't be read: {error}")
    notes += repair(notebook, released)
    answers = _by_id(released, lambda meta: meta.get("solution"))
    present = _by_id(notebook, lambda meta: True)
    lost = sorted(answers.keys() - present.keys())
    if len(lost) == len(answers) and answers:
        return Intake(None, tuple(notes), f"{path.name} has none of the homework's cells")
    if lost:
        notes.append(f"answer cells not found: {', '.join(lost)}; a person should look")
    return Intake(notebook, tuple(notes))


def _find(folder: Path, name: str) -> tuple[Path | None, list[str], str]:
    """The notebook to grade, notes, and the reason when there is none to be had."""
    if folder.is_file():
        return folder, [], ""
    if not folder.is_dir():
        return None, [], ""
    found = [
        path
        for path in sorted(folder.rglob("*.ipynb"))
        if path.is_file()
        and not path.is_symlink()
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    exact = [path for path in found if path.name == name]
    if len(exact) == 1:
        return exact[0], [], ""
    if len(found) == 1:
        return found[0], [f"{found[0].name!r} was taken for {name!r}"], ""
    if found:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        return None, [], f"{len(found)} notebooks ({names}): which one counts?"
    others = [path.name for path in sorted(folder.rglob("*")) if path.is_file()]
    others = [other for other in others if other != "timestamp.txt"]
    return None, [], f"no notebook, only {', '.join(others[:5])}" if others else ""


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of format 4 from a file of unknown origin.

    Raises:
        ValueError: it is not one, with what is wrong in a few words.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno})") from None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise ValueError("it is JSON but not a notebook of format 4")
    for number, cell in enumerate(data["cells"]):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise ValueError(f"cell {number} is not a notebook cell")
        _complete(cell, number)
    data.update(nbformat=4, nbformat_minor=5)
    data["metadata"] = {}  # the released notebook's is put in its place
    notebook = nbformat.from_dict(data)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise ValueError(f"it is not a valid notebook: {error.message[:200]}") from None
    return notebook


def _complete(cell: dict, number: int) -> None:
    """Give a cell the parts that other programs leave out; old outputs are of no use."""
    source = cell.get("source", "")
    cell["source"] = "".join(map(str, source)) if isinstance(source, list) else str(source)
    cell["id"] = f"cell-{number}"
    given = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
    kept = {"nbgrader": dict, "deletable": bool, "editable": bool}
    cell["metadata"] = {
        name: given[name] for name, kind in kept.items() if isinstance(given.get(name), kind)
    }
    tags = given.get("tags")
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        cell["metadata"]["tags"] = sorted(set(tags))
    cell.pop("attachments", None)
    cell.pop("outputs", None)
    cell.pop("execution_count", None)
    if cell["cell_type"] == "code":
        cell.update(outputs=[], execution_count=None)


def repair(notebook: NotebookNode, released: NotebookNode) -> list[str]:
    """Make the graded cells of `notebook` those of `released`; returns what was done."""
    notes: list[str] = []
    notebook.metadata = nbformat.from_dict(released.metadata)
    known = _by_id(released, lambda meta: True)
    _restore_metadata(notebook, known, notes)
    _set_copies_free(notebook, known, notes)
    _put_back_tests(notebook, released, notes)
    return notes


def _restore_metadata(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """Cells that lost their metadata, or had it changed, get that of the released cell."""
    present = _by_id(notebook, lambda meta: True)
    for cell in notebook.cells:
        grade_id = _id(cell)
        if grade_id in known:
            cell.metadata["nbgrader"] = known[grade_id].metadata["nbgrader"].copy()
            continue
        cell.metadata.pop("nbgrader", None)
        named = _id_in_source(cell)
        if named in known and named not in present and cell.cell_type == known[named].cell_type:
            cell.metadata["nbgrader"] = known[named].metadata["nbgrader"].copy()
            present[named] = cell
            notes.append(f"cell {named!r} had lost its metadata; known by its first line")


def _set_copies_free(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """Of several cells with one id the last counts, as in nbgrader; the others just run.

    For an answer this is what the student saw: all copies run, the last definition holds.
    """
    seen: set[str] = set()
    for cell in reversed(notebook.cells):
        grade_id = _id(cell)
        if grade_id in seen:
            del cell.metadata["nbgrader"]
            notes.append(f"cell {grade_id!r} is there more than once; the last one counts")
        elif grade_id in known:
            seen.add(grade_id)


def _put_back_tests(notebook: NotebookNode, released: NotebookNode, notes: list[str]) -> None:
    """Locked cells that were deleted come back after the cell that they followed."""
    previous = None
    for cell in released.cells:
        grade_id = _id(cell)
        if grade_id is None:
            continue
        present = [_id(other) for other in notebook.cells]
        if grade_id not in present and cell.metadata["nbgrader"].get("locked"):
            place = present.index(previous) + 1 if previous in present else 0
            notebook.cells.insert(place, nbformat.from_dict(cell))
            notes.append(f"cell {grade_id!r} was deleted; put back")
            present.insert(place, grade_id)
        if grade_id in present:
            previous = grade_id


def _id(cell: NotebookNode) -> str | None:
    value = cell.metadata.get("nbgrader", {}).get("grade_id")
    return value if isinstance(value, str) else None


def _id_in_source(cell: NotebookNode) -> str | None:
    first = cell.source.lstrip().split("\n", 1)[0]
    return first.removeprefix("# id:").strip() if first.startswith("# id:") else None


def _by_id(notebook: NotebookNode, wanted) -> dict[str, NotebookNode]:
    return {
        _id(cell): cell
        for cell in notebook.cells
        if _id(cell) is not None and wanted(cell.metadata["nbgrader"])
    }
