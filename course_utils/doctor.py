"""`course doctor`: what works on this machine, in plain words, and what to do about the rest.

Every check is a small function that returns one `Finding` and never raises: a broken import or
a hanging service becomes a line to read. Checks that touch what may crash or hang (torch's own
libraries, the network, a sandbox) run in a subprocess or with a short time limit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

State = Literal["ok", "attention", "missing"]
DISTRIBUTION = "peft-course-kit"
PYTHON_RANGE = ((3, 11), (3, 14))
HUB_TIMEOUT_S = 3.0
PROBE_TIMEOUT_S = 60.0
NEEDED_DISK_GB = 2.0
NEEDED_MEMORY_GB = 4.0


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        area: what was looked at, two or three words.
        state: "ok"; "attention" (something optional is not there, or is unusual); "missing"
            (something the kit needs is not there or does not work).
        text: what was found.
        advice: what to do, empty when there is nothing to do.
    """

    area: str
    state: State
    text: str
    advice: str = ""


# --- Python and packages -------------------------------------------------------------------


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Whether this Python is one the kit supports."""
    low, high = PYTHON_RANGE
    text = f"{version[0]}.{version[1]} at {sys.executable}"
    if low <= version < high:
        return Finding("Python", "ok", text)
    return Finding(
        "Python", "missing", text, "The kit needs 3.11, 3.12 or 3.13: make PYTHON=python3.12 demo"
    )


def requirements(extras: Iterable[str] = ()) -> dict[str, Requirement]:
    """The kit's own bounded ranges, read from its installed metadata, by package name.

    Raises:
        importlib.metadata.PackageNotFoundError: the kit runs from a folder without being
            installed.
    """
    wanted = set(extras)
    found = {}
    for line in metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *wanted)):
            found[requirement.name] = requirement
    return found


def check_package(requirement: Requirement, needed: bool = True) -> Finding:
    """Whether an installed version lies in the kit's range; nothing is imported."""
    name, wanted = requirement.name, str(requirement.specifier)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        state: State = "missing" if needed else "attention"
        return Finding(name, state, "not installed", f"pip install '{name}{wanted}'")
    if requirement.specifier.contains(Version(version), prereleases=True):
        return Finding(name, "ok", version)
    return Finding(
        name,
        "attention",
        f"{version}, outside the range the kit was written for ({wanted})",
        f"If something breaks: pip install '{name}{wanted}'",
    )


def check_packages() -> list[Finding]:
    """One line per package that matters; healthy small ones share a line."""
    try:
        needed, homework = requirements(), requirements(["homework"])
    except metadata.PackageNotFoundError:
        advice = "In the kit's folder: pip install -e '.[lab,homework]'"
        return [Finding("the kit", "missing", "not installed in this Python", advice)]
    shown = ("transformers", "datasets", "nbgrader")
    findings = [
        check_package(homework[name], needed=name in needed) for name in shown if name in homework
    ]
    quiet = [check_package(r) for n, r in needed.items() if n not in (*shown, "torch")]
    unhealthy = [finding for finding in quiet if finding.state != "ok"]
    healthy = len(quiet) - len(unhealthy)
    return [*findings, *unhealthy, Finding("other packages", "ok", f"{healthy} in range")]


# --- torch and the GPU, asked in a process of their own ------------------------------------

_TORCH_PROBE = """
import json, torch
answer = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip,
          "threads": torch.get_num_threads(), "gpus": [],
          "mps": torch.backends.mps.is_available()}
torch.ones(2, 2) @ torch.ones(2, 2)
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        answer["gpus"].append({"name": gpu.name, "memory_gb": gpu.total_memory / 2**30,
                               "bf16": gpu.major >= 8})
print(json.dumps(answer))
"""


