"""Tasks to look at, and runs: one method on one task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from rich.table import Table

    from course_utils.tasks import Task

PANEL = "Models and tasks"

task_app = typer.Typer(no_args_is_help=True, help="The tasks: what there is, what one looks like.")


def add_to(app: typer.Typer) -> None:
    """Put these commands on the page."""
    app.add_typer(task_app, name="task", rich_help_panel=PANEL)
    app.command(rich_help_panel=PANEL)(run)


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
    if task.prompts:
        console.print(_prompts(task))
    columns = list(dict.fromkeys([*task.columns, task.label_column]))
    columns = [c for c in columns if c in examples.column_names]
    shown = min(rows, len(examples))
    title = f"{split}, the first {shown}"
    table = Table(*columns, title=title, title_justify="left", show_lines=True)
    for example in examples.select(range(shown)):
        table.add_row(*(_cell(task, column, example[column]) for column in columns))
    console.print(table)


def _prompts(task: Task) -> Table:
    """The task's own wordings, by the number that `course run --prompt` takes."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("--prompt", "template", "words", title="Prompts", title_justify="left", box=None)
    for number, prompt in enumerate(task.prompts):
        words = "; ".join(f"{label}: {', '.join(w)}" for label, w in prompt.words.items())
        kept_out = " (not in the pre-training corpus)" if prompt.held_out else ""
        table.add_row(str(number), escape(prompt.template) + kept_out, escape(words))
    return table


def _cell(task: Task, column: str, value: object) -> str:
    """A cell as a person reads it: a label by its name, tokens as text."""
    from rich.markup import escape

    names = task.labels
    if column == "label" and isinstance(value, int) and 0 <= value < len(names):
        return escape(names[value])
    if column == "tags":
        return escape(" ".join(names[v] if isinstance(v, int) else str(v) for v in value))
    if isinstance(value, list):
        return escape(" ".join(map(str, value)))
    return escape(str(value))


def run(
    plm: Annotated[
        str, typer.Option(help="A pocket model, a folder in Hugging Face's format, or a Hub id.")
    ],
    task: Annotated[str, typer.Option(help="For example pocket/sst2; see `course task list`.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with the task's own files (real tasks).")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="lora, qlora, ia3, houlsby, pfeiffer, parallel-adapter, adamix, adapter-bias, "
            "bitfit, soft-prompt, p-tuning, prefix-tuning, p-tuning-v2, unipelt, top-layers, "
            "head-only or full; none only asks, without training."
        ),
    ] = "lora",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A hyper-parameter of the method, such as rank=4; repeatable."),
    ] = None,
    prompt: Annotated[
        int | None, typer.Option(min=0, help="Go through the task's prompt of this number.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, seeds 0, 1, 2 ...")] = 1,
    learning_rate: Annotated[
        list[float] | None, typer.Option(help="Repeat it to choose the best of several on dev.")
    ] = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Train on that many examples.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=1, help="Or on that many of each class; dev is as small.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training data.")] = None,
    steps: Annotated[int | None, typer.Option(help="Or updates.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples in an update.")] = 16,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens per example; the model's limit.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Scored at the end; test, or dev if test has no labels.")
    ] = None,
    no_pretraining: Annotated[
        bool, typer.Option("--no-pretraining", help="Random weights: the control.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Of a Hub model.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for records, predictions and adapter.")
    ] = None,
) -> None:
    """Train a method on a task, score it, and leave its record.

    The epoch is chosen on dev. A run that was stopped goes on when the same command with the
    same --output is given again.
    """
    hyperparameters = parse_settings(method, set_ or [])
    from course_utils.run import run as run_task
    from course_utils.training import TrainSettings

    run_task(
        plm,
        task,
        data=data,
        method=method,
        hyperparameters=hyperparameters,
        prompt=prompt,
        seeds=seeds,
        learning_rate=learning_rate or None,
        examples=examples,
        shots=shots,
        split=split,
        pretrained=not no_pretraining,
        revision=revision,
        output=output,
        settings=TrainSettings(
            epochs=epochs, steps=steps, batch_size=batch_size, max_length=max_length
        ),
    )


def parse_settings(method: str, given: list[str]) -> dict[str, object]:
    """`["rank=4", "sites=query,key"]` as the method's hyper-parameters, by their kinds.

    Raises:
        CourseError: not of the form name=value, or not a number where one is expected. Unknown
            names are left to the method, which lists its own.
    """
    if not given:
        return {}
    from course_utils.tuning.methods import METHODS

    kinds = {}
    if method in METHODS:
        kinds = {field.name: type(field.default) for field in dataclasses.fields(METHODS[method])}
    found: dict[str, object] = {}
    for setting in given:
        name, equals, text = setting.partition("=")
        if not equals or not name or not text:
            raise CourseError(f"--set {setting!r}: expected name=value, such as rank=4.")
        found[name] = _value(name, text, kinds.get(name, str))
    return found


def _value(name: str, text: str, kind: type) -> object:
    if kind is tuple:
        return tuple(part.strip() for part in text.split(","))
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise CourseError(f"--set {name}={text}: expected true or false.")
        return text.lower() == "true"
    if kind not in (int, float):
        return text
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        number = "a whole number" if kind is int else "a number"
        raise CourseError(f"--set {name}={text}: expected {number}.") from None
