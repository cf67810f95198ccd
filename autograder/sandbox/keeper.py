"""The keeper of a worker: forks it, watches it, ends it with all it has started, and says why.

The keeper stands between the warm process and a worker. It runs no code of a student's and is
invisible to it: the worker is process number 1 of a namespace, so that everything in there dies
with it. Without a sandbox, the worker is the head of a session, which is killed as far as it goes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from autograder.judging.worker import ENDED_ITSELF
from autograder.sandbox.layers import (
    LayerMissing,
    die_with_parent,
    give_up,
    memory_of,
    new_namespaces,
)

WATCH_SECONDS, SOONEST = 0.1, 0.01
FILLED = 2e9  # bytes that a processor can fill in a second
SOCKET_BYTES = 212_992  # that wait in a socket; the kernel's own default, and none can ask for more


def keep(request: dict, files: list[int], life: int, confined: bool) -> None:
    """Runs a worker until it, the judge or the warm process ends; never returns.

    Args:
        request: its environment and limits; its folder where there is no sandbox.
        files: its two pipes, and the link to whoever asked for it.
        life: a pipe that ends with the warm process.
    """
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        link = socket.socket(fileno=files.pop())
        _keep(request, files, link, life, confined)
        code = 0
    finally:
        os._exit(code)


def _keep(request: dict, files: list[int], link: socket.socket, life: int, confined: bool) -> None:
    limits = request["limits"] | {"held": memory_of()}
    told, tell = os.pipe()
    try:
        if confined:
            new_namespaces()
        worker = os.fork()
    except (LayerMissing, OSError) as refused:
        link.sendall(f"no {refused}\n".encode())
        return
    if worker == 0:
        _become_worker(request | {"limits": limits}, files, tell, confined)
    for file in (tell, *files):
        os.close(file)
    with open(told) as refusal:
        reason = refusal.read()
    handle = os.pidfd_open(worker)
    if reason:
        _end(worker, handle, confined)
        link.sendall(f"no {reason}\n".encode())
        return
    with contextlib.suppress(OSError):  # whoever asked may have gone: that is seen below
        link.sendall(f"ready {worker}\n".encode())
    most = limits["memory_bytes"] + limits["held"]["RssAnon"] if confined else 0
    too_much = _watch(worker, handle, [link.fileno(), life], most)
    status = _end(worker, handle, confined)
    with contextlib.suppress(OSError):
        link.sendall(("out_of_memory" if too_much else why(status)).encode() + b"\n")


def _watch(worker: int, handle: int, others: list[int], most: int) -> bool:
    """Waits until the worker or one of the others ends; True where it used too much memory."""
    seconds = WATCH_SECONDS if most else None
    while True:
        ready, _, _ = select.select([handle, *others], [], [], seconds)
        if ready:
            return False
        if most:
            tree = _tree(worker)
            left = most - _used(tree, most)
            if left < 0:
                return True
            # one process has a limit of its own that is exact; many can fill the rest quickly
            rate = FILLED * min(len(tree), os.cpu_count() or 1)
            seconds = min(WATCH_SECONDS, max(SOONEST, left / rate))


def _end(worker: int, handle: int, confined: bool) -> int:
    """Kills the worker with everything it started, and gives the status it ended with.

    The first process of a namespace is gone only when all others in there are.
    """
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    if not confined:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker, signal.SIGKILL)
    _, status = os.waitpid(worker, 0)
    return status


def why(status: int) -> str:
    """A status of a submission from the one a process ended with."""
    if os.WIFEXITED(status):
        return ENDED_ITSELF.get(os.WEXITSTATUS(status), "crashed")
    by = os.WTERMSIG(status)
    return "timeout" if by == signal.SIGXCPU else "crashed"


def _used(tree: list[int], most: int) -> int:
    """Bytes that processes hold, what the warm process shares included, and what waits in sockets.

    First a bound from above that costs little; only where it is too large, the kernel's account,
    in which a page that n processes share is an n-th of a page for each.
    """
    waiting = SOCKET_BYTES * _sockets()
    bound = sum(_resident(process) for process in tree) + waiting
    return bound if bound <= most else sum(_exact(process) for process in tree) + waiting


def _sockets() -> int:
    """How many there are in the worker's network, which is the keeper's, too."""
    return Path("/proc/self/net/unix").read_bytes().count(b"\n") - 1


def _tree(worker: int) -> list[int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(f"/proc/{name}/stat").read_text(errors="replace")
                parents[int(name)] = int(text.rpartition(")")[2].split()[1])
    tree = [worker]
    for process in tree:  # grows while it is walked
        tree += [child for child, parent in parents.items() if parent == process]
    return tree


def _resident(process: int) -> int:
    try:
        sizes = memory_of(process)
    except (OSError, ValueError):
        return 0  # ended just now
    return sum(sizes.get(name, 0) for name in ("RssAnon", "RssShmem", "VmSwap"))


def _exact(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except PermissionError:
        return _resident(process)  # it has made itself unreadable: then the bound counts
    except OSError:
        return 0
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines}
    return sum(sizes.get(name, 0) for name in ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"))


def _become_worker(request: dict, files: list[int], tell: int, confined: bool) -> None:
    """The child: a session of its own, nothing of ours open, all layers; then student code."""
    code = 1
    try:
        os.setsid()
        os.environ.update(request["environment"])
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        reads, writes, tell = _only(*files, tell)
        try:
            if confined:
                _send_tensors_by_value()
                give_up(request["limits"])
            else:
                os.chdir(request["folder"])
        except (LayerMissing, OSError) as refused:
            os.write(tell, str(refused).encode())
            return
        die_with_parent(0 if confined else os.getppid())
        os.close(tell)
        _serve(reads, writes, request["limits"])
        code = 0
    finally:
        os._exit(code)


def _send_tensors_by_value() -> None:
    from autograder.sandbox.by_value import send_by_value  # needs torch, which the warm process has

    send_by_value()


def _only(*files: int) -> list[int]:
    """Moves these files to 3, 4, 5 ... and closes everything else above 2."""
    high = [os.dup2(os.dup(file), 200 + place) for place, file in enumerate(files)]
    for place, file in enumerate(high):
        os.dup2(file, 3 + place, inheritable=False)
    os.closerange(3 + len(files), os.sysconf("SC_OPEN_MAX"))
    return list(range(3, 3 + len(files)))


def _serve(reads: int, writes: int, limits: dict) -> None:
    from autograder.judging import worker

    sys.argv = ["worker", str(reads), str(writes)]
    sys.path[0] = ""
    worker.serve(reads, writes, limits["output_bytes"], limits["total_output_bytes"])
