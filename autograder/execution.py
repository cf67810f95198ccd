"""Run one submission through nbgrader, in a process of its own that can be killed.

The joint between the grader and what executes student code: `Runner.run` takes a course, an
assignment and a student, and returns an `Outcome`. This runner starts nbgrader's autograde in
a child process, which keeps the grader alive whatever happens there and gives the whole run a
time limit. It is not a sandbox: student code runs with the rights of whoever grades.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from autograder.course_folder import CourseFolder, open_course, why_nbgrader_failed

#: seconds for a whole notebook, beside the limit for each cell
RUN_SECONDS = 900

#: what nbgrader says when the student's process is gone, and when it can't be stopped
DEAD, STUCK = ("DeadKernelError", "DeadKernel"), ("UnresponsiveKernelError", "CellTimeoutError")


@dataclass(frozen=True)
class Outcome:
    """Whether nbgrader wrote an autograded notebook, or the status and reason why not."""

    status: str  #: "ran", or one of results.STATUSES
    reason: str = ""
    seconds: float = 0.0


class Stopped(Exception):
    """The run was called off; the submission is neither graded nor failed."""


class Runner:
    """A child process that autogrades one submission after the other.

    Args:
        course: the course folder.
        seconds: the limit for one submission; after it, the child and all it started is killed.
        threads: how many threads a submission's numerical libraries may use.
    """

    def __init__(
        self, course: CourseFolder, *, seconds: float = RUN_SECONDS, threads: int | None = None
    ) -> None:
        self.course = course
        self.seconds = seconds
        self.threads = threads
        self._child: subprocess.Popen[str] | None = None
        self._expired = False
        self._stopped = False

    def run(self, assignment: str, student: str) -> Outcome:
        """Autograde what lies in `submitted/`; an older autograded copy is replaced.

        Raises:
            Stopped: `stop` was called, before or meanwhile.
        """
        if self._stopped:
            raise Stopped
        started = time.monotonic()
        child = self._child or self._start()
        self._expired = False
        timer = threading.Timer(self.seconds, self._expire)
        timer.start()
        reply = ""
        try:
            child.stdin.write(json.dumps([assignment, student]) + "\n")
            child.stdin.flush()
            reply = child.stdout.readline()
        except OSError:
            pass  # the child is gone; said below
        finally:
            timer.cancel()
        seconds = time.monotonic() - started
        if reply:
            return Outcome(**json.loads(reply), seconds=seconds)
        self.close()
        if self._stopped:
            raise Stopped
        if self._expired:
            return Outcome("timeout", f"took more than {self.seconds:.0f} seconds", seconds)
        return Outcome("infra_error", "the grading process ended unexpectedly", seconds)

    def close(self) -> None:
        """Kill the child and everything it has started. A later `run` starts a new one."""
        if self._child is not None:
            _kill_tree(self._child.pid)
            self._child.wait()
            self._child.stdin.close()
            self._child.stdout.close()
            self._child = None

    def stop(self) -> None:
        """Call off what runs in another thread, and every later `run`."""
        self._stopped = True
        if (child := self._child) is not None:
            _kill_tree(child.pid)
            child.wait()

    def _start(self) -> subprocess.Popen[str]:
        environment = dict(os.environ)
        if self.threads is not None:
            environment |= {"OMP_NUM_THREADS": str(self.threads)}
        with (self.course.root / "results" / "nbgrader.log").open("a") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "autograder.execution", str(self.course.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the grader, which closes its runners
            )
        return self._child

    def _expire(self) -> None:
        self._expired = True
        if self._child is not None:
            _kill_tree(self._child.pid)


def _kill_tree(pid: int) -> None:
    """Kill a process and its descendants, also those in sessions of their own (kernels)."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family[:-1], timeout=5)  # the parent is waited for by its Popen


def autograde(course: CourseFolder, assignment: str, student: str) -> dict[str, str]:
    """One submission in this process: what becomes of it, without the seconds."""
    outcome = course.nbgrader().autograde(assignment, student, force=True)
    if outcome["success"]:
        return {"status": "ran", "reason": ""}
    text = f"{outcome.get('log') or ''}\n{outcome.get('error') or ''}"
    if any(word in text for word in DEAD):
        return {"status": "crashed", "reason": "the notebook's Python process ended itself"}
    if any(word in text for word in STUCK):
        return {"status": "timeout", "reason": "a cell could not be interrupted"}
    return {"status": "infra_error", "reason": why_nbgrader_failed(outcome)}


def _serve(root: Path, requests: IO[str], replies: IO[str]) -> None:
    """Answer every line [assignment, student] with a line {status, reason}."""
    course = open_course(root)
    for line in requests:
        try:
            reply = autograde(course, *json.loads(line))
        except Exception as error:  # a failure here is ours, and must reach the grader
            reply = {"status": "infra_error", "reason": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    # Replies get a descriptor of their own: whatever else prints goes to the log.
    with os.fdopen(os.dup(1), "w") as channel:
        os.dup2(2, 1)
        _serve(Path(sys.argv[1]), sys.stdin, channel)
