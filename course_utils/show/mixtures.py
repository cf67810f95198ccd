"""AdaMix's routing as a picture: which expert of each half a batch meets in which layer.

Source: Wang et al., AdaMix (2022), https://arxiv.org/abs/2205.12410, the section on routing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as ipw
import torch

from course_utils.errors import CourseError, unknown_name
from course_utils.show.style import BLUE, VERMILION
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground
from course_utils.tuning.adamix import SHARES

HALVES = ("down", "up")
_PASSES = ((BLUE, ""), (VERMILION, "7 5"))  # colour and dashes of the first and second pass
_STEP, _ROW, _LEFT, _BETWEEN = 52, 62, 110, 150  # of the drawing, in pixels


@dataclass(frozen=True)
class Routing:
    """Who was drawn at one step of a training.

    Attributes:
        drawn: for each pass of the batch, layer by layer, the number of one expert per half.
        met: layer by layer, for each half how often each expert was drawn up to this step.
    """

    drawn: tuple[tuple[dict[str, int], ...], ...]
    met: tuple[dict[str, tuple[int, ...]], ...]


def draw_routing(
    layers: int,
    experts: int = 4,
    *,
    share: str = "up",
    step: int = 1,
    passes: int = 2,
    seed: int = 0,
) -> Routing:
    """The draws of a training from its first step to this one, as AdaMix makes them.

    Args:
        layers: places with a mixture.
        experts: M.
        share: the half that all have in common, "up", "down" or "none"; it is one expert.
        step: from 1 on.
        passes: 2 with the consistency loss, 1 without.

    Raises:
        CourseError: a number below 1, or a half that is not known.
    """
    if share not in SHARES:
        raise unknown_name("half to share", share, SHARES)
    for name, value in (("layers", layers), ("experts", experts), ("step", step)):
        if value < 1:
            raise CourseError(f"draw_routing({name}={value}): expected 1 or more.")
    if passes not in (1, 2):
        raise CourseError(f"draw_routing(passes={passes}): a batch makes 1 or 2 passes.")
    generator = torch.Generator().manual_seed(seed)
    copies = {half: 1 if half == share else experts for half in HALVES}
    met = [{half: [0] * copies[half] for half in HALVES} for _ in range(layers)]
    drawn: list[tuple[dict[str, int], ...]] = []
    for _ in range(step):
        drawn = []
        for _ in range(passes):
            chosen = tuple(
                {h: torch.randint(copies[h], (), generator=generator).item() for h in HALVES}
                for _ in range(layers)
            )
            drawn.append(chosen)
            for layer, pair in enumerate(chosen):
                for half, number in pair.items():
                    met[layer][half][number] += 1
    counts = tuple({half: tuple(n) for half, n in layer.items()} for layer in met)
    return Routing(tuple(drawn), counts)


def routing_page(routing: Routing, title: str = "") -> Page:
    """The routing of one step: a disc per expert, with the number of times it was met so far.

    The first pass is a blue line, the second a red, dashed one.
    """
    most = max(len(counts) for layer in routing.met for counts in layer.values())
    middle = _LEFT + most * _STEP + _BETWEEN
    width, height = middle + most * _STEP + 20, 52 + _ROW * len(routing.met)
    parts = [_word(_LEFT + most * _STEP / 2, 24, "projection down", "middle", bold=True)]
    parts.append(_word(middle + most * _STEP / 2, 24, "projection up", "middle", bold=True))
    for layer, counts in enumerate(routing.met):
        y = 44 + _ROW * (len(routing.met) - layer - 0.5)  # the first layer at the bottom
        parts.append(_word(10, y + 6, f"layer {layer + 1}", "start"))
        lefts = {"down": _LEFT, "up": middle}
        places = {
            half: [
                lefts[half] + _STEP * (i + 0.5 + (most - len(counts[half])) / 2)
                for i in range(len(counts[half]))
            ]
            for half in HALVES
        }
        pairs = [drawn[layer] for drawn in routing.drawn]
        for number, pair in enumerate(pairs):
            shift = 4 * (2 * number - 1) * (len(pairs) - 1)
            parts.append(
                _line(places["down"][pair["down"]], places["up"][pair["up"]], y, shift, number)
            )
        for half in HALVES:
            for i, x in enumerate(places[half]):
                by = [number for number, pair in enumerate(pairs) if pair[half] == i]
                parts.append(_disc(x, y, counts[half][i], by))
    heading = f'<div style="font-weight:bold;padding:0.3em 0">{title}</div>' if title else ""
    page = (
        f'<div style="font-size:1.15em">{heading}<svg viewBox="0 0 {width} {height}" '
        f'style="width:100%;max-width:{width}px" role="img" aria-label="{title}" '
        f'font-size="17" fill="currentColor">{"".join(parts)}</svg></div>'
    )
    return Page(page, "\n".join([title, *_told(routing)] if title else _told(routing)))


def routing_playground(layers: int = 4, experts: int = 4) -> Playground:
    """Draw the routing of a step; the discs count how often each expert was met until then.

    Args:
        layers: of the PLM.
        experts: M to begin with.
    """

    def answer(step: int, experts: int, share: str, consistency: bool) -> Page:
        passes = 2 if consistency else 1
        routing = draw_routing(layers, experts, share=share, step=step, passes=passes)
        trained = f"one of {experts}" if experts > 1 else "the only one"
        return routing_page(routing, f"Step {step}: {trained} per half and layer, drawn anew")

    return playground(
        answer,
        step=ipw.IntSlider(value=1, min=1, max=60, description="step", **WIDE),
        experts=ipw.IntSlider(value=experts, min=2, max=8, description="experts M", **WIDE),
        share=ipw.Dropdown(options=list(SHARES), value="up", description="shared", **WIDE),
        consistency=ipw.Checkbox(value=True, description="two passes (consistency)", **WIDE),
    )


def _told(routing: Routing) -> list[str]:
    """The routing in words, the first layer first."""
    lines = []
    for layer, counts in enumerate(routing.met):
        pairs = ", then ".join(
            f"down {drawn[layer]['down'] + 1} up {drawn[layer]['up'] + 1}"
            for drawn in routing.drawn
        )
        met = "; ".join(f"{half} {' '.join(map(str, counts[half]))}" for half in HALVES)
        lines.append(f"layer {layer + 1}: {pairs} (met so far: {met})")
    return lines


def _word(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{text}</text>'


def _line(start: float, end: float, y: float, shift: float, number: int) -> str:
    colour, dashes = _PASSES[number]
    top = y - 34 if number == 0 else y + 34
    return (
        f'<path d="M {start} {y + shift} C {start + 90} {top} {end - 90} {top} {end} {y + shift}" '
        f'fill="none" stroke="{colour}" stroke-width="4" stroke-dasharray="{dashes}"/>'
    )


def _disc(x: float, y: float, count: int, by: Sequence[int]) -> str:
    fill = "#dddddd" if not by else _PASSES[by[0]][0]
    ink = "#111" if not by else "#fff"
    ring = f' stroke="{_PASSES[1][0]}" stroke-width="5"' if len(by) == 2 else ""
    return (
        f'<circle cx="{x}" cy="{y}" r="19" fill="{fill}"{ring}/>'
        f'<text x="{x}" y="{y + 6}" text-anchor="middle" fill="{ink}">{count}</text>'
    )
