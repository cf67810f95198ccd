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
    from course_utils.tuning.adamix import AdaMix
    from course_utils.tuning.adapter_bias import AdapterBias
    from course_utils.tuning.adapters import Houlsby, ParallelAdapter, Pfeiffer
    from course_utils.tuning.attaching import attach, finished, load_tuned
    from course_utils.tuning.baselines import FullFineTuning, HeadOnly
    from course_utils.tuning.bitfit import BitFit
    from course_utils.tuning.ia3 import IA3
    from course_utils.tuning.lora import LoRA
    from course_utils.tuning.method import Method
    from course_utils.tuning.methods import METHODS, method_named
    from course_utils.tuning.p_tuning import PTuning
    from course_utils.tuning.p_tuning_v2 import PTuningV2
    from course_utils.tuning.prefix import PrefixTuning
    from course_utils.tuning.qlora import QLoRA
    from course_utils.tuning.several_tasks import SeveralTasks
    from course_utils.tuning.soft_prompt import SoftPrompt
    from course_utils.tuning.top_layers import TopLayers
    from course_utils.tuning.tuned import Tuned
    from course_utils.tuning.unipelt import UniPELT

_HOMES = {
    "attach": "attaching",
    "finished": "attaching",
    "load_tuned": "attaching",
    "AdaMix": "adamix",
    "AdapterBias": "adapter_bias",
    "BitFit": "bitfit",
    "FullFineTuning": "baselines",
    "HeadOnly": "baselines",
    "Houlsby": "adapters",
    "IA3": "ia3",
    "LoRA": "lora",
    "METHODS": "methods",
    "Method": "method",
    "PTuning": "p_tuning",
    "PTuningV2": "p_tuning_v2",
    "ParallelAdapter": "adapters",
    "Pfeiffer": "adapters",
    "PrefixTuning": "prefix",
    "QLoRA": "qlora",
    "SeveralTasks": "several_tasks",
    "SoftPrompt": "soft_prompt",
    "TopLayers": "top_layers",
    "Tuned": "tuned",
    "UniPELT": "unipelt",
    "method_named": "methods",
}

__all__ = [
    "IA3",
    "METHODS",
    "AdaMix",
    "AdapterBias",
    "BitFit",
    "FullFineTuning",
    "HeadOnly",
    "Houlsby",
    "LoRA",
    "Method",
    "PTuning",
    "PTuningV2",
    "ParallelAdapter",
    "Pfeiffer",
    "PrefixTuning",
    "QLoRA",
    "SeveralTasks",
    "SoftPrompt",
    "TopLayers",
    "Tuned",
    "UniPELT",
    "attach",
    "finished",
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
