"""A class spread over a Dask cluster: the same judge, each with the sandbox of its own machine.

    dask scheduler                                         on one machine
    dask worker ADDRESS --nthreads 1 --nworkers 4          on each
    course grade hw_prompt --scheduler ADDRESS             where the course folder is

What travels to a worker is a submission and the homework; what comes back is a result. The
gradebook stays with the TA, who alone writes. Workers must have the very same code and hidden
checks: it is looked at before anything is sent, and again by each worker before it judges. A worker
that dies costs time: what it was judging is judged elsewhere.
"""

from __future__ import annotations

import atexit
import hashlib
import platform
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from autograder.bench import Bench
from autograder.homework import Homework, homework_of
from autograder.intake import Intake
from autograder.policy import Policy
from autograder.results import Result
from autograder.workers import Workers
from course_utils.errors import CourseError

ROOTS = ("autograder", "course_utils")
DECIDE = ("torch", "transformers")  #: libraries whose version may decide a score
RETRIES = 5  #: times that a submission is judged anew after its worker has died
CONNECT_SECONDS = 30


@dataclass(frozen=True)
class Order:
    """A homework as it travels, by values."""

    name: str
    notebook_name: str
    source: str
    policy: Policy
    seed: str
    own_checks: str
    version: str
    fingerprint: str
    options: tuple[tuple[str, Any], ...]


@cache
def fingerprint() -> str:
    """A name for the code of the kit here, hidden checks and all, and what it computes with."""
    import importlib.metadata as metadata

    mark = hashlib.sha256()
    for root in ROOTS:
        home = Path(__file__).resolve().parent.parent / root
        for path in sorted(home.rglob("*.py"), key=lambda p: p.relative_to(home).as_posix()):
            mark.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes())
    for name in DECIDE:
        # a build for another processor or GPU (+cpu, +cu126) is the same version
        mark.update(metadata.version(name).partition("+")[0].encode())
    mark.update(".".join(platform.python_version_tuple()[:2]).encode())
    return mark.hexdigest()[:16]


class ClusterCrew:
    """The workers of a Dask scheduler.

    Raises:
        CourseError: Dask is not installed, nobody answers at the address, there are no workers, or
            one of them has other code.
    """

    def __init__(self, address: str, job: Homework, **options: Any) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise CourseError(
                "--scheduler needs Dask, which is not installed: pip install "
                "'peft-course-kit[cluster]', here and on every worker."
            ) from None
        try:
            self.client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as missing:
            raise CourseError(f"no Dask scheduler answers at {address}: {missing}") from missing
        try:
            self.jobs = self._checked(address)
        except BaseException:
            self.client.close()
            raise
        self.order = Order(
            job.name,
            job.notebook_name,
            nbformat.writes(job.source),
            job.policy,
            job.seed,
            job.own_checks,
            job.version,
            fingerprint(),
            tuple(sorted(options.items())),
        )
        self._pool = self.client.get_executor(pure=False, retries=RETRIES)

    def submit(self, student: str, taken: Intake, started: Callable[[str], None]) -> Future[Result]:
        started(student)
        return self._pool.submit(judge_order, self.order, student, taken)

    def stop(self) -> None:
        self._pool.shutdown(wait=False)

    def close(self) -> None:
        self._pool.shutdown(wait=False)
        self.client.close()

    def _checked(self, address: str) -> int:
        """The number of threads of all workers, once each has shown the same code."""
        threads = self.client.nthreads()
        if not threads:
            raise CourseError(f"the Dask scheduler at {address} has no workers yet. Start some.")
        try:
            found = self.client.run(fingerprint)
        except Exception as missing:  # whatever a worker without the kit raises
            raise CourseError(
                f"the workers at {address} can't run the kit ({missing}). Install the same version "
                "of it on each, with the extra 'cluster'."
            ) from missing
        others = [worker for worker, mark in found.items() if mark != fingerprint()]
        if others:
            raise CourseError(
                f"workers with another version of the kit, its checks, or of {', '.join(DECIDE)}: "
                f"{', '.join(sorted(others))}. They have {found[others[0]]}, here it is "
                f"{fingerprint()}. Bring all to one version; nothing was graded."
            )
        return sum(threads.values())


def judge_order(order: Order, student: str, taken: Intake) -> Result:
    """Runs on a worker.

    Raises:
        CourseError: this worker's code is another than the grader's.
    """
    if order.fingerprint != fingerprint():
        raise CourseError(
            f"this worker has version {fingerprint()} of the kit, the grader {order.fingerprint}."
        )
    return _bench(order).judge(student, taken)


@cache
def _bench(order: Order) -> Bench:
    """Once for a class: the homework, and the sandbox that all its submissions share."""
    source = nbformat.reads(order.source, as_version=4)
    job = homework_of(
        order.name, order.notebook_name, source, order.policy, order.seed, order.own_checks
    )
    if job.version != order.version:
        raise CourseError("this worker's hidden checks are not those of the grader.")
    options = dict(order.options)
    workers = Workers(options.pop("sandbox"), job.limits)
    atexit.register(workers.close)
    return Bench(job, workers, **options)
