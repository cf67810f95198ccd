"""Grade a class: intake, the judge, nbgrader's gradebook, a result for each.

    take in ─ judge, several at once, each in a sandbox ─ result file ─ gradebook, one writer

One submission never stops the others. A run that was stopped, however, goes on where it was: a
result file is there whole or not at all, and says whether the gradebook has it.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from autograder.bench import Bench, Crew, LocalCrew
from autograder.clerk import Clerk
from autograder.collect import collect
from autograder.course_folder import (
    CourseFolder,
    add_roster,
    one_engine,
    open_course,
    read_roster,
)
from autograder.homework import Homework, open_homework
from autograder.intake import take_in
from autograder.late import check_groups
from autograder.live import Live
from autograder.release import release, set_deadline
from autograder.results import Result
from autograder.verdict import SECONDS
from autograder.workers import SANDBOX, Workers
from course_utils.errors import CourseError, unknown_name


def grade(
    submission: Path | str,
    assignment: str,
    *,
    assignments_dir: Path | str | None = None,
    sandbox: str = SANDBOX,
    workers: Workers | None = None,
    seconds: float = SECONDS,
    replay: str = "no",
) -> Result:
    """What one submission is worth, without a course folder or a gradebook.

    Args:
        submission: a notebook, a packed zip, or a folder with what was handed in.
        assignment: such as "hw_prompt".
        assignments_dir: where the instructor's versions are, if not in this repository.
        sandbox: "bubblewrap", "docker", "podman", or "none", in which the code has your rights.
        workers: to grade several with one sandbox; one of its own when None.
        seconds: the limit for the submission.
        replay: whether adapters are put back into their PLM: "no", "sample" or "all" answers.

    Returns:
        the result; its score is what the checks give, without a person's points and lateness.

    Raises:
        CourseError: nothing there, a file of another kind, no such homework, or no sandbox. What
            is wrong with the submission itself is said in the result.
    """
    if not isinstance(submission, str | Path):
        raise CourseError(f"submission={submission!r}: expected the path of a notebook, zip or "
                          "folder.")  # fmt: skip
    place = Path(submission).expanduser().resolve()
    if not place.exists():
        raise CourseError(
            f"no submission: there is no {submission}. Give the path of a notebook, of a packed "
            "zip, or of a folder with what one student handed in."
        )
    if place.is_file() and place.suffix not in (".ipynb", ".zip"):
        raise CourseError(
            f"{submission} is neither a notebook (.ipynb) nor a packed zip (.zip). Give one of "
            "them, or the folder it lies in."
        )
    job = open_homework(assignment, assignments_dir=assignments_dir)
    with contextlib.ExitStack() as stack:
        workers = workers or stack.enter_context(Workers(sandbox, job.limits))
        workers.start()
        bench = Bench(job, workers, replay=replay, seconds=seconds)
        student = place.name if place.is_dir() else place.stem
        found = bench.judge(student, take_in(place, job.notebook_name, job.source))
    return replace(
        found,
        score=found.earned,
        max_score=job.max_score,
        needs_person=found.needs_person or (bool(found.checks) and job.needs_person),
    )


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
    sandbox: str = SANDBOX,
    scheduler: str | None = None,
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
            is run, and no grade is written.
        assignments_dir: where the instructor's versions are, if not in this repository.
        sandbox: "bubblewrap", "docker", "podman", or "none", in which the code has your rights.
        scheduler: the address of a Dask scheduler, to judge on its workers; see `cluster`. `jobs`
            counts for nothing then.
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
        if not dry_run:
            set_deadline(course, assignment)  # the policy may have changed since the release
        roster = roster or (course.roster_file if course.roster_file.exists() else None)
        on_roster = add_roster(course, roster) if roster else []
        if roster:
            check_groups(job.policy, assignment, read_roster(course.roster_file))
        handed_in = _handed_in(course, assignment, submissions)
        chosen = _choose(students, on_roster, handed_in)
        clerk = Clerk(course, job, handed_in, set(on_roster), training)
        if dry_run:
            return [clerk.taken(student)[0] for student in chosen]
        options = {"replay": replay, "seconds": seconds, "training": training}
        with contextlib.ExitStack() as stack:
            if scheduler:
                from autograder.cluster import ClusterCrew

                crew = ClusterCrew(scheduler, job, sandbox=sandbox, **options)
            else:
                hidden = [course.root]
                workers = workers or stack.enter_context(Workers(sandbox, job.limits, hidden))
                workers.limits = workers.limits or job.limits
                workers.start()
                crew = LocalCrew(Bench(job, workers, **options), jobs)
            stack.enter_context(one_engine())
            live = stack.enter_context(Live(chosen, console, shown=progress))
            return _run_all(chosen, crew, clerk, live, regrade, replay != "no")


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
    students: list[str],
    crew: Crew,
    clerk: Clerk,
    live: Live,
    regrade: bool,
    replayed: bool,
) -> list[Result]:
    """The crew judges, this thread alone writes. Ctrl-C starts nothing more."""
    results: dict[str, Result] = {}
    waiting: dict[Future[Result], str] = {}

    def done(student: str, result: Result) -> None:
        results[student] = clerk.record(result)
        live.done(results[student])

    try:
        left = iter(students)
        while True:
            # some more than run, so that nobody waits for the next intake
            while len(waiting) < 2 * crew.jobs and (student := next(left, None)) is not None:
                blank, taken = clerk.taken(student)
                anew = regrade or (replayed and taken is not None and taken.zips)
                known = None if anew else clerk.known(blank)
                if known is not None or taken is None:
                    done(student, known or blank)
                else:
                    waiting[crew.submit(student, taken, live.started)] = student
            if not waiting:
                return [results[student] for student in students]
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                student = waiting.pop(future)
                done(student, _outcome(future, student, clerk.job))
    except BaseException:
        crew.stop()
        raise
    finally:
        crew.close()


def _outcome(future: Future[Result], student: str, job: Homework) -> Result:
    try:
        return future.result()
    except Exception as error:  # whoever judged is gone
        reason = f"{type(error).__name__}: {error}"
        return Result(student, job.name, "infra_error", reason=reason, needs_person=True)
