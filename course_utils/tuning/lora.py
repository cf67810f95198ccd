"""LoRA: Low-Rank Adaptation of Large Language Models (Hu et al., 2021, arXiv:2106.09685).

Fine-tuning a map W moves it to W + ΔW. LoRA's guess: ΔW needs only a low rank r. So freeze W and
learn two thin matrices whose product is ΔW,

    h = W x + b + (α / r) · B A dropout(x)          A: (r, in)    B: (out, r)      (paper, eq. 3)

A starts random and B at zero: the product is zero, so training starts from exactly the pre-trained
model. A cost of r · (in + out) replaces in · out: for BERT-base's maps and r = 8, 2 %.

α / r scales the change so that the learning rate need not follow r. After training,
W + (α / r) B A can be computed once (`tuned.merge()`): then LoRA costs nothing at inference, which
no adapter can say.

The paper adapts the query and value maps of each attention; here any of a layer's six maps can be
chosen. "query" stands for the cross-attention's query too where there is one, and "ffn_in" for
both ways into a gated FFN. Where query, key and value are fused into one map, as in GPT-2, each is
adapted by itself, as the paper has it. "embeddings" adapts the word embeddings (paper's code): A
is then looked up instead of multiplied, and it is A that starts at zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import ROLES
from course_utils.tuning.merging import WeightChange
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement

PLACES = (*ROLES, "embeddings")


@dataclass(frozen=True)
class LoRA(Method):
    """Train a rank-r change of chosen maps.

    Args:
        rank: r, at most the smaller side of a map.
        alpha: α; the change is multiplied by α / r.
        dropout: probability of dropping an input of A while training.
        sites: which maps, from "query", "key", "value", "attention_output", "ffn_in", "ffn_out"
            and "embeddings".
    """

    rank: int = 8
    alpha: float = 16
    dropout: float = 0.0
    sites: tuple[str, ...] = ("query", "value")

    name = "lora"

    def __post_init__(self) -> None:
        name = type(self).__name__
        sites = (self.sites,) if isinstance(self.sites, str) else tuple(self.sites)
        object.__setattr__(self, "sites", sites)
        require(
            isinstance(self.rank, int) and self.rank >= 1,
            f"{name}(rank={self.rank!r}): the rank is a whole number from 1 on.",
        )
        require(self.alpha > 0, f"{name}(alpha={self.alpha!r}): alpha must be above 0.")
        require(
            0 <= self.dropout < 1,
            f"{name}(dropout={self.dropout!r}): dropout is a probability from 0 to below 1.",
        )
        require(bool(sites), f"{name}(sites=()): choose at least one of {', '.join(PLACES)}.")
        for site in sites:
            if site not in PLACES:
                raise unknown_name(f"{name} site", site, PLACES)
        require(len(set(sites)) == len(sites), f"{name}(sites={sites}): a site is named twice.")

    def check(self, model, sites) -> None:
        for site in sites.at(*self.sites):
            if self.rank > min(site.in_features, site.out_features):
                raise CourseError(
                    f"{type(self).__name__}(rank={self.rank}) at {site.path}: that map is "
                    f"{site.out_features} x {site.in_features}, so no change of it has a higher "
                    f"rank than {min(site.in_features, site.out_features)}."
                )

    def place(self, placement: Placement) -> None:
        for site in placement.sites.at(*self.sites):
            update = EmbeddingUpdate if site.role == "embeddings" else LowRankUpdate
            module = update(
                site.in_features,
                site.out_features,
                rank=self.rank,
                scale=self.alpha / self.rank,
                dropout=self.dropout,
            )
            name = "lora" if site.columns is None else f"lora_{site.role}"
            placement.change(site, name, module)

    def terms(self, model, sites) -> list[Term]:
        shapes = Counter((s.in_features, s.out_features) for s in sites.at(*self.sites))
        return [
            Term(f"{n} maps × {self.rank}·({i:,} + {o:,})", n * self.rank * (i + o))
            for (i, o), n in shapes.items()
        ]

    def weight_changes(self, placement: Placement) -> Iterator[WeightChange]:
        for site, update in placement.at_sites():
            yield WeightChange(site, update.weight_change())


class LowRankUpdate(nn.Module):
    """Δh = (α / r) · B A dropout(x), the change at one map. Zero at the start, since B is.

    Shapes: x (..., in) -> (..., out); A (r, in); B (out, r).
    """

    def __init__(
        self, in_features: int, out_features: int, *, rank: int, scale: float, dropout=0.0
    ):
        super().__init__()
        self.A = nn.Parameter(torch.empty(rank, in_features))
        self.B = nn.Parameter(torch.empty(out_features, rank))
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start values."""
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        nn.init.zeros_(self.B)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """The change of h = W x + b that x asks for. h itself is not looked at."""
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.A.dtype)
        low = F.linear(self.dropout(x), self.A)  # (..., r)
        return F.linear(low * self.scale, self.B)  # (..., out)

    def weight_change(self) -> torch.Tensor:
        """ΔW = (α / r) · B A, of shape (out, in)."""
        return (self.B @ self.A) * self.scale

    def extra_repr(self) -> str:
        return f"A {tuple(self.A.shape)}, B {tuple(self.B.shape)}, scale {self.scale:g}"


class EmbeddingUpdate(LowRankUpdate):
    """Δe = (α / r) · B A[:, id], the change of a word's embedding. Zero at the start, since A is.

    Shapes: ids (...) -> (..., d); A (r, V); B (d, r). There is nothing to drop out of an id.
    """

    def __init__(
        self, in_features: int, out_features: int, *, rank: int, scale: float, dropout=0.0
    ):
        super().__init__(in_features, out_features, rank=rank, scale=scale)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.A)
        nn.init.normal_(self.B)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        low = F.embedding(x, self.A.T)  # (..., r)
        return F.linear(low * self.scale, self.B)  # (..., d)
