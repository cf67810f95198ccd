"""From what a student handed in to a notebook that nbgrader can grade.

Whatever is certain is repaired, and every repair is said in the student's notes: a renamed
file, a cell that was copied, metadata that Colab lost (cells say who they are in their first
line, `# id: ...`), a deleted test. What can't be repaired is a reason, never an exception: one
bad submission must not stop the class.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.collect import OURS
from autograder.evidence.packed import MOST_IN_ALL, Packed, read_packed
from course_utils.errors import CourseError

#: larger notebooks are not read: an honest one has some 100 kB
MAX_BYTES = 20_000_000
MOST_CELLS = 2_000
MOST_FILES = 2_000
LEAST_LIKENESS = 0.4
MOST_COMPARED = 5_000  # characters
_NAMED = re.compile(r"\s*(?:# id:\s*(?P<code>\S+)|<!-- id:\s*(?P<text>\S+) -->)")
_DEFINES = re.compile(r"^(?:def|class)\s+(\w+)", re.MULTILINE)
GUESSED = "taken for"  #: in a note about a repair that is likely, not certain


@dataclass(frozen=True)
class Intake:
    """A notebook fit for grading, or None and the reason why there is none.

    Attributes:
        packed: the runs handed in beside it, and `zips` the bytes they came in.
        found: whether anything was handed in at all.
        doubt: whether a person should look at what was repaired.
    """

    notebook: NotebookNode | None
    notes: tuple[str, ...] = ()
    reason: str = ""
    packed: Packed | None = None
    zips: tuple[bytes, ...] = ()
    found: bool = True
    doubt: bool = False


def take_in(folder: Path, name: str, released: NotebookNode) -> Intake:
    """Read the submission in `folder`, or in the notebook or zip that `folder` itself is.

    Args:
        folder: what one student handed in.
        name: the notebook's file name as released.
        released: the homework, to repair by: the students' version or the instructor's.
    """
    notes: list[str] = []
    try:
        packed, zips = _unpacked(folder, notes)
        path, reason = _find(folder, name, notes)
        if path is None and (reason or packed is None):
            return Intake(None, tuple(notes), reason, found=bool(reason))
        if path is None and packed.notebook is None:
            return Intake(None, tuple(notes), "no notebook in the zip", packed, zips)
        notebook = read_notebook(path, notes) if path else parse_notebook(packed.notebook, notes)
    except (CourseError, OSError, ValueError, RecursionError) as error:
        return Intake(None, tuple(notes), f"can't be read: {error}")
    if path and packed and packed.notebook and path.read_bytes() != packed.notebook:
        notes.append(f"{path.name} beside the zip counts, not the notebook in it")
    what = path.name if path else "the notebook in the zip"
    repaired = repair(notebook, released)
    notes += repaired
    answers = _by_id(released, lambda meta: meta.get("solution"))
    present = _by_id(notebook, lambda meta: True)
    lost = sorted(answers.keys() - present.keys())
    if len(lost) == len(answers) and answers:
        return Intake(None, tuple(notes), f"{what} has none of the homework's cells")
    if lost:
        notes.append(f"answer cells not found: {', '.join(lost)}; a person should look")
    doubt = bool(lost) or any(GUESSED in note for note in repaired)
    return Intake(notebook, tuple(notes), packed=packed, zips=zips, doubt=doubt)


def packed_in(folder: Path) -> list[Path]:
    """The zips of packed homework in a student's folder, by name."""
    if folder.is_file():
        return [folder] if folder.suffix == ".zip" else []
    if not folder.is_dir():
        return []
    return [p for p in _files(folder, "*.zip") if p.is_file() and not p.is_symlink()]


def _unpacked(folder: Path, notes: list[str]) -> tuple[Packed | None, tuple[bytes, ...]]:
    """What the zip holds; of several the newest, by name, counts."""
    found = packed_in(folder)
    if not found:
        return None, ()
    last = found[-1]
    if len(found) > 1:
        notes.append(f"{len(found)} zips; {last.name!r} counts")
    if last.stat().st_size > MOST_IN_ALL:
        raise CourseError(f"{last.name} has {last.stat().st_size / 1e6:.0f} MB")
    packed = read_packed(last)
    return packed, (last.read_bytes(),)


