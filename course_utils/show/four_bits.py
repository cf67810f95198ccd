"""What four bits can say: code books, blocks, and how far a read-back weight is off.

Source: Dettmers et al., QLoRA (2023), https://arxiv.org/abs/2305.14314, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as ipw
import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.low_rank import page_of
from course_utils.show.style import COLOURS, MARKERS, Chart
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground
from course_utils.tuning.nf4 import code_book

_BARS = 64  # weights drawn one by one


def uniform_book() -> Tensor:
    """15 evenly spaced values from -1 to 1, as symmetric int4 has them: -7/7, ..., 0, ..., 7/7."""
    return torch.arange(-7, 8) / 7


BOOKS = {"NF4": code_book, "int4, evenly spaced": uniform_book}


def read_back(weight: Tensor, book: Tensor, block: int) -> Tensor:
    """Weights as they read after being stored: the nearest of c · book, c = max |w| of the block.

    Args:
        weight: any shape whose number of elements is a multiple of `block`.
        book: (codes,), rising, from -1 to 1.
        block: weights that share a constant.

    Raises:
        CourseError: a block that does not divide the number of weights.
    """
    if block < 1 or weight.numel() % block:
        raise CourseError(f"blocks of {block} do not divide {weight.numel()} weights evenly.")
    blocks = weight.float().reshape(-1, block)  # (n / block, block)
    constants = blocks.abs().amax(1, keepdim=True)
    halfway = (book[:-1] + book[1:]) / 2
    scaled = blocks / constants.clamp(min=torch.finfo(torch.float32).tiny)
    return (book[torch.bucketize(scaled, halfway)] * constants).reshape(weight.shape)


def relative_error(weight: Tensor, book: Tensor, block: int) -> float:
    """Root of the mean squared error of `read_back`, as a share of the weights' own size."""
    off = read_back(weight, book, block) - weight.float()
    return float(off.square().mean().sqrt() / weight.float().square().mean().sqrt())


def code_book_chart(values: Tensor, books: Mapping[str, Tensor], title: str = "") -> Chart:
    """How weights are spread, and where each code book has its values.

    Args:
        values: weights divided by the constant of their block, from -1 to 1, any shape.
        books: name -> (codes,).

    Raises:
        CourseError: no code book.
    """
    if not books:
        raise CourseError("there is nothing to draw: no code book was given.")
    with style.house_style():
        chart = Chart(
            figsize=(style.WIDTH, 3.9 + 0.8 * len(books)), dpi=style.DPI, layout="constrained"
        )
        heights = {"height_ratios": [3.2, 0.8 * len(books)]}
        upper, lower = chart.subplots(2, 1, sharex=True, gridspec_kw=heights)
        upper.hist(values.flatten().tolist(), bins=81, range=(-1, 1), color="#bbbbbb")
        upper.set(ylabel="weights", yticks=[])
        for number, (name, book) in enumerate(books.items()):
            colour = COLOURS[number % len(COLOURS)]
            marker = MARKERS[number % len(MARKERS)]
            lower.plot(book.tolist(), [number] * len(book), marker, color=colour, ms=11)
            lower.text(1.06, number, name, color=colour, va="center", clip_on=False)
        lower.set_ylim(len(books) - 0.4, -0.6)
        lower.set(
            yticks=[], xlabel="weight / largest absolute value of its block", xlim=(-1.04, 1.04)
        )
        lower.spines["left"].set_visible(False)
        style.entitle(chart, title)
    told = "; ".join(f"{n}: {', '.join(f'{x:.2f}' for x in b.tolist())}" for n, b in books.items())
    chart.alt = f"{title}. Code books: {told}."
    return chart


def block_playground(weights: Tensor) -> Playground:
    """Make one weight an outlier, choose the block: what is left of the other weights?

    Args:
        weights: (n,) with n a multiple of 64, at least 256 of a PLM's weights.

    Raises:
        CourseError: fewer weights, or not a multiple of 64.
    """
    if weights.ndim != 1 or len(weights) < 256 or len(weights) % _BARS:
        raise CourseError(
            f"block_playground: give at least 256 weights, a multiple of 64, as one row; "
            f"{tuple(weights.shape)} was given."
        )

    def answer(outlier: float, block: int, book: str) -> Page:
        size = weights.abs().max()
        stored = weights.float().clone()
        stored[5] = outlier * size
        back = read_back(stored, BOOKS[book](), block)
        others = torch.arange(len(stored)) != 5
        off = (back - stored)[others].square().mean().sqrt()
        share = float(off / stored[others].square().mean().sqrt())
        title = f"{book}, blocks of {block}: the other weights are off by {share:.0%}"
        return page_of(_block_chart(stored, back, float(size), title), title)

    sizes = [size for size in (16, 32, 64, 128, 256) if len(weights) % size == 0]
    return playground(
        answer,
        outlier=ipw.FloatSlider(value=8, min=1, max=30, step=1, description="outlier ×", **WIDE),
        block=ipw.SelectionSlider(options=sizes, value=64, description="block", **WIDE),
        book=ipw.Dropdown(options=list(BOOKS), description="code book", **WIDE),
    )


def _block_chart(stored: Tensor, back: Tensor, edge: float, title: str) -> Chart:
    """The first weights as bars, what is read back as dots; those beyond the edge are cut off."""
    with style.house_style():
        chart, axes = style.new_chart(height=4.2)
        count = 2 * _BARS
        axes.bar(range(count), stored[:count].tolist(), color="#bbbbbb", width=0.9)
        axes.plot(range(count), back[:count].tolist(), "o", color=style.VERMILION, ms=5)
        axes.axhline(0, color=style.BLACK, linewidth=1)
        axes.set_ylim(-1.15 * edge, 1.15 * edge)
        axes.set_xlim(-1, count)
        axes.set(
            xlabel="weight number   (bars: the weights; dots: what is read back)",
            ylabel="value",
            yticks=[0],
        )
        axes.annotate("outlier", (5, 1.15 * edge), xytext=(12, 1.0 * edge), fontsize=style.SMALL)
        style.entitle(chart, title)
    chart.alt = f"{title}. Grey bars are the weights, dots what is read back."
    return chart
