"""GLUE's tab-separated files: a header line and, unlike csv, no quoting.

A quotation mark is a character like any other. CoLA's train and dev files have no header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.tasks.formats.lines import fail, read_lines


def read_tsv(
    path: Path,
    columns: Mapping[str, str],
    *,
    header: Sequence[str] | None = None,
    label: str | None = None,
    to_label: Callable[[str], Any] = str,
    broken: int = 0,
) -> list[dict[str, Any]]:
    """The rows of one file.

    Args:
        columns: our name -> the file's.
        header: the columns of a file that has no header line.
        label: the file's column with the answer; None where there is none (test files).
        to_label: from its text to the value of our column "label"; a ValueError says what was
            expected.
        broken: so many lines with another number of fields are known to be in the published file
            and are left out.

    Raises:
        CourseError: a column that is not there, a line with another number of fields, an answer
            that is none, no example at all.
    """
    lines = read_lines(path)
    first = 1 if header is None else 0
    if header is None:
        header = lines[0].split("\t")
    wanted = dict(columns) | ({} if label is None else {"label": label})
    missing = [name for name in wanted.values() if name not in header]
    if missing:
        raise fail(
            path,
            1,
            f"no column {missing[0]!r}; expected a header with {', '.join(wanted.values())} "
            f"separated by tabs, found {', '.join(header)}.",
        )
    at = {ours: header.index(theirs) for ours, theirs in wanted.items()}
    rows = []
    for number, line in enumerate(lines[first:], start=first + 1):
        if not line:
            if any(rest.strip() for rest in lines[number:]):
                raise fail(path, number, f"empty; expected {len(header)} fields.")
            break
        fields = line.split("\t")
        if len(fields) != len(header):
            if broken:
                broken -= 1
                continue
            raise fail(
                path,
                number,
                f"{len(fields)} fields; expected {len(header)} ({', '.join(header)}) separated "
                "by tabs.",
            )
        row: dict[str, Any] = {ours: fields[index] for ours, index in at.items()}
        if label is not None:
            try:
                row["label"] = to_label(row["label"].strip())
            except ValueError as odd:
                raise fail(path, number, f"label {row['label']!r}; expected {odd}.") from odd
        rows.append(row)
    if not rows:
        raise CourseError(f"{path} has a header but no example.")
    return rows
