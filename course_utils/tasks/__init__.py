"""Tasks: data, labels, metrics, and how an example becomes a model's input.

from course_utils.tasks import load_task
task = load_task("pocket/sst2")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Task": "task",
    "Prompt": "task",
    "KINDS": "task",
    "NO_LABEL": "task",
    "load_task": "load",
    "TASKS": "load",
    "METRICS": "metrics",
    "score": "metrics",
    "interval": "metrics",
    "binomial_p_value": "metrics",
    "paired_p_value": "metrics",
    "encode": "inputs",
    "collate": "batches",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
