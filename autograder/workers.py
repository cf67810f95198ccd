"""Workers for a whole run of the grader: one sandbox, opened when needed, renewed when gone."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

from autograder.judging.host import WarmHost
from autograder.judging.student import Connection, Student
from course_utils.errors import CourseError


class Workers:
    """Gives `Student`s, each at a fresh worker; several threads may ask at once.

    Closing ends every worker.
    """

    def __init__(self) -> None:
        self._host: WarmHost | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Student:
        """A student's namespace, empty.

        Raises:
            CourseError: no sandbox can be had, or this was closed.
        """
        host = self._open_host()
        try:
            return Student(_connect(host))
        except CourseError:
            self._forget(host)  # it has died: one more try with a new one
            return Student(_connect(self._open_host()))

    def close(self) -> None:
        """Ends all workers and what they were forked from."""
        self._closed = True
        self._forget(self._host)

    def _open_host(self) -> WarmHost:
        with self._lock:
            if self._closed:
                raise CourseError("the grader was stopped.")
            if self._host is None:
                self._host = WarmHost()
            return self._host

    def _forget(self, host: WarmHost | None) -> None:
        with self._lock:
            if host is not None and self._host is host:
                self._host = None
                host.close()


def _connect(host: WarmHost) -> Connection:
    folder = Path(tempfile.mkdtemp(prefix="student-"))
    try:
        connection = host.connect(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _WithFolder(connection, folder)


class _WithFolder:
    """A connection whose folder goes when it is closed."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.folder = connection, folder

    def ask(self, message: bytes, seconds: float) -> tuple[bytes, bytes]:
        return self.connection.ask(message, seconds)

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)
