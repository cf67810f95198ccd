"""Pictures of Δh: how far each token moves in each layer, and where to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.plots import _part_squares
from course_utils.show.style import COLOURS, GREY, MARKERS, Chart


def layer_names(depth: int) -> list[str]:
    """Names of the rows of `hidden_states`: "embeddings", "layer 1", ... for L + 1 of them."""
    return ["embeddings", *(f"layer {number}" for number in range(1, depth))]


def change_maps(
    maps: Mapping[str, Tensor], tokens: Sequence[str], *, title: str = "", unit: str = "|Δh| / |h|"
) -> Chart:
    """One map per method, layers by tokens, all in the same shades: dark for large.

    Args:
        maps: method -> (L + 1, T) numbers, such as `relative_change` of one text.
        tokens: the T tokens.
        unit: what a number is, written beside the scale.

    Raises:
        CourseError: nothing to draw, or a map that doesn't fit the tokens.
    """
    grids = {name: torch.as_tensor(grid).float().cpu() for name, grid in maps.items()}
    shapes = {tuple(grid.shape) for grid in grids.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or next(iter(shapes))[1] != len(tokens):
        raise CourseError(
            f"maps of {', '.join(map(str, shapes)) or 'nothing'} for {len(tokens)} tokens: give "
            "each method a grid of layers by tokens, all of one size."
        )
    depth = next(iter(shapes))[0]
    top = max(float(grid.max()) for grid in grids.values()) or 1.0
    columns = min(2, len(grids))
    rows = math.ceil(len(grids) / columns)
    names = ["emb.", *(str(number) for number in range(1, depth))]
    with style.house_style():
        chart = Chart(
            figsize=(style.WIDTH, 1.5 + rows * (0.75 + 0.3 * depth) + 0.5),
            dpi=style.DPI,
            layout="constrained",
        )
        places = chart.subplots(rows, columns, squeeze=False)
        for number, axes in enumerate(places.flat):
            if number >= len(grids):
                axes.axis("off")
                continue
            name, grid = list(grids.items())[number]
            image = axes.imshow(grid.numpy(), cmap="Blues", aspect="auto", vmin=0, vmax=top)
            _part_squares(axes, *grid.shape)
            axes.set_title(name, loc="left", fontsize=16)
            axes.tick_params(length=0, labelsize=style.SMALL)
            axes.set_yticks(range(depth), names if number % columns == 0 else [""] * depth)
            lowest = number + columns >= len(grids)
            axes.set_xticks(range(len(tokens)), tokens if lowest else [""] * len(tokens))
            axes.tick_params(axis="x", rotation=90)
            if number % columns == 0:
                axes.set_ylabel("layer")
        chart.colorbar(image, ax=places, label=unit, pad=0.02, aspect=30)
        style.entitle(chart, title)
    chart.alt = f"{title}. {unit} by layer and token. " + "; ".join(
        f"{name}: at most {grid.max():.2f}, mean {grid.mean():.2f}" for name, grid in grids.items()
    )
    return chart


def move_arrows(
    moves: Mapping[str, tuple[Tensor, Tensor]],
    labels: Sequence[int],
    names: Sequence[str],
    *,
    title: str = "",
) -> Chart:
    """Arrows from where each example's vector was to where a method has moved it, in a plane.

    Args:
        moves: method -> where from and where to, (n, 2) each; one panel per method.
        labels: n label ids: an arrow's colour, and the marker at its tip.
        names: of the labels, in id order; written at the mean of their tips.
    """
    if not moves:
        raise CourseError("there is nothing to draw: no method was given.")
    spots = torch.cat([end.float() for ends in moves.values() for end in ends])
    low, high = spots.min(0).values, spots.max(0).values
    air = 0.06 * (high - low)
    with style.house_style():
        chart = Chart(figsize=(style.WIDTH, 5.4), dpi=style.DPI, layout="constrained")
        panels = chart.subplots(1, len(moves), squeeze=False)[0]
        for axes, (method, (starts, tips)) in zip(panels, moves.items(), strict=True):
            for label, name in enumerate(names):
                rows = [i for i, value in enumerate(labels) if value == label]
                _arrows(axes, starts[rows].float(), tips[rows].float(), label, name)
            axes.set_title(method, loc="left", fontsize=16)
            axes.set_xlim(float(low[0] - air[0]), float(high[0] + air[0]))
            axes.set_ylim(float(low[1] - air[1]), float(high[1] + air[1]))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel("component 1")
        panels[0].set_ylabel("component 2")
        style.entitle(chart, title)
    chart.alt = f"{title}. Arrows from h to h + Δh of {len(labels)} examples: {', '.join(moves)}."
    return chart


def _arrows(axes, start: Tensor, tip: Tensor, label: int, name: str) -> None:
    colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
    moves = tip - start
    axes.quiver(
        *start.T.numpy(),
        *moves.T.numpy(),
        angles="xy",
        scale_units="xy",
        scale=1,
        color=colour,
        alpha=0.35,
        width=0.004,
    )
    axes.plot(*start.T.numpy(), "o", ms=4, mfc="white", mec=GREY, linestyle="none")
    axes.plot(*tip.T.numpy(), marker, ms=7, color=colour, alpha=0.8, linestyle="none")
    axes.annotate(
        name,
        tuple(tip.mean(0).tolist()),
        ha="center",
        va="center",
        fontsize=16,
        color=colour,
        fontweight="bold",
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": colour, "pad": 3},
    )
