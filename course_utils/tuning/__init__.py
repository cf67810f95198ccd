"""Parameter-efficient tuning: small trained modules at the sites of a frozen PLM.

    tuned = attach(model, LoRA(rank=8))      # then train tuned like any model
    tuned.save("my-lora")                    # a few KB: the method's tensors and the head
    model = tuned.detach()                   # the very model that came in, bit for bit

One file per method. Everything heavy is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.tuning.adapter_bias import AdapterBias
    from course_utils.tuning.adapters import Houlsby, ParallelAdapter, Pfeiffer
    from course_utils.tuning.attaching import attach, load_tuned
    from course_utils.tuning.baselines import FullFineTuning, HeadOnly
    from course_utils.tuning.bitfit import BitFit
    from course_utils.tuning.ia3 import IA3
    from course_utils.tuning.lora import LoRA
    from course_utils.tuning.method import Method
    from course_utils.tuning.methods import METHODS, method_named
    from course_utils.tuning.soft_prompt import SoftPrompt
    from course_utils.tuning.top_layers import TopLayers
    from course_utils.tuning.tuned import Tuned

_HOMES = {
    "attach": "attaching",
    "load_tuned": "attaching",
    "AdapterBias": "adapter_bias",
    "BitFit": "bitfit",
    "FullFineTuning": "baselines",
    "HeadOnly": "baselines",
    "Houlsby": "adapters",
    "IA3": "ia3",
    "LoRA": "lora",
    "METHODS": "methods",
    "Method": "method",
    "ParallelAdapter": "adapters",
    "Pfeiffer": "adapters",
    "SoftPrompt": "soft_prompt",
    "TopLayers": "top_layers",
    "Tuned": "tuned",
    "method_named": "methods",
}

__all__ = [
    "IA3",
    "METHODS",
    "AdapterBias",
    "BitFit",
    "FullFineTuning",
    "HeadOnly",
    "Houlsby",
    "LoRA",
    "Method",
    "ParallelAdapter",
    "Pfeiffer",
    "SoftPrompt",
    "TopLayers",
    "Tuned",
    "attach",
    "load_tuned",
    "method_named",
]


def __getattr__(name: str) -> object:
    """Load a name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
