"""Zips from people who are not trusted: no links, no more than was agreed, and broken is said.

Python's own reader believes an archive about sizes, and raises whatever the codecs raise. Here
sizes are counted while unpacking, and what is wrong with an archive is always a CourseError.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.show.memory import readable

PART = 1 << 20  # bytes at a time
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError,
    RuntimeError,
)  # fmt: skip


@contextmanager
def opened(path: Path, most_files: int) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """(the archive, its files, without folders).

    Raises:
        CourseError: no zip, or one with more files.
    """
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as broken:
        raise CourseError(f"{path.name} is no zip: {broken}.") from broken
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > most_files:
            raise CourseError(f"{path.name} holds {len(entries):,} files; {most_files:,} at most.")
        yield archive, entries


def parts(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int, what: str
) -> Iterator[bytes]:
    """The bytes of one file, part by part.

    Args:
        most: bytes it may have.
        what: is said when something is wrong with it.

    Raises:
        CourseError: a link, an encrypted or broken file, or a larger one.
    """
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise CourseError(f"{what} is a link.")
    if entry.flag_bits & 1:
        raise CourseError(f"{what} is encrypted.")
    left = most
    try:
        with archive.open(entry) as file:
            while part := file.read(min(PART, left + 1)):
                left -= len(part)
                if left < 0:
                    break
                yield part
    except BROKEN as broken:
        raise CourseError(f"{what} can't be unpacked: {broken}.") from broken
    if left < 0:
        raise CourseError(f"{what} is larger than {readable(most)} when unpacked; a bomb?")
