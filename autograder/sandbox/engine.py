"""Docker and podman: the command line of a worker's container; and whether one works here.

Nothing of the machine is mounted, the engine's own socket least of all. The container's output is
the worker's wire, which the engine would otherwise write into a log on the machine's disk; an
engine's settings may hand the proxies of whoever grades, passwords and all, to every container.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

from autograder.sandbox.enclosure import ONE_THREAD, QUIET
from autograder.sandbox.limits import Limits

IMAGE = "peft-course-worker"
TRY_SECONDS = 30
SPARE_SECONDS = 60  # after which a container ends by itself, should its grader have been killed
PROXIES = tuple(
    name
    for kind in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (kind, kind.lower())
)
#: what an engine is asked, and the words in its answer without which limits would not hold
HOLDS = {
    "docker": ("{{.MemoryLimit}}:memory {{.PidsLimit}}:pids", ("true:memory", "true:pids")),
    "podman": ("{{range .Host.CgroupControllers}}{{.}} {{end}}", ("memory", "pids")),
}


def command(
    engine: str, limits: Limits, image: str, name: str, environment: Mapping[str, str]
) -> list[str]:
    """The command line that starts a worker's container."""
    memory, scratch = str(limits.memory_bytes), limits.scratch_bytes
    settings = dict.fromkeys(PROXIES, "") | ONE_THREAD | QUIET | {"HOME": "/tmp"}
    settings |= dict(environment)
    most = str(int(limits.run_seconds) + SPARE_SECONDS)
    return [
        engine, "run", "--rm", "--interactive", "--init", "--name", name, "--pull", "never",
        "--log-driver", "none", "--hostname", "sandbox",
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
        image, "timeout", "--signal", "KILL", most,
        "python", "-m", "autograder.judging.worker", "0", "1",
        str(limits.output_bytes), str(limits.total_output_bytes),
    ]  # fmt: skip


def why_not(engine: str, image: str = IMAGE) -> str | None:
    """Why the engine can't be used here, from asking it; None where it can."""
    if shutil.which(engine) is None:
        return f"{engine} is not installed"
    asked, words = HOLDS[engine]
    try:
        tried = _ask(engine, "image", "inspect", image)
        holds = _ask(engine, "info", "--format", asked)
    except (subprocess.TimeoutExpired, OSError) as failed:
        return f"{engine} does not answer ({failed})"
    if tried.returncode:
        said = tried.stderr.strip()[-300:]
        return (
            f"{engine} has no image {image!r}, or its service does not run ({said}); to build it: "
            f"`{engine} build -t {image} -f autograder/sandbox/Dockerfile .`"
        )
    missing = [word.removeprefix("true:") for word in words if word not in holds.stdout.split()]
    if missing:
        said = holds.stderr.strip()[-300:]
        return (
            f"{engine} can't limit {' and '.join(missing)} here: it has no control group for that"
            f"{f' ({said})' if said else ''}. Without root, control groups of version 2 must be "
            "delegated to you: see 'rootless' and 'cgroup v2' in its documentation"
        )
    return None


def _ask(engine: str, *given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine, *given],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TRY_SECONDS,
    )
