"""Prefixes of the size of real keys and values, for tests whose outputs must differ."""

from __future__ import annotations

import torch

from course_utils.tuning import PrefixTuning
from course_utils.tuning.keys_and_values import attention_blocks

P = 4
DIRECT = PrefixTuning(length=P, mlp=0)


def prefixes(tuned) -> list:
    """The placed modules in the order of the attention blocks."""
    blocks = attention_blocks(tuned.placement.sites)
    return [tuned.placement.around(block.key).prefix for _, block in blocks]


def fill(tuned, scale: float = 1.0):
    """Keys and values of the size of real ones instead of the small start."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for prefix in prefixes(tuned):
            for table in prefix.parameters():
                table.copy_(torch.randn(table.shape, generator=generator) * scale)
    return tuned
