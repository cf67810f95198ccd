"""How many directions a change of weights has: its singular values, and a knob that cuts them.

Source of the question: Hu et al., LoRA (2021), https://arxiv.org/abs/2106.09685, section 7.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

import ipywidgets as ipw
import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.style import Chart
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground

_SHOWN = 32  # bars of singular values


def truncation_chart(change: Tensor, rank: int, title: str = "") -> Chart:
    """ΔW, what is left of it in its first `rank` directions, and its singular values.

    Args:
        change: ΔW, (out, in).
        rank: how many directions are kept; 0 keeps none.

    Raises:
        CourseError: no matrix, or a rank beyond its smaller side.
    """
    if change.ndim != 2 or not 0 <= rank <= min(change.shape):
        shape = tuple(change.shape)
        raise CourseError(f"truncation_chart: rank {rank} of a change of shape {shape}.")
    u, s, v = torch.linalg.svd(change.float(), full_matrices=False)
    kept = (u[:, :rank] * s[:rank]) @ v[:rank]  # (out, in)
    edge = float(change.abs().quantile(0.995)) or 1.0
    with style.house_style():
        chart = Chart(figsize=(style.WIDTH, 4.4), dpi=style.DPI, layout="constrained")
        left, middle, right = chart.subplots(1, 3)
        for axes, values, name in ((left, change, "ΔW"), (middle, kept, f"its rank-{rank} part")):
            axes.imshow(values.detach().cpu().numpy(), cmap="PuOr", vmin=-edge, vmax=edge)
            axes.set(xticks=[], yticks=[], title=name)
        bars = s[:_SHOWN].tolist()
        colours = [style.BLUE if i < rank else "#cccccc" for i in range(len(bars))]
        right.bar(range(1, len(bars) + 1), bars, color=colours, width=0.85)
        right.set(xlabel="direction", title="singular values")
        style.entitle(chart, title)
    chart.alt = f"{title}. {kept_share(s, rank):.0%} of the squared length of ΔW is kept."
    return chart


def kept_share(singular_values: Tensor, rank: int) -> float:
    """Σ of the first `rank` squared singular values, as a share of all: ‖ΔW_r‖² / ‖ΔW‖²."""
    squares = singular_values.double().square()
    return float(squares[:rank].sum() / squares.sum()) if squares.sum() > 0 else 0.0


def rank_playground(
    change: Tensor, scores: Mapping[int, float], metric: str = "accuracy"
) -> Playground:
    """Cut a change of weights to rank r; see what is left of one matrix, and of the score.

    Args:
        change: ΔW of one map, (out, in), to look at.
        scores: rank -> the score with every map's change cut to it, worked out before.

    Raises:
        CourseError: no scores.
    """
    if not scores:
        raise CourseError("rank_playground needs the score of at least one rank; none was given.")
    values = torch.linalg.svdvals(change.float())
    full = scores[max(scores)]

    def answer(rank: int) -> Page:
        share = kept_share(values, rank)
        title = f"rank {rank}: {share:.0%} of ‖ΔW‖² kept, {metric} {scores[rank]:.3f}"
        said = f"{title} (all directions: {full:.3f})"
        return page_of(truncation_chart(change, rank, title), said)

    ranks = sorted(scores)
    return playground(
        answer,
        rank=ipw.SelectionSlider(
            options=ranks, value=ranks[len(ranks) // 2], description="rank", **WIDE
        ),
    )


def page_of(chart: Chart, text: str) -> Page:
    """A chart as a Page, for playgrounds: the picture, with `text` as its description."""
    source = f"data:image/png;base64,{base64.b64encode(chart.png()).decode()}"
    return Page(f'<img style="max-width:100%" alt="{html.escape(text)}" src="{source}"/>', text)
