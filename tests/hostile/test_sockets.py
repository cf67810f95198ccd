"""Sockets: a pair leads to its other end and nowhere else; what honest work does with one runs."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from contained import After, attack, left, run, well

from autograder.judging.student import Student

# ---------------------------------------------------------------- what is refused

#: what -> (its source, the number of the error that says why: 101 is "Network is unreachable")
REFUSED = {
    "the internet": ("socket.socket(socket.AF_INET, {kind})", 101),
    "the internet, version 6": ("socket.socket(socket.AF_INET6, {kind})", 101),
    "the kernel's netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", 101),
    "the machine's host": ("socket.socket(socket.AF_VSOCK, {kind})", 101),
    "ciphers of the kernel": ("socket.socket(38, socket.SOCK_SEQPACKET, 0)", 101),
    "packets": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)", 101),
    "one with a name": ("socket.socket(socket.AF_UNIX, {kind})", 1),
    "a pair of datagrams": ("socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", 1),
    "a pair of raw ones": ("socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)", 1),
    "a pair of packets": ("socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)", 1),
    "a pair with flags": ("socket.socketpair(1, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)", 1),
    "a pair on the internet": ("socket.socketpair(socket.AF_INET)", 1),
    "a pair of another protocol": ("socket.socketpair(30, socket.SOCK_STREAM)", 1),
    "connecting a pair by a path": ("pair[0].connect('/tmp/s')", 1),
    "connecting a pair in the abstract": ("pair[0].connect('\\0s')", 1),
    "a name for a pair": ("pair[0].bind('/tmp/s')", 1),
    "listening": ("pair[0].listen()", 1),
    "accepting": ("pair[0].accept()", 1),
    "passing on a file": ("socket.send_fds(pair[0], [b'x'], [3])", 1),
    "being given a file": ("socket.recv_fds(pair[1], 1, 1)", 1),
    "a message to a path": ("pair[0].sendmsg([b'x'], [], 0, '/tmp/s')", 1),
    "data out of band": ("pair[0].send(b'x', socket.MSG_OOB)", 1),
    "reading out of band": ("pair[0].recv(1, socket.MSG_OOB)", 1),
    "a filter on a socket": ("pair[0].setsockopt(socket.SOL_SOCKET, 26, bytes(16))", 1),
    "a large buffer": ("pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10**8)", 1),
    "a family with high bits": ("check(libc.syscall(41, 0x1_0000_0002, 1, 0))", 101),
    "a pair's kind with high bits": ("check(libc.syscall(53, 1, 0x1_0000_0002, 0, at))", 1),
}


def test_all_but_stream_pairs_are_refused_at_once(sandbox):
    """Each in the same worker: none may hang, succeed, or fail for another reason."""
    lines = [source.replace("{kind}", "socket.SOCK_STREAM") for source, _ in REFUSED.values()]
    after = attack(
        sandbox,
        "import ctypes, socket\n"
        "libc, pair = ctypes.CDLL(None, use_errno=True), socket.socketpair()\n"
        "at = (ctypes.c_int * 2)()\n"
        "def check(n):\n"
        "    if n < 0: raise OSError(ctypes.get_errno(), 'refused')\n"
        f"for line in {lines!r}:\n"
        "    try: exec(line); print('done')\n"
        "    except OSError as refused: print(refused.errno)\n",
    )
    assert after.status == "ran", after
    assert dict(zip(REFUSED, after.said.split(), strict=True)) == {
        what: str(number) for what, (_, number) in REFUSED.items()
    }


@pytest.fixture
def services():
    """What listens on the machine: by a path that a worker can see, and in the abstract."""
    with tempfile.TemporaryDirectory(dir="/usr/local") as folder:
        Path(folder).chmod(0o755)
        found = []
        for first in (f"{folder}/service", f"\0service-{os.getpid()}"):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                name = f"{first}-{kind.name}"
                service = socket.socket(socket.AF_UNIX, kind)
                service.bind(name)
                if name[0] == "/":
                    Path(name).chmod(0o777)
                if kind == socket.SOCK_STREAM:
                    service.listen()
                service.settimeout(0.05)
                found.append((name, service))
        yield found
        for _, service in found:
            service.close()


def test_a_service_of_the_machine_is_not_reached(sandbox, services):
    """By any call, though its socket may lie in a folder of the system's that is bound."""
    names = [name for name, _ in services]
    after = attack(
        sandbox,
        "import os, socket\n"
        f"for name in {names!r}:\n"
        "    if name[0] == '/': assert os.path.exists(name), 'the test proves nothing'\n"
        "    for kind in (1, 2, 5):\n"
        "        for make in (lambda: socket.socket(1, kind),\n"
        "                     lambda: socket.socketpair(1, kind)[0]):\n"
        "            for use in (lambda s: s.connect(name), lambda s: s.sendto(b'x', name),\n"
        "                        lambda s: s.sendmsg([b'x'], [], 0, name)):\n"
        "                try: use(make())\n"
        "                except OSError: continue\n"
        "                print('reached', name, kind)\n",
    )
    assert after == After("ran")
    for _, service in services:
        with pytest.raises(TimeoutError):
            service.recv(1) if service.type == socket.SOCK_DGRAM else service.accept()


