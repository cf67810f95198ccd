"""Early exit with a knob: the threshold, who leaves where, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ipywidgets as ipw

from course_utils.errors import CourseError
from course_utils.show.bars import probability_bars
from course_utils.show.tables import Page, Table
from course_utils.show.widgets import WIDE, Playground, playground

if TYPE_CHECKING:
    from course_utils.early_exit import ExitAnswers

_LETTERS = 150  # of a text in the list


def exits_page(
    answers: ExitAnswers,
    threshold: float,
    texts: Sequence[str],
    labels: Sequence[str],
    shown: int = 6,
) -> Page:
    """What an entropy threshold does: score, layers used, who leaves where.

    Args:
        answers: what every exit says of every text.
        threshold: in nats.
        texts: in the order of `answers`.
        labels: names of the label ids.
        shown: how many texts are listed: half of them the first to leave, half the last.
    """
    from course_utils.early_exit import Entropy

    rule = Entropy(threshold)
    found, leaving = answers.at(rule), answers.leaving(rule).tolist()
    L, n = answers.exits, len(leaving)
    bars = {f"layer {k}": leaving.count(k) / n for k in range(1, L + 1)}
    title = (
        f"threshold {threshold:.2f}: {answers.metric} {found.score:.3f} (all layers "
        f"{answers.full:.3f}), {found.layers:.1f} of {L} layers used, {found.saved:.0%} saved"
    )
    chart = probability_bars(bars, f"{title}. Share of the texts that leave at")
    order = sorted(range(n), key=lambda i: (leaving[i], i))
    half = max(1, shown // 2)
    chosen = order if n <= shown else [*order[:half], *order[-half:]]
    said = answers.logits.argmax(-1)  # (N, L)
    rows = []
    for i in chosen:
        answer = int(said[i, leaving[i] - 1])
        right = answer == answers.gold[i]
        rows.append(
            {
                "leaves at": leaving[i],
                "text": _short(texts[i]),
                "answer": f"{labels[answer]} {'✓' if right else '✗'}",
                "with all layers": f"{labels[int(said[i, -1])]}",
            }
        )
    table = Table(rows, caption="The first and the last to leave")
    return Page(f"{chart.html}{table.html}", f"{chart.text}\n{table}")


def exit_playground(
    answers: Mapping[str, ExitAnswers], texts: Sequence[str], *, labels: Sequence[str]
) -> Playground:
    """Turn the entropy threshold; see the score, the layers used and who leaves where.

    Args:
        answers: name of a model -> what its exits say of the same texts.
        texts: the texts.
        labels: names of the label ids.

    Raises:
        CourseError: no answers, or not as many texts as answers.
    """
    if not answers:
        raise CourseError("exit_playground needs the answers of at least one model; none given.")
    for name, one in answers.items():
        if len(one.gold) != len(texts):
            raise CourseError(
                f"exit_playground: {name!r} answers {len(one.gold)} texts, {len(texts)} are given."
            )
    top = math.ceil(100 * math.log(len(labels))) / 100  # nobody is less sure than that

    def answer(exits: str, threshold: float) -> Page:
        return exits_page(answers[exits], threshold, texts, labels)

    return playground(
        answer,
        exits=ipw.ToggleButtons(options=list(answers), description="exits"),
        threshold=ipw.FloatSlider(
            value=round(0.4 * top, 2), min=0.0, max=top, step=0.01, description="threshold", **WIDE
        ),
    )


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
