"""QLoRA: Efficient Finetuning of Quantized LLMs (Dettmers et al., NeurIPS 2023, arXiv:2305.14314).

LoRA freezes W, and a frozen W need only be read. So store it in 4 bits, and make numbers of them
again where a product needs them:

    h = x Ŵᵀ + b + (α / r) · B A dropout(x)          Ŵ = read(store(W)), see nf4.py       (sect. 3)

A, B and the gradients are as exact as ever; only W is rounded, and the LoRA learns around that.
Gradients go through Ŵ to x, never into it. All maps of the layers are stored in 4 bits, as in the
paper; embeddings, norms, biases and heads stay. LoRA sits at all maps too: with fewer, the paper
finds, full fine-tuning is not matched, while the rank hardly matters. Learning rate 2e-4 for 7B
parameters.

What it saves. Of the maps' memory 4.127 of 16 or 32 bits remain (`memory(tuned)` tells), and no
more in training: the backward pass reads Ŵ anew instead of keeping it (`_Product`). It costs time,
as each product makes Ŵ first; a library with its own CUDA code hides most of that.

What it keeps. `detach` gives the PLM back bit for bit, so the original weights wait in main memory,
on the CPU. It is the GPU's memory that is saved; on a computer without one nothing is. (Loading
the PLM took that main memory anyway. Attach before the model moves to the GPU, and the GPU never
sees the originals.)

`merge` gives an ordinary model with weights Ŵ + ΔW, in the type the PLM had: what was trained, as
it was trained. Adding ΔW to W would be another model, and storing the sum in 4 bits again a third.

Left out: the paged optimizer, which moves AdamW's states to the CPU when a long text needs room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from course_utils.errors import CourseError
from course_utils.plm.architectures import ROLES, Site
from course_utils.tuning.lora import LoRA
from course_utils.tuning.merging import WeightChange
from course_utils.tuning.method import require
from course_utils.tuning.nf4 import BLOCK, NF4
from course_utils.tuning.placement import Placement


@dataclass(frozen=True)
class QLoRA(LoRA):
    """LoRA on a PLM whose maps are stored in 4 bits.

    Args:
        block: weights that share a constant.
        double: double quantisation, of the constants.
        others: those of `LoRA`; here all maps of a layer are adapted unless said.
    """

    sites: tuple[str, ...] = ROLES
    block: int = BLOCK
    double: bool = True

    name = "qlora"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            isinstance(self.block, int) and self.block >= 2 and self.block % 2 == 0,
            f"QLoRA(block={self.block!r}): an even number, since a byte holds two weights.",
        )

    def check(self, model, sites) -> None:
        super().check(model, sites)
        for site in sites.at(*ROLES):
            kind, weight = type(site.module), site.module.weight
            if kind not in _IN_FOUR_BITS or not weight.is_floating_point():
                raise CourseError(
                    f"QLoRA can't store {site.path} in 4 bits: it is a {kind.__name__} with "
                    f"{weight.dtype} weights. Load the PLM in 16 or 32 bit, without a "
                    "quantization_config."
                )

    def place(self, placement: Placement) -> None:
        super().place(placement)
        for module in dict.fromkeys(site.module for site in placement.sites.at(*ROLES)):
            placement.store(FourBitStorage(module, self.block, self.double))

    def weight_changes(self, placement: Placement) -> Iterator[WeightChange]:
        """From W to Ŵ + ΔW; where no LoRA is, to Ŵ."""
        storages = {id(storage.module): storage for storage in placement.storages()}
        updates = {(site.path, site.columns): update for site, update in placement.at_sites()}
        for site in placement.sites.at(*ROLES):
            change = _part(storages[id(site.module)].rounding(), site)
            update = updates.pop((site.path, site.columns), None)
            yield WeightChange(site, change if update is None else change + update.weight_change())
        for site, update in placement.at_sites():
            if (site.path, site.columns) in updates:  # the embeddings
                yield WeightChange(site, update.weight_change())


class _Product(torch.autograd.Function):
    """x Ŵᵀ, with Ŵ read from its 4 bits, and read again for the gradient of x.

    An ordinary product would keep Ŵ for the backward pass: that of every map at once, and nothing
    would be saved.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, nf4: NF4, transposed: bool) -> torch.Tensor:
        ctx.nf4, ctx.transposed = nf4, transposed
        weight = nf4.weight()
        return x @ (weight if transposed else weight.T)  # (..., in) -> (..., out)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        weight = ctx.nf4.weight(gradient.dtype)
        return gradient @ (weight.T if ctx.transposed else weight), None, None


