"""Self-checks of notebook 14."""

from __future__ import annotations

import math

from course_utils.comparison import verdict as judged
from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_updates(updates) -> str:
    """`updates(examples, batch, accumulation, epochs)`: how often the optimizer steps."""
    for examples, batch, accumulation, epochs in (
        (2490, 32, 1, 100),
        (2490, 16, 2, 100),
        (554, 16, 1, 10),
    ):
        batches = math.ceil(examples / batch)
        right = math.ceil(batches / accumulation) * epochs
        given = open_if_none(updates(examples, batch, accumulation, epochs))
        about = f"{examples} examples, batches of {batch} × {accumulation}, {epochs} epochs: "
        expect(
            given != batches * epochs or accumulation == 1,
            about + "those are forward passes. The optimizer steps once in so many of them.",
        )
        expect(
            given != examples // batch * epochs or given == right,
            about + "the last batch of an epoch is smaller, and counts.",
        )
        expect(given == right, about + f"{right:,} updates; you give {given}.")
    return "Half the batch and twice the accumulation are the same updates with less memory."


@self_check
def check_fits(fits) -> str:
    """`fits(parameters, trained, kept, card)`: whether a run fits; `kept`, `card` in bytes."""
    cases = (
        (355e6, 1.0e6, 7e9, 15e9, True),
        (355e6, 355e6, 8e9, 15e9, True),
        (355e6, 355e6, 10e9, 15e9, False),
        (1.5e9, 1e6, 8e9, 15e9, True),
        (1.5e9, 1.5e9, 1e9, 15e9, False),
    )
    for parameters, trained, kept, card, right in cases:
        given = open_if_none(fits(parameters, trained, kept, card))
        whole = 4 * parameters + 12 * trained + kept
        expect(
            bool(given) is right,
            f"{parameters:,.0f} parameters, {trained:,.0f} trained, {kept / 1e9:g} GB kept: "
            f"{whole / 1e9:.1f} GB in all on a card of {card / 1e9:g} GB. You say "
            f"{'it fits' if given else 'it does not fit'}.",
        )
    return (
        "What is frozen takes 4 bytes a number, what is trained 16: number, gradient, two moments."
    )


@self_check
def check_said(said) -> str:
    """`said(correct, n, published)`: "above", "below" or "within noise", exact test at 5 %."""
    for correct, n, published in (
        (255, 277, 0.866),
        (244, 277, 0.866),
        (94, 100, 0.92),
        (210, 277, 0.866),
    ):
        right, p_value = judged([100 * correct / n], 100 * published, "accuracy", n)
        given = open_if_none(said(correct, n, published))
        about = f"{correct} of {n} right, {100 * published:.1f} % published: "
        expect(
            given in ("above", "below", "within noise"),
            about + f'say "above", "below" or "within noise", not {given!r}.',
        )
        expect(
            given == right,
            about + f"the exact test gives p = {p_value:.2g}, so it is {right}; you say {given}.",
        )
    return "On COPA's 100 examples 94 % is no evidence against a published 92 %."
