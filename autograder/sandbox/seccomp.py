"""A filter of system calls: what a homework never needs and an attack would.

A program for the kernel's packet filter machine (BPF), as in the kernel's documentation,
userspace-api/seccomp_filter. Everything else stays allowed: torch needs several hundred calls, and
the namespaces round the worker hold without this filter.

Of sockets, honest work needs pairs alone: asyncio wakes itself by one, multiprocessing has them for
pipes. A pair leads nowhere but to its other end, if it is a stream: over datagrams one could write
to any socket with a name. Sockets that are connected by name stay refused, of AF_UNIX too: a path
may lead to a service of the machine that has its socket in a folder of Python's, and no namespace
is between. So do messages with control data, which could pass on open files, and whose bookkeeping
in the kernel had holes, and out-of-band data likewise.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from autograder.sandbox.kernel import (
    NEW_CGROUP,
    NEW_IPC,
    NEW_MOUNTS,
    NEW_NET,
    NEW_PID,
    NEW_USER,
    NEW_UTS,
    SECCOMP,
    prctl,
)

# name: (number on x86_64, on aarch64); None where there is no such call
REFUSED = {
    # sockets; but see the docstring
    "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "setsockopt": (54, 208), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "sendmmsg": (307, 269), "recvmmsg": (299, 243),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    # memory that belongs to no process, and messages between them
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "move_mount": (429, 429),
    "open_tree": (428, 428), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    # parts of the kernel with a history of holes
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "fanotify_init": (300, 262), "personality": (135, 92), "modify_ldt": (154, None),
    # the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "iopl": (172, None),
    "ioperm": (173, None), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "syslog": (103, 116), "vhangup": (153, 58),
}  # fmt: skip
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, audit number
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SOCKET, _SOCKETPAIR, _SENDTO, _RECVFROM = (41, 198), (53, 199), (44, 206), (45, 207)
_UNIX, _STREAM, _TYPES, _OUT_OF_BAND = 1, 1, 0xF, 1
_NEW = NEW_MOUNTS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET

# Instructions; the last two numbers of a jump are how many to skip if so, and if not.
_LOAD, _AND, _JUMP_EQUAL, _JUMP_BITS, _JUMP_FROM, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, (16, 24, 32, 40)  # their lower halves
_X32 = 0x40000000  # numbers of a third set of calls, on x86_64


def program(machine: str) -> bytes:
    """The filter for a machine of MACHINES."""
    column, audit = MACHINES[machine]
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_JUMP_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_FROM, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            steps += _refuse(numbers[column], errno.EPERM)
    # what clone3 is asked for lies in memory that a filter can't read: libc goes on to clone
    steps += _refuse(_CLONE3[column], errno.ENOSYS)
    steps += _only_stream_pairs(column)
    steps += [
        (_JUMP_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _ARGUMENTS_AT[0]),
        (_JUMP_BITS, 0, 1, _NEW),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _only_stream_pairs(column: int) -> list[tuple[int, int, int, int]]:
    """No sockets (that the network can't be reached is what code knows how to say), but pairs."""
    steps = [
        (_JUMP_EQUAL, 0, 4, _SOCKET[column]),
        (_LOAD, 0, 0, _ARGUMENTS_AT[0]),
        (_JUMP_EQUAL, 0, 1, _UNIX),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ERROR | errno.ENETUNREACH),
        (_JUMP_EQUAL, 0, 7, _SOCKETPAIR[column]),
        (_LOAD, 0, 0, _ARGUMENTS_AT[0]),
        (_JUMP_EQUAL, 0, 3, _UNIX),
        (_LOAD, 0, 0, _ARGUMENTS_AT[1]),
        (_AND, 0, 0, _TYPES),
        (_JUMP_EQUAL, 1, 0, _STREAM),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for number in (_SENDTO[column], _RECVFROM[column]):
        steps += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _ARGUMENTS_AT[3]),
            (_JUMP_BITS, 0, 1, _OUT_OF_BAND),
            (_RETURN, 0, 0, _ERROR | errno.EPERM),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return steps


def _refuse(number: int, error: int) -> list[tuple[int, int, int, int]]:
    return [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def refuse_calls() -> None:
    """Puts the filter on this thread and all it will start. Needs no_new_privs.

    Raises:
        OSError: no filter for this machine, or the kernel has no seccomp.
    """
    if platform.machine() not in MACHINES:
        raise OSError(f"there is no filter for {platform.machine()}")
    steps = program(platform.machine())
    prctl(SECCOMP, 2, ctypes.byref(_Program(len(steps) // 8, steps)))
