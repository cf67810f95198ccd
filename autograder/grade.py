"""Grade a class: intake, execution by nbgrader, scores in its gradebook, a result for each.

One submission never stops the others, and a run that was stopped goes on where it was: what is
already graded and has not changed since is left alone.
"""

from __future__ import annotations

import hashlib
import queue
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import nbformat
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.course_folder import CourseFolder, add_roster, open_course, read_roster
from autograder.execution import RUN_SECONDS, Runner, Stopped
from autograder.intake import Intake, take_in
from autograder.late import check_groups
from autograder.policy import read_policy
from autograder.release import release
from autograder.results import Result, load_result, save_result
from autograder.scores import read_scores
from course_utils.errors import CourseError, unknown_name


def grade(
    assignment: str,
    course_dir: Path | str = "course-run",
    submissions: Path | str | None = None,
    students: Iterable[str] | None = None,
    jobs: int = 1,
    *,
    roster: Path | str | None = None,
    regrade: bool = False,
    seconds: float = RUN_SECONDS,
    assignments_dir: Path | str | None = None,
    progress: bool = True,
    console: Console | None = None,
) -> list[Result]:
    """Grade submissions of a homework and write the scores into the gradebook.

    Args:
        assignment: such as "hw_prompt"; released into the course folder if it is not yet.
        course_dir: the course folder.
        submissions: a folder with what was handed in, one folder (or one notebook) per student,
            named by student id. It is not changed. None: what lies in the course folder's
            `submitted/<student>/<assignment>` already.
        students: only these ids; None: everybody on the roster or with a submission.
        jobs: how many submissions run at a time.
        roster: a CSV with a column student_id; None: the course folder's roster.csv, if any.
        regrade: grade again what is graded and unchanged.
        seconds: the limit for one submission.
        assignments_dir: where the instructor's versions are, if not in this repository.
        progress: show a progress bar.
        console: where to show it.

    Returns:
        A result per student, in the order of their ids.

    Raises:
        CourseError: before any grading, when an argument is of no use.
    """
    if jobs < 1:
        raise CourseError(f"jobs={jobs}: expected 1 or more.")
    course = open_course(course_dir)
    if submissions is not None and not Path(submissions).is_dir():
        raise CourseError(f"no submissions: {submissions} is not a folder.")
    if not course.is_released(assignment):
        release(assignment, course.root, assignments_dir=assignments_dir, run=False)
    roster = roster or (course.roster_file if course.roster_file.exists() else None)
    on_roster = add_roster(course, roster) if roster else []
    if roster and course.policy_file.is_file():
        check_groups(read_policy(course.policy_file), assignment, read_roster(course.roster_file))
    handed_in = _handed_in(course, assignment, submissions)
    chosen = _choose(students, on_roster, handed_in)
    grader = _Grader(course, assignment, handed_in, set(on_roster), regrade)
    threads = None if jobs == 1 else 1
    runners = [Runner(course, seconds=seconds, threads=threads) for _ in range(jobs)]
    idle: queue.SimpleQueue[Runner] = queue.SimpleQueue()
    for runner in runners:
        idle.put(runner)

    def one(student: str) -> Result:
        runner = idle.get()
        try:
            return grader.grade_one(student, runner)
        finally:
            idle.put(runner)

    try:
        return _run_all(one, chosen, jobs, progress, console, runners)
    finally:
        for runner in runners:
            runner.stop()


def _handed_in(
    course: CourseFolder, assignment: str, submissions: Path | str | None
) -> dict[str, Path]:
    """Student id -> folder (or notebook) with what that student handed in.

    Who is not in `submissions` keeps what the course folder has: late work can be graded from
    a folder of its own.
    """
    taken = {path.parent.name: path for path in course.root.glob(f"submitted/*/{assignment}")}
    if submissions is None:
        return taken
    entries = [
        path
        for path in Path(submissions).resolve().iterdir()
        if not path.name.startswith((".", "__MACOSX"))
    ]
    folders = {path.name: path for path in entries if path.is_dir()}
    files = {path.stem: path for path in entries if path.suffix == ".ipynb" and path.is_file()}
    return (
        taken
        | files
        | {
            student: folder / assignment if (folder / assignment).is_dir() else folder
            for student, folder in folders.items()
        }
    )


def _choose(
    students: Iterable[str] | None, roster: Sequence[str], handed_in: dict[str, Path]
) -> list[str]:
    known = sorted({*roster, *handed_in})
    if students is None:
        if not known:
            raise CourseError("nobody to grade: no roster and no submissions. Name a folder.")
        return known
    chosen = list(dict.fromkeys(students))
    for student in chosen:
        if student not in known:
            raise unknown_name("student", student, known)
    return sorted(chosen)


