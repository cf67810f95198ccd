"""SuperGLUE's files: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.tasks.formats.lines import fail, read_lines


def read_jsonl(
    path: Path,
    keys: Mapping[str, type],
    *,
    labels: Mapping[Any, int] | None,
    arrange: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The rows of one file.

    Args:
        keys: what every object must have, and of which type; "idx" is kept where there is one.
        labels: the file's answer -> label id, in the key "label"; None where test answers are
            not public (a "label" there is left out).
        arrange: first made of each object, such as taking a nested part out; a KeyError or
            TypeError in it means the object is not of the expected form.

    Raises:
        CourseError: broken JSON, a missing key, a value of another type, an unknown answer.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        found = _object(path, number, line)
        if arrange is not None:
            try:
                found = arrange(found)
            except (KeyError, TypeError, ValueError) as odd:
                raise fail(
                    path, number, f"not of the expected form ({odd}); it has {_keys(found)}."
                ) from odd
        row = _checked(path, number, found, keys)
        if labels is not None:
            row["label"] = _label(path, number, found, labels)
        rows.append(row)
    if not rows:
        raise CourseError(f"{path} holds no example.")
    return rows


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as broken:
        raise fail(path, number, f"broken JSON ({broken}); expected one object per line.") from None
    if not isinstance(found, dict):
        raise fail(path, number, f"{type(found).__name__} instead of a JSON object.")
    return found


def _checked(
    path: Path, number: int, found: dict[str, Any], keys: Mapping[str, type]
) -> dict[str, Any]:
    row = {}
    for key, kind in keys.items():
        if key not in found:
            raise fail(
                path,
                number,
                f"no {key!r}; expected {', '.join(keys)}, found {_keys(found)}.",
            )
        value = found[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise fail(path, number, f"{key} is {value!r}; expected {_called(kind)}.")
        row[key] = value
    if "idx" in found:
        row["idx"] = found["idx"]
    return row


def _label(path: Path, number: int, found: dict[str, Any], labels: Mapping[Any, int]) -> int:
    answer = found.get("label")
    # True equals 1 as a key: an answer counts only if it is written the way the file's are
    same = [known for known in labels if known == answer and type(known) is type(answer)]
    if not same:
        expected: Sequence[str] = [json.dumps(known) for known in labels]
        raise fail(
            path,
            number,
            f"label {json.dumps(answer)}; expected {' or '.join(expected)}.",
        )
    return labels[same[0]]


def _keys(found: Mapping[str, Any]) -> str:
    return ", ".join(found) or "nothing"


def _called(kind: type) -> str:
    return {str: "text", int: "a whole number", list: "a list"}.get(kind, kind.__name__)
