"""Text files as numbered lines, and blocks of lines between empty ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from course_utils.errors import CourseError

Line = tuple[int, str]
"""(number in the file, from 1; the line without its end)"""


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file; a byte order mark and the "\\r" of Windows are taken off.

    Lines end at "\\n" only: some texts contain other characters that Python counts as line ends.

    Raises:
        CourseError: no such file, or bytes that are not UTF-8, with the line they are in.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise CourseError(f"there is no file {path}.") from missing
    except UnicodeDecodeError as broken:
        line = path.read_bytes()[: broken.start].count(b"\n") + 1
        raise CourseError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from broken
    lines = text.removeprefix("\ufeff").split("\n")
    return [line.removesuffix("\r") for line in lines]


def blocks(path: Path, between: tuple[str, ...] = ()) -> Iterator[list[Line]]:
    """Runs of lines that are not empty: the sentences of a file in columns.

    Args:
        between: what lines begin with that separate sentences as empty ones do.
    """
    block: list[Line] = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip() and not (between and line.startswith(between)):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def fail(path: Path, line: int, problem: str) -> CourseError:
    """The error for one line of a file."""
    return CourseError(f"{path}, line {line}: {problem}")
