"""Steps in nbgrader's own pipeline: what was handed in is repaired, judged, and its bonus saved.

With them `nbgrader autograde` gives the scores of `course grade`: both ask `autograder.verdict`,
and each takes over what the other has judged already.
"""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Unicode

from autograder.course_folder import CourseFolder
from autograder.homework import Homework, digest, open_homework
from autograder.intake import Intake, repair, take_in
from autograder.results import Result, load_result, save_result
from autograder.runs import RunJudge
from autograder.sandbox.limits import Limits
from autograder.verdict import bonus_of, judge_submission, write_verdict
from autograder.workers import SANDBOX, Workers


class Repair(NbGraderPreprocessor):
    """Cells that lost their metadata get it back, copies are set free, deleted tests return."""

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        job, _ = _homework(self.config.CourseDirectory.root, resources)
        for note in repair(nb, job.source):
            self.log.warning(note)
        return nb, resources


class Judge(NbGraderPreprocessor):
    """In the place of executing a notebook: the verdict becomes its outputs."""

    sandbox = Unicode(
        SANDBOX, help="bubblewrap, docker, podman, or none, in which students' code has your rights"
    ).tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        job, course = _homework(self.config.CourseDirectory.root, resources)
        student = resources["nbgrader"]["student"]
        taken = take_in(course.step("submitted", job.name, student), job.notebook_name, job.source)
        result = load_result(course, job.name, student)
        marks = [digest(job, nb, taken.zips, training) for training in (False, True)]
        if result is None or result.digest not in marks:
            result = self._judged(job, course, student, nb, taken)
        write_verdict(nb, result)
        resources["judged"] = result
        return nb, resources

    def _judged(
        self, job: Homework, course: CourseFolder, student: str, nb: NotebookNode, taken: Intake
    ) -> Result:
        self.log.info("Judging %s of %s", job.name, student)
        runs = RunJudge(job).judge(taken.packed)
        workers = _workers(self.sandbox, job.limits, course.root)
        result = judge_submission(
            job, student, nb, workers.open, packed=taken.zips, runs=runs, notes=taken.notes
        )
        if result.status == "infra_error":
            raise RuntimeError(f"the grader failed, not the student: {result.reason}")
        save_result(course, result)
        return result


class SavePoints(SaveAutoGrades):
    """nbgrader's own, and bonus points as its extra credit."""

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        nb, resources = super().preprocess(nb, resources)
        bonus = bonus_of(resources["judged"])
        if bonus:
            with self.gradebook:
                for cell, points in bonus.items():
                    grade = self.gradebook.find_grade(
                        cell, self.notebook_id, self.assignment_id, self.student_id
                    )
                    grade.extra_credit = points
                self.gradebook.db.commit()
        return nb, resources


def _homework(root: str, resources: ResourcesDict) -> tuple[Homework, CourseFolder]:
    name = resources["nbgrader"]["assignment"]
    course = CourseFolder(Path(root))
    marks = [*course.step("source", name).glob("*.ipynb"), course.policy_file]
    changed = tuple(path.stat().st_mtime_ns for path in marks if path.is_file())
    return _opened(course, name, changed), course


@cache
def _opened(course: CourseFolder, name: str, changed: tuple[int, ...]) -> Homework:
    """Once for a class, and again when the instructor has changed something."""
    return open_homework(name, course)


@cache
def _workers(sandbox: str, limits: Limits, root: Path) -> Workers:
    """Those of `nbgrader autograde`, for as long as the command runs."""
    workers = Workers(sandbox, limits, [root])
    atexit.register(workers.close)
    return workers