def _find(folder: Path, name: str, notes: list[str]) -> tuple[Path | None, str]:
    """The notebook to grade, or the reason when there is none to be had."""
    if folder.is_file():
        return (None if folder.suffix == ".zip" else folder), ""
    if not folder.is_dir():
        return None, ""
    links = [p.name for p in _files(folder, "*") if p.is_symlink()]
    if links:
        notes.append(f"links are not followed: {', '.join(links[:5])}")
    found = [p for p in _files(folder, "*.ipynb") if p.is_file() and not p.is_symlink()]
    exact = [path for path in found if path.name == name]
    if len(exact) == 1:
        return exact[0], ""
    if len(found) == 1:
        notes.append(f"{found[0].name!r} was taken for {name!r}")
        return found[0], ""
    if found:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        return None, f"{len(found)} notebooks ({names}): which one counts?"
    others = [p.name for p in _files(folder, "*") if p.is_file() and p.name not in OURS]
    others = [other for other in others if not other.endswith(".zip")]
    if others and not packed_in(folder):
        return None, f"no notebook, only {', '.join(others[:5])}"
    return None, ""


def _files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, the system's own left out; not more than anyone hands in.

    Raises:
        CourseError: there are too many.
    """
    found = []
    for path in folder.rglob(pattern):
        if any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts):
            continue
        found.append(path)
        if len(found) > MOST_FILES:
            raise CourseError(f"more than {MOST_FILES} files were handed in")
    return sorted(found)


def read_notebook(path: Path, notes: list[str]) -> NotebookNode:
    """A notebook of format 4 from a file of unknown origin; see `parse_notebook`."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path.name} has {size / 1e6:.0f} MB, expected a notebook")
    try:
        return parse_notebook(path.read_bytes(), notes)
    except ValueError as wrong:
        raise ValueError(f"{path.name}: {wrong}") from None


def parse_notebook(content: bytes, notes: list[str]) -> NotebookNode:
    """A notebook of format 4 from bytes of unknown origin; says in `notes` what it converted.

    Raises:
        ValueError: it is not one, with what is wrong in a few words.
    """
    data = _json(content, notes)
    if isinstance(data, dict) and isinstance(data.get("worksheets"), list):
        data = _from_format_3(data)
        notes.append("the notebook is of format 3; converted")
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise ValueError("it is JSON but not a notebook of format 4")
    if len(data["cells"]) > MOST_CELLS:
        raise ValueError(f"it has {len(data['cells'])} cells, more than {MOST_CELLS}")
    for number, cell in enumerate(data["cells"]):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise ValueError(f"cell {number} is not a notebook cell")
        _complete(cell, number)
    data = {"cells": data["cells"], "nbformat": 4, "nbformat_minor": 5}
    data["metadata"] = {}  # the released notebook's is put in its place
    notebook = nbformat.from_dict(data)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise ValueError(f"it is not a valid notebook: {error.message[:200]}") from None
    return notebook


def _json(content: bytes, notes: list[str]) -> Any:
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
        notes.append("the notebook is text in UTF-16; converted")
    try:
        return json.loads(content.decode(encoding))
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply for a notebook") from None


def _from_format_3(data: dict) -> dict:
    try:
        return nbformat.convert(nbformat.from_dict(data | {"nbformat": 3}), 4)
    except Exception as odd:  # the converter takes the shape for granted
        raise ValueError(f"it is of format 3 and can't be converted ({odd!r:.100})") from None


def _complete(cell: dict, number: int) -> None:
    """Give a cell the parts that other programs leave out; old outputs are of no use."""
    source = cell.get("source", "")
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    cell["source"] = _whole(source)
    cell["id"] = f"cell-{number}"
    given = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
    kept = {"nbgrader": dict, "deletable": bool, "editable": bool}
    cell["metadata"] = {
        name: given[name] for name, kind in kept.items() if isinstance(given.get(name), kind)
    }
    tags = given.get("tags")
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        cell["metadata"]["tags"] = sorted(set(map(_whole, tags)))
    cell.pop("attachments", None)
    cell.pop("outputs", None)
    cell.pop("execution_count", None)
    if cell["cell_type"] == "code":
        cell.update(outputs=[], execution_count=None)


def _whole(text: str) -> str:
    """Text without halves of characters, which JSON can hold and UTF-8, so nbgrader, can't."""
    return text.encode("utf-8", "replace").decode("utf-8")


def repair(notebook: NotebookNode, released: NotebookNode) -> list[str]:
    """Make the graded cells of `notebook` those of `released`; returns what was done.

    Repairing what has been repaired changes nothing.
    """
    notes: list[str] = []
    notebook.metadata = nbformat.from_dict(released.metadata)
    known = _by_id(released, lambda meta: True)
    _restore_types(notebook, known, notes)
    _restore_metadata(notebook, known, notes)
    _set_copies_free(notebook, known, notes)
    _find_lost_answers(notebook, known, notes)
    _restore_locked(notebook, known, notes)
    _put_back_tests(notebook, released, notes)
    return notes


