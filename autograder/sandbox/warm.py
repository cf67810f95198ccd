"""The warm process: imports torch and transformers once, then forks a worker whenever it is asked.

python -m autograder.sandbox.warm open FOLDER    without a sandbox; FOLDER is removed at the end
python -m autograder.sandbox.warm confined       inside bubblewrap; layers round each worker

Its standard input is a socket. A request is one datagram: JSON ({"folder", "environment",
"limits"}) and three files: the two pipes of the worker, and a link. Over the link the keeper of the
worker says "ready PID" or "no REASON", later why the worker has ended, and hangs up when all of it
is gone.

A fork is safe only while one thread runs: the numerical libraries get one thread each before they
are imported, and this process never computes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import threading

from autograder.sandbox import kernel
from autograder.sandbox.keeper import keep
from autograder.sandbox.layers import LayerMissing, drop_root

LIBRARIES = ("torch", "safetensors.torch", "transformers", "autograder.judging.plms",
             "autograder.judging.wire", "autograder.judging.worker",
             "autograder.sandbox.by_value", "course_utils.plm.load")  # fmt: skip


def main(confined: bool, folder: str = "") -> None:
    """Serves until the other end of standard input is closed; then no worker is left either."""
    control = socket.socket(fileno=os.dup(0))
    if confined:
        drop_root()
        kernel.prctl(kernel.DUMPABLE, 0)
    for name in LIBRARIES:
        importlib.import_module(name)
    # torch reads what the processor can do at its first need, from files that workers lack
    _ = sys.modules["torch"].backends.quantized.supported_engines
    if threading.active_count() != 1 or len(os.listdir("/proc/self/task")) != 1:
        sys.exit("the warm process has more than one thread; forks of it would hang.")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)
    gc.collect()
    gc.freeze()  # else a child's first collection would write to, and so copy, all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries keepers
    life, held = os.pipe()  # keepers see `life` end with this process, however it ends
    control.send(b"listening")
    try:
        while True:
            data, files, _, _ = socket.recv_fds(control, 1 << 16, 3)
            if not data:
                return
            if os.fork() == 0:
                control.close()
                os.close(held)
                keep(json.loads(data), files, life, confined)
            for file in files:
                os.close(file)
    finally:
        os.close(held)
        _wait_for_keepers()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for_keepers() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


if __name__ == "__main__":
    try:
        main(sys.argv[1] == "confined", *sys.argv[2:])
    except LayerMissing as missing:
        sys.exit(f"layer: {missing}")
