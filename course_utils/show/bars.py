"""Probabilities as bars of plain HTML: drawn in a millisecond, so they can follow typing."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from course_utils.show.tables import Page

_BLUE, _ORANGE = "#0072B2", "#E69F00"


def probability_bars(
    probabilities: Mapping[str, float] | Iterable[tuple[str, float]],
    title: str = "",
    mark: str | None = None,
) -> Page:
    """One bar per word or label, with its number.

    Args:
        probabilities: name -> probability (0 to 1), shown in the order given.
        title: what is asked.
        mark: the name to set off (the right answer, the prediction): another colour, and a tick.
    """
    pairs = list(probabilities.items() if isinstance(probabilities, Mapping) else probabilities)
    rows = "".join(_bar(name, value, name == mark) for name, value in pairs)
    page = (
        '<div style="font-size:1.15em;line-height:1.5;max-width:46em">'
        f'<div style="font-weight:bold;padding:0.3em 0">{html.escape(title)}</div>'
        '<div style="display:grid;grid-template-columns:max-content 1fr max-content;'
        f'gap:0.25em 0.8em">{rows}</div></div>'
    )
    lines = [f"{name:>14} {value:6.3f} {'#' * round(30 * value)}" for name, value in pairs]
    return Page(page, "\n".join([title, *lines] if title else lines))


def _bar(name: str, value: float, marked: bool) -> str:
    colour, tick = (_ORANGE, " &#10003;") if marked else (_BLUE, "")
    width = 100 * min(max(value, 0.0), 1.0)
    return (
        f'<div style="text-align:right;font-weight:{"bold" if marked else "normal"}">'
        f"{html.escape(name)}{tick}</div>"
        f'<div style="background:rgba(128,128,128,0.18)"><div style="width:{width:.1f}%;'
        f'background:{colour};height:100%"></div></div>'
        f'<div style="font-variant-numeric:tabular-nums">{value:.3f}</div>'
    )


def surprise_strip(
    tokens: Sequence[str], bits: Sequence[float | None], title: str = "", top: float = 12.0
) -> Page:
    """A text whose tokens are the darker, the more bits of surprise they cost.

    Args:
        tokens: the pieces of the text, length T.
        bits: -log2 p of each, length T; None where nothing was predicted.
        title: which model, which objective.
        top: the number of bits shown darkest.
    """
    spans = []
    for token, value in zip(tokens, bits, strict=True):
        share = 0.0 if value is None else min(value / top, 1.0)
        ink = "#fff" if share > 0.68 else "#111"
        below = "&nbsp;" if value is None else f"{value:.1f}"
        spans.append(
            f'<span style="display:inline-block;text-align:center;margin:2px;padding:2px 7px;'
            f"background:{_mix(share)};color:{ink};"
            f'border-radius:4px">{html.escape(token)}<br>'
            f'<span style="font-size:0.85em">{below}</span></span>'
        )
    page = (
        f'<div style="font-size:1.15em"><div style="font-weight:bold;padding:0.3em 0">'
        f"{html.escape(title)}</div>{''.join(spans)}</div>"
    )
    numbers = (
        f"{t} {'' if b is None else f'({b:.1f})'}".strip()
        for t, b in zip(tokens, bits, strict=True)
    )
    return Page(page, f"{title}\n{'  '.join(numbers)}".strip())


def _mix(share: float) -> str:
    """White (share 0) to the dark blue of the house (share 1)."""
    blue = (0, 70, 120)
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in blue)
