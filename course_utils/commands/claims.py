"""`course claims`: the claims of the course, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

PANEL = "Models and tasks"


def add_to(app: typer.Typer) -> None:
    """Put the command on the page."""
    app.command(rich_help_panel=PANEL)(claims)


def claims(
    only: Annotated[
        list[str] | None, typer.Option(help="Only the claim of this name; repeatable.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Replications behind each mean; 5, with --quick 2.")
    ] = None,
    plm: Annotated[
        str | None,
        typer.Option(
            help="Measure this PLM (pocket model, folder, Hub id) instead of pocket-bert-base, or, "
            "if it is causal, instead of pocket-gpt2; claims about the other kind are left out."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="See that all runs: one task, few updates, 2 seeds.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Name the claims, measure nothing.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Measurements at the same time; one a core, with a GPU one.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder; runs/claims, its own for --quick and --plm.")
    ] = None,
) -> None:
    """Measure the claims of the course, and judge them: a page, a summary, results.json.

    Says how long it takes before it starts. A command that was stopped goes on where it was.
    """
    from course_utils.claims.catalogue import load_claims

    chosen = load_claims(only or ())
    if list_:
        from rich.table import Table

        table = Table("--only", "claim", "source", box=None, pad_edge=False)
        for claim in chosen:
            table.add_row(claim.name, claim.sentence, claim.source.split(" (")[0])
        Console().print(table)
        return
    from course_utils.claims.claim import Scale
    from course_utils.claims.report import PAGE
    from course_utils.claims.running import run_claims
    from course_utils.claims.side_by_side import usual_processes

    scale = Scale.made(seeds, quick)
    folder = output or _usual_folder(plm, quick)
    run_claims(chosen, folder, scale=scale, plm=plm, processes=jobs or usual_processes())
    if (folder / PAGE).is_file():
        print(f"The page: {folder / PAGE}")


def _usual_folder(plm: str | None, quick: bool) -> Path:
    from course_utils.claims.bench import slug

    parts = ["claims", *([slug(plm)] if plm else []), *(["quick"] if quick else [])]
    return Path("runs", "-".join(parts))
