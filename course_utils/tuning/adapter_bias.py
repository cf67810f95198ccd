"""AdapterBias: Parameter-efficient Token-dependent Representation Shift for Adapters in NLP Tasks
(Fu, Chen, Lee and Lee, Findings of NAACL 2022, arXiv:2205.00305).

BitFit moves every token's hidden state by the same vector. AdapterBias keeps one vector v per
layer but lets each token say how far it goes along it:

    Δh = α(z) · v           α(z) = aᵀ z + c                             (paper, sect. 3)

    z: (..., k) -> α(z): (..., 1)        v: (d,)        h ← h + Δh, before the residual addition

A layer costs d + k + 1 numbers: 122,904 in all for BERT-large, a fiftieth of Houlsby's adapters
there. The figure to draw from it is α(z) by token: the words a task turns on get the largest shift.

What z is, and where v starts, differ between the texts and programs of the same authors. The
default is the program published with the paper: z is the FFN's activation, what its second map
reads (k = 4d), and v starts at zero: training starts from exactly the pre-trained model. In the
group's later teaching code z is what that map puts out (k = d), and v starts at ones. Both are
options here, and so is the paper's sharing of one α by all layers. (A vector of ones moves all
features alike, which a LayerNorm takes out again: with BERT and GPT-2 this start too changes
nothing, up to rounding. The RMS norms of T5 and Llama let it through.)

Also trained are the norms that a layer's input has passed: with BERT the one behind the embeddings
and the last of each layer (51,200 numbers for BERT-large). With the norms in front (GPT-2, T5,
Llama), the same are the first of each layer and the one behind the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from course_utils.errors import unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.method import Method, Term, terms_of
from course_utils.tuning.placement import Placement

READS = ("activation", "output")
STARTS = ("zeros", "ones")


@dataclass(frozen=True)
class AdapterBias(Method):
    """Train one vector per layer and how far each token goes along it.

    Args:
        reads: z; "activation", the FFN's inside, of width k = intermediate_size, or "output",
            what its second map makes of that, of width k = d.
        start: v at the start; "zeros" or "ones".
        shared: one α for all layers.
        norms: train the norms named above too.
    """

    reads: str = "activation"
    start: str = "zeros"
    shared: bool = False
    norms: bool = True

    name = "adapter-bias"

    def __post_init__(self) -> None:
        if self.reads not in READS:
            raise unknown_name("AdapterBias input", self.reads, READS)
        if self.start not in STARTS:
            raise unknown_name("AdapterBias start", self.start, STARTS)

    def place(self, placement: Placement) -> None:
        sites = placement.sites
        if self.norms:
            placement.train_in(_norms_on_the_way(sites))
        alpha = None
        for layer in sites:
            linear = layer.ffn_out.module
            if alpha is None or not self.shared:
                alpha = nn.Linear(self._read_width(layer), 1)
            shift = TokenShift(alpha, sites.hidden_size, start=self.start)
            if self.reads == "output":
                placement.add(layer.ffn_end, "adapter_bias", shift, beside=linear)
                placement.after(layer.ffn_end, _shift_by_the_output)
            elif sites.post_norm:
                end = placement.around(layer.ffn_out)
                placement.add(end, "adapter_bias", shift)
                placement.before(end, _shift_the_residual)
            else:
                placement.add(linear, "adapter_bias", shift)
                placement.after(linear, _shift_by_the_input)

    def terms(self, model, sites: Sites) -> list[Term]:
        d, k, n = sites.hidden_size, self._read_width(sites.layers[0]), len(sites)
        if self.shared:
            terms = [Term(f"{n} layers × {d:,} + {k:,} + 1", n * d + k + 1)]
        else:
            terms = [Term(f"{n} layers × ({d:,} + {k:,} + 1)", n * (d + k + 1))]
        return terms + terms_of("norm", _norms_on_the_way(sites)) if self.norms else terms

    def _read_width(self, layer) -> int:
        """k in this layer."""
        site = layer.ffn_out
        return site.in_features if self.reads == "activation" else site.out_features


class TokenShift(nn.Module):
    """Δh = α(z) · v, (..., k) -> (..., d). `alpha` may be another layer's too."""

    def __init__(self, alpha: nn.Linear, width: int, *, start: str = "zeros"):
        super().__init__()
        self.alpha = alpha
        self.v = nn.Parameter(torch.zeros(width) if start == "zeros" else torch.ones(width))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        given = z.dtype
        if not torch.is_autocast_enabled(z.device.type):
            z = z.to(self.v.dtype)
        return (self.alpha(z) * self.v).to(given)  # (..., 1) · (d,)

    def extra_repr(self) -> str:
        return f"α {self.alpha.in_features} → 1, v ({self.v.shape[0]},)"


def _shift_the_residual(end: nn.Module, args, kwargs):
    """Before BERT's end of the layer, norm(dropout(ffn_out(z)) + x): x + Δh shifts the sum, and
    the dropout, as in the paper's program, does not touch the shift."""
    z, x = args
    return (z, x + end.adapter_bias(z)), kwargs


def _shift_by_the_input(linear: nn.Module, args, kwargs, h: torch.Tensor) -> torch.Tensor:
    """After a pre-norm layer's ffn_out, h = W z + b. Here the dropout behind it, in GPT-2 and T5,
    drops the shift along with h."""
    return h + linear.adapter_bias(args[0])


def _shift_by_the_output(end: nn.Module, args, kwargs, h: torch.Tensor) -> torch.Tensor:
    """After the FFN's dropout, which reads ffn_out's output; or after ffn_out where none is."""
    return h + end.adapter_bias(args[0] if isinstance(end, nn.Dropout) else h)


def _norms_on_the_way(sites: Sites) -> list[nn.Module]:
    place = -1 if sites.post_norm else 0
    return [layer.norms[place] for layer in sites] + list(sites.norms)
