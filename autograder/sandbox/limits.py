"""What a student's code may use.

In assignments/policy.toml, for one homework (what is left out keeps its default):

    [limits.hw_prompt]
    cell_seconds = 60
    memory_bytes = 2_000_000_000
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Limits:
    """Limits of one worker: one student's process with everything it starts.

    Attributes:
        cell_seconds: of one cell, by the clock.
        call_seconds: of one call of the judge's.
        run_seconds: of a worker's whole life.
        memory_bytes: beyond what the warm process already holds.
        processes: processes and threads at a time.
        open_files: of one process.
        file_bytes: of one file.
        scratch_bytes: of all files together, /tmp and /dev/shm included.
        output_bytes: printed by one cell or call.
        total_output_bytes: printed in all.
        reply_bytes: of one answer to the judge.
    """

    cell_seconds: float = 60.0
    call_seconds: float = 20.0
    run_seconds: float = 900.0
    memory_bytes: int = 2_000_000_000
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 200_000_000
    scratch_bytes: int = 300_000_000
    output_bytes: int = 1_000_000
    total_output_bytes: int = 5_000_000
    reply_bytes: int = 65_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            allowed = (int, float) if field.name.endswith("_seconds") else (int,)
            if type(value) not in allowed or not 0 < value < 2**62:
                kind = "number" if float in allowed else "whole number"
                raise CourseError(f"limit {field.name}: expected a {kind} above 0, got {value!r}.")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Limits:
        """Limits from a table of policy.toml.

        Raises:
            CourseError: a name that is no limit, or a value that is no number above 0.
        """
        known = [field.name for field in fields(cls)]
        for name in table:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise CourseError(f"there is no limit {name!r}{hint} Known: {', '.join(known)}.")
        return cls(**table)
