"""One warm process that has imported torch and transformers, and forks a worker for each student.

    with WarmHost() as host:
        student = Student(host.connect(folder))

Importing takes seconds, a fork some milliseconds, and its memory is shared until it is written to.
This is the outer side; the process itself is `autograder.sandbox.warm`. A `WarmHost` contains
nothing: its workers have the rights of whoever grades. For the same in a sandbox, see
`autograder.sandbox.opening`. Linux only: elsewhere torch and fork don't mix.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.judging.processes import Pipes
from autograder.sandbox.enclosure import ONE_THREAD, QUIET
from autograder.sandbox.limits import Limits
from course_utils.errors import CourseError

START_SECONDS = 600  # importing takes minutes on a busy machine
FORK_SECONDS = 60


class NoStart(CourseError):
    """The warm process did not start; `said` is what it printed."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the warm host did not start; run `course doctor`. It said: {said}")
        self.said = said


class Warm:
    """The warm process, started by a command; it may be asked by several threads at once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        begun = threading.Event()

        # A thread that lives as long as the process: a "parent" that Linux takes to have died, in
        # a process that asks for a signal then, is the thread that started it.
        def run() -> None:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
            )
            theirs.close()
            begun.set()
            self.process.wait()

        self._keeper = threading.Thread(target=run, daemon=True)
        self._keeper.start()
        begun.wait()
        self._control.settimeout(START_SECONDS)
        try:
            listening = self._control.recv(64) == b"listening"
        except OSError:
            listening = False
        self._control.settimeout(None)
        if not listening:
            self.close()
            self._said.seek(0)
            raise NoStart(self._said.read().decode(errors="replace").strip()[-500:])

    def fork(
        self, limits: Limits, folder: Path | None, environment: Mapping[str, str] | None
    ) -> ForkedConnection:
        """A new worker.

        Raises:
            CourseError: the process has ended, or a layer of the sandbox is refused.
        """
        request = {"folder": str(folder or ""), "environment": dict(environment or {})}
        message = json.dumps(request | {"limits": dataclasses.asdict(limits)}).encode()
        their_read, write = os.pipe()
        read, their_write = os.pipe()
        link, their_link = socket.socketpair()
        try:
            socket.send_fds(
                self._control, [message], [their_read, their_write, their_link.fileno()]
            )
            sent = True
        except OSError:
            sent = False
        finally:
            their_link.close()
            os.close(their_read)
            os.close(their_write)
        answer = _line(link) if sent else ""
        if not answer.startswith("ready "):
            link.close()
            os.close(read)
            os.close(write)
            reason = answer.removeprefix("no ") or "it has ended"
            raise CourseError(
                f"the warm host does not fork any more: {reason}. Start it again; "
                "`course doctor` says whether this machine can run the sandbox."
            )
        return ForkedConnection(read, write, int(answer.split()[1]), link, limits)

    def close(self) -> None:
        """Ends the process and every worker of it."""
        self._control.close()
        self._keeper.join(10)
        if self._keeper.is_alive():
            self.process.kill()
            self._keeper.join()


class WarmHost:
    """A warm process without a sandbox, as long as the block lasts."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise CourseError("a warm host needs Linux; elsewhere each worker is a new process.")
        self.folder = Path(tempfile.mkdtemp(prefix="judging-"))
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "PYTHONPATH")}
        environment |= ONE_THREAD | QUIET | {"HOME": str(self.folder)}
        command = [sys.executable, "-m", "autograder.sandbox.warm", "open", str(self.folder)]
        try:
            self._warm = Warm(command, environment, self.folder)
        except NoStart:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.process = self._warm.process

    def __enter__(self) -> WarmHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        scratch: bool = False,
    ) -> ForkedConnection:
        """A new worker, whose code runs in that folder.

        Args:
            environment: what it sees of one, beside the host's own few settings.
            limits: those of time, output and replies hold here; all others need a sandbox.
            scratch: whether the folder goes with the worker.
        """
        connection = self._warm.fork(limits or Limits(), folder, environment)
        connection.scratch = folder if scratch else None
        return connection

    def close(self) -> None:
        """Ends the host and every worker of it."""
        self._warm.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class ForkedConnection(Pipes):
    """A worker that the warm process has forked; `link` ends when it does.

    Attributes:
        pid: the worker's number, as its keeper sees it.
        scratch: a folder that is removed with it.
    """

    scratch: Path | None = None

    def __init__(
        self, read: int, write: int, pid: int, link: socket.socket, limits: Limits
    ) -> None:
        super().__init__(read, write, seconds=limits.run_seconds, reply_bytes=limits.reply_bytes)
        self.pid, self.link = pid, link
        self.ended = False

    def end(self) -> None:
        """Has the keeper kill the worker with all it started, and waits until it is gone."""
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_WR)
        self.why = _line(self.link, None) or "crashed"
        with contextlib.suppress(OSError):
            self.link.recv(1)  # the keeper hangs up
        self.link.close()
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _line(link: socket.socket, seconds: float | None = FORK_SECONDS) -> str:
    """What the keeper says up to a line's end; nothing where it has gone or is too late."""
    link.settimeout(seconds)
    said = b""
    with contextlib.suppress(OSError):
        while not said.endswith(b"\n") and (byte := link.recv(1)):
            said += byte
    return said.decode(errors="replace").strip()
