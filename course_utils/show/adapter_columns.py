"""Where in a BERT layer the adapters of the papers stand, drawn side by side, from bottom to top.

After figure 2 of Houlsby et al. (2019, arXiv:1902.00751), figure 3 of He et al. (2022,
arXiv:2110.04366), and the code of AdapterFusion and AdapterBias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from course_utils.errors import unknown_name
from course_utils.show import style
from course_utils.show.style import Chart

_GREY, _EDGE = "#dddddd", "#555555"
_WIDE, _TALL = 2.35, 0.62  # of a box, where a step from row to row is 1
_MIDDLE, _BESIDE, _SKIP = 1.75, 4.4, 0.2  # the column, what stands beside it, the residual


@dataclass(frozen=True)
class _Layer:
    """One picture.

    `rows` from bottom to top: ("box" | "new" | "trained", text), or ("sum", the row behind which
    the residual branches off; -1 is the layer's input). `beside` is (text, the row behind which it
    reads, the row of the sum it joins).
    """

    rows: tuple[tuple[str, object], ...]
    beside: tuple[str, int, int] | None = None


PLACES: dict[str, _Layer] = {
    "Houlsby": _Layer(
        (
            ("box", "attention"),
            ("new", "adapter"),
            ("sum", -1),
            ("trained", "norm"),
            ("box", "FFN"),
            ("new", "adapter"),
            ("sum", 3),
            ("trained", "norm"),
        )
    ),
    "Pfeiffer": _Layer(
        (
            ("box", "attention"),
            ("sum", -1),
            ("box", "norm"),
            ("box", "FFN"),
            ("sum", 2),
            ("box", "norm"),
            ("new", "adapter"),
            ("sum", 4),
            ("box", "norm"),
        )
    ),
    "parallel adapter": _Layer(
        (
            ("box", "attention"),
            ("sum", -1),
            ("box", "norm"),
            ("box", "FFN"),
            ("sum", 2),
            ("box", "norm"),
        ),
        beside=("adapter", 2, 4),
    ),
    "AdapterBias": _Layer(
        (
            ("box", "attention"),
            ("sum", -1),
            ("box", "norm"),
            ("box", "FFN in"),
            ("box", "FFN out"),
            ("sum", 2),
            ("trained", "norm"),
        ),
        beside=("α(z) · v", 3, 5),
    ),
}


def adapter_places(methods: Sequence[str] = tuple(PLACES), title: str = "") -> Chart:
    """One column per method: the frozen layer in grey, what is added in colour.

    Args:
        methods: names among PLACES.
        title: written above.

    Raises:
        CourseError: a method that is not drawn here.
    """
    for method in methods:
        if method not in PLACES:
            raise unknown_name("adapter", method, PLACES)
    tallest = max(len(PLACES[method].rows) for method in methods)
    with style.house_style():
        chart = Chart(
            figsize=(style.WIDTH, 1.2 + 0.58 * (tallest + 1)), dpi=style.DPI, layout="constrained"
        )
        panels = chart.subplots(1, len(methods), squeeze=False)[0]
        for axes, method in zip(panels, methods, strict=True):
            axes.set_xlim(-0.05, 5.65)
            axes.set_ylim(-1.3, tallest + 0.1)
            axes.axis("off")
            axes.set_title(method, fontsize=16, fontweight="bold")
            _draw(axes, PLACES[method])
        style.entitle(chart, title)
    chart.alt = f"{title}. One BERT layer each for {', '.join(methods)}: " + "; ".join(
        f"{method}: {_said(PLACES[method])}" for method in methods
    )
    return chart


def _draw(axes, layer: _Layer) -> None:
    for y, (kind, what) in enumerate(layer.rows):
        _arrow(axes, (_MIDDLE, y - 1 + _half(layer, y - 1)), (_MIDDLE, y - _half(layer, y)))
        if kind == "sum":
            _skip(axes, int(what), y)
            axes.plot([_MIDDLE], [y], "o", ms=19, mfc="white", mec=_EDGE)
            axes.text(_MIDDLE, y, "+", ha="center", va="center", size=17)
        else:
            colour = {"new": style.VERMILION, "trained": style.SKY}.get(kind, _GREY)
            _box(axes, _MIDDLE, y, str(what), colour, "white" if kind == "new" else "black")
    top = len(layer.rows) - 1
    _arrow(axes, (_MIDDLE, top + _half(layer, top)), (_MIDDLE, top + 0.85))
    if layer.beside is not None:
        text, reads, joins = layer.beside
        middle = (reads + joins) / 2
        start = reads + 0.5
        axes.plot([_MIDDLE, _BESIDE, _BESIDE], [start, start, middle], color=_EDGE, lw=1.5)
        axes.plot([_BESIDE, _BESIDE], [middle, joins], color=_EDGE, lw=1.5)
        _arrow(axes, (_BESIDE, joins), (_MIDDLE + 0.4, joins))
        _box(axes, _BESIDE, middle + 0.1, text, style.VERMILION, "white")


def _half(layer: _Layer, row: int) -> float:
    """From the middle of a row to its edge; -1 is the layer's input, which has none."""
    if row < 0:
        return 0.0
    return 0.27 if layer.rows[row][0] == "sum" else _TALL / 2


def _skip(axes, start: int, y: int) -> None:
    """The residual: from behind row `start` past everything to the sum."""
    from_y = start + 0.5 if start >= 0 else -0.7
    axes.plot([_MIDDLE, _SKIP, _SKIP], [from_y, from_y, y], color=_EDGE, lw=1.5)
    _arrow(axes, (_SKIP, y), (_MIDDLE - 0.4, y))


def _box(axes, x: float, y: float, text: str, colour: str, ink: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - _WIDE / 2, y - _TALL / 2),
            _WIDE,
            _TALL,
            boxstyle="round,pad=0,rounding_size=0.12",
            fc=colour,
            ec=_EDGE,
            zorder=3,
        )
    )
    axes.text(x, y, text, ha="center", va="center", size=style.SMALL, color=ink, zorder=4)


def _arrow(axes, start, end) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=13, color=_EDGE, lw=1.5, shrinkA=0,
            shrinkB=0,
        )
    )  # fmt: skip


def _said(layer: _Layer) -> str:
    words = ["+" if kind == "sum" else str(what) for kind, what in layer.rows]
    beside = f", with {layer.beside[0]} beside it" if layer.beside else ""
    return " > ".join(words) + beside
