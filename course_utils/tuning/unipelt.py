"""UniPELT: A Unified Framework for Parameter-Efficient Language Model Tuning (Mao et al., ACL 2022,
arXiv:2110.07577).

Which method is best changes with the task and with the number of examples. UniPELT takes several
at once, in every layer, and lets the text decide how much of each, by a gate g between 0 and 1:

    g = mean over the tokens of sigmoid(w·x + b)        x: (B, T, d), what the layer reads -> (B,)

    adapter   Δh = g · W2 σ(W1 h)                 LoRA    Δh = g · B A x      (in place of α / r)
    prefix    a = softmax(q [g P_k; K]ᵀ / √d_h) [g P_v; V]

A gate costs d + 1 numbers. "AP" has adapters and prefixes, "APL" (the paper's best) LoRA as well.
The parts are those of adapters.py (Pfeiffer's place), prefix.py and lora.py, with their papers'
sizes: r = d / 16, P = 10, rank 8. After training the prefix's MLP is thrown away, as there.

The mean is over a text's own tokens; the authors' program counts padding too, so that a row's
answer depends on its neighbours. It needs the whole text at once: a causal PLM, which may not look
ahead, has no such gate, and neither has a decoder. So encoders only, as in the paper.

It cannot be merged: g differs from text to text. Nor does it start from exactly the pre-trained
model, since adapter and prefix do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.adapters import Bottleneck, Pfeiffer
from course_utils.tuning.keys_and_values import attention_blocks, put_in_front
from course_utils.tuning.lora import LoRA, LowRankUpdate
from course_utils.tuning.method import Method, Term
from course_utils.tuning.placement import Placement
from course_utils.tuning.prefix import FromMLP, KeysAndValues, PrefixTuning, Trunk, start_small

PARTS = {"AP": ("adapter", "prefix"), "APL": ("adapter", "prefix", "lora")}


@dataclass(frozen=True)
class UniPELT(Method):
    """Train adapters, prefixes and LoRA together, each behind a gate.

    Args:
        parts: "AP" or "APL".
        bottleneck: r of the adapters; 0 takes it from `reduction`.
        reduction: r = d // reduction.
        length: P of the prefixes.
        mlp: width of the prefixes' re-parametrisation; 0 is none.
        rank: of LoRA, at query and value.
    """

    parts: str = "APL"
    bottleneck: int = 0
    reduction: int = 16
    length: int = 10
    mlp: int = 512
    rank: int = 8

    name = "unipelt"

    def __post_init__(self) -> None:
        if self.parts not in PARTS:
            raise unknown_name("UniPELT parts", self.parts, PARTS)
        self.adapter, self.prefix, self.lora  # noqa: B018 - their own checks of the numbers

    @property
    def adapter(self) -> Pfeiffer:
        return Pfeiffer(bottleneck=self.bottleneck, reduction=self.reduction)

    @property
    def prefix(self) -> PrefixTuning:
        return PrefixTuning(length=self.length, mlp=self.mlp)

    @property
    def lora(self) -> LoRA:
        return LoRA(rank=self.rank)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The parts as methods of their own."""
        return tuple(getattr(self, part) for part in PARTS[self.parts])

    @property
    def extra_tokens(self) -> int:
        return self.length

    def check(self, model, sites: Sites) -> None:
        if sites.kind != "encoder":
            raise CourseError(
                f"UniPELT weighs its parts by the whole text, which {type(model).__name__} may not "
                "see at once. It tunes encoders (BERT, RoBERTa); elsewhere take one of its parts."
            )
        for method in self.methods:
            method.check(model, sites)

    def place(self, placement: Placement) -> None:
        sites, d = placement.sites, placement.sites.hidden_size
        blocks = attention_blocks(sites)
        trunk = Trunk(self.length, d, self.mlp) if self.mlp else None
        prefixes = []
        for layer, (_, block) in zip(sites, blocks, strict=True):
            gates = Gates(d, PARTS[self.parts])
            host = placement.around(block.key)
            placement.add(host, "gates", gates)
            placement.before(host, _open_gates)
            prefixes.append(self._prefix(trunk, block.key.out_features, gates))
            adapter = GatedAdapter(gates, d, self.adapter.size(sites))
            self.adapter.put(placement, layer, adapter)
            if "lora" in gates.parts:
                for site in (block.query, block.value):
                    shape = (site.in_features, site.out_features)
                    update = GatedUpdate(gates, *shape, rank=self.rank)
                    placement.change(site, "lora", update)
        if not self.mlp and not placement.loading:
            start_small(prefixes)
        put_in_front(placement, blocks, prefixes)

    def _prefix(self, trunk: Trunk | None, width: int, gates: Gates):
        if trunk is None:
            return GatedKeysAndValues(gates, self.length, width)
        return GatedFromMLP(gates, trunk, width, dropout=0.0, cross=False)

    def terms(self, model, sites: Sites) -> list[Term]:
        d, gates = sites.hidden_size, len(sites) * len(PARTS[self.parts])
        own = [Term(f"{gates} gates × ({d:,} + 1)", gates * (d + 1))]
        return own + [term for method in self.methods for term in method.terms(model, sites)]

    def kept(self, placement: Placement) -> tuple[Method, dict[str, torch.Tensor]]:
        """All but the prefixes' MLP, of which the keys and values are kept that it makes."""
        _, made = self.prefix.kept(placement)
        _, tensors = super().kept(placement)
        kept = {name: t for name, t in tensors.items() if "prefix" not in name.split(".")}
        return replace(self, mlp=0), kept | made


