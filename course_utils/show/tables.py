"""Small tables that look right in a notebook, in a terminal and in a text file.

    Table([{"method": "LoRA", "trained": 12_288, "accuracy": 0.91}], caption="pocket/sst2, dev")

A notebook shows the HTML form; `print(table)` the text form; `rich` prints it with borders.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from course_utils.errors import CourseError

_CELL = "padding:0.35em 0.9em;border-bottom:1px solid rgba(128,128,128,0.5);vertical-align:top;"
RIGHT, WRONG, NEITHER = "#009E73", "#D55E00", "#888888"  # told apart on light and on dark


class Page:
    """A piece of HTML that a notebook shows, and the words that say the same without HTML."""

    def __init__(self, page: str, text: str) -> None:
        self.html, self.text = page, text

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class Table(Page):
    """Rows of the same columns.

    Args:
        rows: one mapping per row; a missing value is shown as "-".
        columns: which keys to show, in this order. Default: those of all rows, as first met.
        caption: what is measured, on what; shown above the table.
        highlight: the index of a row to set in bold (the best, the one under discussion).
        digits: after the point of numbers that have one.

    Raises:
        CourseError: there are no rows.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, object]],
        columns: Sequence[str] | None = None,
        caption: str = "",
        highlight: int | None = None,
        digits: int = 3,
    ) -> None:
        self.rows = [dict(row) for row in rows]
        if not self.rows:
            raise CourseError("a table needs at least one row; none was given.")
        self.columns = list(columns or dict.fromkeys(key for row in self.rows for key in row))
        self.caption = caption
        self.highlight, self.digits = highlight, digits
        super().__init__(self._html(), self._text())

    def cells(self) -> list[list[str]]:
        """The table's body as it is shown."""
        return [[shown(row.get(name), self.digits) for name in self.columns] for row in self.rows]

    def _numeric(self, column: str) -> bool:
        values = [row.get(column) for row in self.rows if row.get(column) is not None]
        return bool(values) and all(isinstance(value, (int, float)) for value in values)

    def _html(self) -> str:
        sides = ["right" if self._numeric(column) else "left" for column in self.columns]
        head = "".join(
            f'<th style="{_CELL}text-align:{side};border-bottom:2px solid currentColor">'
            f"{html.escape(column)}</th>"
            for column, side in zip(self.columns, sides, strict=True)
        )
        body = []
        for number, row in enumerate(self.cells()):
            weight = "font-weight:bold;" if number == self.highlight else ""
            cells = (
                f'<td style="{_CELL}{weight}text-align:{side}">{html.escape(cell)}</td>'
                for cell, side in zip(row, sides, strict=True)
            )
            body.append(f"<tr>{''.join(cells)}</tr>")
        caption = html.escape(self.caption)
        # A <caption> would be as narrow as the table, or wider than the page.
        above = f'<div style="font-weight:bold;padding:0.3em 0">{caption}</div>' if caption else ""
        look = "border-collapse:collapse;font-size:1em;margin:0"
        return (
            f'<div style="font-size:1.15em;line-height:1.4;margin:0.5em 0">{above}'
            f'<table aria-label="{caption}" style="{look}">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )

    def _text(self) -> str:
        grid = [self.columns, *self.cells()]
        widths = [max(len(line[i]) for line in grid) for i in range(len(self.columns))]
        right = [self._numeric(column) for column in self.columns]
        lines = [
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in grid
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.caption, *lines] if self.caption else lines)

    def __rich__(self):
        from rich.table import Table as RichTable

        table = RichTable(title=self.caption or None, title_justify="left")
        for column in self.columns:
            table.add_column(column, justify="right" if self._numeric(column) else "left")
        for number, row in enumerate(self.cells()):
            table.add_row(*row, style="bold" if number == self.highlight else None)
        return table


def message_box(text: str, colour: str, before: str = "") -> str:
    """A message in the letters of the page, its colour in the edge: readable light and dark.

    The first line is prose; further lines are kept letter under letter, for a caret that points.

    Args:
        before: HTML that stands before the text.
    """
    first, _, rest = text.partition("\n")
    lines = (
        '<pre style="margin:0.3em 0 0;padding:0;background:none;color:inherit;font-size:1em;'
        f'overflow-x:auto">{html.escape(rest)}</pre>'
        if rest
        else ""
    )
    return (
        f'<div style="font-size:1.15em;line-height:1.4;max-width:46em;margin:0.3em 0;'
        f'border-left:6px solid {colour};padding:0.4em 0.8em">{before}{html.escape(first)}{lines}'
        "</div>"
    )


def shown(value: object, digits: int = 3) -> str:
    """A value as a table shows it: 12,288; 0.914; 3.1e+08; yes; -."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.{digits}f}" if 0.001 <= abs(value) < 1e5 or value == 0 else f"{value:.3g}"
    return str(value)