def probe_torch(python: str = sys.executable) -> dict:
    """What torch says of itself: version, build, threads, GPUs; {"error": ...} if it can't."""
    try:
        done = subprocess.run(
            [python, "-P", "-c", _TORCH_PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PROBE_TIMEOUT_S:.0f} s"}
    except OSError as error:
        return {"error": str(error)}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit status {done.returncode}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def check_torch(answer: dict) -> Finding:
    """The line on torch, from `probe_torch`'s answer."""
    if "error" in answer:
        return Finding(
            "torch",
            "missing",
            f"does not work: {answer['error']}",
            "Run `make setup` again, or reinstall torch as PyTorch's 'Get started' page shows",
        )
    build = "CPU-only build"
    if answer["cuda"]:
        build = f"CUDA {answer['cuda']} build"
    elif answer["hip"]:
        build = f"ROCm {answer['hip']} build"
    return Finding("torch", "ok", f"{answer['version']}, {build}, {answer['threads']} threads")


def check_gpu(answer: dict, driver: bool | None = None) -> Finding:
    """The line on the GPU, from `probe_torch`'s answer.

    Args:
        answer: what `probe_torch` returned.
        driver: whether an NVIDIA driver is on this machine; looked up when None.
    """
    if "error" in answer:
        return Finding("GPU", "attention", "unknown, because torch does not work")
    if answer["gpus"]:
        gpu = answer["gpus"][0]
        more = f", and {len(answer['gpus']) - 1} more" if len(answer["gpus"]) > 1 else ""
        precision = "bf16" if gpu["bf16"] else "fp16 (no bf16 on this generation)"
        return Finding("GPU", "ok", f"{gpu['name']}, {gpu['memory_gb']:.0f} GB, {precision}{more}")
    if answer["mps"]:
        return Finding("GPU", "ok", "Apple GPU (mps)")
    driver = shutil.which("nvidia-smi") is not None if driver is None else driver
    if driver and not answer["cuda"]:
        return Finding(
            "GPU",
            "attention",
            "an NVIDIA driver is here, but torch is a CPU-only build",
            "make clean, then make TORCH_INDEX=ADDRESS setup (see README, CPU or CUDA)",
        )
    return Finding(
        "GPU",
        "attention",
        "none; the pocket models need none",
        "For models from the Hub larger than about 100M parameters use Colab or a GPU machine",
    )


# --- the world outside: Hub, sandbox -------------------------------------------------------


def check_hub(timeout: float = HUB_TIMEOUT_S, environment: dict | None = None) -> Finding:
    """Whether the Hugging Face Hub answers; honours the offline variables."""
    environment = dict(os.environ) if environment is None else environment
    way_out = "Pocket models, local folders and whatever is in the cache work without it"
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if environment.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}:
            text = f"switched off by {variable}={environment[variable]}"
            return Finding("Hub", "attention", text, f"{way_out}; unset {variable} to use it")
    endpoint = environment.get("HF_ENDPOINT", "https://huggingface.co")
    problem = _hub_problem(endpoint, timeout)
    if problem is None:
        return Finding("Hub", "ok", f"{endpoint} answers")
    return Finding("Hub", "attention", f"not reachable ({problem})", way_out)


def _hub_problem(endpoint: str, timeout: float) -> str | None:
    """Why a HEAD request to the endpoint failed, or None; any HTTP answer counts as reachable.

    In a process of its own, because name resolution obeys no timeout inside Python.
    """
    request = (
        "import sys, urllib.request, urllib.error\n"
        "try:\n"
        "    r = urllib.request.Request(sys.argv[1], method='HEAD')\n"
        "    urllib.request.urlopen(r, timeout=float(sys.argv[2]))\n"
        "except urllib.error.HTTPError as e:\n"
        "    sys.exit(0 if e.code < 500 else f'it answers {e.code}')\n"
        "except Exception as e:\n"
        "    sys.exit(str(getattr(e, 'reason', e)))\n"
    )
    command = [sys.executable, "-P", "-c", request, endpoint, str(timeout)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 2)
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout:.0f} s"
    return None if done.returncode == 0 else done.stderr.strip() or "no answer"


def why_no_sandbox(kind: str) -> str | None:
    """Why a kind of sandbox can't run a student's code here; None where it can."""
    from autograder.sandbox.trying import why_not

    return why_not(kind)


