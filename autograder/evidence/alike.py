"""Submissions that share an adapter or predictions: for a person to look at, never a verdict.

Two students with the same seed, settings and machine can come to the same predictions honestly, on
a small dev set the more easily; the same adapter, bit for bit, hardly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Alike:
    """Runs of several students with the same file."""

    what: str
    students: tuple[str, ...]
    runs: tuple[str, ...]

    def __str__(self) -> str:
        return f"the same {self.what}: {', '.join(self.students)} ({', '.join(self.runs)})"


def alike(digests: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[Alike]:
    """Compares between students; adapters come first.

    Args:
        digests: student -> run -> {"adapter": checksum, "predictions": checksum}.
    """
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for student, runs in digests.items():
        for run, files in runs.items():
            for what, digest in files.items():
                found[what, digest].add((student, run))
    flagged = []
    for (what, _), owners in sorted(found.items()):
        students = tuple(sorted({student for student, _ in owners}))
        if len(students) > 1:
            runs = tuple(sorted({run for _, run in owners}))
            flagged.append(Alike(what, students, runs))
    return flagged
