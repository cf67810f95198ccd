"""Where attention goes when a prefix stands in front of the text.

In every head the weights of one token over prefix and text sum to 1. What falls to the prefix,

    λ = Σ_i exp(q·P_k,i / √d_h) / (Σ_i exp(q·P_k,i / √d_h) + Σ_j exp(q·k_j / √d_h)),

is how far the head's output is moved: (1 - λ) h + λ Δh, with h what the head says without a
prefix (He et al., 2022, arXiv:2110.04366, section 3.1).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as ipw
import torch

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.style import Chart
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground


@dataclass(frozen=True)
class PrefixAttention:
    """All attention weights of one text.

    Attributes:
        tokens: the T tokens of the text.
        weights: (L, h, T, P + T), the prefix first; rows sum to 1.
    """

    tokens: tuple[str, ...]
    weights: torch.Tensor

    @property
    def length(self) -> int:
        """P, the number of places in front; 0 without a prefix."""
        return self.weights.shape[-1] - len(self.tokens)

    def share(self) -> list[list[float]]:
        """λ of each layer and head, (L, h): the mean over the tokens of the text."""
        return self.weights[..., : self.length].sum(-1).mean(-1).tolist()


@torch.inference_mode()
def prefix_attention(model, tokenizer, text: str) -> PrefixAttention:
    """The attention weights of a PLM, tuned with a prefix or not, when it reads a text.

    Args:
        model: a BERT-like or causal PLM, or a `Tuned` around one.
    """
    plm = getattr(model, "plm", model)
    kind, training = plm.config._attn_implementation, model.training
    batch = tokenizer(text, return_tensors="pt").to(plm.device)
    ids = batch["input_ids"]  # (1, T)
    if ids.shape[1] == 0:
        raise CourseError("the text is empty: write at least one word.")
    plm.set_attn_implementation("eager")  # the only one that gives its weights away
    try:
        output = model.eval()(input_ids=ids, output_attentions=True)
    finally:
        plm.set_attn_implementation(kind)
        model.train(training)
    tokens = tuple(tokenizer.decode([token]).strip() for token in ids[0].tolist())
    weights = torch.cat([layer.float().cpu() for layer in output.attentions])  # (L, h, T, P + T)
    return PrefixAttention(tokens, weights)


def prefix_share_map(maps: Mapping[str, PrefixAttention], *, title: str = "") -> Chart:
    """λ by layer and head, one panel for each name (before training, after), in the same shades.

    Raises:
        CourseError: nothing to draw, or panels of different PLMs.
    """
    shares = {name: one.share() for name, one in maps.items()}
    sizes = {(len(rows), len(rows[0])) for rows in shares.values()}
    if len(sizes) != 1:
        raise CourseError(
            "there is nothing to draw: no attention was given."
            if not sizes
            else "the panels need as many layers and heads each: draw one PLM at a time."
        )
    layers, heads = sizes.pop()
    top = max(value for rows in shares.values() for row in rows for value in row) or 1.0
    with style.house_style():
        size = (max(style.WIDTH, 1.5 + 1.0 * heads * len(shares)), 2.4 + 0.62 * layers)
        chart = Chart(figsize=size, dpi=style.DPI, layout="constrained")
        panels = chart.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for axes, (name, rows) in zip(panels, shares.items(), strict=True):
            image = axes.imshow(rows, cmap="Oranges", aspect="auto", vmin=0, vmax=top)
            for y, row in enumerate(rows):
                for x, value in enumerate(row):
                    ink = "white" if value > 0.6 * top else "black"
                    axes.text(x, y, f"{value:.2f}", ha="center", va="center", color=ink, size=15)
            axes.set_title(name, fontsize=16)
            axes.set_xticks(range(heads), [str(head + 1) for head in range(heads)])
            axes.set_yticks(range(layers), [str(layer + 1) for layer in range(layers)])
            axes.set_xlabel("head")
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
        panels[0].set_ylabel("layer")
        chart.colorbar(image, ax=list(panels), label="share of attention", pad=0.02)
        style.entitle(chart, title)
    means = {name: sum(map(sum, rows)) / (layers * heads) for name, rows in shares.items()}
    told = "; ".join(f"{name}: {mean:.2f} on average" for name, mean in means.items())
    chart.alt = f"{title}. Share of attention that goes to the prefix, by layer and head. {told}."
    return chart


def attention_grid(one: PrefixAttention, layer: int, head: int) -> Page:
    """The weights of one head as a grid: who looks (rows) at what (columns), the prefix marked.

    Args:
        layer, head: from 1 on.
    """
    depth, heads = one.weights.shape[:2]
    if not (1 <= layer <= depth and 1 <= head <= heads):
        raise CourseError(f"layer {layer}, head {head}: there are {depth} layers of {heads} heads.")
    P, grid = one.length, one.weights[layer - 1, head - 1]  # (T, P + T)
    names = [*(f"P{place + 1}" for place in range(P)), *one.tokens]
    header = "".join(_name(name, place, P) for place, name in enumerate(names))
    rows = [
        f"<tr><th style='text-align:right;font-weight:normal;padding:0 0.5em'>"
        f"{html.escape(token)}</th>{''.join(_square(w, i, P) for i, w in enumerate(weights))}</tr>"
        for token, weights in zip(one.tokens, grid.tolist(), strict=True)
    ]
    share = one.share()[layer - 1][head - 1]
    said = f"layer {layer}, head {head}: {100 * share:.0f} % of the attention goes to the prefix"
    page = (
        f"<div style='font-size:1.05em;line-height:1.3'><div style='font-weight:bold;"
        f"padding:0.3em 0'>{said}</div><table aria-label='{said}' "
        f"style='border-collapse:separate;border-spacing:2px;margin:0'>"
        f"<thead><tr><th></th>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    lines = [
        f"{token:>14} | " + " ".join(f"{round(100 * w):3d}" for w in weights)
        for token, weights in zip(one.tokens, grid.tolist(), strict=True)
    ]
    heading = f"{'%':>14} | " + " ".join(f"{name[:3]:>3}" for name in names)
    return Page(page, "\n".join([said, heading, *lines]))


def prefix_attention_playground(maps: Mapping[str, Sequence[PrefixAttention]]) -> Playground:
    """Choose a text, a layer and a head; see who looks where, before and after training.

    It opens at the last state, at the head with the largest share of the prefix.

    Args:
        maps: name of a state -> the attention of each text in it, the same texts in all.
    """
    states = {name: list(texts) for name, texts in maps.items()}
    if not states or not all(states.values()):
        raise CourseError("the playground needs attention to show: none was given.")
    shares = list(states.values())[-1][0].share()
    depth, heads = len(shares), len(shares[0])
    places = [(layer, head) for layer in range(depth) for head in range(heads)]
    most = max(places, key=lambda place: shares[place[0]][place[1]])

    def answer(state: str, text: int, layer: int, head: int) -> Page:
        return attention_grid(states[state][text - 1], layer, head)

    return playground(
        answer,
        state=ipw.ToggleButtons(options=list(states), value=list(states)[-1], description="state"),
        text=ipw.IntSlider(value=1, min=1, max=min(map(len, states.values())), **WIDE),
        layer=ipw.IntSlider(value=most[0] + 1, min=1, max=depth, **WIDE),
        head=ipw.IntSlider(value=most[1] + 1, min=1, max=heads, **WIDE),
    )


def _name(name: str, place: int, P: int) -> str:
    edge = "border-right:3px solid currentColor;" if place == P - 1 else ""
    look = "writing-mode:vertical-rl;transform:rotate(180deg);font-weight:normal;white-space:nowrap"
    shown = f"<span style='{look};display:inline-block'>{html.escape(name)}</span>"
    return f"<th style='vertical-align:bottom;text-align:center;padding:0 2px;{edge}'>{shown}</th>"


def _square(weight: float, place: int, P: int) -> str:
    """Orange for the prefix, blue for the text, and the prefix's edge: colour is not all.

    Shades go with the square root, for most weights are small; the number says the weight.
    """
    edge = "border-right:3px solid currentColor;" if place == P - 1 else ""
    colour = "230,159,0" if place < P else "0,114,178"
    number = f"{round(100 * weight)}" if weight >= 0.005 else ""
    ink = "color:#fff;" if weight > 0.35 and place >= P else ""
    return (
        f"<td style='width:1.9em;min-width:1.9em;height:1.7em;text-align:center;padding:0;"
        f"font-size:0.85em;{ink}{edge}background:rgba({colour},{weight**0.5:.2f})'>"
        f"{number}</td>"
    )
