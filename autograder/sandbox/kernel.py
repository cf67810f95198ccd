"""Calls of the Linux kernel that Python's standard library lacks."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h
NEW_TIME, NEW_MOUNTS, NEW_CGROUP, NEW_UTS = 0x80, 0x00020000, 0x02000000, 0x04000000
NEW_IPC, NEW_USER, NEW_PID, NEW_NET = 0x08000000, 0x10000000, 0x20000000, 0x40000000

# sys/mount.h
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18

# linux/prctl.h
DEATH_SIGNAL, DUMPABLE, SECCOMP, DROP_FROM_BOUND, NO_NEW_PRIVILEGES, AMBIENT = 1, 4, 22, 24, 38, 47


def call(name: str, *args: Any) -> int:
    """A function of libc.

    Raises:
        OSError: it returned a negative number.
    """
    return _checked(getattr(_libc, name)(*args), name)


def syscall(number: int, *args: Any) -> int:
    """A system call by its number, for those that libc has no function for."""
    _libc.syscall.restype = ctypes.c_long
    wide = (ctypes.c_long(a) if isinstance(a, int) else a for a in args)
    return _checked(_libc.syscall(ctypes.c_long(number), *wide), f"system call {number}")


def prctl(option: int, value: int = 0, more: Any = 0) -> int:
    given = [ctypes.c_ulong(n) if isinstance(n, int) else n for n in (value, more, 0, 0)]
    return call("prctl", option, *given)


def mount(what: str, where: str, kind: str, flags: int, options: str = "") -> None:
    texts = [text.encode() or None for text in (what, where, kind)]
    call("mount", *texts, ctypes.c_ulong(flags), options.encode() or None)


def _checked(value: int, name: str) -> int:
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return value
