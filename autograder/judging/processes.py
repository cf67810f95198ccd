"""Two pipes to a worker; and a worker as a child process, without a sandbox, for our own tests."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from autograder.judging.frame import HEAD, Lost, WireError, lengths
from autograder.judging.worker import ENDED_ITSELF


class Pipes:
    """Two pipes to a worker, however it was started; `end` is what ends it.

    Args:
        seconds: how long the worker may live.
        reply_bytes: the largest answer that is read; else what a message may have.

    Attributes:
        why: how the worker ended by itself, a status of a submission; `end` finds it out.
    """

    why = "crashed"

    def __init__(
        self, read: int, write: int, *, seconds: float = math.inf, reply_bytes: int | None = None
    ) -> None:
        self._read, self._write = read, write
        self._until, self._reply_bytes = time.monotonic() + seconds, reply_bytes

    def end(self) -> None:
        """Ends the worker and everything it has started."""
        raise NotImplementedError

    def ask(self, message: bytes, seconds: float) -> tuple[bytes, bytes]:
        """Sends a message, and waits for the answer until the deadline."""
        if self._read < 0:
            raise Lost("the worker has ended.", self.why)
        deadline = min(self._until, time.monotonic() + seconds)
        try:
            self._send(message, deadline)
            head = self._receive(HEAD.size, deadline)
            page, tensors = lengths(head)
            if self._reply_bytes is not None and page + tensors > self._reply_bytes:
                raise WireError(f"{page + tensors:,} bytes; at most {self._reply_bytes:,}.")
            return self._receive(page, deadline), self._receive(tensors, deadline)
        except WireError as broken:
            self.close()
            raise Lost(f"the worker breaks the rules: {broken}", "crashed") from broken
        except Lost:
            self.close()
            raise

    def _send(self, data: bytes, deadline: float) -> None:
        os.set_blocking(self._write, False)
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [self._write], [], _left(deadline))
            if not ready:
                raise Lost("the worker does not listen.", "timeout")
            try:
                view = view[os.write(self._write, view) :]
            except BrokenPipeError:
                raise self._ended() from None

    def _receive(self, size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            ready, _, _ = select.select([self._read], [], [], _left(deadline))
            if not ready:
                raise Lost("the worker took too long.", "timeout")
            part = os.read(self._read, min(1 << 20, size - len(found)))
            if not part:
                raise self._ended()
            found += part
        return bytes(found)

    def _ended(self) -> Lost:
        self.end()
        return Lost("the worker has ended.", self.why)

    def close(self) -> None:
        """Ends the worker, and closes our ends of the pipes."""
        self.end()
        for file in (self._read, self._write):
            if file >= 0:
                os.close(file)
        self._read = self._write = -1


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


class ProcessConnection(Pipes):
    """A worker started by `python -m autograder.judging.worker`.

    Args:
        folder: where its code runs.
        environment: what it sees of the environment; all of ours when None.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        their_read, write = os.pipe()
        read, their_write = os.pipe()
        super().__init__(read, write)
        command = [sys.executable, "-m", "autograder.judging.worker"]
        self.process = subprocess.Popen(
            [*command, str(their_read), str(their_write)],
            cwd=folder,
            env=dict(environment or os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(their_read, their_write),
            start_new_session=True,
        )
        os.close(their_read)
        os.close(their_write)
        self.pid = self.process.pid

    def end(self) -> None:
        if self.process.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                self.process.kill()
        status = self.process.wait()
        self.why = ENDED_ITSELF.get(status, "crashed")
