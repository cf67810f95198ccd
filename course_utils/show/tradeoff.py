"""The chart of the whole course: what a method reaches, against how much it trains or costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.labels import name_points
from course_utils.show.plots import room_for
from course_utils.show.style import COLOURS, GREY, MARKERS, Chart


def accuracy_vs_parameters(
    records: Sequence,
    *,
    majority: float | None = None,
    no_pretraining: float | None = None,
    title: str = "",
    metric: str = "accuracy",
) -> Chart:
    """Score against the number of trained parameters, one point per method.

    Runs of the same method with the same number of trained parameters (other seeds) become one
    point at their mean with a bar of one standard deviation. Methods that train nothing (zero-shot)
    stand left of a broken axis, since a logarithm has no place for 0.

    Args:
        records: RunRecords, or mappings, with `method`, `trainable` and `score`.
        majority: score of always giving the commonest label; a dotted line.
        no_pretraining: score of the same architecture trained from random weights; a dashed line.
        title: what was measured on which task and PLM. Say "pocket" where it is one.
        metric: the name of the vertical axis.

    Raises:
        CourseError: there are no records.
    """
    points = _points(records)
    trained = [count for _, count, _ in points if count > 0]
    left = min(trained, default=10) / 12  # where "nothing trained" stands
    levels = {"majority class": majority, "no pre-training": no_pretraining}
    with style.house_style():
        chart, axes = style.new_chart()
        axes.set_xscale("log")
        places, names = _draw(axes, points, left)
        zero = any(count == 0 for _, count, _ in points)
        axes.set_xlim((left if zero else min(trained)) / 3, max(trained, default=left) * 12)
        room_for(axes, [y for _, y in places], [majority, no_pretraining])
        _references(axes, levels)
        if zero:
            axes.axvspan(left / 3, left * 3, color="#eeeeee", zorder=0)
            ticks = _decades(min(trained, default=10), max(trained, default=left))
            axes.set_xticks([left, *ticks], ["none", *(_short(tick) for tick in ticks)])
            axes.minorticks_off()
        else:
            axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.set_xlabel("trained parameters (each step is ten times more)")
        axes.set_ylabel(metric)
        style.entitle(chart, title)
        name_points(axes, places, names, style.SMALL, [majority, no_pretraining])
    lines = [f"{name} {level:.3f}" for name, level in levels.items() if level is not None]
    chart.alt = f"{metric} against trained parameters: {'; '.join([*names, *lines])}."
    return chart


def accuracy_vs_cost(
    points: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    majority: float | None = None,
    title: str = "",
    metric: str = "accuracy",
) -> Chart:
    """Score against what an answer costs, one named point per model; up and to the left is better.

    Args:
        points: name -> (cost, score); cost in milliseconds, megabytes ..., from 0 on.

    Raises:
        CourseError: nothing to draw.
    """
    if not points:
        raise CourseError("there is nothing to draw: no points were given.")
    with style.house_style():
        chart, axes = style.new_chart()
        for number, (name, (x, y)) in enumerate(points.items()):
            marker, colour = MARKERS[number % len(MARKERS)], COLOURS[number % len(COLOURS)]
            axes.plot([x], [y], marker=marker, color=colour, markersize=13, linestyle="none",
                      label=name)  # fmt: skip
        axes.set_xlim(0, 1.35 * max(x for x, _ in points.values()))
        room_for(axes, [y for _, y in points.values()], [majority])
        _references(axes, {"majority class": majority})
        axes.set(xlabel=xlabel, ylabel=metric)
        style.entitle(chart, title)
        names = [f"{name} {y:.3f}" for name, (_, y) in points.items()]
        name_points(axes, list(points.values()), names, style.SMALL, [majority])
    told = "; ".join(f"{name} {y:.3f} at {x:.3g}" for name, (x, y) in points.items())
    chart.alt = f"{title}. {metric} against {xlabel}: {told}."
    return chart


def _draw(axes, points, left: float) -> tuple[list[tuple[float, float]], list[str]]:
    """One marker per method, with its spread over seeds; returns the places and the names."""
    places, names = [], []
    for number, (name, count, scores) in enumerate(points):
        x, y = (count or left), fmean(scores)
        axes.errorbar(
            [x],
            [y],
            yerr=[stdev(scores)] if len(scores) > 1 else None,
            marker=MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=13,
            capsize=8,
            elinewidth=2.5,
            linestyle="none",
            label=name,
        )
        places.append((x, y))
        names.append(f"{name} {y:.3f}")
    return places, names


def _points(records: Sequence) -> list[tuple[str, int, list[float]]]:
    """(method, trained parameters, scores of its seeds), in the order first met."""
    if not records:
        raise CourseError("there is nothing to draw: no records were given.")
    runs: dict[tuple[str, int], list[float]] = {}
    for record in records:
        key = (str(_field(record, "method")), int(_field(record, "trainable")))
        runs.setdefault(key, []).append(float(_field(record, "score")))
    return [(name, count, scores) for (name, count), scores in runs.items()]


def _field(record, name: str):
    return record[name] if isinstance(record, Mapping) else getattr(record, name)


def _references(axes, values: Mapping[str, float | None]) -> None:
    """Lines with their names above them; of two that nearly meet, the lower one's name is below."""
    lines = [(v, name) for name, v in values.items() if v is not None]
    low, high = axes.get_ylim()
    meet = len(lines) == 2 and abs(lines[0][0] - lines[1][0]) < 0.07 * (high - low)
    for value, name in lines:
        below = meet and (value, name) == min(lines)
        dashes = ":" if name == "majority class" else "--"
        axes.axhline(value, color=GREY, linestyle=dashes, linewidth=2, zorder=1, label=name)
        axes.annotate(
            f"{name} {value:.2f}",
            (0.995, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, -4 if below else 4),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            color=GREY,
            fontsize=style.SMALL,
        )


def _decades(low: float, high: float) -> list[float]:
    exponent, ticks = 0, []
    while 10**exponent <= high * 3:
        if 10**exponent >= low / 3:
            ticks.append(float(10**exponent))
        exponent += 1
    return ticks


def _short(count: float) -> str:
    for suffix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:g}{suffix}"
    return f"{count:g}"
