"""NF4: weights in four bits each (Dettmers et al., QLoRA, 2023, arXiv:2305.14314, sect. 2 and 3).

Four bits tell 16 values apart. Which 16? The weights of a trained map are spread about like a
normal distribution, so the best are its quantiles: each then stands for equally many weights. They
are scaled to [-1, 1] and one of them is exactly 0 (`code_book`).

A block of 64 weights is divided by its largest absolute value, its *constant* c, and each quotient
is stored as the number of the nearest of the 16 values:

    stored     i = argmin |book[i] - w / c|          c = max |w| over the block
    read       ŵ = c · book[i]

So an outlier spoils no more than its block. A constant of 32 bits adds 32 / 64 = 0.5 bits to a
weight. *Double quantisation* stores the constants in 8 bits: their mean is taken off, and blocks of
256 of them share one 32-bit scale. Together

    4 + 8 / 64 + 32 / (64 · 256) = 4.127 bits per weight         (sect. 3, "Double Quantization")

The paper says only "8-bit floats"; here they are torch's float8_e4m3fn. The authors' CUDA library
(bitsandbytes) has a code book of its own for them. Without double quantisation, its bytes and ours
are the same.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

BLOCK = 64  # weights that share a constant
CONSTANTS_BLOCK = 256  # constants that share a scale
EIGHT_BITS = torch.float8_e4m3fn


def code_book() -> torch.Tensor:
    """The 16 values, rising from -1 to 1, with 0 among them: float32 (16,).

    Quantiles of N(0, 1): 8 at evenly spaced probabilities from δ to ½, 9 from ½ to 1 - δ, which
    have ½, the value 0, in common. A quantile at probability 0 would be infinite; the distance δ
    from it is half the mean of the steps 1/15 and 1/16 that would cut [0, 1] in 15 or 16 parts.
    """
    delta = (1 / 15 + 1 / 16) / 4
    low = torch.linspace(delta, 0.5, 8, dtype=torch.float64)
    high = torch.linspace(0.5, 1 - delta, 9, dtype=torch.float64)
    quantiles = torch.special.ndtri(torch.cat((low, high[1:])))  # (16,)
    return (quantiles / quantiles[-1]).float()


def bits_per_weight(block: int = BLOCK, double: bool = True) -> float:
    """What storing one weight takes, its share of the constants included."""
    return 4 + (8 / block + 32 / (block * CONSTANTS_BLOCK) if double else 32 / block)


class NF4(nn.Module):
    """One weight in 4 bits: what is stored, and the way back.

    packed     (n / 2,) uint8          two code numbers per byte, the first in the high half
    constants  (n / block,) uint8      8-bit floats; float32 without double quantisation
    scales     (n / block / 256,)      float32, of the constants
    mean       ()                      float32, of the constants

    It moves with the PLM. A change of the PLM's type, as by `.half()`, is a change of what
    `weight()` gives, not of what is stored.
    """

    def __init__(self, weight: torch.Tensor, *, block: int = BLOCK, double: bool = True):
        super().__init__()
        self.shape, self.dtype, self.double = weight.shape, weight.dtype, double
        codes, constants = quantise(weight, block)
        self.register_buffer("packed", codes[0::2] << 4 | codes[1::2])
        if double:
            constants, scales, mean = quantise_constants(constants)
            self.register_buffer("scales", scales)
            self.register_buffer("mean", mean)
        self.register_buffer("constants", constants)

    def weight(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Ŵ, of the weight's shape, in the PLM's type unless said."""
        constants = self.constants
        if self.double:
            constants = read_constants(constants, self.scales, self.mean)
        pairs = _pairs(self.packed.device)[self.packed.int()]  # (n / 2, 2)
        values = pairs.view(len(constants), -1) * constants[:, None]  # (n / block, block)
        return values.flatten()[: self.shape.numel()].view(self.shape).to(dtype or self.dtype)

    def stored_bytes(self) -> int:
        """What it takes in memory."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def _apply(self, fn, recurse: bool = True) -> NF4:
        probe = fn(torch.empty(0, dtype=self.dtype, device=self.packed.device))
        self.dtype = probe.dtype
        for name, buffer in self._buffers.items():
            self._buffers[name] = buffer.to(probe.device)
        return self

    def extra_repr(self) -> str:
        return f"{tuple(self.shape)}, {8 * self.stored_bytes() / self.shape.numel():.3f} bits each"


@torch.no_grad()
def quantise(weight: torch.Tensor, block: int = BLOCK) -> tuple[torch.Tensor, torch.Tensor]:
    """The number of each weight's code, uint8 (n,), and the constants, float32 (n / block,).

    n is the number of weights; the last block is filled up with zeros.
    """
    values = _in_blocks(weight.float().flatten(), block)  # (n / block, block)
    constants = values.abs().amax(1)
    scaled = values / constants.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    book = code_book().to(weight.device)
    halfway = (book[:-1] + book[1:]) / 2  # between neighbours; (15,)
    return torch.bucketize(scaled, halfway, out_int32=True).to(torch.uint8).flatten(), constants


@torch.no_grad()
def quantise_constants(
    constants: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Constants (m,) as the bytes of 8-bit floats (m,), scales (m / 256,) and their mean ()."""
    mean = constants.mean()
    blocks = _in_blocks(constants - mean, CONSTANTS_BLOCK)  # (m / 256, 256)
    scales = blocks.abs().amax(1) / torch.finfo(EIGHT_BITS).max
    scaled = blocks / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    stored = scaled.to(EIGHT_BITS).view(torch.uint8)  # bytes, which no .half() can change
    return stored.flatten()[: len(constants)].clone(), scales, mean


def read_constants(stored: torch.Tensor, scales: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """What `quantise_constants` stored, up to its rounding: float32 (m,)."""
    values = _in_blocks(stored.view(EIGHT_BITS).float(), CONSTANTS_BLOCK) * scales[:, None]
    return values.flatten()[: len(stored)] + mean


@cache
def _pairs(device: torch.device) -> torch.Tensor:
    """The two values each byte stands for, so that reading is one look-up: (256, 2)."""
    with torch.inference_mode(False):
        byte = torch.arange(256, device=device)
        return code_book().to(device)[torch.stack((byte >> 4, byte & 15), dim=1)]


def _in_blocks(values: torch.Tensor, size: int) -> torch.Tensor:
    """(n,) as (blocks, size), filled up with zeros."""
    return F.pad(values, (0, -len(values) % size)).view(-1, size)
