"""What a frozen model says, compared where it was asked something."""

from __future__ import annotations

from typing import Any

import torch

from autograder.judging.judge import expect, expect_tensor


def expect_logits(
    what: str, got: Any, expected: torch.Tensor, mask: torch.Tensor, tolerance: float = 0.0
) -> None:
    """Equal wherever the text is not padding.

    Args:
        got, expected: (B, T, V).
        mask: (B, T), 0 for padding.
        tolerance: see `expect_tensor`.
    """
    expect(type(got) is torch.Tensor, f"{what}: expected a tensor.")
    shapes = f"expected the shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    expect(got.shape == expected.shape, f"{what}: {shapes}.")
    read = mask.bool()
    expect_tensor(what, got[read], expected[read].detach(), tolerance)
