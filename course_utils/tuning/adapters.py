"""Adapters: small bottleneck networks beside or behind the sub-layers of a frozen PLM.

    Δh = s · (W2 σ(W1 x + b1) + b2)       x: (..., d)    W1: (r, d)    W2: (d, r)        h ← h + Δh

Every adapter is this one function; the papers differ in where x is read and h is changed:

    Houlsby           x = h                   after attention and after the FFN, each before its
                                              residual addition ("sequential, two per layer")
    Pfeiffer          x = norm(h + residual)  after the FFN only; the sum is normed a second time
    ParallelAdapter   x = the FFN's input     beside the FFN, scaled by s

* Houlsby et al., Parameter-Efficient Transfer Learning for NLP (2019, arXiv:1902.00751, sect. 2).
* Pfeiffer et al., AdapterFusion (2021, arXiv:2005.00247).
* He et al., Towards a Unified View of Parameter-Efficient Transfer Learning (2022,
  arXiv:2110.04366, sect. 3.3 and table 1), whose notation h, Δh the whole course uses.

What a layer costs: 2·d·r + r + d per adapter, so r decides. d is the PLM's width and r = d / 16
unless said. Unlike LoRA no adapter can be merged: σ stands between W1 and W2.

Post-norm and pre-norm. The papers draw BERT, norm(x + f(x)). In x + f(norm(x)), as GPT-2, T5 and
Llama have it, "before the residual addition" is the same place. Pfeiffer's adapter then reads the
sum h + residual itself, for there is no norm behind it; the parallel one reads what the FFN reads.
A decoder layer with cross-attention has three sub-layers and so three Houlsby adapters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.method import Method, Term, require, terms_of
from course_utils.tuning.placement import Placement

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu, "tanh": torch.tanh}
INITS = ("near-identity", "normal", "zero")


@dataclass(frozen=True)
class Adapter(Method):
    """What the three have in common.

    Args:
        bottleneck: r, the width inside; 0 takes it from `reduction`.
        reduction: r = d // reduction.
        activation: σ, one of "relu", "gelu", "silu", "tanh".
        init: where W1 and W2 start; the biases start at 0.
            "near-identity": both from a normal of standard deviation 0.001, cut at two of them:
                Δh starts small but not at zero (Houlsby's code; the paper says 0.01).
            "normal": both from a normal of standard deviation 0.02, as BERT's own weights: Δh is
                felt from the first step (Pfeiffer's).
            "zero": W1 like a new linear layer, W2 = 0: exactly the pre-trained model, as LoRA
                starts (He et al.).
        dropout: probability of dropping an inner unit while training.
        norms: train the PLM's norms too.
    """

    bottleneck: int = 0
    reduction: int = 16
    activation: str = "relu"
    init: str = "normal"
    dropout: float = 0.0
    norms: bool = False

    scale = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        require(
            isinstance(self.bottleneck, int) and self.bottleneck >= 0,
            f"{name}(bottleneck={self.bottleneck!r}): a whole number; 0 takes it from reduction.",
        )
        require(
            isinstance(self.reduction, int) and self.reduction >= 1,
            f"{name}(reduction={self.reduction!r}): a whole number from 1 on.",
        )
        if self.activation not in ACTIVATIONS:
            raise unknown_name("activation", self.activation, ACTIVATIONS)
        if self.init not in INITS:
            raise unknown_name("adapter init", self.init, INITS)
        require(
            0 <= self.dropout < 1,
            f"{name}(dropout={self.dropout!r}): dropout is a probability from 0 to below 1.",
        )

    def check(self, model, sites: Sites) -> None:
        if self.size(sites) < 1:
            raise CourseError(
                f"{type(self).__name__}(reduction={self.reduction}) leaves nothing of this PLM's "
                f"width {sites.hidden_size}. Give a smaller reduction, or bottleneck=..."
            )

    def size(self, sites: Sites) -> int:
        """r for this PLM."""
        return self.bottleneck or sites.hidden_size // self.reduction

    def places(self, sites: Sites) -> list:
        """Where the adapters go, one entry for each."""
        return list(sites)

    def terms(self, model, sites: Sites) -> list[Term]:
        d, r, n = sites.hidden_size, self.size(sites), len(self.places(sites))
        text = f"{n} adapters × (2·{d:,}·{r:,} + {r:,} + {d:,})"
        terms = [Term(text, n * (2 * d * r + r + d))]
        return terms + terms_of("norm", _norms(sites)) if self.norms else terms

    def place(self, placement: Placement) -> None:
        sites = placement.sites
        if self.norms:
            placement.train_in(_norms(sites))
        for place in self.places(sites):
            module = Bottleneck(
                sites.hidden_size,
                self.size(sites),
                activation=self.activation,
                init=self.init,
                scale=self.scale,
                dropout=self.dropout,
            )
            self.put(placement, place, module)

    def put(self, placement: Placement, place, module: Bottleneck) -> None:
        """Put one adapter at one of `places`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Houlsby(Adapter):
    """Adapters after every sub-layer, before its residual addition; trains the norms as well.

    On BERT-large the paper chooses r from 8, 64 and 256 per task, and loses little by fixing 64,
    which is d / 16; learning rate 3e-4.

    Args: those of `Adapter`.
    """

    activation: str = "gelu"
    init: str = "near-identity"
    norms: bool = True

    name = "houlsby"

    def places(self, sites: Sites) -> list:
        """(the module the addition follows, the map before it) of every sub-layer."""
        found = []
        for layer in sites:
            blocks = (layer.attention, layer.cross) if layer.cross else (layer.attention,)
            found += [(block.end, block.attention_output.module) for block in blocks]
            found.append((layer.ffn_end, layer.ffn_out.module))
        return found

    def put(self, placement: Placement, place, module: Bottleneck) -> None:
        end, linear = place
        placement.add(end, "adapter", module, beside=linear)
        placement.after(end, _adapt)


@dataclass(frozen=True)
class Pfeiffer(Adapter):
    """One adapter per layer, behind the FFN; half of Houlsby's size.

    With BERT's norm and s = h + residual, the layer's output becomes norm(s + Δh), where
    Δh is computed from norm(s): the pre-trained norm is used twice.

    Args: those of `Adapter`.
    """

    name = "pfeiffer"

    def put(self, placement: Placement, place, module: Bottleneck) -> None:
        if placement.sites.post_norm:
            placement.add(place.norms[-1], "adapter", module)
            placement.before(place.norms[-1], _adapt_the_normed)
        else:
            placement.add(place.module, "adapter", module)
            placement.after(place.module, _adapt_the_sum, first=True)


@dataclass(frozen=True)
class ParallelAdapter(Adapter):
    """One adapter beside each FFN, reading what the FFN reads; starts at exactly zero.

    Args:
        scale: s. The paper's 4 for a bottleneck of 512; it acts like a higher learning rate.
        others: those of `Adapter`.
    """

    init: str = "zero"
    scale: float = 4.0

    name = "parallel-adapter"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.scale > 0, f"ParallelAdapter(scale={self.scale!r}): the scale must be above 0."
        )

    def put(self, placement: Placement, place, module: Bottleneck) -> None:
        ffn = placement.around(place.ffn_out)
        placement.add(ffn, "adapter", module)
        if placement.sites.post_norm:
            placement.before(ffn, _adapt_the_residual)
        else:
            placement.after(ffn, _adapt_beside)


class Bottleneck(nn.Module):
    """Δh = s · (W2 σ(W1 x + b1) + b2), of the shape of x: (..., d).

    `down` is W1 (r, d) and b1, `up` is W2 (d, r) and b2.
    """

    def __init__(
        self, width: int, size: int, *, activation="relu", init="normal", scale=1.0, dropout=0.0
    ):
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        self.activation = activation
        self.init = init
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start values."""
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.bias)
        if self.init == "zero":
            nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
            nn.init.zeros_(self.up.weight)
            return
        for linear in (self.down, self.up):
            if self.init == "near-identity":
                nn.init.trunc_normal_(linear.weight, std=1e-3, a=-2e-3, b=2e-3)
            else:
                nn.init.normal_(linear.weight, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = x.dtype
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.down.weight.dtype)
        inner = ACTIVATIONS[self.activation](self.down(x))  # (..., r)
        return (self.up(self.dropout(inner)) * self.scale).to(given)  # (..., d)

    def extra_repr(self) -> str:
        return f"{self.down.in_features} → {self.down.out_features} → {self.up.out_features}"


def _adapt(end: nn.Module, args, kwargs, h: torch.Tensor) -> torch.Tensor:
    """After a sub-layer, before the addition."""
    return h + end.adapter(h)


def _adapt_the_normed(norm: nn.Module, args, kwargs):
    """Before BERT's last norm, which gets s = h + residual."""
    s = args[0]
    return (s + norm.adapter(norm.forward(s)), *args[1:]), kwargs


def _adapt_the_sum(layer: nn.Module, args, kwargs, output):
    """After a pre-norm layer, whose output is h + residual (in T5 the first of several)."""
    if isinstance(output, tuple):
        return (output[0] + layer.adapter(output[0]), *output[1:])
    return output + layer.adapter(output)


def _adapt_the_residual(end: nn.Module, args, kwargs):
    """Before BERT's end of the layer, norm(ffn_out(z) + x): what is added to x is added to h."""
    z, x = args
    return (z, x + end.adapter(x)), kwargs


def _adapt_beside(ffn: nn.Module, args, kwargs, h: torch.Tensor) -> torch.Tensor:
    """After a pre-norm layer's FFN, h = FFN(x). (T5's dropout comes behind it and drops both.)"""
    return h + ffn.adapter(args[0])


def _norms(sites: Sites) -> list[nn.Module]:
    """Every norm of the PLM: the layers' and those round them."""
    return [norm for layer in sites for norm in layer.norms] + list(sites.norms)
