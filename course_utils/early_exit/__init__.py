"""Early exit: easy texts leave a PLM after a few layers, hard ones use all of them.

    exits = EarlyExit(model)                       # an exit behind every layer of a classifier
    train_exits(exits, task, tokenizer=tokenizer, training="joint")
    exits.rule = Entropy(0.3)                      # from now on exits(**batch) leaves early
    ask_exits(exits, task, tokenizer=tokenizer).sweep("entropy")   # score against layers used

Everything heavy is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.early_exit.answers import ExitAnswers, ExitPoint, ask_exits, most_saved
    from course_utils.early_exit.exits import EarlyExit, ExitOutput
    from course_utils.early_exit.objectives import (
        AlternatingExits,
        ConfidenceOnly,
        InnerExits,
        JointExits,
        LastExit,
    )
    from course_utils.early_exit.rules import Entropy, LearnedConfidence, Patience
    from course_utils.early_exit.saving import load_exits, save_exits
    from course_utils.early_exit.training import train_exits

_HOMES = {
    "AlternatingExits": "objectives",
    "ConfidenceOnly": "objectives",
    "EarlyExit": "exits",
    "Entropy": "rules",
    "ExitAnswers": "answers",
    "ExitOutput": "exits",
    "ExitPoint": "answers",
    "InnerExits": "objectives",
    "JointExits": "objectives",
    "LastExit": "objectives",
    "LearnedConfidence": "rules",
    "Patience": "rules",
    "ask_exits": "answers",
    "load_exits": "saving",
    "most_saved": "answers",
    "save_exits": "saving",
    "train_exits": "training",
}

__all__ = [
    "AlternatingExits",
    "ConfidenceOnly",
    "EarlyExit",
    "Entropy",
    "ExitAnswers",
    "ExitOutput",
    "ExitPoint",
    "InnerExits",
    "JointExits",
    "LastExit",
    "LearnedConfidence",
    "Patience",
    "ask_exits",
    "load_exits",
    "most_saved",
    "save_exits",
    "train_exits",
]


def __getattr__(name: str) -> object:
    """Load a name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
