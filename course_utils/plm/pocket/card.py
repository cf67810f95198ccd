"""The card of a pocket model: what it read, and what it can do, as tables in Markdown.

    course pocket card                        all models: what they answer without training
    course pocket card --model bert-base      one model, everything that was measured

`card.json` beside the weights is written by pre-training, `evaluation.json` by
`course pocket evaluate --keep`. Nothing here is computed but means and differences of what they
hold, so a number on a page can be followed to the run that gave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.plm.names import POCKET_MODELS, pocket_folder
from course_utils.plm.pocket.sizes import SIZES
from course_utils.records import read_json, write_json

EVALUATION = "evaluation.json"
FEW = ("prompt", "head", "head, no pre-training")
FULL = ("full fine-tuning", "LoRA", "no pre-training")


def keep(plm: str, results: Mapping[str, Any], folder: Path | None = None) -> Path:
    """Put an evaluation beside the weights it is about.

    Args:
        results: of `evaluate_pocket`; parts that are not in it stay as they were, if they are of
            the same weights.
        folder: where the weights are; the shipped ones by default.
    """
    path = (folder or pocket_folder(plm)) / EVALUATION
    kept = read_json(path) if path.is_file() else {}
    if kept.get("about", {}).get("weights") != results["about"]["weights"]:
        kept = {}
    write_json(path, {**kept, **results})
    return path


def evaluation(plm: str) -> dict[str, Any]:
    """What was measured on a shipped model.

    Raises:
        CourseError: nothing was, with the command that does it.
    """
    path = pocket_folder(plm) / EVALUATION
    if not path.is_file():
        raise CourseError(
            f"{plm} has not been evaluated: {path.name} is missing beside its weights. "
            f"course pocket evaluate --model {plm.removeprefix('pocket-')} --keep writes it."
        )
    return read_json(path)


def overview() -> str:
    """All models' answers without training: a table of the median over wordings."""
    measured = {name: evaluation(name)["zero-shot"] for name in POCKET_MODELS}
    first = next(iter(measured.values()))
    rows = [
        [
            task,
            _number(scores["majority"]),
            *(_number(m[task]["median"]) for m in measured.values()),
        ]
        for task, scores in first.items()
    ]
    return table(["task", "majority", *(n.split("-")[-1] for n in measured)], rows)


def card(plm: str) -> str:
    """One model's card, as Markdown."""
    made, measured = read_json(pocket_folder(plm) / "card.json"), evaluation(plm)
    size = SIZES[plm]
    parts = [
        f"# {plm}",
        f"{POCKET_MODELS[plm].split(',')[0]}, {size.layers} layers of width {size.width}, "
        f"{made['parameters']:,} parameters. Read {made['tokens'] / 1e6:.1f} million tokens of the "
        f"pocket corpus (world {made['world_seed']}, seed {made['seed']}) in {made['steps']:,} "
        f"steps and {made['minutes']:.0f} minutes on {_threads(made['threads'])}.",
        loss_curve(made["loss_curve"]),
        "## Zero-shot\n\nAccuracy on test without training, by wording. *Kept out* are wordings "
        "that the corpus does not hold.",
        zero_shot_table(measured["zero-shot"]),
    ]
    seeds = measured["about"]["seeds"]
    spread = f"mean ± standard deviation over {seeds} seeds, test"
    if "few-shot" in measured:
        parts += [f"## 16 examples a class\n\nAccuracy, {spread}.", few_shot_table(measured)]
    if "full-data" in measured:
        parts += [f"## 2,000 examples\n\nAccuracy (ner, srl: F1), {spread}."]
        parts += [full_data_table(measured)]
    if "tables" in measured:
        parts += [f"## Table to text (e2e)\n\n{spread.capitalize()}.", _tables(measured["tables"])]
    if "in-context" in measured:
        parts += ["## Examples in the text\n\nAccuracy on 300 test examples, no training."]
        parts += [in_context_table(measured["in-context"])]
    return "\n\n".join(parts)


def zero_shot_table(scores: Mapping[str, Any]) -> str:
    """Median, lowest and highest wording, and the kept-out ones, by task."""
    rows = []
    for task, row in scores.items():
        values = [w["accuracy"] for w in row["wordings"]]
        kept_out = [_number(w["accuracy"]) for w in row["wordings"] if w["kept_out"]]
        numbers = (row["majority"], row["median"], min(values), max(values))
        rows.append([task, *map(_number, numbers), ", ".join(kept_out) or "-"])
    return table(["task", "majority", "median", "lowest", "highest", "kept out"], rows)


def few_shot_table(measured: Mapping[str, Any]) -> str:
    """Through a prompt, with a head, with a head and no pre-training; the first two's difference.

    A causal model has the first column alone.
    """
    few = measured["few-shot"]
    names = [name for name in FEW if any(name in cells for cells in few.values())]
    rows = [[task, *(_spread(cells.get(name)) for name in names)] for task, cells in few.items()]
    if not {"prompt", "head"} <= set(names):
        return table(["task", *names], rows)
    for row, cells in zip(rows, few.values(), strict=True):
        both = "prompt" in cells and "head" in cells
        row.append(_points(cells["prompt"], cells["head"]) if both else "-")
    return table(["task", *names, "prompt - head"], rows)


def full_data_table(measured: Mapping[str, Any]) -> str:
    """Full fine-tuning, LoRA and the control, and how far the latter two are from the first."""
    rows = []
    for task, cells in measured["full-data"].items():
        row = [task, *(_spread(cells.get(name)) for name in FULL)]
        for name in FULL[1:]:
            there = name in cells and FULL[0] in cells
            row.append(_points(cells[name], cells[FULL[0]]) if there else "-")
        rows.append(row)
    return table(["task", *FULL, "LoRA - full", "no pre-training - full"], rows)


def in_context_table(scores: Mapping[str, Any]) -> str:
    """Accuracy by number of examples shown, in a known and in a new wording."""
    rows = [
        [task, wording, *(_spread(cell) for cell in row[wording]["k"].values())]
        for task, row in scores.items()
        for wording in ("known", "kept out")
        if wording in row
    ]
    numbers = next(iter(scores.values()))["known"]["k"]
    return table(["task", "wording", *(f"{k} shown" for k in numbers)], rows)


def loss_curve(points: Sequence[Sequence[float]], columns: int = 60) -> str:
    """The pre-training loss as one line of blocks: it starts left, the highest is full."""
    blocks = " ▁▂▃▄▅▆▇█"
    shown = points[:: max(1, len(points) // columns)]
    top = max(loss for _, loss in shown)
    line = "".join(blocks[round(8 * loss / top)] for _, loss in shown)
    return (
        f"Loss of the masked or next tokens over the stages, {points[0][1]:.2f} at first, "
        f"{points[-1][1]:.2f} at the end:\n\n    {line}"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its columns aligned in the source too."""
    grid = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(header))]
    grid.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in grid
    )


def _tables(cells: Mapping[str, Any]) -> str:
    rows = [
        [name, cell["metric"], _spread(cell)] for name, cell in next(iter(cells.values())).items()
    ]
    return table(["", "metric", "score"], rows)


def _number(value: float) -> str:
    return f"{value:.2f}"


def _spread(cell: Mapping[str, float] | None) -> str:
    return "-" if cell is None else f"{cell['mean']:.3f} ± {cell['std']:.3f}"


def _points(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    return f"{100 * (one['mean'] - other['mean']):+.1f}"


def _threads(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"
