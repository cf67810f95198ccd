"""One warm process that has imported torch and transformers, and forks a worker for each student.

    with WarmHost() as host:
        student = Student(host.connect(folder))

Importing takes seconds, a fork some milliseconds, and its memory is shared until it is written to.
A fork is safe only while one thread runs: the numerical libraries get one thread each before they
are imported, and the host itself never computes. Linux only: elsewhere torch and fork don't mix.

python -m autograder.judging.host SOCKET OWNER     the process itself; ends when OWNER has ended
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from autograder.judging.processes import Pipes
from course_utils.errors import CourseError

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
QUIET = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error",
         "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
LIBRARIES = ("torch", "safetensors.torch", "transformers", "autograder.judging.plms",
             "autograder.judging.wire", "course_utils.plm.load")  # fmt: skip
START_SECONDS = 600  # importing takes minutes on a busy machine


class WarmHost:
    """The host, as long as the block lasts; it may be asked by several threads at once."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise CourseError("a warm host needs Linux; elsewhere each worker is a new process.")
        self.folder = Path(tempfile.mkdtemp(prefix="judging-"))
        self.path = self.folder / "socket"
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "PYTHONPATH")}
        environment |= ONE_THREAD | QUIET | {"HOME": str(self.folder)}
        command = [sys.executable, "-m", __name__, str(self.path), str(os.getpid())]
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        if not ready or self.process.stdout.readline() != b"listening\n":
            self.close()
            raise CourseError("the warm host did not start; run `course doctor`.")

    def __enter__(self) -> WarmHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(
        self, folder: Path, environment: Mapping[str, str] | None = None
    ) -> ForkedConnection:
        """A new worker, whose code runs in that folder.

        Args:
            environment: what it sees of one, beside the host's own few settings.
        """
        their_read, write = os.pipe()
        read, their_write = os.pipe()
        request = {"folder": str(folder), "environment": dict(environment or {})}
        message = json.dumps(request).encode() + b"\n"
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(str(self.path))
            socket.send_fds(link, [message], [their_read, their_write])
            answer = link.makefile().readline()
        except OSError:
            answer = ""
        finally:
            os.close(their_read)
            os.close(their_write)
        if not answer.strip().isdigit():
            link.close()
            os.close(read)
            os.close(write)
            raise CourseError("the warm host does not fork any more: start it again.")
        return ForkedConnection(read, write, int(answer), link)

    def close(self) -> None:
        """Ends the host and every worker of it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class ForkedConnection(Pipes):
    """A worker that the host has forked; `link` ends when it does."""

    def __init__(self, read: int, write: int, pid: int, link: socket.socket) -> None:
        super().__init__(read, write)
        self.pid, self.link = pid, link
        self.ended = False

    def end(self) -> None:
        """Has the host kill the worker with all it started, and waits until it is gone."""
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_WR)  # the host kills whom nobody holds any more
            while self.link.recv(64):
                continue
        self.link.close()


def main(path: str, owner: int) -> None:
    """Listens, forks, and tells each connection when its worker has ended."""
    import importlib

    for name in LIBRARIES:
        importlib.import_module(name)
    if threading.active_count() != 1 or len(os.listdir("/proc/self/task")) != 1:
        sys.exit("the warm host has more than one thread; forks of it would hang.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    print("listening", flush=True)
    workers: dict[socket.socket, int] = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while os.getppid() == owner:
            ready, _, _ = select.select([listener, *workers], [], [], 0.2)
            for one in ready:
                if one is listener:
                    _fork(listener, workers)
                elif _gone(one):
                    _kill(workers.get(one, 0))
            _bury(workers)
    finally:
        for pid in workers.values():
            _kill(pid)
            os.waitpid(pid, 0)
        if os.getppid() != owner:  # nobody else will
            shutil.rmtree(Path(path).parent, ignore_errors=True)


def _fork(listener: socket.socket, workers: dict[socket.socket, int]) -> None:
    link, _ = listener.accept()
    data, files, _, _ = socket.recv_fds(link, 1 << 16, 2)
    while not data.endswith(b"\n"):
        data += link.recv(1 << 16)
    pid = os.fork()
    if pid == 0:
        _become_worker(json.loads(data), files, [listener, link, *workers])
    workers[link] = pid  # before it is told of: whoever knows of it may end the host at once
    for file in files:
        os.close(file)
    with contextlib.suppress(OSError):  # who asked has gone: the link tells so, too
        link.sendall(f"{pid}\n".encode())


def _become_worker(request: dict, files: list[int], opened: list[socket.socket]) -> None:
    """The child: a session and a folder of its own, nothing of the host's open."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        for one in opened:
            one.close()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.close(null)
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        sys.argv = ["worker", *map(str, files)]
        from autograder.judging import worker

        sys.modules["__main__"] = worker  # as where it is started by its name
        worker.serve(*files)
        code = 0
    finally:
        os._exit(code)


def _gone(link: socket.socket) -> bool:
    try:
        return not link.recv(1)
    except ConnectionResetError:
        return True


def _kill(pid: int) -> None:
    """The worker and its session; one that was forked just now has none of its own yet."""
    if pid:
        _kill_session(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _kill_session(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _bury(workers: dict[socket.socket, int]) -> None:
    """Waits for workers that have ended, kills what they left, and closes their links."""
    for link, pid in list(workers.items()):
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done:
            _kill_session(pid)  # its number may be another's by now, its session's can't
            del workers[link]
            link.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
