"""One submission after the other, judged at a sandbox; whatever goes wrong becomes a result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from autograder.homework import Homework
from autograder.intake import Intake
from autograder.results import Result
from autograder.runs import RunJudge
from autograder.verdict import SECONDS, clean, judge_submission
from autograder.workers import Workers


class Bench:
    """Judges what was taken in; several threads may ask at once.

    Args:
        replay: whether adapters are put back into their PLM: "no", "sample" or "all" answers.
        seconds: for one submission.
        training: run training cells, too.
    """

    def __init__(
        self,
        job: Homework,
        workers: Workers,
        *,
        replay: str = "no",
        seconds: float = SECONDS,
        training: bool = False,
    ) -> None:
        self.job, self.workers, self.seconds, self.training = job, workers, seconds, training
        self.runs = RunJudge(job, replay=replay)

    def judge(self, student: str, taken: Intake) -> Result:
        if taken.notebook is None:
            return unreadable(self.job, student, taken)
        result = self._judge(student, taken)
        if result.status == "infra_error":  # ours, so it gets a second chance
            result = self._judge(student, taken)
        return result

    def _judge(self, student: str, taken: Intake) -> Result:
        try:
            return judge_submission(
                self.job,
                student,
                taken.notebook,
                self.workers.open,
                packed=taken.zips,
                runs=self.runs.judge(taken.packed),
                notes=taken.notes,
                doubt=taken.doubt,
                seconds=self.seconds,
                training=self.training,
            )
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return Result(
                student, self.job.name, "infra_error", reason=reason, notes=taken.notes,
                needs_person=True,
            )  # fmt: skip


def unreadable(job: Homework, student: str, taken: Intake) -> Result:
    """The result of a submission without a notebook."""
    notes = tuple(map(clean, taken.notes))
    if not taken.found:
        return Result(student, job.name, "missing", notes=notes)
    return Result(
        student, job.name, "student_error", reason=clean(taken.reason), notes=notes,
        needs_person=True,
    )  # fmt: skip


class Crew(Protocol):
    """Who judges: so many at a time, somewhere."""

    jobs: int

    def submit(self, student: str, taken: Intake, started: Callable[[str], None]) -> Future[Result]:
        """Has a submission judged; `started` is called with the student when that begins."""
        ...

    def stop(self) -> None:
        """Ends what is running: its futures fail."""
        ...

    def close(self) -> None: ...


class LocalCrew:
    """Threads here, each with a worker of the bench's sandbox."""

    def __init__(self, bench: Bench, jobs: int) -> None:
        self.bench, self.jobs = bench, jobs
        self._pool = ThreadPoolExecutor(jobs)

    def submit(self, student: str, taken: Intake, started: Callable[[str], None]) -> Future[Result]:
        def judged() -> Result:
            started(student)
            return self.bench.judge(student, taken)

        return self._pool.submit(judged)

    def stop(self) -> None:
        self.bench.workers.close()  # or the pool would wait for what is running

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
