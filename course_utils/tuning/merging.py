"""Adding a method's change of weights into the weights: W ← W + ΔW, and exactly back.

Going back by subtracting ΔW would leave rounding errors, so the replaced weights and biases are
kept, on the CPU, for as long as the way back is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.plm.architectures import Site


class WeightChange(NamedTuple):
    """What a method does to the map of one site: ΔW (out, in) and, if any, Δb (out,)."""

    site: Site
    weight: torch.Tensor
    bias: torch.Tensor | None = None


@torch.no_grad()
def merge(model: nn.Module, changes: Iterable[WeightChange]) -> dict[str, torch.Tensor]:
    """Add each ΔW to the weight of its site, and each Δb to its bias.

    Returns:
        The parameters as they were, by name.

    Raises:
        CourseError: a weight belongs to several modules, which would all change. Nothing is
            changed then.
    """
    replaced: dict[str, torch.Tensor] = {}
    try:
        for given in changes:  # one at a time: together they can be as large as the PLM
            site, weight, bias = WeightChange(*given)
            _need_unshared(model, site)
            for name, change in (("weight", weight), ("bias", bias)):
                if change is not None:
                    value = getattr(site.module, name)
                    replaced.setdefault(f"{site.path}.{name}", value.detach().to("cpu", copy=True))
                    _add(site, value, change)
    except BaseException:
        unmerge(model, replaced)
        raise
    return replaced


@torch.no_grad()
def unmerge(model: nn.Module, replaced: dict[str, torch.Tensor]) -> None:
    """Put the parameters back that `merge` replaced, bit for bit."""
    for name, value in replaced.items():
        model.get_parameter(name).copy_(value)


def _add(site: Site, parameter: torch.Tensor, change: torch.Tensor) -> None:
    if site.transposed and change.ndim == 2:
        change = change.T
    if site.columns is not None:  # fused maps are Conv1D: (in, 3d), bias (3d,)
        parameter = parameter[..., slice(*site.columns)]
    parameter.copy_(parameter.to(change.dtype) + change)


def _need_unshared(model: nn.Module, site: Site) -> None:
    others = [
        path
        for path, module in model.named_modules()
        if getattr(module, "weight", None) is site.module.weight and path != site.path
    ]
    if others:
        raise CourseError(
            f"{site.path} shares its weight with {', '.join(others)}; merging would change both. "
            "Keep the method attached."
        )
