"""The charts of the course. Each takes numbers, draws them, and returns a `Chart`.

Accuracy is drawn as a share, 0 to 1. Every line and point is named where it stands, so a chart can
be read without a legend, in black and white, and from the last row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.labels import name_ends
from course_utils.show.style import COLOURS, GREY, MARKERS, Chart

Scores = Mapping[float, Sequence[float] | float]


def label_bars(
    probabilities: Mapping[str, float] | Mapping[str, Mapping[str, float]],
    *,
    title: str = "",
    right: str | None = None,
) -> Chart:
    """What a prompt answers: one bar per label, or one group of bars per prompt.

    Args:
        probabilities: label -> probability; or prompt -> (label -> probability).
        title: the text and task.
        right: the correct label, marked "(right)" beside its name.
    """
    if not probabilities:
        raise CourseError("there is nothing to draw: no probabilities were given.")
    first = next(iter(probabilities.values()))
    groups = probabilities if isinstance(first, Mapping) else {"": probabilities}
    labels = list(dict.fromkeys(label for group in groups.values() for label in group))
    rows = [(name, label, group[label]) for name, group in groups.items() for label in group]
    with style.house_style():
        chart, axes = style.new_chart(height=1.6 + 0.55 * len(rows) + 0.3 * len(groups))
        heights, y, last = [], 0.0, None
        for name, _, _ in rows:
            y += 1.6 if last is not None and name != last else 1.0
            heights.append(y)
            last = name
        colours = [COLOURS[labels.index(label) % len(COLOURS)] for _, label, _ in rows]
        axes.barh(heights, [value for *_, value in rows], color=colours, height=0.8)
        for height, (_, _, value) in zip(heights, rows, strict=True):
            axes.text(value + 0.01, height, f"{value:.2f}", va="center", fontsize=style.SMALL)
        names = [f"{label} (right)" if label == right else label for _, label, _ in rows]
        if len(groups) > 1:
            names = [f"{group}   {name}" for (group, _, _), name in zip(rows, names, strict=True)]
        axes.set_yticks(heights, names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.1)
        axes.set_xlabel("probability")
        style.entitle(chart, title)
    chart.alt = f"{title}: " + "; ".join(f"{g} {label} {p:.2f}".strip() for g, label, p in rows)
    return chart


def score_curves(
    curves: Mapping[str, Scores],
    *,
    xlabel: str,
    ylabel: str = "accuracy",
    title: str = "",
    majority: float | None = None,
    references: Mapping[str, float] | None = None,
    log2: bool = False,
) -> Chart:
    """Lines through mean scores, with every single run as a small dot, named at their right end.

    Args:
        curves: name -> (x -> score, or the scores of several seeds).
        log2: the horizontal axis doubles at each step (4, 8, 16 ... labels).
        majority: score of always giving the commonest label; a dotted line.
        references: name -> score of what does not depend on x; each a dotted line.
    """
    levels = {f"{name} {value:.2f}": value for name, value in (references or {}).items()}
    if majority is not None:
        levels[f"majority class {majority:.2f}"] = majority
    if not any(curves.values()):
        raise CourseError("there is nothing to draw: every curve is empty.")
    everything: list[float] = []
    with style.house_style():
        chart, axes = style.new_chart()
        if log2:
            axes.set_xscale("log", base=2)
        ends = []
        for number, (name, points) in enumerate(curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            runs = {x: _several(points[x]) for x in sorted(points)}
            means = [fmean(scores) for scores in runs.values()]
            marker = MARKERS[number % len(MARKERS)]
            many = len(runs) > 12
            axes.plot(list(runs), means, color=colour, marker=None if many else marker, label=name)
            for x, scores in runs.items():
                if len(scores) > 1:
                    axes.plot([x] * len(scores), scores, "o", color=colour, ms=5, alpha=0.45)
                everything += scores
            ends.append((max(runs), means[-1], name, colour))
        ticks = sorted({x for points in curves.values() for x in points})
        if len(ticks) <= 10:
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        room_for(axes, everything, list(levels.values()))
        axes.set(xlabel=xlabel, ylabel=ylabel)
        style.entitle(chart, title)
        for name, value in levels.items():
            axes.axhline(value, color=GREY, linestyle=":", linewidth=2, zorder=1, label=name)
            ends.append((ticks[-1], value, name, GREY))
        places, names, colours = (
            [end[:2] for end in ends],
            [e[2] for e in ends],
            [e[3] for e in ends],
        )
        name_ends(axes, places, names, 15, colours)
    lines = (f"{name}: {_spoken(points)}" for name, points in curves.items())
    chart.alt = f"{title}. {ylabel} by {xlabel}. {'; '.join(lines)}."
    return chart


def learning_curve(losses: Mapping[str, Sequence[float]], *, title: str = "") -> Chart:
    """Training loss step by step, one line per run.

    Args:
        losses: name -> the loss at each step, first step first.
    """
    curves = {name: dict(enumerate(values, 1)) for name, values in losses.items()}
    return score_curves(curves, xlabel="step", ylabel="training loss", title=title)


def heat_map(
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
    unit: str = "",
    row_title: str = "",
    numbers: bool | None = None,
) -> Chart:
    """A grid of numbers as shades, dark for large: tokens by layers, tokens by tokens.

    Args:
        values: R rows of C numbers.
        rows, columns: their R and C names (layers, tokens).
        unit: what a number is, written beside the scale.
        numbers: write each number into its square; default: while there are at most 80.

    Raises:
        CourseError: the grid and the names differ in size.
    """
    shape = (len(values), len(values[0]) if len(values) else 0)
    if shape != (len(rows), len(columns)) or any(len(row) != shape[1] for row in values):
        raise CourseError(
            f"the grid is {shape[0]} by {shape[1]}, the names are {len(rows)} by {len(columns)}."
        )
    flat = [float(value) for row in values for value in row]
    top = max(flat) or 1.0
    with style.house_style():
        chart, axes = style.new_chart(height=max(2.6, 1.9 + 0.55 * len(rows)))
        grid = [[float(value) for value in row] for row in values]
        image = axes.imshow(grid, cmap="Blues", aspect="auto", vmin=min(0.0, *flat))
        _part_squares(axes, *shape)
        if numbers if numbers is not None else len(flat) <= 80:
            for y, row in enumerate(grid):
                for x, value in enumerate(row):
                    ink = "white" if value > 0.55 * top else "black"
                    axes.text(
                        x, y, _in_square(value, top), ha="center", va="center", color=ink, size=14
                    )
        axes.set_xticks(range(len(columns)), columns, rotation=40 if len(columns) > 8 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylabel(row_title)
        style.entitle(chart, title)
        axes.tick_params(length=0)
        if unit:
            chart.colorbar(image, ax=axes, label=unit, pad=0.02)
    chart.alt = f"{title}. A grid of {shape[0]} rows and {shape[1]} columns; darker is larger."
    return chart


def _part_squares(axes, rows: int, columns: int) -> None:
    """White lines between the squares, so that neighbours of one shade are still counted."""
    for edge in range(1, rows):
        axes.axhline(edge - 0.5, color="white", linewidth=2)
    for edge in range(1, columns):
        axes.axvline(edge - 0.5, color="white", linewidth=2)
    axes.spines[:].set_visible(False)


def amount_bars(
    amounts: Mapping[str, float],
    *,
    title: str = "",
    xlabel: str = "",
    log: bool = False,
    limit: tuple[str, float] | None = None,
    write=lambda value: f"{value:,.3g}",
) -> Chart:
    """Amounts as lying bars with their numbers: memory, parameters, seconds.

    Args:
        amounts: name -> amount, drawn from the top in the order given.
        log: a logarithmic axis, for amounts a thousand times apart.
        limit: (name, amount) of a line not to cross, such as a graphics card's memory.
        write: how a number is written at the end of its bar.
    """
    if not amounts:
        raise CourseError("there is nothing to draw: no amounts were given.")
    with style.house_style():
        chart, axes = style.new_chart(height=1.9 + 0.6 * len(amounts))
        names, values = list(amounts), list(amounts.values())
        edge = limit[1] if limit else max(values)
        over = [limit is not None and value > edge for value in values]
        colours = [style.VERMILION if too_much else style.BLUE for too_much in over]
        axes.barh(names, values, color=colours, height=0.72)
        if log:
            axes.set_xscale("log")
        for place, value in enumerate(values):
            axes.annotate(
                write(value),
                (value, place),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=15,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9},
            )
        top = max([*values, edge])
        axes.set_xlim(min(values) / 3 if log else 0, top * (12 if log else 1.22))
        if limit:
            axes.axvline(edge, color=style.BLACK, linestyle="--", linewidth=2)
            axes.annotate(
                limit[0],
                (edge, -0.62),
                xytext=(6, 0),
                textcoords="offset points",
                fontsize=style.SMALL,
                annotation_clip=False,
            )
            axes.set_ylim(-0.95, len(values) - 0.5)
        axes.xaxis.set_major_formatter(lambda value, _: write(value))
        axes.invert_yaxis()
        axes.set_xlabel(xlabel)
        style.entitle(chart, title)
    chart.alt = f"{title}: " + "; ".join(f"{n} {write(v)}" for n, v in amounts.items()) + "."
    return chart


def _in_square(value: float, top: float) -> str:
    return f"{value:.2f}" if top < 2 else f"{value:.1f}" if top < 100 else f"{value:,.0f}"


def _several(scores: Sequence[float] | float) -> list[float]:
    return [float(scores)] if isinstance(scores, (int, float)) else [float(s) for s in scores]


def _spoken(points: Scores) -> str:
    return ", ".join(f"{x:g} {fmean(_several(points[x])):.3g}" for x in sorted(points))


def room_for(axes, values: Sequence[float], lines: Sequence[float | None]) -> None:
    """Limits of the vertical axis with air around everything drawn, and no less than 0.2 apart.

    A difference of a few thousandths should look like one.
    """
    everything = [*values, *(line for line in lines if line is not None)]
    low, high = min(everything), max(everything)
    air = max(0.12 * (high - low), (0.2 - (high - low)) / 2)
    axes.set_ylim(low - air, high + air)
