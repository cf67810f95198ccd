"""The usual back-end: bubblewrap round one warm process, which forks a confined worker for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from autograder.judging.host import ForkedConnection, NoStart, Warm
from autograder.sandbox.enclosure import command, why_not
from autograder.sandbox.limits import Limits
from autograder.sandbox.trying import refusal
from course_utils.errors import CourseError


class Bubblewrap:
    """A warm process in a sandbox, as long as the block lasts.

    Args:
        hidden: folders that must not be seen, should they lie inside of what is bound.

    Raises:
        CourseError: this machine can't; the message says which layer is missing.
    """

    def __init__(self, limits: Limits, hidden: Iterable[Path] = ()) -> None:
        self.limits = limits
        program = command(hidden, "-m", "autograder.sandbox.warm", "confined")
        try:
            self._warm = Warm(program, {"PATH": os.environ.get("PATH", os.defpath)}, Path("/"))
        except NoStart as failed:
            raise CourseError(refusal(why_not() or failed.said or "it did not start")) from failed
        self.process = self._warm.process

    def __enter__(self) -> Bubblewrap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(
        self, environment: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> ForkedConnection:
        """A new worker, in scratch of its own that goes with it."""
        return self._warm.fork(limits or self.limits, None, environment)

    def close(self) -> None:
        """Ends the warm process and every worker."""
        self._warm.close()
