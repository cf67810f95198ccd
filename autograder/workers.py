"""Workers for a whole run of the grader: one sandbox, opened when needed, renewed when gone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.sandbox.limits import Limits
from autograder.sandbox.opening import Sandbox, open_sandbox
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from autograder.judging.student import Student

SANDBOX = "bubblewrap"  #: unless somebody chooses another by name


class Workers:
    """Gives `Student`s, each at a fresh worker; several threads may ask at once.

    Closing ends every worker.

    Args:
        kind: of sandbox, see `autograder.sandbox.trying.KINDS`.
        limits: what a student's code may use; the homework's when None.
        hidden: folders that must be out of its sight, wherever they lie.
    """

    def __init__(
        self, kind: str = SANDBOX, limits: Limits | None = None, hidden: Iterable[Path] = ()
    ) -> None:
        self.kind, self.limits, self.hidden = kind, limits, tuple(hidden)
        self._sandbox: Sandbox | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_soon(self) -> None:
        """Opens the sandbox in a thread; if it can't be, `start` or `open` will say so."""

        def opened() -> None:
            with contextlib.suppress(CourseError):
                self._open_sandbox()

        threading.Thread(target=opened, daemon=True).start()

    def start(self) -> None:
        """Opens the sandbox now, so that a machine that can't is found before any work.

        Raises:
            CourseError: what is missing.
        """
        self._open_sandbox()

    def open(self) -> Student:
        """A student's namespace, empty.

        Raises:
            CourseError: no sandbox can be had, or this was closed.
        """
        sandbox = self._open_sandbox()
        try:
            return self._student(sandbox)
        except CourseError:
            self._forget(sandbox)  # it has died: one more try with a new one
            return self._student(self._open_sandbox())

    def close(self) -> None:
        """Ends all workers and what they were forked from."""
        self._closed = True
        self._forget(self._sandbox)

    def _student(self, sandbox: Sandbox) -> Student:
        from autograder.judging.student import Student  # imports torch

        limits = self.limits or Limits()
        connection = sandbox.connect(limits=limits)
        return Student(connection, limits.call_seconds, limits.cell_seconds)

    def _open_sandbox(self) -> Sandbox:
        with self._lock:
            if self._closed:
                raise CourseError("the grader was stopped.")
            if self._sandbox is None:
                self._sandbox = open_sandbox(self.kind, hidden=self.hidden)
            return self._sandbox

    def _forget(self, sandbox: Sandbox | None) -> None:
        with self._lock:
            if sandbox is not None and self._sandbox is sandbox:
                self._sandbox = None
                sandbox.close()