def _restore_types(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """A code cell that was turned into text, or the other way round, is turned back."""
    for number, cell in enumerate(notebook.cells):
        grade_id = _id(cell) if _id(cell) in known else _id_in_source(cell)
        if grade_id in known and cell.cell_type != known[grade_id].cell_type:
            kind = known[grade_id].cell_type
            made = {"cell_type": kind, "source": cell.source, "metadata": cell.metadata}
            _complete(made, number)
            notebook.cells[number] = nbformat.from_dict(made)
            notes.append(f"cell {grade_id!r} was a {cell.cell_type} cell; made {kind} again")


def _restore_metadata(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """Cells that lost their metadata, or had it changed, get that of the released cell.

    A cell is known by its first line, a locked one by its text as well.
    """
    present = _by_id(notebook, lambda meta: True)
    locked = {
        (cell.cell_type, cell.source): name
        for name, cell in known.items()
        if cell.metadata["nbgrader"].get("locked")
    }
    found: dict[str, list[str]] = {"first line": [], "text": []}
    for cell in notebook.cells:
        grade_id = _id(cell)
        if grade_id in known:
            cell.metadata["nbgrader"] = known[grade_id].metadata["nbgrader"].copy()
            continue
        cell.metadata.pop("nbgrader", None)
        by_line, by_text = _id_in_source(cell), locked.get((cell.cell_type, cell.source))
        named = by_line if by_line in known else by_text
        if named in known and named not in present:
            cell.metadata["nbgrader"] = known[named].metadata["nbgrader"].copy()
            present[named] = cell
            found["first line" if named == by_line else "text"].append(named)
    for how, names in found.items():
        if len(names) == 1:
            notes.append(f"cell {names[0]!r} had lost its metadata; known by its {how}")
        elif names:
            notes.append(f"{len(names)} cells had lost their metadata; known by their {how}")


def _find_lost_answers(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """An answer without metadata and first line: by what it defines, its place and its text."""
    names = list(known)
    for name, cell in known.items():
        present = _by_id(notebook, lambda meta: True)
        if name in present or not cell.metadata["nbgrader"].get("solution"):
            continue
        places = {_id(other): place for place, other in enumerate(notebook.cells)}
        order = names.index(name)
        first = max((places[n] + 1 for n in names[:order] if n in places), default=0)
        end = len(notebook.cells)
        last = min((places[n] for n in names[order + 1 :] if n in places), default=end)
        free = [c for c in notebook.cells[first:last] if _id(c) is None and c.source.strip()]
        free = [c for c in free if c.cell_type == cell.cell_type]
        if not free:
            continue
        best = max(free, key=lambda c: _likeness(c.source, cell.source))
        sure = _likeness(best.source, cell.source)
        if sure < LEAST_LIKENESS:
            continue
        best.metadata["nbgrader"] = cell.metadata["nbgrader"].copy()
        notes.append(f"a cell without a name was {GUESSED} {name!r} ({sure:.0%} sure)")


def _likeness(given: str, released: str) -> float:
    """0 to 1: whether the same things are defined, and how much of the text is the same."""
    wanted, found = set(_DEFINES.findall(released)), set(_DEFINES.findall(given))
    text = SequenceMatcher(None, released[:MOST_COMPARED], given[:MOST_COMPARED]).ratio()
    return text if not wanted else 0.5 * (wanted <= found) + 0.5 * text


def _restore_locked(
    notebook: NotebookNode, known: dict[str, NotebookNode], notes: list[str]
) -> None:
    """The instructor's cells hold the instructor's text."""
    for cell in notebook.cells:
        name = _id(cell)
        locked = name in known and known[name].metadata["nbgrader"].get("locked")
        if locked and cell.source != known[name].source:
            cell.source = known[name].source
            notes.append(f"locked cell {name!r} was changed; the original counts")


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
    """The name in a cell's first line: `# id: NAME` in code, `<!-- id: NAME -->` in text."""
    match = _NAMED.match(cell.source)
    return match["code"] or match["text"] if match else None


def _by_id(notebook: NotebookNode, wanted) -> dict[str, NotebookNode]:
    return {
        _id(cell): cell
        for cell in notebook.cells
        if _id(cell) is not None and wanted(cell.metadata["nbgrader"])
    }
