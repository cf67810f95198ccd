"""What a worker gives up before it runs the first cell, inside bubblewrap, step by step.

The keeper calls `new_namespaces`, forks, and the child calls `give_up`. Each step names itself
when the kernel refuses it: a worker with a layer less never runs.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autograder.sandbox import kernel, landlock, seccomp

INNER_USER = 1000
SCRATCH = "/tmp/work"
SPARE_ADDRESSES = 1 << 30  # stacks and arenas of threads: reserved, hardly ever used


class LayerMissing(Exception):
    """The kernel refuses a layer; the message names it."""


@contextmanager
def layer(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as refused:
        raise LayerMissing(f"{name} ({refused.strerror or refused})") from refused


def drop_root() -> None:
    """From root to nobody: limits on processes do not hold for root, nor do modes of files."""
    if os.getuid() == 0:
        with layer("an unprivileged user"):
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)


def first_to_go() -> None:
    """Should the machine run out of memory, the kernel ends this process before any of ours."""
    with layer("being the first to end where memory is short"):
        kernel.prctl(kernel.DUMPABLE, 1)  # else its own /proc/self is closed to it
        Path("/proc/self/oom_score_adj").write_text("1000")
        kernel.prctl(kernel.DUMPABLE, 0)


def new_namespaces() -> None:
    """A user, and numbers of processes, network, messages and host name of its own.

    The caller stays outside the new process numbers: its next child is number 1 in there.
    """
    user, group = os.getuid(), os.getgid()
    with layer("a user namespace in the sandbox"):
        kernel.prctl(kernel.DUMPABLE, 1)  # else its own /proc/self is closed to it
        kernel.call("unshare", kernel.NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{INNER_USER} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{INNER_USER} {group} 1")
    with layer("process, network and IPC namespaces in the sandbox"):
        kernel.call(
            "unshare",
            kernel.NEW_PID | kernel.NEW_NET | kernel.NEW_IPC | kernel.NEW_UTS | kernel.NEW_CGROUP,
        )
    kernel.prctl(kernel.DUMPABLE, 0)


def give_up(limits: dict) -> None:
    """All the rest, by the child: files, capabilities, limits, system calls."""
    first_to_go()
    with layer("private mounts in the sandbox"):
        _private_mounts(limits["scratch_bytes"])
    with layer("limits on resources"):
        _set_limits(limits)
    with layer("dropping capabilities"):
        _drop_capabilities()
    kernel.prctl(kernel.DUMPABLE, 1)  # its keeper may read how much memory it holds
    with layer("no new privileges"):
        kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
    with layer("Landlock"):
        landlock.read_only_but(["/tmp", "/dev/shm", "/dev/null"])
    with layer("a filter of system calls"):
        seccomp.refuse_calls()


def memory_of(process: int | str = "self") -> dict[str, int]:
    """The sizes in /proc/PROCESS/status, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    pairs = (line.split(":") for line in lines if line.endswith(" kB"))
    return {name: int(size.split()[0]) * 1024 for name, size in pairs}


def _private_mounts(size: int) -> None:
    """One file system in memory, of a size, for work, /tmp and /dev/shm; nothing in /proc.

    Nor in /dev/pts: terminals there would be everybody's.
    """
    closed = kernel.NO_SUID | kernel.NO_DEVICES
    kernel.call("unshare", kernel.NEW_MOUNTS)
    kernel.mount("", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    files = max(1000, size // 50_000)
    kernel.mount("tmpfs", "/tmp", "tmpfs", closed, f"size={size},nr_inodes={files},mode=0700")
    os.mkdir(SCRATCH)
    os.mkdir("/tmp/.shm")
    kernel.mount("/tmp/.shm", "/dev/shm", "", kernel.BIND)
    for empty in ("/proc", "/dev/pts"):
        flags = closed | kernel.READ_ONLY | kernel.NO_EXEC
        kernel.mount("tmpfs", empty, "tmpfs", flags, "size=4k")
    os.chdir(SCRATCH)


def _set_limits(limits: dict) -> None:
    """Of memory: beyond `held`, what this process has from the warm one."""
    data = limits["held"]["VmData"] + limits["memory_bytes"]
    addresses = limits["held"]["VmSize"] + limits["memory_bytes"] + SPARE_ADDRESSES
    seconds = int(limits["run_seconds"]) + 1
    for which, most in {
        resource.RLIMIT_DATA: data,
        resource.RLIMIT_AS: addresses,
        resource.RLIMIT_NPROC: limits["processes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 1,  # not 0, which a core_pattern that is a program ignores
        resource.RLIMIT_MEMLOCK: 65536,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 1000,
    }.items():
        _, allowed = resource.getrlimit(which)
        if allowed != resource.RLIM_INFINITY:
            most = min(most, allowed)
        resource.setrlimit(which, (most, most))


class _Capabilities(ctypes.Structure):
    """Two 32-bit words each of: effective, permitted, inheritable."""

    _fields_ = [("words", ctypes.c_uint32 * 6)]


def _drop_capabilities() -> None:
    for number in range(64):
        try:
            kernel.prctl(kernel.DROP_FROM_BOUND, number)
        except OSError:
            break  # the kernel's last one
    kernel.prctl(kernel.AMBIENT, 4)  # clear all
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    kernel.call("capset", ctypes.byref(header), ctypes.byref(_Capabilities()))


def die_with_parent(parent: int) -> None:
    """This process is killed when its parent ends; at once if that has happened.

    Args:
        parent: its number as `os.getppid` gives it here: 0 from a namespace of its own.
    """
    kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def try_all() -> None:
    """Gives up everything in a process of its own, as a worker would: whether it can be done.

    Raises:
        LayerMissing: the first layer that the kernel refuses.
    """
    drop_root()
    kernel.prctl(kernel.DUMPABLE, 0)
    held = {"held": memory_of()}
    new_namespaces()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            give_up(_FOR_TRYING | held)
        except LayerMissing as missing:
            os.write(tell, str(missing).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told) as refusal:
        reason = refusal.read()
    os.waitpid(child, 0)
    if reason:
        raise LayerMissing(reason)


_FOR_TRYING = {"memory_bytes": 10**8, "scratch_bytes": 10**6, "run_seconds": 10, "processes": 8,
               "open_files": 64, "file_bytes": 10**6}  # fmt: skip


if __name__ == "__main__":
    try:
        try_all()
    except LayerMissing as missing:
        sys.exit(f"layer: {missing}")
