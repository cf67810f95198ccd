"""Self-checks of notebook 06."""

from __future__ import annotations

import torch

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_change_by_layer(change_by_layer) -> str:
    """`change_by_layer(h, delta, mask)`: mean of |Δh| / |h| over real tokens, per layer."""
    draw = torch.Generator().manual_seed(0)
    sizes = torch.tensor([[1.0, 2.0, 8.0, 1.0], [4.0, 1.0, 1.0, 2.0]])  # (B, T), of h
    h = torch.randn(3, 2, 4, 6, generator=draw) * sizes[None, :, :, None]
    delta = torch.randn(3, 2, 4, 6, generator=draw)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    given = torch.as_tensor(open_if_none(change_by_layer(h.clone(), delta.clone(), mask.clone())))
    expect(
        given.shape == (3,),
        f"h has 3 layers here, so 3 numbers are expected; yours have shape {tuple(given.shape)}.",
    )
    ratio = delta.norm(dim=-1) / h.norm(dim=-1)  # (3, 2, 4)
    real = mask.bool()
    right = ratio[:, real].mean(-1)
    wrong = {
        "Padding is counted. Where mask is 0 there is no token: leave it out.": ratio.mean((1, 2)),
        "You divide the mean |Δh| by the mean |h|, so tokens with a large |h| count more. Divide "
        "token by token, then take the mean.": (
            delta.norm(dim=-1)[:, real].mean(-1) / h.norm(dim=-1)[:, real].mean(-1)
        ),
        "You divide number by number. |h| is the length of a whole vector: .norm(dim=-1).": (
            (delta / h).abs()[:, real].mean((-1, -2))
        ),
        "Each text's mean is taken first, so tokens of a short text count more. Take one mean over "
        "all real tokens.": (((ratio * mask).sum(-1) / mask.sum(-1)).mean(-1)),
    }
    for advice, other in wrong.items():
        expect(not given.allclose(other, atol=1e-4), advice)
    expect(
        given.allclose(right, atol=1e-4),
        f"Expected {_short(right)}, got {_short(given)}.",
    )
    return "A number per layer, comparable between methods, PLMs and texts of any length."


@self_check
def check_behind_the_prompt(behind_the_prompt) -> str:
    """`behind_the_prompt(h, longer, length)`: Δh where the prompt's own states are still there."""
    h = torch.arange(2 * 1 * 5 * 3, dtype=torch.float).view(2, 1, 5, 3) ** 1.5
    own = torch.full((2, 1, 2, 3), -50.0)
    shift = torch.linspace(-1, 1, 30).view(2, 1, 5, 3)
    longer = torch.cat((own, h + shift), dim=2)  # (2, 1, 2 + 5, 3)
    given = torch.as_tensor(open_if_none(behind_the_prompt(h.clone(), longer.clone(), 2)))
    expect(
        given.shape == h.shape,
        f"The text has 5 tokens, so Δh has the shape of h, {tuple(h.shape)}; yours has "
        f"{tuple(given.shape)}.",
    )
    expect(
        not given.allclose(longer[:, :, :5] - h, atol=1e-3),
        "You cut the end off. The prompt stands in front: the text's states are the last ones.",
    )
    expect(not given.allclose(-shift, atol=1e-3), "The sign: Δh is after minus before.")
    expect(given.allclose(shift, atol=1e-3), "Compare token t of the text with token t, behind P.")
    return "One place off, and every Δh would compare two different words."


@self_check
def check_directions_needed(directions_needed) -> str:
    """`directions_needed(vectors, share)`: how many directions hold that share of the length²."""
    draw = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(20, 6, generator=draw))
    p, _ = torch.linalg.qr(torch.randn(6, 6, generator=draw))
    values = torch.tensor([6.0, 4.0, 2.0, 1.5, 1.0, 0.5])
    vectors = (q * values) @ p.T  # (20, 6) with these singular values
    squares = (values**2).cumsum(0) / (values**2).sum()
    plain = values.cumsum(0) / values.sum()
    for share in (0.5, 0.8, 0.95, 0.999):
        given = int(open_if_none(directions_needed(vectors.clone(), share)))
        right = int((squares < share).sum()) + 1
        expect(
            given == right or given != int((plain < share).sum()) + 1,
            f"For a share of {share} you give {given}: that counts singular values, not their "
            "squares. Squares add up to the squared lengths of all vectors.",
        )
        expect(
            given != right - 1,
            f"For a share of {share} you give {given}, one too few: the first {given} directions "
            f"hold less than {share}.",
        )
        expect(given == right, f"For a share of {share} expected {right}, got {given}.")
    alike = 5 * torch.ones(9, 6) + 0.3 * torch.randn(9, 6, generator=draw)
    got = int(directions_needed(alike.clone(), 0.9))
    expect(
        got == 1,
        f"Nine vectors that nearly agree need 1 direction for 0.9, you give {got}. Is their mean "
        "subtracted first? Then what they have in common is lost.",
    )
    return "Now try it on the Δh of the methods above, and on h itself."


@self_check
def check_prefix_as_change(prefix_as_change) -> str:
    """`prefix_as_change(q, K, V, P_k, P_v)` -> (λ, Δh) with head = (1 - λ) h + λ Δh."""
    draw = torch.Generator().manual_seed(2)
    for length in (1, 3):
        q = torch.randn(4, generator=draw)
        K, V = torch.randn(5, 4, generator=draw), torch.randn(5, 4, generator=draw)
        P_k, P_v = torch.randn(length, 4, generator=draw), torch.randn(length, 4, generator=draw)
        found = open_if_none(prefix_as_change(q, K, V, P_k, P_v))
        expect(
            isinstance(found, tuple) and len(found) == 2,
            "Return two things: the number λ and the vector Δh.",
        )
        share, change = torch.as_tensor(found[0]), torch.as_tensor(found[1])
        scores = torch.cat((P_k, K)) @ q / 2.0  # √d = 2
        weights = scores.softmax(0)
        right, own = weights[:length].sum(), (P_k @ q / 2.0).softmax(0) @ P_v
        unscaled = (torch.cat((P_k, K)) @ q).softmax(0)[:length].sum()
        expect(
            not share.allclose(unscaled, atol=1e-4),
            "The scores are divided by the root of the head's width: q · k / √d.",
        )
        expect(
            not share.allclose(1 - right, atol=1e-4),
            "That is the weight of the text. λ is the weight of the prefix.",
        )
        expect(
            share.allclose(right, atol=1e-4),
            f"λ is the share of the softmax that falls on the prefix: {right:.3f} here, you give "
            f"{float(share):.3f}.",
        )
        expect(
            not change.allclose(weights[:length] @ P_v, atol=1e-4),
            "This Δh has λ in it already. In (1 - λ) h + λ Δh it would count twice: take the "
            "softmax over the prefix alone.",
        )
        expect(
            change.shape == (4,) and change.allclose(own, atol=1e-4),
            "Δh is what the head would put out if it saw nothing but the prefix: "
            f"{_short(own)} here, you give {_short(change)}.",
        )
    return "So a prefix is a change beside the attention, with a gate that the token itself opens."


def _short(values: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in values.flatten().tolist()]
