"""A course kit on prompting and parameter-efficient fine-tuning.

The calls of the first lesson, all importable from here:

>>> from course_utils import load_plm, load_task, attach, LoRA, train, evaluate
>>> model, tokenizer = load_plm("pocket-bert", head="classifier", num_labels=2)  # doctest: +SKIP
>>> tuned = attach(model, LoRA(rank=8))                                          # doctest: +SKIP

Importing the package costs nothing: torch and transformers load with the first name that
needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Which module each name comes from; the order is the order of a first lesson.
_HOMES = {
    "load_plm": "course_utils.plm",
    "sites": "course_utils.plm",
    "load_task": "course_utils.tasks",
    "Template": "course_utils.prompting",
    "Verbalizer": "course_utils.prompting",
    "PromptModel": "course_utils.prompting",
    "attach": "course_utils.tuning",
    "load_tuned": "course_utils.tuning",
    "LoRA": "course_utils.tuning",
    "SoftPrompt": "course_utils.tuning",
    "FullFineTuning": "course_utils.tuning",
    "HeadOnly": "course_utils.tuning",
    "train": "course_utils.training",
    "TrainSettings": "course_utils.training",
    "evaluate": "course_utils.evaluation",
    "RunRecord": "course_utils.records",
    "CourseError": "course_utils.errors",
}

__all__ = [
    "CourseError",
    "FullFineTuning",
    "HeadOnly",
    "LoRA",
    "PromptModel",
    "RunRecord",
    "SoftPrompt",
    "Template",
    "TrainSettings",
    "Verbalizer",
    "__version__",
    "attach",
    "evaluate",
    "load_plm",
    "load_task",
    "load_tuned",
    "sites",
    "train",
]

if TYPE_CHECKING:  # for editors and type checkers only
    from course_utils.errors import CourseError
    from course_utils.evaluation import evaluate
    from course_utils.plm import load_plm, sites
    from course_utils.prompting import PromptModel, Template, Verbalizer
    from course_utils.records import RunRecord
    from course_utils.tasks import load_task
    from course_utils.training import TrainSettings, train
    from course_utils.tuning import FullFineTuning, HeadOnly, LoRA, SoftPrompt, attach, load_tuned


def __getattr__(name: str) -> object:
    """Load a name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'course_utils' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
