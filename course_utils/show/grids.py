"""A grid of numbers as a table whose squares are the darker, the larger the number.

Plain HTML, so it follows typing; `plots.heat_map` draws the same as a picture.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from course_utils.errors import CourseError
from course_utils.show.tables import Page

_BLUE, _ORANGE = (0, 70, 120), (150, 65, 0)  # for above zero, for below
_SQUARE = "padding:0.25em 0.4em;text-align:center;border:2px solid white;"


def shaded_grid(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
    *,
    top: float | None = None,
    digits: int = 2,
) -> Page:
    """Layers by tokens, or any other grid. Numbers below zero are orange and have their sign.

    Args:
        values: R rows of C numbers.
        rows, columns: their R and C names.
        top: the size shown darkest; the largest in the grid if not given.
        digits: after the point.

    Raises:
        CourseError: the grid and the names differ in size.
    """
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise CourseError(
            f"the grid has {len(values)} rows for {len(rows)} names, or a row that is not "
            f"{len(columns)} wide, as many as there are columns."
        )
    sizes = [abs(value) for row in values for value in row]
    top = top or max(sizes, default=0.0) or 1.0
    head = "".join(f'<th style="{_SQUARE}">{html.escape(name)}</th>' for name in ("", *columns))
    body = "".join(
        f'<tr><th style="{_SQUARE}text-align:right;white-space:nowrap">{html.escape(name)}</th>'
        f"{''.join(_square(value, top, digits) for value in row)}</tr>"
        for name, row in zip(rows, values, strict=True)
    )
    page = (
        f'<div style="font-size:1.1em;line-height:1.4;margin:0.5em 0;overflow-x:auto">'
        f'<div style="font-weight:bold;padding:0.3em 0">{html.escape(title)}</div>'
        f'<table style="border-collapse:collapse;margin:0"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    width = max(7, *(len(name) + 2 for name in columns))
    lines = ["".join([" " * 12, *(name.rjust(width) for name in columns)])]
    for name, row in zip(rows, values, strict=True):
        lines.append(name.ljust(12) + "".join(f"{v:{width}.{digits}f}" for v in row))
    return Page(page, "\n".join([title, *lines] if title else lines))


def _square(value: float, top: float, digits: int) -> str:
    share = min(abs(value) / top, 1.0)
    full = _BLUE if value >= 0 else _ORANGE
    shade = "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in full)
    ink = "#fff" if share > 0.6 else "#111"
    text = f"{value:.{digits}f}"
    return f'<td style="{_SQUARE}background:{shade};color:{ink}">{text}</td>'