def test_a_worker_has_no_socket_of_the_graders(sandbox):
    """Neither the keeper's link nor the warm process's: not open, and not to be had from it."""
    one, other = (Student(sandbox.connect(), seconds=10) for _ in range(2))
    run(other, "import socket\npair = socket.socketpair()\npair[0].send(b'private-answer')")
    after = run(
        one,
        "import os, socket, stat\n"
        "for fd in range(3000):\n"
        "    try: kind = os.fstat(fd).st_mode\n"
        "    except OSError: continue\n"
        "    if stat.S_ISSOCK(kind): print('socket', fd)\n"
        "    try: socket.socket(fileno=fd).recv(100, socket.MSG_DONTWAIT); print('read', fd)\n"
        "    except OSError: pass\n"
        "for pid in (1, 2, os.getpid(), os.getppid()):\n"
        "    try: print(os.listdir(f'/proc/{pid}/fd'))\n"
        "    except OSError: pass\n",
    )
    again = run(other, "print(pair[1].recv(100))")
    one.close()
    other.close()
    # socket.socket(fileno=...) of a pipe is refused, so that nothing of its judge's was closed
    assert (after, again) == (After("ran"), After("ran", "b'private-answer'\n"))
    assert left(sandbox) == 0
    assert well(sandbox)


SOCKETS_FULL = """
import os, socket, time
for _ in range(20):
    if os.fork() == 0:
        kept = []
        while True:
            try: pair = socket.socketpair()
            except OSError: time.sleep(100)
            kept += pair
            for end in pair:
                end.setblocking(False)
                try:
                    while True: end.send(b"x" * 60_000)
                except BlockingIOError: pass
time.sleep(100)
"""


def test_what_waits_in_sockets_counts_as_memory(sandbox):
    """The kernel's memory, which no process has in its account: 2,400 ends could hold 500 MB."""
    assert attack(sandbox, SOCKETS_FULL, seconds=20).status == "out_of_memory"


# ---------------------------------------------------------------- what works

WORKS = {
    "asyncio": (
        "import asyncio\n"
        "async def later(n):\n"
        "    await asyncio.sleep(0.01)\n"
        "    return n\n"
        "async def both(): return await asyncio.gather(later(1), later(2))\n"
        "print(asyncio.run(both()))\n",
        "[1, 2]\n",
    ),
    "a program under asyncio": (
        "import asyncio\n"
        "async def cat():\n"
        "    made = await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1)\n"
        "    return (await made.communicate(b'said'))[0]\n"
        "print(asyncio.run(cat()))\n",
        "b'said'\n",
    ),
    "a pool": (
        "import multiprocessing\n"
        "def square(x): return x * x\n"
        "with multiprocessing.Pool(2) as pool: print(pool.map(square, range(4)))\n",
        "[0, 1, 4, 9]\n",
    ),
    "an executor": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def square(x): return x * x\n"
        "with ProcessPoolExecutor(2) as pool: print(list(pool.map(square, range(4))))\n",
        "[0, 1, 4, 9]\n",
    ),
    "a pipe in two directions": (
        "import multiprocessing\n"
        "here, there = multiprocessing.Pipe()\n"
        "def answer(): there.send(there.recv() + 1)\n"
        "process = multiprocessing.Process(target=answer)\n"
        "process.start(); here.send(1); print(here.recv()); process.join()\n",
        "2\n",
    ),
    "a loader with workers": (
        "import torch\n"
        "from torch.utils.data import DataLoader, Dataset\n"
        "class Numbers(Dataset):\n"
        "    def __len__(self): return 6\n"
        "    def __getitem__(self, n): return torch.full((2,), float(n)), {'label': n}\n"
        "for x, y in DataLoader(Numbers(), batch_size=3, num_workers=2):\n"
        "    print(x.sum().item(), x.shape, y['label'].tolist())\n",
        "6.0 torch.Size([3, 2]) [0, 1, 2]\n24.0 torch.Size([3, 2]) [3, 4, 5]\n",
    ),
    "tensors through a queue": (
        "import torch, torch.multiprocessing as mp\n"
        "queue = mp.get_context('fork').Queue()\n"
        "whole = torch.arange(6).reshape(2, 3)\n"
        "def put():\n"
        "    for x in (whole[:, 1], torch.ones(0), torch.ones(1, dtype=torch.bfloat16)):\n"
        "        queue.put(x)\n"
        "process = mp.get_context('fork').Process(target=put)\n"
        "process.start()\n"
        "for _ in range(3): x = queue.get(); print(x.tolist(), x.dtype)\n"
        "process.join()\n",
        "[1, 4] torch.int64\n[] torch.float32\n[1.0] torch.bfloat16\n",
    ),
}


@pytest.mark.parametrize("what", WORKS)
def test_honest_work_with_several_processes_runs(sandbox, what):
    source, said = WORKS[what]
    assert attack(sandbox, source) == After("ran", said)


AT_ONCE = {
    "a manager": ("import multiprocessing\nmultiprocessing.Manager()", "EOFError"),
    "a server of forks": (
        "import multiprocessing\nmultiprocessing.get_context('forkserver').Pool(1)",
        "PermissionError",
    ),
    "a download": ("import urllib.request as r\nr.urlopen('http://192.0.2.1/')", "URLError"),
}


@pytest.mark.parametrize("what", AT_ONCE)
def test_what_needs_a_socket_with_a_name_fails_and_does_not_wait(sandbox, what):
    source, status = AT_ONCE[what]
    assert attack(sandbox, source).status == status
