"""Playgrounds for Δh: see where it is for a text of your own; add more or less of it."""

from __future__ import annotations

import functools
import html
from collections.abc import Mapping, Sequence

import ipywidgets as ipw
import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.show.bars import probability_bars
from course_utils.show.delta_h import added, delta_h, hidden_states, relative_change
from course_utils.show.delta_h_charts import layer_names
from course_utils.show.grids import shaded_grid
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground

Example = Mapping[str, object]


def change_playground(
    before: nn.Module, after: Mapping[str, nn.Module], tokenizer, text: str
) -> Playground:
    """Choose a method, type a text, see how far it moves every token in every layer.

    Args:
        before: the PLM as it was pre-trained.
        after: method -> the same PLM with it, trained.
        tokenizer: of all of them. `{mask}` in the text stands for its mask token.
        text: to begin with.
    """
    if not after:
        raise CourseError("the playground needs methods: none were given.")
    top = 0.0  # one scale for all that is shown, so that methods can be compared by shade

    def answer(method: str, text: str) -> Page:
        nonlocal top
        batch = _encode(before, tokenizer, text)
        h = hidden_states(before, batch)
        grid = relative_change(h, delta_h(before, after[method], batch))[:, 0]  # (L + 1, T)
        top = max(top, float(grid.max()))
        tokens = [tokenizer.decode([token]).strip() for token in batch["input_ids"][0].tolist()]
        title = f"|Δh| / |h|, {method}"
        return shaded_grid(grid.tolist(), layer_names(len(grid)), tokens, title, top=top)

    return playground(
        answer,
        method=ipw.Dropdown(options=list(after), description="method", **WIDE),
        text=ipw.Text(value=text, description="text", continuous_update=True, **WIDE),
    )


def mixing_playground(
    before, after: Mapping[str, nn.Module], examples: Sequence[Example], depth: int
) -> Playground:
    """Add λ·Δh of a method to one layer of the frozen PLM, and see what it answers.

    Args:
        before: a `PromptModel` round the PLM as it was pre-trained.
        after: method -> the same PLM with it, trained.
        examples: labelled; one is chosen by a slider.
        depth: L, the number of layers.
    """
    if not after or not len(examples):
        raise CourseError("the playground needs at least one method and one example.")

    @functools.cache
    def change(number: int, method: str) -> tuple[dict, Tensor]:
        feature = before.encode(examples[number])
        batch = before.collator()([{k: v for k, v in feature.items() if k != "labels"}])
        batch = {name: value.to(before.device) for name, value in batch.items()}
        return batch, delta_h(before, after[method], batch)

    @torch.no_grad()
    def answer(method: str, example: int, layer: int, λ: float) -> Page:
        batch, delta = change(example - 1, method)
        with added(before, λ * delta[layer], layer):
            logits = before(**batch).logits[0]
        row = examples[example - 1]
        shares = dict(zip(before.labels, logits.softmax(-1).tolist(), strict=True))
        title = f"h + {λ:.2f} · Δh at layer {layer}, Δh of {method}"
        bars = probability_bars(shares, title, mark=before.labels[row["label"]])
        text = before.template.render(row)
        return Page(
            f'<div style="font-size:1.15em;padding:0.3em 0">{html.escape(text)}</div>{bars.html}',
            f"{text}\n{bars}",
        )

    return playground(
        answer,
        method=ipw.Dropdown(options=list(after), description="method", **WIDE),
        example=ipw.IntSlider(value=1, min=1, max=len(examples), description="example", **WIDE),
        layer=ipw.IntSlider(value=depth, min=1, max=depth, description="layer", **WIDE),
        λ=ipw.FloatSlider(value=1.0, min=-1.0, max=2.0, step=0.05, description="λ", **WIDE),
    )


def _encode(model, tokenizer, text: str) -> Mapping[str, Tensor]:
    """A text as a batch of one, `{mask}` replaced."""
    if "{mask}" in text and tokenizer.mask_token is None:
        raise CourseError("this PLM has no mask token: write a text without {mask}.")
    batch = tokenizer(text.replace("{mask}", tokenizer.mask_token or ""), return_tensors="pt")
    tokens, limit = batch["input_ids"].shape[1], model.config.max_position_embeddings
    if not 0 < tokens <= limit:
        raise CourseError(f"the text has {tokens} tokens; this PLM reads 1 to {limit}.")
    return batch
