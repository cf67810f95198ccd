"""Scores side by side, one row each: templates, orders, methods, every single run a dot."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.style import COLOURS, MARKERS, Chart

Runs = Sequence[float] | float
_NAME = 34  # letters of a row's name before it goes on in a second line
_GLUE = "\N{NO-BREAK SPACE}"


def score_dots(
    scores: Mapping[str, Runs] | Mapping[str, Mapping[str, Runs]],
    *,
    xlabel: str = "accuracy",
    title: str = "",
    majority: float | None = None,
) -> Chart:
    """One row per name: its runs as small dots, their mean as a large one, and the number.

    Args:
        scores: name -> score or the scores of several runs; or section -> (name -> ...), drawn
            under the section's title. Names that come back in several sections (before, after)
            keep their colour and marker; otherwise every section has its own.
        majority: score of always giving the commonest label; a dotted line.

    Raises:
        CourseError: nothing to draw.
    """
    sections = _sections(scores)
    names = [name for rows in sections.values() for name in rows]
    if not names or not all(values for rows in sections.values() for values in rows.values()):
        raise CourseError("there is nothing to draw: no scores, or a row without any.")
    keys = list(dict.fromkeys(names)) if len(set(names)) < len(names) else list(sections)
    lines: list[tuple[float, str, list[float], int]] = []
    headings: list[tuple[float, str]] = []
    y = 0.0
    for section, rows in sections.items():
        if section:
            y += 1.15
            headings.append((y, section))
        for name, values in rows.items():
            label = "\n".join(_lines(name))
            y += 1.0 + 0.25 * label.count("\n")
            lines.append((y, label, values, keys.index(name if name in keys else section)))
        y += 0.25
    with style.house_style():
        chart, axes = style.new_chart(height=1.9 + 0.46 * (y + 0.5))
        _limits(axes, [v for *_, values, _ in lines for v in values], majority)
        axes.set_ylim(y + 0.5, 0.25)
        for height, _, values, look in lines:
            _draw_row(axes, height, values, look)
        for height, section in headings:
            axes.text(
                0.01,
                height,
                section,
                transform=axes.get_yaxis_transform(),
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
            )
        axes.set_yticks([line[0] for line in lines], [line[1] for line in lines])
        axes.tick_params(axis="y", length=0, labelsize=style.SMALL)
        axes.set_xlabel(xlabel)
        if majority is not None:
            style.upright(axes, f"majority class {majority:.2f}", majority)
        style.entitle(chart, title)
    said = (f"{' '.join(label.split())} {_spoken(values)}" for _, label, values, _ in lines)
    chart.alt = f"{title}. {xlabel}: {'; '.join(said)}."
    return chart


def _lines(name: str) -> list[str]:
    """A name on as few lines as it needs, all about equally long; none begins with a comma."""
    name = re.sub(r" (?=[.,:;!?](?: |$))", _GLUE, name)
    fewest = len(textwrap.wrap(name, _NAME))
    for width in range(max(1, len(name) // max(1, fewest)), _NAME + 1):
        lines = textwrap.wrap(name, width, break_long_words=False)
        if len(lines) == fewest and max(map(len, lines)) <= _NAME:
            break
    else:
        lines = textwrap.wrap(name, _NAME) or [" "]
    return [line.replace(_GLUE, " ") for line in lines]


def _sections(scores: Mapping) -> dict[str, dict[str, list[float]]]:
    if scores and all(isinstance(value, Mapping) for value in scores.values()):
        return {str(s): {str(n): _runs(v) for n, v in rows.items()} for s, rows in scores.items()}
    return {"": {str(name): _runs(value) for name, value in scores.items()}}


def _runs(value: Runs) -> list[float]:
    return [float(value)] if isinstance(value, int | float) else [float(v) for v in value]


def _draw_row(axes, height: float, values: list[float], look: int) -> None:
    colour, marker = COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)]
    axes.axhline(height, color="#e4e4e4", linewidth=1.2, zorder=0)
    if len(values) > 1:
        axes.plot(values, [height] * len(values), "o", color=colour, ms=7, alpha=0.35, mew=0)
    axes.plot([fmean(values)], [height], marker, color=colour, ms=13)
    axes.annotate(
        _spoken(values),
        (1.0, height),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=style.SMALL,
        annotation_clip=False,
    )


def _limits(axes, values: Sequence[float], majority: float | None) -> None:
    """Air around everything drawn, and no less than 0.2 across: a small difference looks small."""
    everything = [*values, *([] if majority is None else [majority])]
    low, high = min(everything), max(everything)
    air = max(0.08 * (high - low), (0.2 - (high - low)) / 2)
    axes.set_xlim(low - air, high + air)


def _spoken(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