def check_sandbox(why_not: Callable[[str], str | None] = why_no_sandbox) -> Finding:
    """Which sandbox for students' code really starts here; only those who grade want one."""
    from autograder.sandbox.trying import WEAKER

    reasons = []
    for kind in ("bubblewrap", "docker", "podman"):
        reason = why_not(kind)
        if reason is None:
            text = "; ".join([f"{kind} works", *([WEAKER[kind]] if kind in WEAKER else [])])
            return Finding("sandbox", "ok", text)
        reasons.append(reason)
    advice = "Only graders want one. On Debian or Ubuntu: sudo apt install bubblewrap"
    return Finding("sandbox", "attention", "; ".join(reasons), advice)


# --- room, weights, notebooks --------------------------------------------------------------


def check_room(free_disk_gb: float, free_memory_gb: float) -> list[Finding]:
    """Disk where the kit is used, and memory not taken."""
    disk = Finding("disk", "ok", f"{free_disk_gb:.0f} GB free")
    if free_disk_gb < NEEDED_DISK_GB:
        text = f"{free_disk_gb:.1f} GB free"
        disk = Finding("disk", "attention", text, f"Make room: {NEEDED_DISK_GB:.0f} GB or more")
    memory = Finding("memory", "ok", f"{free_memory_gb:.0f} GB free")
    if free_memory_gb < NEEDED_MEMORY_GB:
        advice = f"Close other programs: {NEEDED_MEMORY_GB:.0f} GB free is comfortable"
        memory = Finding("memory", "attention", f"{free_memory_gb:.1f} GB free", advice)
    return [disk, memory]


def measure_room(folder: Path | None = None) -> tuple[float, float]:
    """Free disk (of `folder`, or where we stand) and available memory, in GB."""
    import psutil

    disk = shutil.disk_usage(folder or Path.cwd()).free
    return disk / 1e9, psutil.virtual_memory().available / 1e9


def check_pocket(weights: Path | None = None) -> Finding:
    """Whether the pocket models' weights came with the kit."""
    folder = weights or Path(__file__).parent / "plm" / "pocket" / "weights"
    names = sorted(f.parent.name for f in folder.glob("*/model.safetensors"))
    if names:
        return Finding("pocket models", "ok", ", ".join(names))
    advice = "They come with the kit: fetch it again in full (weights are ordinary files in it)"
    return Finding("pocket models", "missing", f"no weights in {folder}", advice)


def check_jupyter() -> Finding:
    """Whether `course lab` can open JupyterLab."""
    try:
        return Finding("JupyterLab", "ok", metadata.version("jupyterlab"))
    except metadata.PackageNotFoundError:
        advice = "pip install 'peft-course-kit[lab]', or make lab; Colab and VS Code need none"
        return Finding("JupyterLab", "attention", "not installed", advice)


# --- the report ----------------------------------------------------------------------------


def examine() -> list[Finding]:
    """Run all checks, in the order of the report; about five seconds."""
    torch_says = probe_torch()
    return [
        check_python(),
        check_torch(torch_says),
        check_gpu(torch_says),
        *check_packages(),
        check_pocket(),
        check_jupyter(),
        check_hub(),
        check_sandbox(),
        *check_room(*measure_room()),
    ]


def works(findings: Iterable[Finding]) -> bool:
    """Whether nothing the kit needs is missing."""
    return all(finding.state != "missing" for finding in findings)


def as_json(findings: Iterable[Finding]) -> str:
    """The report for a program: {"works": bool, "findings": [...]}."""
    findings = list(findings)
    report = {"works": works(findings), "findings": [asdict(f) for f in findings]}
    return json.dumps(report, indent=2)


def verdict(findings: Iterable[Finding]) -> str:
    """The last line of the report."""
    findings = list(findings)
    if not works(findings):
        broken = ", ".join(f.area for f in findings if f.state == "missing")
        return f"Something the kit needs is missing: {broken}."
    if any(f.state == "attention" for f in findings):
        return "Ready. The lines marked ! are optional, or worth a look."
    return "Ready."
