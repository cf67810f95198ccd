"""Measurements in several processes, one core each: small models gain nothing from more threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_utils.claims.running import Job
    from course_utils.records import RunRecord

GIGABYTES = 2  # of memory, for one process
MOST = 8


def usual_processes() -> int:
    """As many as this machine has cores and memory for; one where a GPU does the work."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return 1
    memory = psutil.virtual_memory().available // (GIGABYTES * 2**30)
    return max(1, min(MOST, psutil.cpu_count() or 1, memory))


class Workers:
    """Processes that make measurements; each keeps its PLMs and tasks from one to the next.

    Args:
        count: how many. With 1 there are none: the measurements are made in this process.

    Raises:
        CourseError: fewer than one.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise CourseError(f"{count} processes: give 1 or more.")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._others: set[multiprocessing.process.BaseProcess] = set()

    def make(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, RunRecord]]:
        """Make them all; each comes out when it is done.

        Those of the first seed come first and alone: they choose the learning rates that the
        other seeds read.

        Raises:
            CourseError: of a job, when it is met; or a process that was killed.
        """
        if self.count == 1:
            for job in jobs:
                yield job, job.make()
            return
        for seeds in ([j for j in jobs if j.seed == 0], [j for j in jobs if j.seed != 0]):
            yield from self._together(seeds)

    def _together(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, RunRecord]]:
        under_way = {self._started().submit(_made, job): job for job in jobs}
        try:
            for future in as_completed(under_way):
                yield under_way[future], future.result()
        except BrokenProcessPool:
            self._pool = None
            raise CourseError(
                "a process was killed, perhaps for want of memory. The same command goes on; "
                "--jobs 1 needs the least."
            ) from None
        finally:
            for future in under_way:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._others = set(multiprocessing.active_children())
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, spawn, initializer=_begin)
        return self._pool

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is None:
            return
        stopped = error[0] is not None  # then what is under way is not waited for
        ours = set(multiprocessing.active_children()) - self._others if stopped else set()
        for process in ours:
            process.terminate()
        # the pool's own thread joins them: a second join beside it may return too early
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def _made(job: Job) -> RunRecord:
    return job.make()


def _begin() -> None:
    """Before a process imports torch: one thread, and Ctrl-C is the command's to handle."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
