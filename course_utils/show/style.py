"""One look for every chart: colours all eyes can tell apart, letters the last row can read.

Colours are those of Okabe and Ito, "Color Universal Design" (2008): distinguishable with every
common kind of colour blindness. Colour never carries the meaning alone - lines and points are
labelled where they end, not in a legend.
"""

from __future__ import annotations

import base64
import io
import textwrap

from matplotlib import rc_context
from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#666666"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # yellow is too pale for lines
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

WIDTH, HEIGHT = 10.0, 5.6  # inches: 16 to 9, a slide
DPI = 110
SMALL = 14  # the smallest size of letters anywhere in a chart, in points

_SETTINGS = {
    "font.size": 16,
    "axes.labelsize": 16,
    "xtick.labelsize": SMALL + 1,
    "ytick.labelsize": SMALL + 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "lines.linewidth": 3,
    "lines.markersize": 10,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


class Chart(Figure):
    """A matplotlib figure that shows itself in a notebook once, with a description in words.

    It is made without pyplot, so it is in no global list, warns of nothing after twenty charts,
    and leaves the reader's own matplotlib settings alone.

    Attributes:
        alt: one sentence for readers who can't see the picture, kept with the output.
    """

    alt: str = ""

    def png(self) -> bytes:
        """The picture as a PNG file's bytes."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def house_style():
    """A context manager: charts built within it have the course's letters, lines and colours."""
    return rc_context(_SETTINGS)


def entitle(chart: Chart, title: str) -> None:
    """The title over the whole width of the picture, on more lines where it is long."""
    lines = [
        piece
        for line in title.split("\n")
        for piece in textwrap.wrap(line, 58, break_on_hyphens=False)
    ]
    chart.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=19, fontweight="bold")


def new_chart(width: float = WIDTH, height: float = HEIGHT) -> tuple[Chart, object]:
    """An empty chart and its axes. Call it, and draw, within `house_style()`."""
    chart = Chart(figsize=(width, height), dpi=DPI, layout="constrained")
    return chart, chart.add_subplot()


def upright(axes, name: str, value: float) -> None:
    """A dotted line at a score to compare with (chance, majority), its name on top."""
    axes.axvline(value, color=GREY, linestyle=":", linewidth=2, zorder=1)
    axes.annotate(
        name,
        (value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
        color=GREY,
        fontsize=SMALL,
        annotation_clip=False,
    )
