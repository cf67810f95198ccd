"""AdapterBias, looked at: how far each token of a text goes along a layer's vector.

    Δh = α(z) · v          α(z): one number per token and layer         (Fu et al., 2022, sect. 3)

α alone can't be compared between layers, since v is long in one and short in another. So what is
shown is α(z) · |v|, the signed length of Δh. Which way is plus is arbitrary, and differs by layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as ipw
import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.show.grids import shaded_grid
from course_utils.show.tables import Page
from course_utils.show.widgets import WIDE, Playground, playground
from course_utils.tuning.adapter_bias import TokenShift
from course_utils.tuning.tuned import Tuned


@torch.no_grad()
def token_shifts(tuned: Tuned, batch: Mapping[str, Tensor]) -> Tensor:
    """α(z) · |v| of every token in every layer: (L, B, T).

    Args:
        tuned: a PLM with AdapterBias.
        batch: what its tokenizer makes of B texts.

    Raises:
        CourseError: another method is attached.
    """
    shifts = [module for module in tuned.placement.modules() if isinstance(module, TokenShift)]
    if not shifts:
        raise CourseError(f"token shifts are AdapterBias's; this PLM carries {tuned.method}.")
    found: list[Tensor] = []

    def note(shift: TokenShift, args, output) -> None:
        found.append((shift.alpha(args[0].to(shift.v.dtype)) * shift.v.norm())[..., 0])  # (B, T)

    handles = [shift.register_forward_hook(note) for shift in shifts]
    training = tuned.training
    tuned.eval()
    try:
        tuned(**{name: value.to(tuned.device) for name, value in batch.items()})
    finally:
        tuned.train(training)
        for handle in handles:
            handle.remove()
    return torch.stack(found)


def shift_playground(tuned: Tuned, tokenizer, text: str) -> Playground:
    """Type a text; see how far, and to which side, AdapterBias shifts each token in each layer."""

    def answer(text: str) -> Page:
        batch = tokenizer(text, return_tensors="pt")
        if not text.strip():
            raise CourseError("write at least one word.")
        shifts = token_shifts(tuned, batch)[:, 0]  # (L, T)
        tokens = [tokenizer.decode([token]).strip() for token in batch["input_ids"][0].tolist()]
        names = [f"layer {number}" for number in range(1, len(shifts) + 1)]
        return shaded_grid(shifts.tolist(), names, tokens, "α(z) · |v| of each token")

    return playground(
        answer, text=ipw.Text(value=text, description="text", continuous_update=True, **WIDE)
    )