class _InFourBits:
    """A map whose weight is read from `nf4`, a child; all else is as in the class it stands for."""

    nf4: NF4

    @property
    def weight(self) -> torch.Tensor:
        return self.nf4.weight()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = _Product.apply(x, self.nf4, isinstance(self, Conv1D))
        return h if self.bias is None else h + self.bias.to(h.dtype)


class FourBitLinear(_InFourBits, nn.Linear):
    """y = x Ŵᵀ + b, Ŵ (out, in)."""


class FourBitConv1D(_InFourBits, Conv1D):
    """y = x Ŵ + b, Ŵ (in, out): GPT-2's way of storing a map."""


_IN_FOUR_BITS = {nn.Linear: FourBitLinear, Conv1D: FourBitConv1D}


class FourBitStorage:
    """One map's weight in 4 bits, and the original on the CPU for the way back.

    The module stays the object it is, with its name, hooks and bias; it changes its class.
    """

    def __init__(self, module: nn.Module, block: int, double: bool):
        self.module = module
        self.kind = type(module)
        self.nf4 = NF4(module.weight.detach(), block=block, double=double)
        self.original: nn.Parameter | None = None

    def begin(self) -> None:
        if self.original is not None:
            return
        self.original = self.module.weight
        self.nf4.to(self.original.device, self.original.dtype)
        if not self.original.is_meta:
            self.original.data = self.original.data.cpu()
        self.module.weight = None  # its place among the parameters stays
        self.module.__class__ = _IN_FOUR_BITS[self.kind]
        self.module.nf4 = self.nf4

    def end(self) -> None:
        if self.original is None:
            return
        del self.module.nf4
        self.module.__class__ = self.kind
        self.original.data = self.original.data.to(self.nf4.packed.device, self.nf4.dtype)
        self.module.weight = self.original
        self.original = None

    def rounding(self) -> torch.Tensor:
        """Ŵ - W, of the weight's shape, once the original is back in its place."""
        weight = self.module.weight.detach()
        wide = torch.promote_types(weight.dtype, torch.float32)
        return self.nf4.weight(wide) - weight.to(wide)


@dataclass(frozen=True)
class Memory:
    """Bytes of a model's numbers.

    Attributes:
        weights: how many are stored in 4 bits.
        stored: bytes that takes, with the constants.
        before: bytes the same weights take in the PLM's own type.
        others: bytes of everything else: embeddings, norms, heads, LoRA.
    """

    weights: int
    stored: int
    before: int
    others: int

    def __str__(self) -> str:
        if not self.weights:
            return f"nothing in 4 bits, {_mb(self.others)} in all"
        return (
            f"{self.weights:,} weights in {_mb(self.stored)} instead of {_mb(self.before)} "
            f"({8 * self.stored / self.weights:.3f} bits each); the rest {_mb(self.others)}"
        )


def memory(model: nn.Module) -> Memory:
    """What a model's weights take where the model is; originals kept on the CPU not counted."""
    maps = [module for module in model.modules() if isinstance(module, NF4)]
    return Memory(
        weights=sum(nf4.shape.numel() for nf4 in maps),
        stored=sum(nf4.stored_bytes() for nf4 in maps),
        before=sum(nf4.shape.numel() * nf4.dtype.itemsize for nf4 in maps),
        others=sum(p.nbytes for p in model.parameters()),
    )


def _part(change: torch.Tensor, site: Site) -> torch.Tensor:
    """What of a module's weight belongs to a site, as (out, in)."""
    change = change.T if site.transposed else change
    return change if site.columns is None else change[slice(*site.columns)]


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
