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
    for command in (run, estimate, recipes, compare):
        app.command(rich_help_panel=PANEL)(command)


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
    recipe: Annotated[
        str | None,
        typer.Argument(help="A published run, such as p_tuning_v2/rte; see `course recipes`."),
    ] = None,
    plm: Annotated[
        str | None,
        typer.Option(help="A pocket model, a folder in Hugging Face's format, or a Hub id."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="For example pocket/sst2; see `course task list`.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the task's own files (real tasks).")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="How examples are laid out: WiC pair or question, WSC stars.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="lora (if not given), qlora, ia3, houlsby, pfeiffer, parallel-adapter, adamix, "
            "adapter-bias, bitfit, soft-prompt, p-tuning, prefix-tuning, p-tuning-v2, unipelt, "
            "top-layers, head-only or full; none only asks, without training."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A hyper-parameter of the method, such as rank=4; repeatable."),
    ] = None,
    prompt: Annotated[
        int | None, typer.Option(min=0, help="Go through the task's prompt of this number.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, each with its seed.")] = 1,
    honest: Annotated[
        bool, typer.Option("--honest", help="A part of train chooses the epoch, not dev.")
    ] = False,
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
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples in a forward pass (16).")
    ] = None,
    accumulation: Annotated[
        int | None, typer.Option(min=1, help="Forward passes in an update (1).")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, float32, float16 or bfloat16.")
    ] = None,
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
    data_revision: Annotated[
        str | None, typer.Option(help="Of the task's data on the Hub; the pinned one if not given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for records, predictions and adapter.")
    ] = None,
) -> None:
    """Train a method on a task, score it, and leave its record.

    With --plm and --task, or as a published run: course run p_tuning_v2/rte --plm bert-large.
    What is given beside a recipe takes the place of its settings.

    The epoch is chosen on dev. A run that was stopped goes on when the same command with the
    same --output is given again.
    """
    settings = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "accumulation": accumulation,
        "precision": precision,
        "max_length": max_length,
    }
    given = {key: value for key, value in settings.items() if value is not None}
    if recipe is not None:
        _fits_a_recipe(method, prompt, shots, layout, split, no_pretraining, learning_rate)
        from course_utils.recipes.running import run_recipe

        if learning_rate:
            given["learning_rate"] = learning_rate[0]
        run_recipe(
            recipe,
            plm,
            task=task,
            data=data,
            seeds=seeds,
            honest=honest,
            examples=examples,
            settings=given,
            hyperparameters=parse_settings("p-tuning-v2", set_ or []),
            revision=revision,
            data_revision=data_revision,
            output=output,
        )
        return
    if plm is None or task is None:
        raise CourseError(
            "course run needs --plm and --task, or the name of a recipe such as p_tuning_v2/rte "
            "(`course recipes` lists them)."
        )
    method = method or "lora"
    hyperparameters = parse_settings(method, set_ or [])
    from course_utils.run import run as run_task
    from course_utils.tasks import load_task
    from course_utils.training import TrainSettings

    made = TrainSettings(**given)
    loaded = load_task(task, data=data, layout=layout, revision=data_revision)
    if honest:
        loaded = loaded.with_selection()
        made = dataclasses.replace(made, choose_on="selection")
    run_task(
        plm,
        loaded,
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
        settings=made,
    )


