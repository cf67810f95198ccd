"""Kernels in no time: one process imports torch and its friends, every kernel is a fork of it.

python server.py SOCKET OWNER      listens until it is terminated, or the process OWNER has ended

A test run starts some dozens of Jupyter kernels, and each would import the same libraries anew for
seven seconds. `client.py` is what Jupyter takes for the kernel; it hands its files, environment and
folder over, and ends when, and as, the fork does. Linux only: elsewhere torch and fork don't mix.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import warnings

#: imported before the first fork: what notebooks and homework import. The kernel's own modules come
#: first: by them tqdm tells that its bars will be drawn in a notebook.
LIBRARIES = (
    "ipykernel.kernelapp", "ipykernel.zmqshell", "torch", "transformers",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2", "transformers.trainer", "datasets", "accelerate",
    "matplotlib.pyplot", "ipywidgets", "tqdm.auto",
    "course_utils.training", "course_utils.tuning", "course_utils.prompting",
    "course_utils.plm.load", "course_utils.evaluation",
)  # fmt: skip
QUIET = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def main(path: str, owner: int) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    print("listening", flush=True)
    wake, waker = socket.socketpair()
    wake.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken by it
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    watched = selectors.DefaultSelector()
    watched.register(listener, selectors.EVENT_READ)
    watched.register(wake, selectors.EVENT_READ)
    kernels: dict[int, socket.socket] = {}
    loaded = False
    while os.getppid() == owner:
        for key, _ in watched.select(timeout=1):
            if key.fileobj is listener:
                if not loaded:
                    _load()
                    loaded = True
                link, _ = listener.accept()
                request, files = _received(link)
                pid = os.fork()
                if pid == 0:
                    _forget(listener, wake, waker, link, *kernels.values(), watched)
                    _become_kernel(request, files)
                for file in files:
                    os.close(file)
                link.sendall(f"{pid}\n".encode())
                kernels[pid] = link
                watched.register(link, selectors.EVENT_READ, pid)
            elif key.fileobj is wake:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
            elif key.data in kernels and _gone(key.fileobj):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(key.data, signal.SIGKILL)
                watched.unregister(key.fileobj)
        _say_who_ended(kernels, watched)


def _load() -> None:
    import importlib

    os.environ.update(QUIET)
    for name in LIBRARIES:
        importlib.import_module(name)


def _received(link: socket.socket) -> tuple[dict, list[int]]:
    data, files, _, _ = socket.recv_fds(link, 1 << 20, 3)
    while not data.endswith(b"\n"):
        data += link.recv(1 << 20)
    return json.loads(data), files


def _gone(client: socket.socket) -> bool:
    try:
        return not client.recv(1)
    except ConnectionResetError:  # killed before it had read what it was sent
        return True


def _forget(*opened: socket.socket | selectors.BaseSelector) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in opened:
        one.close()


def _become_kernel(request: dict, files: list[int]) -> None:
    """What a new `python -m ipykernel_launcher` would be, from here on."""
    try:
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # it ends if the server does
        sys.argv = ["ipykernel_launcher", *request["arguments"], parent]
        sys.path[0] = ""
        warnings.resetwarnings()
        warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
        for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.filterwarnings("ignore", category=ignored)
        import matplotlib
        from ipykernel import kernelapp

        inline = "module://matplotlib_inline.backend_inline"
        matplotlib.rcParams["backend"] = os.environ.get("MPLBACKEND", inline)
        kernelapp.launch_new_instance()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    os._exit(code or 0)


def _say_who_ended(kernels: dict[int, socket.socket], watched: selectors.BaseSelector) -> None:
    while kernels:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        link = kernels.pop(pid)
        with contextlib.suppress(OSError):
            link.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        with contextlib.suppress(KeyError):
            watched.unregister(link)
        link.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
