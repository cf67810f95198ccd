"""Runs that were handed in, and what they earn: nothing a record says is believed.

`autograder.evidence` judges a run, the policy says what runs are worth; here both meet, for one
submission after the other, with the tasks and the PLM loaded once for the whole class.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from autograder.evidence.packed import Packed, PackedRun
from autograder.evidence.recompute import Evidence, check_method, judge_run, read_record
from autograder.evidence.replay import FrozenPlm
from autograder.homework import Homework
from autograder.results import RESULTS, Check
from autograder.verdict import Runs
from course_utils.errors import CourseError
from course_utils.submit import asked_by
from course_utils.tasks import Task, load_task

LOADING = (
    "the right answers of {task} are not on this machine ({why}). Fetch them once while online - "
    "`course task show {task}` - and grade again with --regrade."
)


class RunJudge:
    """Judges the runs of a class.

    Args:
        job: whose policy counts.
        replay: also put adapters back into the PLM, and make the answers again: "no", "sample" or
            "all" of them.
        find: from a PLM's name in a record to what `load_plm` takes, such as a local folder.
    """

    def __init__(
        self,
        job: Homework,
        *,
        replay: str = "no",
        find: Callable[[str], str] = lambda name: name,
    ) -> None:
        if replay not in ("no", "sample", "all"):
            raise CourseError(f"replay={replay!r}: expected 'no', 'sample' or 'all'.")
        self.job, self.replay = job, replay
        self.asked = asked_by(job.name) if job.result_points else None
        self.plm = FrozenPlm(find=find)
        self._tasks: dict[str, Task | str] = {}
        self._one_at_a_time = threading.RLock()

    def judge(self, packed: Packed | None) -> Runs:
        """The checks of exercise "results" for one submission."""
        if self.asked is None:
            return Runs()
        runs = packed.runs if packed else {}
        with self._one_at_a_time:  # one PLM in memory, and torch shares its cores badly
            found = [self._judge(run) for run in runs.values()]
        evidence = [one for one, _ in found]
        earned = self.job.policy.earned(self.job.name, evidence)
        checks = tuple(
            Check(RESULTS, one.rule.earns, one.points, one.rule.points * one.rule.most, one.message)
            for one in earned
        )
        findings = [f"{one.name}: {sentence}" for one in evidence for sentence in one.findings]
        if packed:
            findings += packed.notes
        digests = {one.name: one.digests for one in evidence}
        return Runs(checks, tuple(findings), digests, any(doubt for _, doubt in found))

    def _judge(self, run: PackedRun) -> tuple[Evidence, bool]:
        """(evidence, whether a person should look: the grader could not judge, or has doubts)."""
        try:
            record = read_record(run)
        except CourseError as wrong:
            return Evidence(run.name, findings=[str(wrong)]), False
        task = self._task(record.task)
        if isinstance(task, str):
            return Evidence(run.name, record, findings=[task]), record.task in self._open_tasks()
        evidence = judge_run(run, task)
        if evidence.record is None or evidence.score is None:
            return evidence, False
        check_method(evidence, run, self.asked.methods, self._expected(evidence, task))
        return evidence, self._replayed(evidence, run, task)

    def _expected(self, evidence: Evidence, task: Task) -> Callable[..., Mapping]:
        def expected(name, settings):
            try:
                return self.plm.expected(evidence.record, task)(name, settings)
            except OSError as missing:
                raise CourseError(
                    f"{evidence.record.plm} can't be loaded here: {missing}"
                ) from None

        return expected

    def _replayed(self, evidence: Evidence, run: PackedRun, task: Task) -> bool:
        """Adds what the adapter itself answers; whether a person should look."""
        if self.replay == "no" or evidence.findings:
            return False
        sample = {} if self.replay == "sample" else {"sample": None}
        try:  # which answers are asked for, no student can know
            again = self.plm.replay(run, evidence.record, task, seed=self.job.seed, **sample)
        except (CourseError, OSError) as wrong:
            evidence.findings.append(f"could not be run again: {wrong}")
            return True
        if not again.agrees:
            evidence.findings.append(f"run again, only {again}.")
        return not again.agrees

    def _task(self, name: str) -> Task | str:
        """A task of the homework; or the sentence why there is none."""
        if name not in self._open_tasks():
            known = ", ".join(self._open_tasks())
            return f"{name[:60]} does not count for {self.asked.title}; {known} do."
        if name not in self._tasks:
            try:
                self._tasks[name] = load_task(name)
            except (CourseError, OSError) as why:
                return LOADING.format(task=name, why=str(why).splitlines()[0])
        return self._tasks[name]

    def _open_tasks(self) -> Sequence[str]:
        return [task for tasks in self.asked.tracks.values() for task in tasks]
