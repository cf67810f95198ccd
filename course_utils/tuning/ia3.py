"""(IA)³: Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning
(Liu et al., NeurIPS 2022, arXiv:2205.05638): "infused adapter by inhibiting and amplifying inner
activations".

Three vectors per layer turn single features up or down:

    softmax(q (l_k ⊙ k)ᵀ / √d_head) (l_v ⊙ v)           keys and values        (paper, sect. 3.3)
    W2 (l_ff ⊙ σ(W1 x))                                 inside of the FFN

All start at one: exactly the pre-trained model. In the course's picture Δh = (l - 1) ⊙ h, a change
that can only rescale what is there, where LoRA's can turn it. A layer costs d_k + d_v + d_ff
numbers, and those of the cross-attention where there is one; for RoBERTa-large 147,456 in all.

Scaling the output of a linear map scales the rows of W and b; scaling its input scales the columns
of W. So the vectors can be merged, and then cost nothing at inference.

In a gated FFN, W2 (σ(W_g x) ⊙ W_u x), the product is scaled. The paper's own program scales W_u x,
which is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from course_utils.errors import unknown_name
from course_utils.plm.architectures import Site, Sites
from course_utils.tuning.merging import WeightChange
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement

PLACES = ("key", "value", "ffn")


@dataclass(frozen=True)
class IA3(Method):
    """Train factors for keys, values and the inside of each FFN.

    Args:
        sites: which of "key", "value" and "ffn".
    """

    sites: tuple[str, ...] = PLACES

    name = "ia3"

    def __post_init__(self) -> None:
        sites = (self.sites,) if isinstance(self.sites, str) else tuple(self.sites)
        object.__setattr__(self, "sites", sites)
        require(bool(sites), f"IA3(sites=()): choose at least one of {', '.join(PLACES)}.")
        for site in sites:
            if site not in PLACES:
                raise unknown_name("IA3 site", site, PLACES)
        require(len(set(sites)) == len(sites), f"IA3(sites={sites}): a site is named twice.")

    def place(self, placement: Placement) -> None:
        for site, width in self._scaled(placement.sites):
            name = "ia3" if site.columns is None else f"ia3_{site.role}"
            if site.role == "ffn_out":
                placement.add(site.module, name, Rescaling(width))
                placement.before(site.module, _rescale_the_input)
            else:
                placement.change(site, name, Rescaling(width))

    def terms(self, model, sites: Sites) -> list[Term]:
        widths = Counter(width for _, width in self._scaled(sites))
        return [Term(f"{n} vectors × {width:,}", n * width) for width, n in widths.items()]

    def weight_changes(self, placement: Placement) -> Iterator[WeightChange]:
        for site, _ in self._scaled(placement.sites):
            name = "ia3" if site.columns is None else f"ia3_{site.role}"
            change = getattr(site.module, name).change()  # l - 1
            weight, bias = _weight_and_bias(site)
            if site.role == "ffn_out":
                yield WeightChange(site, weight.to(change.dtype) * change)
            else:
                scaled = None if bias is None else bias.to(change.dtype) * change
                yield WeightChange(site, weight.to(change.dtype) * change[:, None], scaled)

    def _scaled(self, sites: Sites) -> Iterator[tuple[Site, int]]:
        """Each scaled site with the length of its vector; of "ffn" it is ffn_out's input."""
        for place in self.sites:
            if place == "ffn":
                yield from ((site, site.in_features) for site in sites.at("ffn_out"))
            else:
                yield from ((site, site.out_features) for site in sites.at(place))


class Rescaling(nn.Module):
    """Δh = (l - 1) ⊙ h, of the shape of h: (..., n); l is `factors` (n,) and starts at one."""

    def __init__(self, width: int):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(width))

    def change(self) -> torch.Tensor:
        """l - 1, (n,)."""
        return self.factors - 1

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """The change of h; x, which h was computed from, is not looked at."""
        return self.change() * h

    def extra_repr(self) -> str:
        return f"({self.factors.shape[0]},)"


def _rescale_the_input(linear: nn.Module, args, kwargs):
    """Before the FFN's second map, which reads the activation."""
    h = args[0]
    return (h + linear.ia3(None, h).to(h.dtype), *args[1:]), kwargs


def _weight_and_bias(site: Site) -> tuple[torch.Tensor, torch.Tensor | None]:
    """W (out, in) and b (out,) of a site, whatever way they are stored."""
    weight, bias = site.module.weight.detach(), site.module.bias
    weight = weight.T if site.transposed else weight
    if site.columns is None:
        return weight, bias
    part = slice(*site.columns)
    return weight[part], bias[part]