def estimate(
    recipe: Annotated[
        str | None, typer.Argument(help="A published run, such as p_tuning_v2/rte.")
    ] = None,
    plm: Annotated[str | None, typer.Option(help="As for `course run`.")] = None,
    task: Annotated[str | None, typer.Option(help="As for `course run`.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the task's own files.")] = None,
    method: Annotated[
        str | None, typer.Option(help="As for `course run`; not with a recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A hyper-parameter of the method.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples in a pass.")] = None,
    accumulation: Annotated[int | None, typer.Option(min=1, help="Passes in an update.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32, float16, bfloat16.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens per example.")] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Without downloading the PLM's weights.")
    ] = False,
    memory_only: Annotated[
        bool, typer.Option("--memory-only", help="No real steps: seconds instead of minutes.")
    ] = False,
) -> None:
    """Say what a run will take: memory on a graphics card, minutes on this machine.

    Memory is found with tensors that have shapes and no numbers, so a laptop can tell whether
    Colab's T4 will do. Time comes from a few real steps here.
    """
    from course_utils.estimate import estimate as estimated
    from course_utils.job import Job

    names = ("epochs", "batch_size", "accumulation", "precision", "max_length")
    values = (epochs, batch_size, accumulation, precision, max_length)
    given = {n: v for n, v in zip(names, values, strict=True) if v is not None}
    dropout = None
    if recipe is not None:
        _fits_a_recipe(method)
        from course_utils.recipes.running import planned

        hyperparameters = parse_settings("p-tuning-v2", set_ or [])
        made = planned(
            recipe, plm, task=task, data=data, settings=given, hyperparameters=hyperparameters
        )
        plm, loaded, how, settings = made.plm, made.task, made.method, made.settings
        dropout, hyperparameters = made.recipe.dropout, {}
    else:
        if plm is None or task is None:
            raise CourseError("course estimate needs --plm and --task, or the name of a recipe.")
        from course_utils.settings import TrainSettings
        from course_utils.tasks import load_task

        how = method or "lora"
        loaded, settings = load_task(task, data=data), TrainSettings(**given)
        hyperparameters = parse_settings(how, set_ or [])
    job = Job.make(
        plm,
        loaded,
        method=how,
        hyperparameters=hyperparameters,
        pretrained=not random_weights,
        dropout=dropout,
    )
    with Console().status("trying a few steps ..."):
        found = estimated(job, settings, minutes=not memory_only)
    print(found)


def _fits_a_recipe(
    method: str | None,
    prompt: int | None = None,
    shots: int | None = None,
    layout: str | None = None,
    split: str | None = None,
    no_pretraining: bool = False,
    learning_rate: list[float] | None = None,
) -> None:
    """A recipe has its own of these.

    Raises:
        CourseError: the first that was given beside it.
    """
    given = {
        "--method": method,
        "--prompt": prompt,
        "--shots": shots,
        "--layout": layout,
        "--split": split,
        "--no-pretraining": no_pretraining or None,
        "several --learning-rate": learning_rate if learning_rate and learning_rate[1:] else None,
    }
    odd = [name for name, value in given.items() if value is not None]
    if odd:
        raise CourseError(
            f"{odd[0]} does not go with a recipe, which has its own; leave it out, or give --plm "
            "and --task instead of the recipe."
        )


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders in which runs were made.")],
) -> None:
    """Set runs beside published results: mean over seeds, spread, exact test, verdict."""
    from course_utils.comparison import compare as compared
    from course_utils.comparison import table
    from course_utils.records import read_all

    print(table(compared([record for folder in folders for record in read_all(folder)])))


def recipes(
    name: Annotated[str | None, typer.Argument(help="Only this one, or this collection.")] = None,
) -> None:
    """List the published runs: result, settings, and how to run one again."""
    from course_utils.recipes import recipes as all_recipes
    from course_utils.records import aligned

    known = [r for r in all_recipes() if name is None or r.name.startswith(name)]
    if not known:
        from course_utils.errors import unknown_name

        raise unknown_name("recipe", name, {r.name for r in all_recipes()})
    lines = [("recipe", "PLM", "result", "rate", "length", "epochs", "best", "batch")]
    lines += [
        (r.name, r.plm.removesuffix("-cased").removesuffix("-uncased"), f"{r.result:.1f} {r.split}",
         f"{r.learning_rate:g}", f"{r.length}{' MLP' if r.mlp else ''}", str(r.epochs),
         str(r.best_epoch or ""), str(r.batch_size))
        for r in known
    ]  # fmt: skip
    print(aligned(lines))
    print(f"\nTo run one: course run {known[0].name} --plm {known[0].plm}")


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
