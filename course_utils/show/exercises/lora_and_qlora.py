"""Self-checks of notebook 09."""

from __future__ import annotations

import torch

from course_utils.show.exercises.verdict import expect, open_if_none, self_check
from course_utils.tuning.nf4 import code_book


@self_check
def check_forward(forward) -> str:
    """`forward(x, W, b, A, B, alpha)`: W x + b + (α / r) B A x, for rows x."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 7, generator=generator)
    w, b = torch.randn(5, 7, generator=generator), torch.randn(5, generator=generator)
    a = torch.randn(2, 7, generator=generator)
    up = torch.randn(5, 2, generator=generator)
    alpha, scale = 6.0, 3.0
    given = open_if_none(forward(x.clone(), w.clone(), b.clone(), a.clone(), up.clone(), alpha))
    shape = tuple(given.shape)
    expect(shape == (2, 3, 5), f"(2, 3, 7) in, (2, 3, 5) out; yours is {shape}.")
    base, change = x @ w.T + b, x @ a.T @ up.T
    if torch.allclose(given, base + scale * change, atol=1e-4):
        return "With B = 0 this is the frozen map, which is how the training starts."
    for wrong, advice in (
        (base, "That is the frozen map alone: add the change."),
        (scale * change, "That is the change alone; the frozen W x + b stays."),
        (base - b + scale * change, "The bias b is missing."),
        (base + change, "The factor α / r is missing."),
        (base + alpha * change, "The factor is α / r, not α; r is the number of rows of A."),
        (scale * (base + change), "α / r multiplies the change only, not W x + b."),
        (base + change / scale, "The factor is α / r, not r / α."),
    ):
        expect(not torch.allclose(given, wrong, atol=1e-4), advice)
    expect(False, "The shape is right, the numbers are not: x @ W.T + b + (α / r) · x @ A.T @ B.T.")
    return ""


@self_check
def check_merge(merge) -> str:
    """`merge(W, A, B, alpha, transposed)`: the weight that needs no LoRA any more."""
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(2, 6, generator=generator)
    b = torch.randn(6, 2, generator=generator)
    alpha, scale = 8.0, 4.0
    change = b @ a  # (out, in)
    for transposed in (False, True):
        w = torch.randn(6, 6, generator=generator)
        kept = w.clone()
        given = open_if_none(merge(w, a.clone(), b.clone(), alpha, transposed))
        expect(
            torch.equal(w, kept),
            "Your function changed the W it was given; then there is no way back. Return a new "
            "tensor.",
        )
        there, other = (change.T, change) if transposed else (change, change.T)
        if torch.allclose(given, w + scale * there, atol=1e-4):
            continue
        expect(
            not torch.allclose(given, w + scale * other, atol=1e-4),
            "A transposed weight is (in, out): it needs the transpose of B A."
            if transposed
            else "ΔW is B A, of shape (out, in), as W; yours is its transpose.",
        )
        for wrong, advice in (
            (w + there, "The factor α / r is missing."),
            (w + alpha * there, "The factor is α / r, not α."),
            (scale * there, "That is ΔW alone. The merged weight is W + ΔW."),
            (w - scale * there, "The sign: that takes the change off."),
        ):
            expect(not torch.allclose(given, wrong, atol=1e-4), advice)
        expect(False, f"transposed={transposed}: expected W + (α / r) times B A, or its transpose.")
    return "The square shapes of this check are the dangerous case: a wrong transpose fits as well."


@self_check
def check_store(store) -> str:
    """`store(weights, book, block)` -> (codes (n,), constants (n / block,))."""
    book = code_book()
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(32, generator=generator) * torch.linspace(0.2, 3, 32)
    weights[3] = -4.0  # a block whose largest value is negative
    for block in (8, 16):
        answer = open_if_none(store(weights.clone(), book.clone(), block))
        expect(
            isinstance(answer, tuple) and len(answer) == 2,
            "Return two things: the code numbers and the constants.",
        )
        codes, constants = answer
        blocks = weights.view(-1, block)
        right = blocks.abs().amax(1)
        count = len(weights) // block
        expect(
            tuple(constants.shape) == (count,),
            f"32 weights in blocks of {block} have {count} constants; yours have the shape "
            f"{tuple(constants.shape)}.",
        )
        expect(
            not torch.allclose(constants, blocks.amax(1)),
            "The largest ABSOLUTE value: in one block that is a negative weight.",
        )
        expect(
            count == 1 or not torch.allclose(constants, weights.abs().max().expand(count)),
            "Every block has its own constant; yours is the same for all.",
        )
        expect(
            torch.allclose(constants, right), f"Expected the constants {right}, got {constants}."
        )
        expect(
            tuple(codes.shape) == (len(weights),),
            f"One code number per weight, (32,); yours have the shape {tuple(codes.shape)}.",
        )
        scaled = (blocks / right[:, None]).flatten()
        nearest = (scaled[:, None] - book).abs().argmin(1)
        undivided = (weights[:, None] - book).abs().argmin(1)
        expect(
            torch.equal(codes.long(), nearest) or not torch.equal(codes.long(), undivided),
            "The weights were compared with the book as they are: divide by their block's "
            "constant first.",
        )
        below = torch.bucketize(scaled, book, right=True) - 1
        expect(
            torch.equal(codes.long(), nearest) or not torch.equal(codes.long(), below),
            "That is the next value below. The nearest may lie above.",
        )
        wrong = int((codes.long() != nearest).sum())
        expect(not wrong, f"{wrong} of 32 code numbers are not that of the nearest value.")
    return "Two such numbers fit into a byte: 16 · first + second."


@self_check
def check_bits(bits) -> str:
    """`bits(block, double)`: bits per weight, with 32-bit constants or 8-bit ones."""
    for block in (64, 32, 128):
        plain, double = (float(open_if_none(bits(block, twice))) for twice in (False, True))
        expect(
            abs(plain - 32 / block) > 1e-9,
            "That is what the constants take. The weight itself takes 4 bits more.",
        )
        expect(
            abs(plain - (4 + 32 / block)) < 1e-9,
            f"Blocks of {block}, no double quantisation: 4 bits and a 32-bit constant shared by "
            f"{block} weights make {4 + 32 / block:.4f}; you give {plain:.4f}.",
        )
        right = 4 + 8 / block + 32 / (block * 256)
        expect(
            abs(double - (4 + 8 / block)) > 1e-9,
            "The 8-bit constants need a scale of their own: 32 bits for 256 of them.",
        )
        expect(
            abs(double - (4 + 8 / block + 32 / 256)) > 1e-9,
            f"A scale is shared by 256 constants, that is by 256 · {block} weights.",
        )
        expect(
            abs(double - right) < 1e-9,
            f"Blocks of {block} with double quantisation: expected {right:.4f}, got {double:.4f}.",
        )
    return "From 4.5 to 4.127 bits with the paper's blocks of 64: 3 GB of a model of 65 billion."
