"""Magnitude pruning: the weights nearest to zero become zero (Han et al. 2015, arXiv:1506.02626).

    M_ij = 1 where |W_ij| is among the largest (1 - share) of its group, else 0;    W <- M * W

The group is a single matrix ("layer": each loses the same share) or all matrices together
("global": those with small weights lose more). Pruned are the six maps of every layer, single
weights anywhere in them; embeddings, norms, biases and head stay.

A dense matrix with zeros is multiplied as fast as one without, and takes as much room: on ordinary
hardware this pruning saves nothing by itself. What falls is the room of a sparse file, and how many
parameters there really are. To become faster, whole heads or layers have to go.

Left out: movement pruning (Sanh et al. 2020), which asks where weights move while fine-tuning and
is better for PLMs at high shares, and structured pruning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import ROLES, Site
from course_utils.plm.architectures import sites as sites_of

SCOPES = ("global", "layer")


@dataclass(frozen=True)
class MagnitudePruning:
    """share: of the weights of the maps that become zero. scope: "global" or "layer"."""

    share: float
    scope: str = "global"

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise CourseError(f"pruning {self.share!r} of the weights: a share, 0 to below 1.")
        if self.scope not in SCOPES:
            raise unknown_name("scope of pruning", self.scope, SCOPES)


class Pruned(nn.Module):
    """A PLM some of whose weights are zero and stay zero while it is trained.

    The PLM itself is changed and can be used, evaluated and saved as it is. The wrapper is for
    training: it holds the masks, and no pruned weight gets a gradient, so that an optimizer made
    now leaves it at zero.

    Attributes:
        model: the PLM. method: how it was pruned.
    """

    def __init__(self, model: PreTrainedModel, method: MagnitudePruning) -> None:
        super().__init__()
        self.model = model
        self.method = method
        self.masks = _masks(model, method)
        self._hooks = []
        for name, mask in self.masks.items():
            weight = model.get_parameter(name)
            with torch.no_grad():
                weight.mul_(mask)
            if weight.requires_grad:
                self._hooks.append(weight.register_hook(_Stay(mask)))
        self.train(model.training)

    def forward(self, *args, **batch):
        return self.model(*args, **batch)

    @property
    def config(self):
        return self.model.config

    def total(self) -> int:
        """Parameters of the PLM, zeros too."""
        return sum(p.numel() for p in self.model.parameters())

    def release(self) -> PreTrainedModel:
        """The PLM, zeros in place; from now on training moves them again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        return self.model


class _Stay:
    """A gradient hook: nothing for what is pruned."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def __call__(self, gradient: Tensor) -> Tensor:
        self.mask = self.mask.to(gradient.device)
        return gradient * self.mask


def prune(model: PreTrainedModel, share: float, scope: str = "global") -> Pruned:
    """Set the smallest weights of the model's layers to zero, in place.

    Args:
        share: of the weights of all query, key, value, output and FFN maps; what is zero already
            counts, so pruning again to a larger share goes on from the smaller one.
        scope: "global" compares all of them, "layer" each matrix by itself.

    Returns:
        The model in a wrapper to train it by; `pruned.model` is the model.

    Raises:
        CourseError: a share outside 0 to 1, an unknown scope, or an architecture or wrapper whose
            maps are not known. The model is then unchanged.
    """
    method = MagnitudePruning(share, scope)
    if not isinstance(model, PreTrainedModel):
        raise CourseError(
            f"prune needs the transformers model from load_plm, not {type(model).__name__}. Of a "
            "tuned model give tuned.merge()."
        )
    if getattr(model, "tuned_with", None) is not None:
        raise CourseError(
            f"{type(model).__name__} carries {model.tuned_with}: detach or merge it first."
        )
    return Pruned(model, method)


def sparsity(model: nn.Module) -> list[dict]:
    """Rows {layer, map, weights, zeros, share}: where the zeros are, one row per map."""
    rows = []
    for layer in sites_of(model):
        for role in ROLES:
            for site in layer.at(role):
                part = _part(site.module.weight, site)
                zeros = int((part == 0).sum())
                rows.append(
                    {
                        "layer": f"{layer.stack} {layer.index}",
                        "map": role,
                        "weights": part.numel(),
                        "zeros": zeros,
                        "share": zeros / part.numel(),
                    }
                )
    return rows


def _masks(model: nn.Module, method: MagnitudePruning) -> dict[str, Tensor]:
    """Parameter name -> 0 and 1 in its shape; a weight that layers share has one mask."""
    names = {id(p): name for name, p in model.named_parameters()}
    maps = list(_maps(model))
    sizes = [_part(site.module.weight.detach(), site).abs() for site in maps]
    keeps = _kept(sizes, method)
    masks: dict[str, Tensor] = {}
    for site, keep in zip(maps, keeps, strict=True):
        weight = site.module.weight
        mask = masks.setdefault(names[id(weight)], torch.ones_like(weight, requires_grad=False))
        _part(mask, site).copy_(keep)
    return masks


def _maps(model: nn.Module) -> Iterator[Site]:
    """The maps to prune, each weight once where layers share theirs."""
    seen = set()
    for site in sites_of(model).at(*ROLES):
        key = (id(site.module.weight), site.columns)
        if key not in seen:
            seen.add(key)
            yield site


def _part(weight: Tensor, site: Site) -> Tensor:
    """The site's own part of a weight; of a fused map, (d, 3d), a third of the columns."""
    return weight if site.columns is None else weight[:, slice(*site.columns)]


def _kept(sizes: list[Tensor], method: MagnitudePruning) -> list[Tensor]:
    """Masks that drop exactly floor(share · count) of each group, the smallest."""
    groups = [sizes] if method.scope == "global" else [[one] for one in sizes]
    kept = []
    for group in groups:
        flat = torch.cat([one.flatten() for one in group]).float()
        keep = _largest(flat, int(method.share * len(flat)))
        parts = keep.split([one.numel() for one in group])
        kept += [part.view_as(one) for part, one in zip(parts, group, strict=True)]
    return kept


def _largest(flat: Tensor, drop: int) -> Tensor:
    """(n,) booleans: all but the `drop` smallest; of equal ones the first are dropped."""
    if drop == 0:
        return torch.ones_like(flat, dtype=torch.bool)
    limit = flat.kthvalue(drop).values
    keep = flat > limit
    equal = (flat == limit).nonzero().squeeze(1)
    keep[equal[drop - int((flat < limit).sum()) :]] = True
    return keep
