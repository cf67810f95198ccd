"""Means with their spread: curves over a few places, rows of arms, intervals against zero."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.labels import name_ends
from course_utils.show.plots import room_for
from course_utils.show.style import COLOURS, GREY, MARKERS, Chart

Place = int | str
_NAME = 30  # letters of a row's name on one line


def measured_curves(
    curves: Mapping[str, Mapping[Place, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str = "accuracy",
    title: str = "",
    levels: Mapping[str, float] | None = None,
    joined: bool = True,
) -> Chart:
    """Mean over seeds at a few places, one standard deviation up and down, each seed a dot.

    Args:
        curves: name -> (place -> the scores of its seeds). Places stand at equal distances, in the
            order they are first met: 4, 8, 16, ..., "all".
        levels: name -> score of what does not depend on the place (majority, chance); dotted.
        joined: draw lines through the means; False where the places have no order.

    Raises:
        CourseError: nothing to draw.
    """
    places = list(dict.fromkeys(place for points in curves.values() for place in points))
    if not places:
        raise CourseError("there is nothing to draw: every curve is empty.")
    lines = _merged(levels or {})
    values = [v for points in curves.values() for scores in points.values() for v in scores]
    with style.house_style():
        chart, axes = style.new_chart()
        ends, edge = [], len(places) - 0.6
        aside = (0.16 if joined else 0.3) / max(len(curves) - 1, 1)
        for number, (name, points) in enumerate(curves.items()):
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            shift = aside * (number - (len(curves) - 1) / 2)  # so that error bars stand apart
            xs = [places.index(place) + shift for place in points]
            means = [fmean(scores) for scores in points.values()]
            spread = [stdev(s) if len(s) > 1 else 0.0 for s in points.values()]
            axes.errorbar(
                xs,
                means,
                spread,
                color=colour,
                marker=marker,
                linestyle="-" if joined else "none",
                capsize=6,
                elinewidth=2,
                label=name,
            )
            for x, scores in zip(xs, points.values(), strict=True):
                axes.plot([x] * len(scores), scores, "o", color=colour, ms=4, alpha=0.4)
            values += [m + sign * s for m, s in zip(means, spread, strict=True) for sign in (-1, 1)]
            ends.append((edge, means[-1], name, colour))
        axes.set_xticks(range(len(places)), [str(place) for place in places])
        axes.set_xlim(-0.4, edge)
        room_for(axes, values, list(lines.values()))
        axes.set(xlabel=xlabel, ylabel=ylabel)
        style.entitle(chart, title)
        for name, value in lines.items():
            axes.axhline(value, color=GREY, linestyle=":", linewidth=2, zorder=1)
            ends.append((edge, value, name, GREY))
        name_ends(axes, [e[:2] for e in ends], [e[2] for e in ends], 15, [e[3] for e in ends])
    told = (
        f"{name}: " + ", ".join(f"{place} {fmean(scores):.3f}" for place, scores in points.items())
        for name, points in curves.items()
    )
    chart.alt = f"{title}. {ylabel} by {xlabel}. {'; '.join([*told, *lines])}."
    return chart


def measured_rows(
    rows: Mapping[str, Sequence[float]],
    *,
    xlabel: str = "accuracy",
    title: str = "",
    levels: Mapping[str, float] | None = None,
) -> Chart:
    """One row per arm: its mean, one standard deviation to both sides, each seed a dot.

    Args:
        rows: name -> the scores of its seeds, from the top.
        levels: name -> score to compare with (majority, chance); dotted.

    Raises:
        CourseError: nothing to draw.
    """
    if not rows or not all(rows.values()):
        raise CourseError("there is nothing to draw: no rows, or one without scores.")
    lines = _merged(levels or {})
    with style.house_style():
        chart, axes = style.new_chart(height=2.3 + 0.75 * len(rows))
        everything = list(lines.values())
        for number, scores in enumerate(rows.values()):
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            mean, spread = fmean(scores), stdev(scores) if len(scores) > 1 else 0.0
            axes.errorbar(mean, number, xerr=spread, color=colour, marker=marker, ms=13, capsize=8)
            axes.plot(scores, [number] * len(scores), "o", color=colour, ms=6, alpha=0.4, mew=0)
            everything += [*scores, mean - spread, mean + spread]
            axes.annotate(
                f"{mean:.3f} ± {spread:.3f}",
                (1.0, number),
                xycoords=("axes fraction", "data"),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        low, high = min(everything), max(everything)
        air = max(0.08 * (high - low), (0.2 - (high - low)) / 2)
        axes.set_xlim(low - air, high + air)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), ["\n".join(textwrap.wrap(n, _NAME)) for n in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(xlabel)
        style.entitle(chart, title)
        for name, value in lines.items():
            style.upright(axes, name, value)
    told = (f"{name} {fmean(scores):.3f}" for name, scores in rows.items())
    chart.alt = f"{title}. {xlabel}: {'; '.join([*told, *lines])}."
    return chart


def interval_rows(
    intervals: Mapping[str, tuple[float, float, float]],
    *,
    xlabel: str,
    title: str = "",
    colours: Mapping[str, str] | None = None,
    most: float | None = None,
) -> Chart:
    """Means with intervals against zero, one row each.

    Args:
        intervals: name -> (low, mean, high); an end may be infinite.
        colours: name -> colour.
        most: ends of intervals beyond this, to both sides, are cut, with an arrow head.

    Raises:
        CourseError: nothing to draw.
    """
    if not intervals:
        raise CourseError("there is nothing to draw: no intervals were given.")
    edge = most or 1.15 * max(
        abs(end) for low, _, high in intervals.values() for end in (low, high)
    )
    edge = edge or 1.0  # nothing but zeros
    with style.house_style():
        chart, axes = style.new_chart(height=1.9 + 0.62 * len(intervals))
        axes.axvline(0, color=style.BLACK, linewidth=2, zorder=1)
        for number, (name, (low, mean, high)) in enumerate(intervals.items()):
            colour = (colours or {}).get(name, style.BLUE)
            axes.plot([max(low, -edge), min(high, edge)], [number] * 2, color=colour, linewidth=5)
            for end, beyond, head in ((-edge, low < -edge, "<"), (edge, high > edge, ">")):
                if beyond:
                    axes.plot([end], [number], head, color=colour, ms=11, clip_on=False)
            axes.plot([min(max(mean, -edge), edge)], [number], "o", color=colour, ms=13)
        axes.set_xlim(-edge, edge)
        axes.set_ylim(len(intervals) - 0.4, -0.6)
        axes.set_yticks(range(len(intervals)), list(intervals))
        axes.tick_params(axis="y", length=0, labelsize=style.SMALL)
        axes.set_xlabel(xlabel)
        style.entitle(chart, title)
    told = (f"{n} {mean:+.3f} ({low:+.3f} to {high:+.3f})" for n, (low, mean, high) in
            intervals.items())  # fmt: skip
    chart.alt = f"{title}. {xlabel}: {'; '.join(told)}."
    return chart


def _merged(levels: Mapping[str, float]) -> dict[str, float]:
    """Names with their numbers; levels that can't be told apart become one."""
    groups: list[tuple[list[str], float]] = []
    for name, value in levels.items():
        near = next((group for group in groups if abs(group[1] - value) < 0.02), None)
        if near is None:
            groups.append(([name], value))
        else:
            near[0].append(f"{name} {value:.2f}")
    return {", ".join([f"{names[0]} {value:.2f}", *names[1:]]): value for names, value in groups}
