"""What a newcomer types first: doctor, demo, lab."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from course_utils.errors import CourseError

PANEL = "Start here"
SIGNS = {"ok": "[green]✓[/]", "attention": "[yellow]![/]", "missing": "[red]✗[/]"}


def add_to(app: typer.Typer) -> None:
    """Put these commands on the page."""
    for command in (doctor, demo, lab):
        app.command(rich_help_panel=PANEL)(command)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Machine-readable report.")] = False,
) -> None:
    """Say what works on this machine, and what to do about the rest.

    Ends with status 1 when something the kit needs is missing.
    """
    from rich.markup import escape
    from rich.table import Table

    from course_utils import doctor as checks

    console = Console()
    with nullcontext() if json else console.status("looking around ..."):
        findings = checks.examine()
    if json:
        print(checks.as_json(findings))
    else:
        table = Table("", "", box=None, pad_edge=False)
        table.add_column("found", overflow="fold")
        table.add_column("what to do")
        for f in findings:
            table.add_row(SIGNS[f.state], f"[bold]{f.area}[/]", escape(f.text), escape(f.advice))
        console.print(table)
        console.print(f"\n{checks.verdict(findings)}")
    raise typer.Exit(0 if checks.works(findings) else 1)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("demo-output"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute, to see that it runs; scores mean little.")
    ] = False,
) -> None:
    """Show the whole kit in a few minutes: prompt, tune, compare, release, grade."""
    from course_utils.demo import run_demo

    raise typer.Exit(0 if run_demo(output, quick=quick) else 1)


def lab(
    notebook: Annotated[
        Path | None, typer.Argument(help="Which notebook; the first if not given.")
    ] = None,
) -> None:
    """Open JupyterLab on the first notebook."""
    if notebook is None:
        notebook = next(iter(sorted(Path("notebooks").glob("*.ipynb"))), None)
    if notebook is None or not notebook.is_file():
        raise CourseError(
            f"no notebook {'here' if notebook is None else repr(str(notebook))}: run `course lab` "
            "in the kit's folder, or name a notebook."
        )
    beside = Path(sys.executable).with_name("jupyter-lab")
    program = str(beside) if beside.is_file() else shutil.which("jupyter-lab")
    if program is None:
        raise CourseError("JupyterLab is not installed: pip install 'peft-course-kit[lab]'.")
    raise typer.Exit(subprocess.call([program, str(notebook)]))
