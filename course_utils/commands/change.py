"""For those who change the course: pocket models, the setup cell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils.errors import CourseError, unknown_name

PANEL = "Change the course"

pocket_app = typer.Typer(
    no_args_is_help=True, help="The pocket models: pre-train one anew, measure what it can do."
)


def add_to(app: typer.Typer) -> None:
    """Put these commands on the page."""
    app.add_typer(pocket_app, name="pocket", rich_help_panel=PANEL)
    app.command(rich_help_panel=PANEL)(publish)


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
    """Pre-train a pocket model from its seed. An interrupted run goes on where it was."""
    name = _pocket_name(model)
    folder = output or Path("runs", "pocket", name)
    from course_utils.plm.pocket.pretrain import CHECKPOINT, pretrain

    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not (folder / CHECKPOINT).is_file():
        raise CourseError(f"{str(folder)!r} is not an empty folder: name another --output.")

    pretrain(name, folder, seed=seed, tokens=tokens, device=device)
    print(f"{name} written to {folder}")


@pocket_app.command("evaluate")
def pocket_evaluate(
    model: Annotated[str, typer.Option(help="bert-tiny, bert-base, bert-large or gpt2.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs behind each mean.")] = 3,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="zero-shot, few-shot, full-data, tables or in-context; all if not given."
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="For example sst2; all if not given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the records; runs/evaluate/NAME if not given.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the results on the shipped model's card.")
    ] = False,
) -> None:
    """Measure what a pocket model can do: the numbers on its card. Goes on where it stopped."""
    name = _pocket_name(model)
    from course_utils.plm.pocket import card
    from course_utils.plm.pocket.evaluate import evaluate_pocket

    folder = output or Path("runs", "evaluate", name)
    results = evaluate_pocket(name, folder, seeds=seeds, parts=part or (), tasks=task or None)
    print(f"results in {folder / 'results.json'}")
    if keep:
        print(f"and on the card, {card.keep(name, results)}")


@pocket_app.command("card")
def pocket_card(
    model: Annotated[
        str | None, typer.Option(help="bert-tiny, bert-base, bert-large or gpt2; or all of them.")
    ] = None,
) -> None:
    """Show what a pocket model read and what it can do, as measured."""
    from course_utils.plm.pocket import card

    print(card.overview() if model is None else card.card(_pocket_name(model)))


def _pocket_name(model: str) -> str:
    from course_utils.plm.pocket.sizes import SIZES

    name = model if model.startswith("pocket-") else f"pocket-{model}"
    if name not in SIZES:
        raise unknown_name("pocket model", model, (n[7:] for n in SIZES))
    return name


def publish(
    repository: Annotated[str, typer.Option(help="Your copy on GitHub, OWNER/NAME.")],
    branch: Annotated[str, typer.Option(help="The branch or tag that students get.")] = "main",
    kit: Annotated[
        str | None,
        typer.Option(help="What pip installs the kit from on Colab, if not that repository."),
    ] = None,
) -> None:
    """Write your copy's address into every notebook: setup cell, Open-in-Colab badge, README."""
    from course_utils.publishing import publish as written

    changed = written(Path(), repository, branch=branch, kit=kit)
    for path in changed:
        print(path)
    if not changed:
        print("nothing to change: these addresses are written already.")