class Gates(nn.Module):
    """The gates of one layer: x (B, T, d) -> for each part (B, 1, 1).

    `open` holds them from the layer's attention, which comes first, to its adapter, the last.
    """

    def __init__(self, width: int, parts: Sequence[str]):
        super().__init__()
        self.parts = tuple(parts)
        self.linear = nn.Linear(width, len(self.parts))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.open: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor, real: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """
        Args:
            x: (B, T, d)
            real: (B, T), True where there is a token; None where all are.
        """
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.linear.weight.dtype)
        each = torch.sigmoid(self.linear(x))  # (B, T, parts)
        if real is None:
            means = each.mean(1)
        else:
            real = real.unsqueeze(-1).to(each.dtype)
            means = (each * real).sum(1) / real.sum(1).clamp(min=1)  # (B, parts)
        return {part: means[:, i, None, None] for i, part in enumerate(self.parts)}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"open": {}}  # a copy of the PLM is a copy between two texts


class Gated:
    """A module that multiplies by its layer's gate. It reads the gates; they are not its own."""

    def __init__(self, gates: Gates, *args, **settings):
        super().__init__(*args, **settings)
        self.__dict__["gates"] = gates  # no child: a module has one place in the PLM


class GatedAdapter(Gated, Bottleneck):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, self.gates.open = self.gates.open["adapter"], {}
        return super().forward(x) * gate.to(x.dtype)  # (B, T, d)


class GatedUpdate(Gated, LowRankUpdate):
    def __init__(self, gates: Gates, in_features: int, out_features: int, *, rank: int):
        super().__init__(gates, in_features, out_features, rank=rank, scale=1.0)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return super().forward(x, h) * self.gates.open["lora"]


class _GatedPrefix(Gated):
    def forward(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gate = self.gates.open["prefix"].unsqueeze(-1).to(keys.dtype)  # (B, 1, 1, 1)
        both, length = super().forward(keys, values), self.length
        return tuple(torch.cat((gate * t[:, :, :length], t[:, :, length:]), dim=2) for t in both)


class GatedKeysAndValues(_GatedPrefix, KeysAndValues):
    """A prefix block's table behind a gate."""


class GatedFromMLP(_GatedPrefix, FromMLP):
    """A prefix block's MLP behind a gate."""


def _open_gates(host: nn.Module, args, kwargs):
    """Before an attention block, which reads x: compute the layer's gates."""
    x = args[0] if args else kwargs["hidden_states"]
    mask = kwargs.get("mask" if "mask" in kwargs else "attention_mask")  # T5, the others
    real = None
    if mask is not None:  # (B, 1, T or 1, T): what the first token may attend to
        first = mask[:, 0, 0]
        real = first if first.dtype == torch.bool else first == 0
    host.gates.open = host.gates(x, real)
    return args, kwargs
