"""Smaller models: what else makes a PLM cheaper, beside tuning few parameters of it.

    distil(student, teacher, task, tokenizer=tokenizer)    a small PLM learns a large one's answers
    fewer_layers(model, 2)                                 a student made of some of its layers
    prune(model, 0.5)                                      half of the weights become zero
    share_layers(model)                                    one layer's weights at every depth
    cost(model, task, tokenizer=tokenizer)                 size, score and speed, as one row

Everything heavy is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.compression.costs import cost
    from course_utils.compression.distillation import Distillation, distil
    from course_utils.compression.gradual import PruningRound, prune_gradually, shares
    from course_utils.compression.layers import fewer_layers, share_layers
    from course_utils.compression.pruning import MagnitudePruning, Pruned, prune, sparsity

_HOMES = {
    "Distillation": "distillation",
    "MagnitudePruning": "pruning",
    "Pruned": "pruning",
    "PruningRound": "gradual",
    "cost": "costs",
    "distil": "distillation",
    "fewer_layers": "layers",
    "prune": "pruning",
    "prune_gradually": "gradual",
    "share_layers": "layers",
    "shares": "gradual",
    "sparsity": "pruning",
}

__all__ = [
    "Distillation",
    "MagnitudePruning",
    "Pruned",
    "PruningRound",
    "cost",
    "distil",
    "fewer_layers",
    "prune",
    "prune_gradually",
    "share_layers",
    "shares",
    "sparsity",
]


def __getattr__(name: str) -> object:
    """Load a name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