def _run_all(
    one: Callable[[str], Result],
    students: list[str],
    jobs: int,
    progress: bool,
    console: Console | None,
    runners: list[Runner],
) -> list[Result]:
    """`one` for every student on `jobs` threads, with a bar; Ctrl-C starts nothing more."""
    results: dict[str, Result] = {}
    bar = Progress(
        TextColumn("grading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        disable=not progress,
    )
    pool = ThreadPoolExecutor(jobs)
    try:
        with bar:
            task = bar.add_task("", total=len(students))
            waiting = {pool.submit(one, student): student for student in students}
            for done in as_completed(waiting):
                results[waiting[done]] = done.result()
                counts = Counter(result.status for result in results.values())
                text = ", ".join(f"{number} {status}" for status, number in counts.items())
                bar.update(task, advance=1, description=text)
    except BaseException:
        for runner in runners:
            runner.stop()  # or the pool would wait for what is running
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [results[student] for student in students]


class _Grader:
    """What is the same for every submission of one run."""

    def __init__(
        self,
        course: CourseFolder,
        assignment: str,
        handed_in: dict[str, Path],
        roster: set[str],
        regrade: bool,
    ) -> None:
        self.course = course
        self.assignment = assignment
        self.handed_in = handed_in
        self.roster = roster
        self.regrade = regrade
        self.name = course.notebook_name(assignment)
        release_file = course.step("release", assignment) / self.name
        self.released = nbformat.read(release_file, as_version=4)
        self.source = (course.step("source", assignment) / self.name).read_bytes()

    def grade_one(self, student: str, runner: Runner) -> Result:
        """Intake, run and score one submission; whatever goes wrong becomes a result."""
        try:
            result = self._grade(student, runner)
        except Stopped:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            result = Result(student, self.assignment, "infra_error", reason=reason)
        save_result(self.course, result)
        return result

    def _grade(self, student: str, runner: Runner) -> Result:
        nothing = self.course.step("submitted", self.assignment, student)
        folder = self.handed_in.get(student, nothing)
        mark = digest(folder, self.source)
        before = load_result(self.course, self.assignment, student)
        if before and before.digest == mark and before.status != "infra_error" and not self.regrade:
            return before
        intake = take_in(folder, self.name, self.released)
        notes = intake.notes
        if self.roster and student not in self.roster:
            notes += ("not on the roster",)
        blank = Result(student, self.assignment, "missing", notes=notes, digest=mark)
        if not intake.found:
            return self._without_notebook(blank, forget=True)
        if intake.notebook is None:
            return self._without_notebook(
                replace(blank, status="student_error", reason=intake.reason, needs_person=True)
            )
        if self._store(student, folder, intake):
            blank = replace(blank, digest=digest(folder, self.source))
        result = self._run(blank, runner)
        if result.status == "infra_error":  # ours, so it gets a second chance
            result = self._run(blank, runner)
        return result

    def _run(self, blank: Result, runner: Runner) -> Result:
        outcome = runner.run(self.assignment, blank.student)
        blank = replace(blank, seconds=round(outcome.seconds, 2), reason=outcome.reason)
        if outcome.status != "ran":
            return self._without_notebook(replace(blank, status=outcome.status, needs_person=True))
        return read_scores(self.course, blank)

    def _store(self, student: str, folder: Path, intake: Intake) -> bool:
        """Put the repaired notebook where nbgrader looks for it; whether `folder` is that place."""
        target = self.course.step("submitted", self.assignment, student)
        target.mkdir(parents=True, exist_ok=True)
        place = target / self.name
        text = nbformat.writes(intake.notebook) + "\n"
        if place.exists() and folder == target:
            original = place.with_suffix(".as-submitted")
            if not original.exists():
                shutil.copyfile(place, original)
        place.write_text(text, "utf-8")
        stamp = folder / "timestamp.txt"
        if folder != target and stamp.is_file():
            shutil.copyfile(stamp, target / stamp.name)
        return folder == target

    def _without_notebook(self, result: Result, forget: bool = False) -> Result:
        """Record a submission that could not be run: zero in the gradebook, or no entry."""
        student = result.student
        if not forget:
            older = self.course.step("autograded", self.assignment, student)
            shutil.rmtree(older, ignore_errors=True)
        with self.course.gradebook() as gradebook:
            most = gradebook.find_assignment(self.assignment).max_score
            gradebook.update_or_create_student(student)
            if forget or result.status == "infra_error":
                return replace(result, max_score=most)
            submission = gradebook.update_or_create_submission(self.assignment, student)
            for notebook in submission.notebooks:
                for graded in notebook.grades:
                    graded.auto_score, graded.needs_manual_grade = 0, False
            gradebook.db.commit()
        return replace(result, max_score=most)


def digest(folder: Path, source: bytes) -> str:
    """A name for what is graded: everything handed in, and the instructor's version."""
    mark = hashlib.sha256(source)
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in paths:
        if path.is_file() and not path.is_symlink():
            mark.update(str(path.relative_to(folder)).encode() + b"\0")
            mark.update(hashlib.sha256(path.read_bytes()).digest())
    return mark.hexdigest()
