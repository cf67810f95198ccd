"""The back-end for machines without bubblewrap: a container for each worker, by docker or podman.

Slower to start (each worker imports torch, some seconds), as tight as the container engine is. The
worker speaks over the container's standard input and output. The image is built once:

    docker build -t peft-course-worker -f autograder/sandbox/Dockerfile .
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Mapping

from autograder.judging.frame import HEAD, Lost
from autograder.judging.processes import Pipes
from autograder.judging.worker import ENDED_ITSELF
from autograder.sandbox.engine import IMAGE, command
from autograder.sandbox.limits import Limits
from course_utils.errors import CourseError

START_SECONDS, END_SECONDS = 120, 30
KILLED = 128 + 9
MOST_SAID = 1000  # bytes of what the engine says


def _page(value: object) -> object:
    """As `wire.encode` writes it, without torch: dicts have a mark."""
    if isinstance(value, dict):
        return {"$": "dict", "of": [[key, _page(inner)] for key, inner in value.items()]}
    return value


HELLO = json.dumps(_page({"op": "forget", "turn": 0, "with": {}})).encode()


class Container:
    """Containers of one engine, as long as the block lasts."""

    def __init__(self, engine: str, limits: Limits, image: str = IMAGE) -> None:
        self.engine, self.limits, self.image = engine, limits, image

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(
        self, environment: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> ContainerConnection:
        """A new container, whose worker has imported its libraries.

        Raises:
            CourseError: the engine does not start it; no student is to blame for that.
        """
        name, limits = f"worker-{uuid.uuid4().hex}", limits or self.limits
        line = command(self.engine, limits, self.image, name, environment or {})
        connection = ContainerConnection(self.engine, name, line, limits)
        try:
            connection.ask(HEAD.pack(len(HELLO), 0) + HELLO, START_SECONDS)
        except Lost as lost:
            said = connection.said.decode(errors="replace").strip() or str(lost)
            raise CourseError(f"{self.engine} did not start a worker. It said: {said}") from lost
        return connection

    def close(self) -> None:
        """Nothing: a container ends with its connection, or when our end of its input closes."""


class ContainerConnection(Pipes):
    """A worker in a container of its own."""

    def __init__(self, engine: str, name: str, line: list[str], limits: Limits) -> None:
        self.engine, self.name = engine, name
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.said = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        write, read = os.dup(self.process.stdin.fileno()), os.dup(self.process.stdout.fileno())
        self.process.stdin.close()
        self.process.stdout.close()
        super().__init__(read, write, seconds=limits.run_seconds, reply_bytes=limits.reply_bytes)

    def _listen(self) -> None:
        """Keeps the first words of the engine's; what more comes must not fill a pipe or a disk."""
        with self.process.stderr as stream:
            while part := stream.read1(1 << 16):
                self.said += part[: MOST_SAID - len(self.said)]

    def end(self) -> None:
        """Kills the container, and waits until the engine says that it is gone."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            # one that ends by itself is told from one that we kill by its status
            status = self.process.wait(timeout=0.5)
            self.why = "out_of_memory" if status == KILLED else ENDED_ITSELF.get(status, "crashed")
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(
                [self.engine, "kill", self.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=END_SECONDS,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=END_SECONDS)
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        self._listener.join(END_SECONDS)
