"""A packed homework (`course_utils.submit`), read by somebody who does not trust it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.strict import strict_json
from autograder.zips import opened, parts
from course_utils.errors import CourseError

MOST_FILES = 400
MOST_BYTES = {  # of one file, unpacked
    "notebook.ipynb": 20_000_000,
    "manifest.json": 1_000_000,
    "record.json": 2_000_000,
    "predictions.jsonl": 50_000_000,
    "method.json": 1_000_000,
    "adapter.safetensors": 200_000_000,
}
MOST_IN_ALL = 500_000_000
FIELDS = {
    "record.json": "record",
    "predictions.jsonl": "predictions",
    "method.json": "method",
    "adapter.safetensors": "tensors",
}
_RUN = re.compile(
    r"runs/(?P<run>[A-Za-z0-9_.-]{1,120})/"
    r"(?P<file>record\.json|predictions\.jsonl|adapter/method\.json|adapter/adapter\.safetensors)"
)


@dataclass
class PackedRun:
    """The files of one run, as bytes; None where one is missing."""

    name: str
    record: bytes | None = None
    predictions: bytes | None = None
    method: bytes | None = None
    tensors: bytes | None = None


@dataclass
class Packed:
    """What a zip holds.

    Attributes:
        notebook: the notebook's bytes, None where there is none.
        runs: name -> its files.
        notes: what was left out, in sentences.
    """

    notebook: bytes | None = None
    runs: dict[str, PackedRun] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_packed(path: Path, limit: int = MOST_IN_ALL) -> Packed:
    """The known files of a zip; others are left out and noted.

    Nothing is written to disk. Sizes are checked while unpacking, not believed from the directory.

    Raises:
        CourseError: no zip, or one with too many or too large files, links, two files of one
            name, or encrypted ones.
    """
    with opened(path, MOST_FILES) as (archive, entries):
        names = [entry.filename for entry in entries]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise CourseError(f"{path.name} holds {doubled[0]!r} twice.")
        found, left = Packed(), limit
        for entry in entries:
            left -= _take(archive, entry, path.name, left, found)
    return found


def _take(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, zip_name: str, left: int, found: Packed
) -> int:
    """Puts one file where it belongs; its size."""
    name = entry.filename
    run = _RUN.fullmatch(name)
    kind = run["file"].rsplit("/", 1)[-1] if run else name
    if not run and name not in ("notebook.ipynb", "manifest.json"):
        found.notes.append(f"{name[:120]!r} is none of the homework's files and was left out")
        return 0
    most = min(MOST_BYTES[kind], left)
    data = b"".join(parts(archive, entry, most, f"{zip_name}: {name!r}"))
    if run:
        one = found.runs.setdefault(run["run"], PackedRun(run["run"]))
        setattr(one, FIELDS[kind], data)
    elif kind == "notebook.ipynb":
        found.notebook = data
    return len(data)


def parsed(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object from bytes; no doubled keys, no NaN.

    Raises:
        CourseError: anything else.
    """
    try:
        found = strict_json(data)
    except ValueError as broken:
        raise CourseError(f"{what}: broken JSON ({broken}).") from broken
    if not isinstance(found, dict):
        raise CourseError(f"{what}: expected a JSON object.")
    return found
