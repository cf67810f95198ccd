"""The `course` command: one page of contents over the kit. The commands are in `commands/`.

Input that can't be used ends in one paragraph and exit status 2, never in a traceback.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from course_utils.commands import change, claims, homework, models, start
from course_utils.errors import CourseError

app = typer.Typer(
    name="course",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from course_utils import __version__

        print(f"course kit {__version__}")
        raise typer.Exit


@app.callback()
def course(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Prompting and parameter-efficient fine-tuning: the course's tools, on one page."""


for panel in (start, models, claims, homework, change):
    panel.add_to(app)


def main() -> None:
    """The console command. A `CourseError` becomes one paragraph and exit status 2."""
    try:
        app()
    except CourseError as error:
        Console(stderr=True).print(f"course: {error}", markup=False, highlight=False)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
