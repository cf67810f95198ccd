"""The `course` command: one page of contents over the kit.

A command imports what it needs in its own body, so that `course --help` answers at once. Input
that can't be used ends in one paragraph and exit status 2, never in a traceback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from course_utils.errors import CourseError

START = "Start here"
LEARN = "Models and tasks"
TEACH = "Homework and grading"
CHANGE = "Change the course"

app = typer.Typer(
    name="course",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
task_app = typer.Typer(no_args_is_help=True, help="The tasks: what there is, what one looks like.")
pocket_app = typer.Typer(no_args_is_help=True, help="The pocket models: pre-train one anew.")


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


# --- Start here ----------------------------------------------------------------------------

_SIGNS = {"ok": "[green]✓[/]", "attention": "[yellow]![/]", "missing": "[red]✗[/]"}


@app.command(rich_help_panel=START)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Machine-readable report.")] = False,
) -> None:
    """Say what works on this machine, and what to do about the rest."""
    from rich.markup import escape
    from rich.table import Table

    from course_utils import doctor as checks

    console = Console()
    with console.status("looking around ...") if not json else open(os.devnull):
        findings = checks.examine()
    if json:
        print(checks.as_json(findings))
    else:
        table = Table("", "", box=None, pad_edge=False)
        table.add_column("found", overflow="fold")
        table.add_column("what to do")
        for f in findings:
            table.add_row(_SIGNS[f.state], f"[bold]{f.area}[/]", escape(f.text), escape(f.advice))
        console.print(table)
        console.print(f"\n{checks.verdict(findings)}")
    raise typer.Exit(0 if checks.works(findings) else 1)


@app.command(rich_help_panel=START)
def lab(
    notebook: Annotated[Path | None, typer.Argument(help="Which notebook; the first.")] = None,
) -> None:
    """Open JupyterLab on the first notebook (`make lab`)."""
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


# --- Models and tasks ----------------------------------------------------------------------

app.add_typer(task_app, name="task", rich_help_panel=LEARN)


@task_app.command("list")
def task_list() -> None:
    """Name the tasks."""
    from course_utils.tasks import TASKS

    print("\n".join(TASKS))


@task_app.command("show")
def task_show(
    name: Annotated[str, typer.Argument(help="For example pocket/rte.")],
    split: Annotated[str, typer.Option(help="Which split the rows come from.")] = "train",
    rows: Annotated[int, typer.Option(min=1, max=200, help="How many rows.")] = 6,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the task's own files (real tasks).")
    ] = None,
) -> None:
    """Show what a task looks like: description, sizes, prompts, rows."""
    from rich.table import Table

    from course_utils.tasks import load_task

    task = load_task(name, data=data)
    examples = task.split(split)
    console = Console()
    console.print(task.summary(), markup=False, highlight=False)
    for prompt in task.prompts:
        words = "; ".join(f"{label}: {', '.join(w)}" for label, w in prompt.words.items())
        kept_out = "   (wording kept out of the pre-training corpus)" if prompt.held_out else ""
        console.print(f"Prompt  {prompt.template}   {words}{kept_out}", markup=False)
    columns = list(dict.fromkeys([*task.columns, task.label_column]))
    columns = [c for c in columns if c in examples.column_names]
    table = Table(*columns, title=f"{split}, the first {min(rows, len(examples))}", show_lines=True)
    for example in examples.select(range(min(rows, len(examples)))):
        table.add_row(*(_cell(task, column, example[column]) for column in columns))
    console.print(table)


def _cell(task, column: str, value: object) -> str:
    """A cell as a person reads it: the label's name, tokens as text."""
    from rich.markup import escape

    names = task.labels
    if column == "label" and isinstance(value, int) and 0 <= value < len(names):
        return escape(names[value]) if not task.choices else f"{value}: {escape(names[value])}"
    if column == "tags":
        return escape(" ".join(names[v] if isinstance(v, int) else str(v) for v in value))
    if isinstance(value, list):
        return escape(" ".join(map(str, value)))
    return escape(str(value))


app.add_typer(pocket_app, name="pocket", rich_help_panel=CHANGE)


@pocket_app.command("pretrain")
def pocket_pretrain(
    model: Annotated[str, typer.Option(help="bert-tiny, bert-base, bert-large or gpt2.")],
    seed: Annotated[int, typer.Option(help="Of weights, corpus and masking.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; runs/pocket/NAME if not given.")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option(min=0.01, help="Budget in millions of tokens.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; what there is.")] = None,
) -> None:
    """Pre-train a pocket model from its seed, as the shipped ones were."""
    from course_utils.errors import unknown_name
    from course_utils.plm.pocket.sizes import POCKET_MODELS

    name = model if model.startswith("pocket-") else f"pocket-{model}"
    if name not in POCKET_MODELS:
        raise unknown_name("pocket model", model, (n[7:] for n in POCKET_MODELS))
    from course_utils.plm.pocket.pretrain import pretrain

    folder = output or Path("runs", "pocket", name)
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(f"{str(folder)!r} is not empty: name another --output, or empty it.")
    pretrain(name, folder, seed=seed, tokens=tokens, device=device)
    print(f"{name} written to {folder}")


@app.command("setup-cell", rich_help_panel=CHANGE)
def setup_cell(
    address: Annotated[
        str, typer.Argument(help="What pip installs the kit from: git+https://..., or a folder.")
    ],
    notebooks: Annotated[Path, typer.Option(help="The notebooks' folder.")] = Path("notebooks"),
) -> None:
    """Tell every notebook's setup cell where Colab finds your copy of the kit."""
    from course_utils.colab import readdress

    for path in readdress(notebooks, address):
        print(path)


# --- entry ---------------------------------------------------------------------------------


def main() -> None:
    """The console command. A `CourseError` becomes one paragraph and exit status 2."""
    try:
        app()
    except CourseError as error:
        Console(stderr=True, soft_wrap=False).print(f"course: {error}", markup=False)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
