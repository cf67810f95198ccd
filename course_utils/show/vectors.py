"""Trained vectors among the words: which are near, how near, and where the vectors went.

Nearness is the cosine with rows of the PLM's own embedding table. Read it with care: in a
space of hundreds of dimensions everything is far from everything, and the nearest word of a vector
need not mean what the vector does (Khashabi et al., 2022, https://arxiv.org/abs/2112.08348).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import ipywidgets as ipw
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.show import style
from course_utils.show.bars import probability_bars
from course_utils.show.labels import name_points
from course_utils.show.style import Chart
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground

_STARTS_OF_WORDS = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}\N{LOWER ONE EIGHTH BLOCK}"


def whole_words(tokenizer) -> dict[int, str]:
    """id -> word, for tokens that are words of two letters or more by themselves."""
    special, found = set(tokenizer.all_special_ids), {}
    for i, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        word = (token or "").lstrip(_STARTS_OF_WORDS)
        if i not in special and len(word) > 1 and word.isalpha():
            found[i] = word
    return found


def nearest_words(
    vectors: Tensor, table: Tensor, tokenizer, k: int = 5
) -> list[list[tuple[str, float]]]:
    """For each vector the k words whose embeddings have the largest cosine with it.

    Args:
        vectors: (P, d). table: (V, d), the PLM's word embeddings.

    Returns:
        P lists of k pairs (word, cosine), nearest first.
    """
    words = whole_words(tokenizer)
    ids = torch.tensor(list(words), device=table.device)
    near = F.normalize(vectors.detach().float(), dim=-1) @ F.normalize(
        table.detach()[ids].float(), dim=-1
    ).T.to(vectors.device)  # (P, words)
    best = near.topk(k, dim=-1)
    return [
        [(words[int(ids[i])], float(c)) for i, c in zip(row, cosines, strict=True)]
        for row, cosines in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def vector_map(
    snapshots: Sequence[Tensor],
    table: Tensor,
    tokenizer,
    *,
    words: Sequence[str] = (),
    title: str = "",
) -> Chart:
    """All words as points on a plane, some with their names, and the way each vector went.

    The plane is that of the two main directions of words and vectors together (principal
    components), so that way and words are both seen; most directions are not seen at all.

    Args:
        snapshots: (P, d) each, first to last.
        table: (V, d), the PLM's word embeddings.
        words: names to write.

    Raises:
        CourseError: fewer than two snapshots, or a word that is no single token.
    """
    if len(snapshots) < 2:
        raise CourseError("vector_map draws a way: it needs two snapshots or more.")
    known = whole_words(tokenizer)
    number = {word: i for i, word in known.items()}
    odd = [word for word in words if word not in number]
    if odd:
        raise CourseError(f"vector_map: {odd[0]!r} is no word of one token in this vocabulary.")
    points = table.detach().float().cpu()[list(known)]  # (words, d)
    way = torch.stack([one.detach().float().cpu() for one in snapshots])  # (S, P, d)
    middle = points.mean(0)
    ends = way[-1] - middle
    weight = (len(points) / max(1, len(ends))) ** 0.5  # the few vectors count like all the words
    both = torch.cat([points - middle, weight * ends])
    axes_of = torch.linalg.svd(both, full_matrices=False).Vh[:2]  # (2, d)
    flat, ways = (points - middle) @ axes_of.T, (way - middle) @ axes_of.T
    with style.house_style():
        chart, axes = style.new_chart(height=6.4)
        axes.plot(*flat.T.tolist(), ".", color="#bbbbbb", markersize=4, label="words")
        place = [tuple(flat[list(known).index(number[word])].tolist()) for word in words]
        for x, y in place:
            axes.plot([x], [y], "o", color=style.BLACK, markersize=6)
        for number_of, one in enumerate(ways.transpose(0, 1)):  # each (S, 2)
            colour = style.COLOURS[number_of % len(style.COLOURS)]
            xs, ys = one.T.tolist()
            axes.plot(xs, ys, "-", color=colour, linewidth=2, label=f"vector {number_of + 1}")
            axes.plot(xs[:1], ys[:1], "o", color=colour, markersize=9, markerfacecolor="white")
            axes.plot(xs[-1:], ys[-1:], "o", color=colour, markersize=11)
        axes.set(xlabel="first direction", ylabel="second direction", xticks=[], yticks=[])
        style.entitle(chart, title)
        if words:
            name_points(axes, place, list(words), style.SMALL + 1, [])
    far = (way[-1] - way[0]).norm(dim=-1).mean().item()
    usual = points.norm(dim=-1).mean().item()
    chart.alt = (
        f"{title}. The word embeddings as points; {way.shape[1]} vectors, open circle to full "
        f"circle, moved by {far:.2f} on average (length of a word: {usual:.2f})."
    )
    return chart


def vector_playground(
    snapshots: Mapping[int, Tensor], table: Tensor, tokenizer, scores: Mapping[int, float]
) -> Playground:
    """Choose a place in the prompt and a step of training; see the nearest words.

    Args:
        snapshots: step -> the prompt then, (P, d).
        table: (V, d), the PLM's word embeddings.
        scores: step -> the score then.

    Raises:
        CourseError: nothing to show, or a step without a score.
    """
    steps = sorted(snapshots)
    if not steps or set(steps) - set(scores):
        raise CourseError("vector_playground needs a prompt, and a score, for each step.")
    start, length = snapshots[steps[0]], len(snapshots[steps[0]])
    lists = {step: nearest_words(snapshots[step], table, tokenizer, k=8) for step in steps}

    def answer(place: int, step: int) -> Page:
        vector, first = snapshots[step][place - 1].float(), start[place - 1].float()
        moved, size = (vector - first).norm().item(), vector.norm().item()
        stays = F.cosine_similarity(vector, first, dim=0).item()
        said = (
            f"vector {place} after {step} steps: length {size:.2f}, moved by {moved:.2f}, cosine "
            f"with its start {stays:.2f}; dev accuracy {scores[step]:.3f}"
        )
        bars = probability_bars(lists[step][place - 1], "nearest words, by cosine")
        lead = f"<p style='font-size:1.1em'>{html.escape(said)}</p>"
        return Page(f"{lead}{bars.html}", f"{said}\n{bars.text}")

    return playground(
        answer,
        place=ipw.IntSlider(value=1, min=1, max=length, description="place", **WIDE),
        step=ipw.SelectionSlider(options=steps, value=steps[-1], description="step", **WIDE),
    )
