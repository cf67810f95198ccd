"""Self-checks of notebook 08."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_routed(routed) -> str:
    """`routed(x, down, up, rng)`: up_k relu(down_j x) with j and k drawn independently."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 5, 6, generator=generator)
    down = torch.randn(3, 4, 6, generator=generator)
    for experts_up in (3, 1):
        up = torch.randn(experts_up, 6, 4, generator=generator)
        given = [
            open_if_none(routed(x.clone(), down.clone(), up.clone(), random.Random(seed)))
            for seed in range(120)
        ]
        shape = tuple(given[0].shape)
        expect(shape == (2, 5, 6), f"x has the shape (2, 5, 6), so has Δh; yours has {shape}.")
        met = {_pair(one, x, down, up) for one in given}
        expect(None not in met, _why_none(given[0], x, down, up))
        expect(
            len(met) > 1,
            "In 120 calls with different seeds the same expert was met each time: draw with rng.",
        )
        expect(
            experts_up == 1 or not all(j == k for j, k in met),
            "j and k are always equal: draw the expert of each half by itself, or there are only "
            "M adapters instead of M².",
        )
        missed = len(down) * experts_up - len(met)
        expect(
            not missed,
            f"{missed} of the {len(down) * experts_up} pairs were never met in 120 draws: every "
            "expert of a half should be equally likely.",
        )
    return "M + M matrices, M² adapters in a layer, and never more than one pair to compute."


@self_check
def check_agreement_loss(agreement_loss) -> str:
    """`agreement_loss(p_logits, q_logits)`: the symmetric KL, mean over the batch."""
    generator = torch.Generator().manual_seed(2)
    p, q = (2 * torch.randn(6, 3, generator=generator) for _ in range(2))
    given = open_if_none(agreement_loss(p.clone(), q.clone()))
    expect(
        isinstance(given, Tensor) and given.ndim == 0,
        "The result is one number, a tensor of shape (), so that backward() can start from it.",
    )
    value = float(given)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    forth = (log_p.exp() * (log_p - log_q)).sum(-1)  # KL(p ‖ q), (n,)
    back = (log_q.exp() * (log_q - log_p)).sum(-1)
    right = 0.5 * (forth + back)
    if abs(value - float(right.mean())) < 1e-5:
        return "Zero only where both passes say the same, and no label is needed for it."
    for wrong, advice in (
        (forth.mean(), "That is KL(p‖q) alone. It blames p and q differently; take both ways."),
        (back.mean(), "That is KL(q‖p) alone. It blames p and q differently; take both ways."),
        (2 * right.mean(), "The ½ is missing."),
        (right.sum(), "Mean over the batch, not the sum: else large batches pull harder."),
        (-right.mean(), "The sign: a KL divergence is never negative."),
        (
            0.5 * (p.softmax(-1) - q.softmax(-1)).mul(p - q).mean(),
            "Sum over the labels, mean over the examples only.",
        ),
    ):
        expect(abs(value - float(wrong)) > 1e-5, advice)
    expect(
        abs(value - float(0.5 * ((p - q).square()).mean())) > 1e-5,
        "That compares logits. Logits that all move by the same amount say the same thing.",
    )
    expect(False, f"Expected {float(right.mean()):.4f}, got {value:.4f}.")
    return ""


@self_check
def check_merged_change(merged_change) -> str:
    """`merged_change(A, B, alpha)`: (α / r) times mean(B) mean(A)."""
    generator = torch.Generator().manual_seed(3)
    a = torch.randn(4, 2, 7, generator=generator)
    b = torch.randn(4, 5, 2, generator=generator)
    alpha, scale = 6.0, 3.0
    given = open_if_none(merged_change(a.clone(), b.clone(), alpha))
    shape = tuple(given.shape)
    expect(shape == (5, 7), f"ΔW maps 7 numbers to 5, so it is (5, 7); yours is {shape}.")
    right = b.mean(0) @ a.mean(0)
    if torch.allclose(given, scale * right, atol=1e-5):
        return "Still of rank r. The mean of the products would be a better ensemble, of rank M·r."
    products = (b @ a).mean(0)
    for wrong, advice in (
        (right, "The factor α / r is missing."),
        (alpha * right, "The factor is α / r, not α: r is the first side of one A."),
        (scale * products, "That is the mean of the products B A. It has a rank up to M·r, so it "
                           "is no longer a LoRA of rank r: average A and B first."),
        (products, "That is the mean of the products, and without α / r: average A and B first."),
        (scale * 16 * right, "The experts are averaged, not added up."),
    ):  # fmt: skip
        expect(not torch.allclose(given, wrong, atol=1e-5), advice)
    expect(False, "The shape is right, the numbers are not: (α / r) · mean(B) mean(A).")
    return ""


@self_check
def check_counts(counts) -> str:
    """`counts(d, r, experts, share)` -> (trained, kept) of one layer, biases included."""
    for d, r, experts, share in ((128, 8, 4, "up"), (768, 48, 4, "down"), (10, 3, 5, "none")):
        trained, kept = open_if_none(counts(d, r, experts, share))
        down, up = d * r + r, r * d + d
        case = f"d = {d}, r = {r}, {experts} experts, share = {share!r}"
        expect(kept != trained, f"{case}: what is kept is one adapter, not the mixture.")
        expect(
            kept != 2 * d * r,
            f"{case}: each half has a bias, of r numbers down and of d numbers up.",
        )
        expect(kept == down + up, f"{case}: one adapter has {down + up:,} numbers; kept {kept:,}.")
        right = {
            "up": experts * down + up,
            "down": down + experts * up,
            "none": experts * (down + up),
        }
        others = {name: n for name, n in right.items() if name != share}
        swapped = next((name for name, n in others.items() if n == trained), None)
        expect(
            trained == right[share],
            f"{case}: that is the count for share = {swapped!r}."
            if swapped
            else f"{case}: {right[share]:,} are trained, you give {trained:,}. A shared half is "
            "there once, the other M times.",
        )
    return "The mixture is a matter of training only; nobody who gets the file can tell."


def _pair(given: Tensor, x: Tensor, down: Tensor, up: Tensor) -> tuple[int, int] | None:
    """Which experts this is the answer of."""
    for j in range(len(down)):
        for k in range(len(up)):
            if torch.allclose(given, F.relu(x @ down[j].T) @ up[k].T, atol=1e-5):
                return j, k
    return None


def _why_none(given: Tensor, x: Tensor, down: Tensor, up: Tensor) -> str:
    """What was computed instead of one pair's answer."""
    average = F.relu(x @ down.mean(0).T) @ up.mean(0).T
    if torch.allclose(given, average, atol=1e-5):
        return "That is the average of all experts, which comes after training. Draw one of each."
    plain = [x @ d.T @ u.T for d in down for u in up]
    if any(torch.allclose(given, one, atol=1e-5) for one in plain):
        return "The non-linearity is missing between the two projections."
    added = [x + F.relu(x @ d.T) @ u.T for d in down for u in up]
    if any(torch.allclose(given, one, atol=1e-5) for one in added):
        return "Only the change Δh is wanted; the residual x is added outside."
    return "This is no pair's answer: relu(x @ down[j].T) @ up[k].T for some j and k is expected."
