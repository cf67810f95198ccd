"""A homework's way: released, handed in, graded, given back."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from course_utils.errors import CourseError

PANEL = "Homework and grading"

Assignment = Annotated[str, typer.Argument(help="For example hw_prompt.")]
CourseDir = Annotated[
    Path, typer.Option("--course-dir", help="The course folder: submissions, gradebook, feedback.")
]
AssignmentsDir = Annotated[
    Path | None,
    typer.Option("--assignments", help="Instructor's versions, if not in this repository."),
]
HERE = Path("course-run")


def add_to(app: typer.Typer) -> None:
    """Put these commands on the page."""
    app.command("release", rich_help_panel=PANEL)(release)
    app.command("bundle", rich_help_panel=PANEL)(bundle)
    app.command("sample-class", rich_help_panel=PANEL)(sample_class)
    app.command("grade", rich_help_panel=PANEL)(grade)
    app.command("feedback", rich_help_panel=PANEL)(feedback)
    app.command("export", rich_help_panel=PANEL)(export)


def _need_nbgrader() -> None:
    if importlib.util.find_spec("nbgrader") is None:  # importing it takes seconds
        raise CourseError(
            "homework needs nbgrader, which is not installed: pip install "
            "'peft-course-kit[homework]', or `make setup` in the kit's folder."
        )


def release(
    assignment: Assignment,
    course_dir: CourseDir = HERE,
    assignments: AssignmentsDir = None,
) -> None:
    """Build the students' version: no solution in it, and it runs."""
    _need_nbgrader()
    from autograder.release import release as build

    console = Console()
    with console.status("building the students' version, and running it once ..."):
        notebook = build(assignment, course_dir, assignments_dir=assignments)
    print(f"Give this to the students: {notebook}")


def bundle(
    output: Annotated[Path, typer.Option(help="The zip to write.")] = Path("course-kit.zip"),
    homework: Annotated[
        list[str] | None, typer.Option(help="Homework to put in; repeatable. All if not given.")
    ] = None,
    assignments: AssignmentsDir = None,
) -> None:
    """Make what students get: notebooks, library, pocket models, released homework."""
    _need_nbgrader()
    from autograder.bundle import bundle as make

    with Console().status("releasing the homework, packing ..."):
        made = make(output, homework, assignments_dir=assignments)
    print(f"Give this to the students: {made} ({made.stat().st_size / 1e6:.0f} MB)")


def sample_class(
    assignment: Assignment,
    course_dir: CourseDir = HERE,
    assignments: AssignmentsDir = None,
) -> None:
    """Write what an invented class hands in, to try the grader on."""
    _need_nbgrader()
    from autograder.sample_class import build_sample_class, sample_roster

    folder = build_sample_class(assignment, course_dir, assignments_dir=assignments)
    print(f"Submissions: {folder}\nRoster: {sample_roster(assignments)}")


def grade(
    assignment: Assignment,
    submissions: Annotated[
        Path | None,
        typer.Option(
            help="Folder with one folder, notebook or zip per student, named by id; or what an LMS "
            "lets you download, as a folder or zip."
        ),
    ] = None,
    course_dir: CourseDir = HERE,
    roster: Annotated[
        Path | None, typer.Option(help="CSV with a column student_id, kept in the course folder.")
    ] = None,
    student: Annotated[
        list[str] | None, typer.Option(help="Only this student; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at a time.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Limit for one submission.")] = 600,
    regrade: Annotated[
        bool, typer.Option("--regrade", help="Also what is graded and has not changed.")
    ] = False,
    replay: Annotated[
        str,
        typer.Option(
            help="Put adapters back into their PLM and make answers again: no, sample, or all."
        ),
    ] = "no",
    sandbox: Annotated[
        str, typer.Option(help="What students' code runs in: bubblewrap, docker or podman.")
    ] = "bubblewrap",
    no_sandbox: Annotated[
        bool,
        typer.Option(
            "--no-sandbox",
            help="Students' code runs with YOUR rights: it can change the gradebook, read your "
            "files, use your network. Only for work that you would run by hand.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a Dask scheduler: judge on its workers, not here."),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="Run the cells marked as training, too.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say who would be graded, and what intake repairs."),
    ] = False,
    assignments: AssignmentsDir = None,
) -> None:
    """Grade a class and print the gradebook.

    Students' code runs in a sandbox; what it is worth is decided outside. Stopped, it goes on where
    it was. Ends with status 1 when the grader itself failed on a submission.
    """
    _need_nbgrader()
    from autograder.workers import Workers

    if no_sandbox:
        from autograder.sandbox.opening import WITHOUT

        Console(stderr=True).print(f"[bold red]{WITHOUT}[/]")
        sandbox = "none"
    with Workers(sandbox, hidden=[course_dir]) as workers:
        if scheduler is None and not dry_run:
            workers.start_soon()  # while the rest is being imported
        from autograder.grade import grade_class
        from autograder.report import gradebook_table

        results = grade_class(
            assignment,
            course_dir,
            submissions,
            students=student or None,
            jobs=jobs,
            roster=roster,
            regrade=regrade,
            seconds=seconds,
            replay=replay,
            training=training,
            sandbox=sandbox,
            scheduler=scheduler,
            workers=workers,
            dry_run=dry_run,
            assignments_dir=assignments,
        )
    Console().print(gradebook_table(results, dry_run=dry_run))
    raise typer.Exit(1 if any(r.status == "infra_error" for r in results) else 0)


def feedback(
    assignment: Assignment,
    course_dir: CourseDir = HERE,
    student: Annotated[
        list[str] | None, typer.Option(help="Only this student; repeatable.")
    ] = None,
) -> None:
    """Write a page for each student."""
    _need_nbgrader()
    from autograder.feedback import feedback as write_pages

    pages = write_pages(assignment, course_dir, students=student or None)
    print("\n".join(map(str, pages)))


def export(
    assignment: Annotated[
        str | None,
        typer.Argument(help="For example hw_prompt. None: what counts of all, by the policy."),
    ] = None,
    course_dir: CourseDir = HERE,
    lms: Annotated[
        str | None, typer.Option("--for", help="canvas or moodle: a file that it imports.")
    ] = None,
) -> None:
    """Write grades.csv and a page about the class, or a file for Canvas or Moodle."""
    _need_nbgrader()
    from autograder.course_folder import open_course
    from autograder.export import export_for
    from autograder.report import report

    if lms is not None:
        print(export_for(lms, open_course(course_dir), assignment))
    elif assignment is None:
        raise CourseError("name a homework, such as hw_prompt, or give --for canvas or moodle.")
    else:
        written = report(assignment, course_dir)
        print(f"{written.csv}\n{written.page}")
