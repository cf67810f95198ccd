"""Adding a method's change of weights into the weights: W ← W + ΔW, and exactly back.

Going back by subtracting ΔW would leave rounding errors, so the replaced weights are kept, on the
CPU, for as long as the way back is open.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.plm.architectures import Site


@torch.no_grad()
def merge(model: nn.Module, changes: Iterable[tuple[Site, torch.Tensor]]) -> dict:
    """Add each ΔW (out, in) to the weight of its site.

    Returns:
        The weights as they were, by the path of their module.

    Raises:
        CourseError: a weight belongs to several modules, which would all change. Nothing is
            changed then.
    """
    changes = list(changes)
    for site, _ in changes:
        _need_unshared(model, site)
    replaced: dict[str, torch.Tensor] = {}
    for site, change in changes:
        weight = site.module.weight
        if site.path not in replaced:
            replaced[site.path] = weight.detach().to("cpu", copy=True)
        if site.transposed:
            change = change.T
        if site.columns is not None:  # fused maps are Conv1D: (in, 3d)
            weight = weight[:, slice(*site.columns)]
        weight.copy_(weight.to(change.dtype) + change)
    return replaced


@torch.no_grad()
def unmerge(model: nn.Module, replaced: dict[str, torch.Tensor]) -> None:
    """Put the weights back that `merge` replaced, bit for bit."""
    for path, weight in replaced.items():
        model.get_submodule(path).weight.copy_(weight)


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
