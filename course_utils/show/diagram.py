"""The picture behind the course: one layer of a PLM, and where a method can put its own delta h.

After figure 1 of He et al. (2022), https://arxiv.org/abs/2110.04366. The frozen parts are grey;
each site carries the name `course_utils.plm.sites` gives it; a method's tag hangs at its sites.
Layer norms and the other heads are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from course_utils.errors import unknown_name
from course_utils.show import style
from course_utils.show.style import Chart

# site -> left, bottom, width, height, in units of a sixteenth of the picture's width
_BOXES = {
    "embeddings": (-0.3, 3.1, 2.3, 1.0),
    "query": (3.0, 4.8, 1.5, 0.9),
    "key": (3.0, 3.15, 1.5, 0.9),
    "value": (3.0, 1.5, 1.5, 0.9),
    "attention": (5.3, 2.2, 1.7, 2.8),
    "attention_output": (7.7, 3.1, 1.5, 1.0),
    "ffn_in": (11.0, 3.1, 1.2, 1.0),
    "ffn_out": (12.9, 3.1, 1.3, 1.0),
}
_WRITTEN = {"attention_output": "attention\noutput", "ffn_in": "FFN in", "ffn_out": "FFN out"}
_SUMS = (9.95, 14.95)  # where the residual stream takes up what was computed
_MIDDLE = 3.6
_STREAM = 6.75  # the height at which h passes by

# method -> places of its tag: centre x, centre y, the box it hangs at
METHODS: dict[str, tuple[tuple[float, float, str], ...]] = {
    "soft prompt": ((0.85, 1.7, "embeddings"),),
    "prefix": ((6.15, 0.6, "attention"),),
    "LoRA": ((3.75, 6.2, "query"), (3.75, 0.75, "value")),
    "adapter": ((8.45, 1.7, "attention_output"), (13.55, 1.7, "ffn_out")),
}
_COLOURS = {
    "soft prompt": style.GREEN,
    "prefix": style.PURPLE,
    "LoRA": style.BLUE,
    "adapter": style.VERMILION,
}

_INKS = {"soft prompt": "white", "prefix": "black", "LoRA": "white", "adapter": "white"}


def layer_diagram(methods: Sequence[str] = tuple(METHODS), title: str = "") -> Chart:
    """One layer, h in and h + delta h out, with the tags of these methods.

    Args:
        methods: names among METHODS; none draws the frozen layer alone.
        title: written above.

    Raises:
        CourseError: a method without a place in the picture.
    """
    for method in methods:
        if method not in METHODS:
            raise unknown_name("method", method, METHODS)
    with style.house_style():
        chart, axes = style.new_chart(height=5.0)
        axes.set_xlim(-0.6, 16)
        axes.set_ylim(0, 7.6)
        axes.axis("off")
        for name, place in _BOXES.items():
            _box(axes, place, _WRITTEN.get(name, name), "#dddddd", "black")
        _wires(axes)
        for method in methods:
            for x, y, site in METHODS[method]:
                _tag(axes, method, x, y, site)
        style.entitle(chart, title)
    chart.alt = (
        f"{title}. One Transformer layer: query, key, value, attention, attention output, FFN in, "
        f"FFN out, with a residual stream above. Marked: {', '.join(methods) or 'nothing'}."
    )
    return chart


def _box(axes, place, text: str, colour: str, ink: str) -> None:
    x, y, width, height = place
    style_of_box = "round,pad=0,rounding_size=0.15"
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=style_of_box, fc=colour, ec="#555555")
    )
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", size=14, color=ink)


def _wires(axes) -> None:
    """Arrows of the frozen layer, and the residual stream that carries h past it."""
    for name in ("query", "key", "value"):
        x, y, width, height = _BOXES[name]
        _arrow(axes, (2.0, _MIDDLE), (x, y + height / 2))
        _arrow(axes, (x + width, y + height / 2), (5.3, min(max(y + height / 2, 2.4), 4.8)))
    _arrow(axes, (7.0, _MIDDLE), (7.7, _MIDDLE))
    for start, site, total in ((2.4, "attention_output", _SUMS[0]), (10.5, "ffn_out", _SUMS[1])):
        right = _BOXES[site][0] + _BOXES[site][2]
        _arrow(axes, (right, _MIDDLE), (total - 0.3, _MIDDLE))
        axes.plot([start, start, total], [_MIDDLE, _STREAM, _STREAM], color="#555555", lw=1.5)
        _arrow(axes, (total, _STREAM), (total, _MIDDLE + 0.3))
        axes.text((start + total) / 2, _STREAM + 0.12, "h", ha="center", style="italic", size=17)
        axes.plot([total], [_MIDDLE], "o", ms=24, mfc="white", mec="#555555")
        axes.text(total, _MIDDLE, "+", ha="center", va="center", size=18)
    _arrow(axes, (_SUMS[0] + 0.3, _MIDDLE), (11.0, _MIDDLE))
    _arrow(axes, (12.2, _MIDDLE), (12.9, _MIDDLE))
    _arrow(axes, (_SUMS[1] + 0.3, _MIDDLE), (15.9, _MIDDLE))
    axes.text(15.9, _MIDDLE - 0.75, "h + Δh", ha="right", style="italic", size=17)


def _arrow(axes, start, end) -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=16, color="#555555", lw=1.5)
    )


def _tag(axes, method: str, x: float, y: float, site: str) -> None:
    left, bottom, width, height = _BOXES[site]
    edge = bottom if y < bottom else bottom + height
    axes.plot([x, left + width / 2], [y, edge], color=_COLOURS[method], lw=3, zorder=1)
    half = 0.17 * len(method) / 2 + 0.35
    _box(axes, (x - half, y - 0.36, 2 * half, 0.72), method, _COLOURS[method], _INKS[method])
