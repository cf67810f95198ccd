"""Has every Jupyter kernel of a test run forked by `server.py`, in the run and in its children.

Jupyter finds the kernel named python3 in the first folder of JUPYTER_PATH; this puts one there. Not
where COURSE_NOTEBOOKS is "shipped", as in CI: there kernels are started as a student's are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


class WarmKernels:
    """A server and a folder of Jupyter's for as long as the test run lasts."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kernels-"))
        path = self.folder / "socket"
        self._path_before = os.environ.get("JUPYTER_PATH")
        command = [sys.executable, str(HERE / "server.py"), str(path), str(os.getpid())]
        self.server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        if not self.server.stdout.readline():  # it says when it listens
            raise RuntimeError(f"the kernels' server did not start: {' '.join(command)}")
        spec = self.folder / "kernels" / "python3"
        spec.mkdir(parents=True)
        argv = [sys.executable, "-I", str(HERE / "client.py"), str(path), "-f", "{connection_file}"]
        description = {"argv": argv, "display_name": "Python 3", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(description), "utf-8")
        others = [self._path_before] if self._path_before else []
        os.environ["JUPYTER_PATH"] = os.pathsep.join([str(self.folder), *others])

    def pytest_report_header(self) -> str:
        return "kernels: forks of one that has imported torch (COURSE_NOTEBOOKS=shipped: new ones)"

    def pytest_unconfigure(self) -> None:
        self.server.terminate()
        self.server.wait()
        self.server.stdout.close()
        shutil.rmtree(self.folder)
        if self._path_before is None:
            del os.environ["JUPYTER_PATH"]
        else:
            os.environ["JUPYTER_PATH"] = self._path_before


def wanted(config) -> bool:
    """Whether this process starts the server: on Linux, and not if it is a worker of xdist's."""
    shipped = os.environ.get("COURSE_NOTEBOOKS") == "shipped"
    return sys.platform == "linux" and not shipped and not hasattr(config, "workerinput")
