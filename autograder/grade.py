"""Grade a class: intake, the judge, nbgrader's gradebook, a result for each.

    take in ─ judge, several at once, each in a sandbox ─ result file ─ gradebook, one writer

One submission never stops the others. A run that was stopped, however, goes on where it was: a
result file is there whole or not at all, and says whether the gradebook has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import nbformat
from rich.console import Console

from autograder.collect import NOTES, collect
from autograder.course_folder import (
    CourseFolder,
    add_roster,
    one_engine,
    open_course,
    read_roster,
    why_nbgrader_failed,
)
from autograder.homework import Homework, digest, open_homework
from autograder.intake import Intake, take_in
from autograder.late import check_groups
from autograder.live import Live
from autograder.release import release
from autograder.results import Result, load_result, save_result
from autograder.runs import RunJudge
from autograder.verdict import SECONDS, judge_submission
from autograder.workers import Workers
from course_utils.errors import CourseError, unknown_name


def grade(
    submission: Path | str,
    assignment: str,
    *,
    assignments_dir: Path | str | None = None,
    workers: Workers | None = None,
    seconds: float = SECONDS,
    replay: str = "no",
) -> Result:
    """What one submission is worth, without a course folder or a gradebook.

    Args:
        submission: a notebook, a packed zip, or a folder with what was handed in.
        assignment: such as "hw_prompt".
        assignments_dir: where the instructor's versions are, if not in this repository.
        workers: to grade several with one sandbox; one of its own when None.
        seconds: the limit for the submission.
        replay: whether adapters are put back into their PLM: "no", "sample" or "all" answers.

    Raises:
        CourseError: nothing there, no such homework, or no sandbox. What is wrong with the
            submission itself is said in the result.
    """
    folder = Path(submission)
    if not folder.exists():
        raise CourseError(f"no submission: there is no {folder}.")
    job = open_homework(assignment, assignments_dir=assignments_dir)
    with contextlib.ExitStack() as stack:
        workers = workers or stack.enter_context(Workers())
        bench = _Bench(job, workers, RunJudge(job, replay=replay), seconds)
        return bench.judge(folder.stem, take_in(folder, job.notebook_name, job.source))


def grade_class(
    assignment: str,
    course_dir: Path | str = "course-run",
    submissions: Path | str | None = None,
    students: Iterable[str] | None = None,
    jobs: int = 2,
    *,
    roster: Path | str | None = None,
    regrade: bool = False,
    seconds: float = SECONDS,
    replay: str = "no",
    training: bool = False,
    dry_run: bool = False,
    assignments_dir: Path | str | None = None,
    workers: Workers | None = None,
    progress: bool = True,
    console: Console | None = None,
) -> list[Result]:
    """Grade submissions of a homework and write the scores into the gradebook.

    Args:
        assignment: such as "hw_prompt"; released into the course folder if it is not yet.
        course_dir: the course folder.
        submissions: what was handed in, see `collect`: a folder with one folder, notebook or zip
            per student, or an LMS's download. It is not changed. None: what lies in the course
            folder's `submitted/<student>/<assignment>` already.
        students: only these ids; None: everybody on the roster or with a submission.
        jobs: how many submissions are judged at a time.
        roster: a CSV with a column student_id; None: the course folder's roster.csv, if any.
        regrade: judge again what is judged and unchanged.
        seconds: the limit for one submission.
        replay: whether adapters are put back into their PLM: "no", "sample" or "all" answers.
        training: run cells marked as training, too.
        dry_run: only take in: what would be judged, what is repaired, what can't be read. Nothing
            is run or written.
        assignments_dir: where the instructor's versions are, if not in this repository.
        workers: a sandbox that is open already, and stays open; one of its own when None.
        progress: show who is running, and how long it will take.
        console: where to show it.

    Returns:
        A result per student, in the order of their ids.

    Raises:
        CourseError: before any grading, when an argument is of no use or another grader works in
            this course folder.
    """
    if jobs < 1:
        raise CourseError(f"jobs={jobs}: expected 1 or more.")
    course = open_course(course_dir)
    if submissions is not None and not Path(submissions).exists():
        raise CourseError(f"no submissions: {submissions} is not there.")
    with _alone(course):
        if not course.is_released(assignment):
            release(assignment, course.root, assignments_dir=assignments_dir, run=False)
        job = open_homework(assignment, course)
        roster = roster or (course.roster_file if course.roster_file.exists() else None)
        on_roster = add_roster(course, roster) if roster else []
        if roster:
            check_groups(job.policy, assignment, read_roster(course.roster_file))
        handed_in = _handed_in(course, assignment, submissions)
        chosen = _choose(students, on_roster, handed_in)
        runs = RunJudge(job, replay=replay)
        clerk = _Clerk(course, job, handed_in, set(on_roster), training)
        if dry_run:
            return [clerk.taken(student)[0] for student in chosen]
        with contextlib.ExitStack() as stack:
            workers = workers or stack.enter_context(Workers())
            stack.enter_context(one_engine())
            live = stack.enter_context(Live(chosen, console, shown=progress))
            bench = _Bench(job, workers, runs, seconds, training)
            return _run_all(chosen, jobs, bench, clerk, live, regrade)


@contextlib.contextmanager
def _alone(course: CourseFolder) -> Iterator[None]:
    """One grader at a time in a course folder: its gradebook has one writer."""
    with (course.root / ".grading").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CourseError(
                f"another grader works in {course.root}. Wait until it is done, or end it."
            ) from None
        yield


def _handed_in(
    course: CourseFolder, assignment: str, submissions: Path | str | None
) -> dict[str, Path]:
    """Student id -> folder (or file) with what that student handed in.

    Who is not in `submissions` keeps what the course folder has: late work can be graded from
    a folder of its own.
    """
    taken = {path.parent.name: path for path in course.root.glob(f"submitted/*/{assignment}")}
    if submissions is None:
        return taken
    roster = read_roster(course.roster_file) if course.roster_file.is_file() else []
    found = collect(Path(submissions), course.root / "collected" / assignment, roster)
    inner = {student: path / assignment for student, path in found.items()}
    return taken | {s: inner[s] if inner[s].is_dir() else path for s, path in found.items()}


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
    students: list[str], jobs: int, bench: _Bench, clerk: _Clerk, live: Live, regrade: bool
) -> list[Result]:
    """Judges on `jobs` threads; this thread alone writes. Ctrl-C starts nothing more."""
    results: dict[str, Result] = {}
    waiting: dict[Future[Result], str] = {}
    pool = ThreadPoolExecutor(jobs)

    def judged(student: str, taken: Intake) -> Result:
        live.started(student)
        return bench.judge(student, taken)

    def done(student: str, result: Result) -> None:
        results[student] = clerk.record(result)
        live.done(results[student])

    try:
        left = iter(students)
        while True:
            # some more than run, so that no thread waits for the next intake
            while len(waiting) < 2 * jobs and (student := next(left, None)) is not None:
                blank, taken = clerk.taken(student)
                known = None if regrade else clerk.known(blank)
                if known is not None or taken is None:
                    done(student, known or blank)
                else:
                    waiting[pool.submit(judged, student, taken)] = student
            if not waiting:
                return [results[student] for student in students]
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                done(waiting.pop(future), future.result())
    except BaseException:
        bench.workers.close()  # or the pool would wait for what is running
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Bench:
    """Judges what was taken in; whatever goes wrong becomes a result."""

    def __init__(
        self,
        job: Homework,
        workers: Workers,
        runs: RunJudge,
        seconds: float,
        training: bool = False,
    ) -> None:
        self.job, self.workers, self.runs = job, workers, runs
        self.seconds, self.training = seconds, training

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
    if not taken.found:
        return Result(student, job.name, "missing", notes=taken.notes)
    return Result(
        student, job.name, "student_error", reason=taken.reason, notes=taken.notes,
        needs_person=True,
    )  # fmt: skip


class _Clerk:
    """Takes submissions in and writes results down; used by one thread."""

    def __init__(
        self,
        course: CourseFolder,
        job: Homework,
        handed_in: dict[str, Path],
        roster: set[str],
        training: bool = False,
    ) -> None:
        self.course, self.job, self.handed_in, self.roster = course, job, handed_in, roster
        self.training = training
        self.api = course.nbgrader()
        self.pending: dict[str, Intake] = {}  # student -> what is being judged

    def taken(self, student: str) -> tuple[Result, Intake | None]:
        """(what is known of it unjudged, what is to be judged: None where nothing is)."""
        folder = self.handed_in.get(student, self._place(student))
        taken = take_in(folder, self.job.notebook_name, self.job.source)
        said = folder / NOTES
        if said.is_file():
            taken = replace(taken, notes=(*taken.notes, *said.read_text("utf-8").splitlines()))
        if self.roster and student not in self.roster:
            taken = replace(taken, notes=(*taken.notes, "not on the roster"))
        if taken.notebook is None:
            return unreadable(self.job, student, taken), None
        mark = digest(self.job, taken.notebook, taken.zips, self.training)
        self.pending[student] = taken
        return Result(student, self.job.name, "graded", notes=taken.notes, digest=mark), taken

    def known(self, blank: Result) -> Result | None:
        """An earlier result for the same work."""
        before = load_result(self.course, self.job.name, blank.student)
        if before is None or not blank.digest or before.digest != blank.digest:
            return None
        return before if before.status != "infra_error" else None

    def record(self, result: Result) -> Result:
        """Into its file, and into the gradebook unless that has it."""
        taken = self.pending.pop(result.student, None)
        if result.recorded:
            return result
        with contextlib.suppress(OSError):  # so that it need not be judged again, come what may
            save_result(self.course, result)
        try:
            if result.status == "infra_error":
                recorded = replace(result, max_score=self._max_score())
            elif result.digest:
                self._store(result.student, taken)
                recorded = self._into_gradebook(result)
            else:
                recorded = self._without_notebook(result)
        except Exception as error:
            reason = f"not written into the gradebook: {type(error).__name__}: {error}"
            return replace(result, status="infra_error", reason=reason, needs_person=True)
        save_result(self.course, recorded)
        return recorded

    def _place(self, student: str) -> Path:
        return self.course.step("submitted", self.job.name, student)

    def _store(self, student: str, taken: Intake) -> None:
        """Puts the repaired notebook, and zips, where nbgrader looks for them."""
        folder, target = self.handed_in[student], self._place(student)
        target.mkdir(parents=True, exist_ok=True)
        place = target / self.job.notebook_name
        if place.exists() and folder == target:
            original = place.with_suffix(".as-submitted")
            if not original.exists():
                shutil.copyfile(place, original)
        _write(place, nbformat.writes(taken.notebook) + "\n")
        if folder == target:
            return
        for data in taken.zips:
            (target / f"{self.job.name}.zip").write_bytes(data)
        stamp = folder / "timestamp.txt"
        if stamp.is_file() and not stamp.is_symlink():
            shutil.copyfile(stamp, target / stamp.name)

    def _into_gradebook(self, result: Result) -> Result:
        """nbgrader grades it, by the result that lies there: see preprocessors.Judge."""
        outcome = self.api.autograde(self.job.name, result.student, force=True)
        if not outcome["success"]:
            raise CourseError(why_nbgrader_failed(outcome))
        with self.course.gradebook() as gradebook:
            found = gradebook.find_submission(self.job.name, result.student)
            penalty = found.late_submission_penalty or 0.0
            return replace(
                result,
                score=max(0.0, found.score - penalty),
                max_score=found.max_score,
                needs_person=result.needs_person or found.needs_manual_grade,
                notes=_with_penalty(result.notes, penalty),
                recorded=True,
            )

    def _without_notebook(self, result: Result) -> Result:
        """Zero for what can't be read; no entry for what is not there."""
        folder = self.course.step("autograded", self.job.name, result.student)
        if result.status != "missing":
            shutil.rmtree(folder, ignore_errors=True)
        with self.course.gradebook() as gradebook:
            gradebook.update_or_create_student(result.student)
            if result.status != "missing":
                submission = gradebook.update_or_create_submission(self.job.name, result.student)
                for notebook in submission.notebooks:
                    for graded in notebook.grades:
                        graded.auto_score, graded.needs_manual_grade = 0, False
                gradebook.db.commit()
        return replace(result, max_score=self._max_score(), recorded=True)

    def _max_score(self) -> float:
        with self.course.gradebook() as gradebook:
            return gradebook.find_assignment(self.job.name).max_score


def _with_penalty(notes: tuple[str, ...], penalty: float) -> tuple[str, ...]:
    return (*notes, f"late: {penalty:g} points less") if penalty else notes


def _write(path: Path, text: str) -> None:
    """In one step: a killed run leaves the old file or the new one."""
    draft = path.with_suffix(".part")
    draft.write_text(text, "utf-8", errors="surrogatepass")
    draft.replace(path)
