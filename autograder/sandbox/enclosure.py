"""What bubblewrap puts round the warm process, as its command line; and whether it works here.

By bwrap: numbers of processes, network, messages and host name of its own;
a file system of the system's programs, Python, the packages and the few files of ours that a worker
needs, all read-only; a cleared environment. In there it stops being root. Each worker then gives up
more (`layers.py`), so that students can't reach one another or the warm process.

What is bound is a list of what is needed, never the disk without what is secret: no gradebook, no
course folder, no hidden checks. Where an installation puts those inside of what is bound (a site-
packages folder), an empty folder lies over them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import autograder
import course_utils

# Kept free of torch, so that `course doctor` can ask whatever is broken.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
QUIET = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error",
         "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
         "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
RUNTIME = "/runtime"
OURS = (
    "autograder/__init__.py", "autograder/judging/__init__.py", "autograder/judging/worker.py",
    "autograder/judging/wire.py", "autograder/judging/frame.py", "autograder/strict.py",
    "autograder/judging/plms.py",
    "autograder/sandbox/__init__.py",
    "autograder/sandbox/warm.py", "autograder/sandbox/keeper.py", "autograder/sandbox/layers.py",
    "autograder/sandbox/landlock.py", "autograder/sandbox/seccomp.py",
    "autograder/sandbox/kernel.py", "autograder/sandbox/by_value.py",
)  # fmt: skip
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache",
          "/etc/localtime", "/etc/alternatives", "/sys/devices/system/cpu")  # fmt: skip
LIBRARIES = ("torch", "transformers", "safetensors", "tokenizers", "numpy")
TRY_SECONDS = 60


def why_not() -> str | None:
    """Why it can't be used here, from really trying; None where it can."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu: `sudo apt install bubblewrap`)"
    try:
        tried = subprocess.run(
            command((), "-m", "autograder.sandbox.layers"),
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRY_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"bubblewrap did not answer within {TRY_SECONDS} seconds"
    if tried.returncode == 0:
        return None
    said = tried.stderr.strip()[-300:] or f"exit status {tried.returncode}"
    if said.startswith("layer: "):
        return f"the kernel refuses {said.removeprefix('layer: ')}{_ADVICE}"
    return f"bwrap refuses: {said}{_ADVICE}"


_ADVICE = (
    "; user namespaces may be off: see `sysctl kernel.apparmor_restrict_unprivileged_userns` "
    "(should be 0) and `sysctl user.max_user_namespaces` (should be large)"
)


def command(hidden: Iterable[Path], *python: str) -> list[str]:
    """bwrap's command line, with what its Python is to run."""
    root = os.getuid() == 0  # root needs no user namespace: it becomes nobody inside
    who = (
        ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        if root
        else ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    )
    bound = _bound()
    return [
        "bwrap", *who,
        "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
        "--unshare-cgroup-try", "--hostname", "sandbox",
        "--die-with-parent", "--new-session",
        *_mounts(bound, _covered(bound, [*_secrets(), *hidden])),
        "--chdir", "/tmp",
        "--clearenv", *_settings(),
        sys.executable, *python,
    ]  # fmt: skip


def _bound() -> list[Path]:
    """What is there beside our own files: the system, Python, and where the packages lie."""
    found = [Path(place) for place in SYSTEM]
    found += [Path(sys.base_prefix), Path(sys.prefix)]
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found.append(Path(spec.origin).parent.parent)
    kept: list[Path] = []
    for place in found:
        if place.exists() and not any(place.is_relative_to(known) for known in kept):
            kept.append(place)
    return kept


def _secrets() -> list[Path]:
    """Our own folders as installed or checked out; the worker's few files come by `OURS`."""
    package = Path(autograder.__file__).parent
    checkout = package.parent
    more = [checkout / name for name in ("assignments", "tests", "course", ".git")]
    return [package, *more]


def _covered(bound: list[Path], hidden: Iterable[Path]) -> list[Path]:
    """Those of the hidden folders that would be seen otherwise."""
    real = [place.resolve() for place in bound]
    return sorted(
        {
            folder.resolve()
            for folder in hidden
            if folder.exists() and any(folder.resolve().is_relative_to(place) for place in real)
        }
    )


def _mounts(bound: list[Path], covered: list[Path]) -> list[str]:
    options = []
    for place in bound:
        if place.is_symlink() and len(place.parts) == 2:  # /bin, on a system where it is in /usr
            options += ["--symlink", os.readlink(place), str(place)]
            continue
        for parent in reversed(place.parents[:-1]):
            options += ["--perms", "0755", "--dir", str(parent)]
        options += ["--ro-bind", str(place), str(place)]
    for place in covered:
        options += ["--perms", "0755", "--tmpfs", str(place), "--remount-ro", str(place)]
    for place in (sys.prefix, sys.base_prefix):  # may hold a password of a package registry
        if Path(place, "pip.conf").exists():
            options += ["--ro-bind", "/dev/null", f"{place}/pip.conf"]
    for folder in (RUNTIME, f"{RUNTIME}/autograder", f"{RUNTIME}/autograder/judging",
                   f"{RUNTIME}/autograder/sandbox"):  # fmt: skip
        options += ["--perms", "0755", "--dir", folder]
    source = Path(autograder.__file__).parent.parent
    for name in OURS:
        options += ["--ro-bind", str(source / name), f"{RUNTIME}/{name}"]
    library = Path(course_utils.__file__).parent
    options += ["--ro-bind", str(library), f"{RUNTIME}/course_utils"]
    return options + [
        "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp",
        "--remount-ro", "/",
    ]  # fmt: skip


def _settings() -> list[str]:
    values = ONE_THREAD | QUIET
    values |= {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp", "LOGNAME": "student", "USER": "student", "LANG": "C.UTF-8",
        "PYTHONPATH": RUNTIME, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
        "MPLBACKEND": "agg",
    }  # fmt: skip
    if site.ENABLE_USER_SITE and site.USER_SITE and os.path.isdir(site.USER_SITE):
        values["PYTHONPATH"] = f"{RUNTIME}:{site.USER_SITE}"
    return [part for name, value in values.items() for part in ("--setenv", name, value)]
