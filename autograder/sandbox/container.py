"""The back-end for machines without bubblewrap: a container for each worker, by docker or podman.

Slower to start (each worker imports torch, some seconds), as tight as the container engine is. The
worker speaks over the container's standard input and output. The image is built once:

    docker build -t peft-course-worker -f autograder/sandbox/Dockerfile .
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping

from autograder.judging.host import ONE_THREAD, QUIET
from autograder.judging.processes import Pipes
from autograder.judging.worker import ENDED_ITSELF
from autograder.sandbox.limits import Limits

IMAGE = "peft-course-worker"
TRY_SECONDS = 30
END_SECONDS = 30
KILLED = 128 + 9


class Container:
    """Containers of one engine, as long as the block lasts."""

    def __init__(self, engine: str, limits: Limits, image: str = IMAGE) -> None:
        self.engine, self.limits, self.image = engine, limits, image

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self, environment: Mapping[str, str] | None = None) -> ContainerConnection:
        """A new container; its worker answers when it has imported its libraries."""
        name = f"worker-{uuid.uuid4().hex}"
        line = command(self.engine, self.limits, self.image, name, environment or {})
        return ContainerConnection(self.engine, name, line, self.limits)

    def close(self) -> None:
        """Nothing: a container ends with its connection, or when our end of its input closes."""


def command(
    engine: str, limits: Limits, image: str, name: str, environment: Mapping[str, str]
) -> list[str]:
    """The command line that starts a worker's container."""
    memory, scratch = str(limits.memory_bytes), limits.scratch_bytes
    settings = ONE_THREAD | QUIET | {"HOME": "/tmp"} | dict(environment)
    return [
        engine, "run", "--rm", "--interactive", "--init", "--name", name, "--pull", "never",
        "--network", "none", "--ipc", "private", "--read-only",
        "--user", "65534:65534", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges",
        "--memory", memory, "--memory-swap", memory,
        "--pids-limit", str(limits.processes),
        "--ulimit", f"nofile={limits.open_files}:{limits.open_files}",
        "--ulimit", f"fsize={limits.file_bytes}:{limits.file_bytes}",
        "--ulimit", f"cpu={int(limits.run_seconds) + 1}:{int(limits.run_seconds) + 1}",
        "--ulimit", "core=0:0",
        "--tmpfs", f"/tmp:rw,nosuid,nodev,size={scratch},mode=1777",
        "--shm-size", str(min(scratch, 64_000_000)),
        "--workdir", "/tmp",
        *[part for key, value in settings.items() for part in ("--env", f"{key}={value}")],
        image, "python", "-m", "autograder.judging.worker", "0", "1",
        str(limits.output_bytes), str(limits.total_output_bytes),
    ]  # fmt: skip


def why_not(engine: str, image: str = IMAGE) -> str | None:
    """Why the engine can't be used here, from asking it; None where it can."""
    if shutil.which(engine) is None:
        return f"{engine} is not installed"
    try:
        tried = subprocess.run(
            [engine, "image", "inspect", image],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRY_SECONDS,
        )
    except (subprocess.TimeoutExpired, OSError) as failed:
        return f"{engine} does not answer ({failed})"
    if tried.returncode:
        said = tried.stderr.strip()[-300:]
        return (
            f"{engine} has no image {image!r}, or its service does not run ({said}); to build it: "
            f"`{engine} build -t {image} -f autograder/sandbox/Dockerfile .`"
        )
    return None


class ContainerConnection(Pipes):
    """A worker in a container of its own."""

    def __init__(self, engine: str, name: str, line: list[str], limits: Limits) -> None:
        self.engine, self.name = engine, name
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        write, read = os.dup(self.process.stdin.fileno()), os.dup(self.process.stdout.fileno())
        self.process.stdin.close()
        self.process.stdout.close()
        super().__init__(read, write, seconds=limits.run_seconds, reply_bytes=limits.reply_bytes)

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
