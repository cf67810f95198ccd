"""Runs of several trainings that go on where they were stopped: whose is this folder?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.records import read_json, write_json


def claim(folder: Path, marker: str, what: str, mine: Mapping[str, Any]) -> None:
    """Make a folder this run's own, or go on with it if it is.

    Args:
        marker: the file in it that says whose it is.
        what: a run's name for the message, "PET run".
        mine: everything a run depends on, as plain data.

    Raises:
        CourseError: the folder holds a run that differs; the first difference is named.
    """
    path = folder / marker
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, dict(mine))
        return
    theirs = read_json(path)
    odd = [key for key in mine if theirs.get(key) != json.loads(json.dumps(mine[key]))]
    if odd:
        raise CourseError(
            f"{folder} holds a {what} with another {odd[0].replace('_', ' ')}: use another "
            "folder, or delete this one."
        )


def digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """A few characters that differ where examples do."""
    text = json.dumps(list(rows), default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
