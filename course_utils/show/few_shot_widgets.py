"""Playgrounds for few labels: demonstrations, in-context examples, soft labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as ipw
import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.prompting import Calibration, DemonstratedPrompt, InContext, choose
from course_utils.prompting.distillation import weighted_mean
from course_utils.show.bars import probability_bars
from course_utils.show.tables import Page, Table
from course_utils.show.widgets import WIDE, Playground, playground

Example = Mapping[str, object]


def demonstration_playground(prompt: DemonstratedPrompt, queries: Sequence[Example]) -> Playground:
    """Choose a query and one of its draws; see what the PLM reads and how the draw moves it.

    Args:
        prompt: a prompt with demonstrations, as trained as it is.
        queries: labelled or not; one is chosen by a slider.

    Raises:
        CourseError: no queries.
    """
    queries = _some(queries, "queries")

    @torch.inference_mode()
    def answer(query: int, draw: int) -> Page:
        row = queries[query - 1]
        batch = prompt.collator()([{k: v for k, v in prompt.encode(row).items() if k != "labels"}])
        batch = {name: value.to(prompt.device) for name, value in batch.items()}  # (1, draws, T)
        was_training = prompt.training
        prompt.eval()
        one = prompt(**{name: value[:, draw - 1 : draw] for name, value in batch.items()}).logits[0]
        all_draws = prompt(**batch).logits[0]
        prompt.train(was_training)
        right = _right(row, prompt.labels)
        parts = prompt.render(row, draw - 1).split(" [SEP] ")
        names = ["query", *(f"shown for {label}" for label in prompt.labels)]
        if len(parts) != len(names):
            names, parts = ["all of it"], [" [SEP] ".join(parts)]
        pages = (
            Table([{"": n, "the PLM reads": p} for n, p in zip(names, parts, strict=True)]),
            probability_bars(_shares(prompt.labels, one), f"with draw {draw} alone", mark=right),
            probability_bars(
                _shares(prompt.labels, all_draws), f"mean of {prompt.draws} draws", mark=right
            ),
        )
        return _together(pages)

    return playground(
        answer, query=_count("query", len(queries)), draw=_count("draw", prompt.draws)
    )


def in_context_playground(
    model,
    tokenizer,
    template: str,
    words: Mapping[str, str],
    *,
    pool: Sequence[Example],
    queries: Sequence[Example],
    most: int = 8,
    separator: str = " .\n",
) -> Playground:
    """Choose how many demonstrations, which, in what order, with whose labels; see the answer.

    Args:
        model, tokenizer: a causal PLM.
        template: its mask is last.
        words: label -> word, in the order of the label ids.
        pool: labelled examples, what demonstrations are drawn from.
        queries: one is chosen by a slider.
        most: the largest number of demonstrations offered.
        separator: what stands between examples.
    """
    queries, pool = _some(queries, "queries"), _some(pool, "demonstrations")
    labels = tuple(words)

    def answer(query: int, shown: int, draw: int, order: str, labels_of: str, calibrate: bool):
        row = queries[query - 1]
        rows = choose(pool, shown, len(labels), order=order, seed=draw)
        if labels_of == "turned round":
            rows = [{**r, "label": (r["label"] + 1) % len(labels)} for r in rows]
        asked = InContext(
            model, tokenizer, template, words, demonstrations=rows, separator=separator
        )
        answers = asked.predict([row])
        if calibrate:
            answers = Calibration.content_free(asked).apply(answers)
        lines = asked.render(row).split("\n")
        text = Table([{"the PLM reads": line} for line in lines])
        shares = _shares(labels, answers.scores[0])
        kind = "calibrated" if calibrate else "as the PLM says it"
        return _together((text, probability_bars(shares, kind, mark=_right(row, labels))))

    return playground(
        answer,
        query=_count("query", len(queries)),
        shown=ipw.IntSlider(value=2, min=0, max=most, description="shown", **WIDE),
        draw=ipw.IntSlider(value=0, min=0, max=20, description="draw", **WIDE),
        order=ipw.Dropdown(
            options=[("shuffled", "shuffled"), ("by label", "by_label")],
            description="order",
            **WIDE,
        ),
        labels_of=ipw.Dropdown(
            options=["as they are", "turned round"], description="labels", **WIDE
        ),
        calibrate=ipw.Checkbox(value=False, description="calibrate", **WIDE),
    )


def soft_label_playground(
    logits: Mapping[str, Tensor],
    weights: Mapping[str, float],
    texts: Sequence[str],
    labels: Sequence[str],
    temperature: float = 2.0,
) -> Playground:
    """PET's soft label of a text: turn the teachers' weights and the temperature.

    Args:
        logits: teacher -> (n, n_labels) its answers.
        weights: teacher -> weight to begin with.
        texts: the n texts.
        labels: label names in id order.
        temperature: to begin with; 1 leaves the soft label as it is.
    """
    texts = _some(texts, "texts")
    if set(logits) != set(weights):
        raise CourseError(
            f"teachers {', '.join(logits)} and weights for {', '.join(weights)}: one weight each."
        )
    teachers = list(logits)

    def answer(text: int, temperature: float, **weight: float) -> Page:
        rows = [logits[teacher][text - 1 : text] for teacher in teachers]  # (1, n_labels) each
        soft = weighted_mean(rows, [weight[teacher] for teacher in teachers])[0]
        told = [
            {"teacher": teacher, "weight": weight[teacher]}
            | dict(zip(labels, row[0].softmax(-1).tolist(), strict=True))
            for teacher, row in zip(teachers, rows, strict=True)
        ]
        heading = f"what the student is taught, at temperature {temperature:.1f}"
        if not any(weight.values()):
            heading += " (all weights are 0: each teacher counts the same)"
        bars = probability_bars(_shares(labels, soft / temperature), heading)
        return _together((Table(told, caption=texts[text - 1], digits=2), bars))

    knobs = {
        teacher: ipw.FloatSlider(
            value=weights[teacher], min=0.0, max=1.0, step=0.01, description=teacher, **WIDE
        )
        for teacher in teachers
    }
    return playground(
        answer,
        text=_count("text", len(texts)),
        temperature=ipw.FloatSlider(
            value=temperature, min=0.5, max=10.0, step=0.5, description="temperature", **WIDE
        ),
        **knobs,
    )


def _shares(labels: Sequence[str], scores: Tensor) -> dict[str, float]:
    return dict(zip(labels, scores.float().softmax(-1).tolist(), strict=True))


def _right(row: Example, labels: Sequence[str]) -> str | None:
    label = row.get("label")
    return labels[label] if isinstance(label, int) and 0 <= label < len(labels) else None


def _count(name: str, most: int) -> ipw.IntSlider:
    return ipw.IntSlider(value=1, min=1, max=most, description=name, **WIDE)


def _some(rows: Sequence, what: str) -> list:
    rows = list(rows)
    if not rows:
        raise CourseError(f"the playground needs {what}: none were given.")
    return rows


def _together(pages: Sequence[Page]) -> Page:
    return Page("".join(page.html for page in pages), "\n".join(map(str, pages)))
