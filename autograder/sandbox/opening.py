"""One interface for every back-end.

    with open_sandbox("bubblewrap", Limits.from_table(policy)) as sandbox:
        student = Student(sandbox.connect(), seconds=limits.call_seconds)

`connect` may be called by several threads at once; each worker is fresh, has scratch of its own,
and leaves nothing when its connection is closed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from autograder.judging.frame import Connection
from autograder.judging.host import WarmHost
from autograder.sandbox.bubblewrap import Bubblewrap
from autograder.sandbox.container import Container
from autograder.sandbox.engine import IMAGE
from autograder.sandbox.limits import Limits
from autograder.sandbox.trying import KINDS, refusal, why_not
from course_utils.errors import CourseError

WITHOUT = (
    "WITHOUT A SANDBOX: student code runs with the rights of whoever grades. It can read and "
    "change every file you can, the gradebook too, and use your network."
)


class Sandbox(Protocol):
    """Where workers come from."""

    def __enter__(self) -> Sandbox: ...

    def __exit__(self, *_: object) -> None: ...

    def connect(
        self, environment: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> Connection:
        """A fresh worker.

        Args:
            environment: what it sees of one, beside a few settings of ours.
            limits: those of this worker; the sandbox's own when None.
        """
        ...

    def close(self) -> None:
        """Ends every worker."""
        ...


def open_sandbox(
    kind: str,
    limits: Limits | None = None,
    *,
    hidden: Iterable[Path] = (),
    image: str = IMAGE,
) -> Sandbox:
    """A sandbox of a kind of KINDS.

    Args:
        hidden: folders that a worker must not see even where they lie in a folder of the system's
            or of Python's: the course's, say. All other folders are out of sight anyway.
        image: for docker and podman.

    Raises:
        CourseError: no such kind, or this machine can't; nothing weaker is used instead.
    """
    limits = limits or Limits()
    if kind not in KINDS:
        raise CourseError(f"there is no sandbox {kind!r}; there are {', '.join(KINDS)}.")
    reason = why_not(kind, image)
    if reason:
        raise CourseError(refusal(reason))
    if kind == "bubblewrap":
        return Bubblewrap(limits, hidden)
    if kind == "none":
        return Unconfined(limits)
    return Container(kind, limits, image)


class Unconfined:
    """No sandbox at all: a folder for each worker, and the limits of time, output and replies."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self._host = limits, WarmHost()

    def __enter__(self) -> Unconfined:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(
        self, environment: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> Connection:
        folder = Path(tempfile.mkdtemp(prefix="work-", dir=self._host.folder))
        return self._host.connect(folder, environment, limits or self.limits, scratch=True)

    def close(self) -> None:
        self._host.close()
