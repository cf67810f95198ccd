"""Docker and podman: the command line of a worker's container; and whether one works here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

from autograder.sandbox.enclosure import ONE_THREAD, QUIET
from autograder.sandbox.limits import Limits

IMAGE = "peft-course-worker"
TRY_SECONDS = 30


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
