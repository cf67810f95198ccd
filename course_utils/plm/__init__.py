"""Pre-trained language models: how to get one, and where it can be changed.

`load_plm(name)` gives an ordinary transformers model and tokenizer; `sites(model)` says where a
method of parameter-efficient tuning can act on it. Everything heavy is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from course_utils.plm.names import POCKET_MODELS, SHORT_NAMES

if TYPE_CHECKING:
    from course_utils.plm.architectures import Layer, Site, Sites, sites
    from course_utils.plm.load import head_parameters, load_plm, position_ids

__all__ = [
    "POCKET_MODELS",
    "SHORT_NAMES",
    "Layer",
    "Site",
    "Sites",
    "head_parameters",
    "load_plm",
    "position_ids",
    "sites",
]

_HOME = {
    "load_plm": "load",
    "head_parameters": "load",
    "position_ids": "load",
    "sites": "architectures",
    "Site": "architectures",
    "Sites": "architectures",
    "Layer": "architectures",
}


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"course_utils.plm.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
