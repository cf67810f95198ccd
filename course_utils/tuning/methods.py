"""The methods by name, for the command line and for reading `method.json`."""

from __future__ import annotations

import dataclasses

from course_utils.errors import CourseError, unknown_name
from course_utils.tuning.adamix import AdaMix
from course_utils.tuning.adapter_bias import AdapterBias
from course_utils.tuning.adapters import Houlsby, ParallelAdapter, Pfeiffer
from course_utils.tuning.baselines import FullFineTuning, HeadOnly
from course_utils.tuning.bitfit import BitFit
from course_utils.tuning.ia3 import IA3
from course_utils.tuning.lora import LoRA
from course_utils.tuning.method import Method
from course_utils.tuning.p_tuning import PTuning
from course_utils.tuning.p_tuning_v2 import PTuningV2
from course_utils.tuning.prefix import PrefixTuning
from course_utils.tuning.qlora import QLoRA
from course_utils.tuning.soft_prompt import SoftPrompt
from course_utils.tuning.top_layers import TopLayers
from course_utils.tuning.unipelt import UniPELT

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        FullFineTuning,
        HeadOnly,
        TopLayers,
        Houlsby,
        Pfeiffer,
        ParallelAdapter,
        AdaMix,
        AdapterBias,
        BitFit,
        LoRA,
        QLoRA,
        IA3,
        SoftPrompt,
        PTuning,
        PrefixTuning,
        PTuningV2,
        UniPELT,
    )
}


def method_named(name: str, **settings) -> Method:
    """The method called `name` with these hyper-parameters.

    >>> method_named("lora", rank=4)
    LoRA(rank=4, alpha=16, dropout=0.0, sites=('query', 'value'))

    Raises:
        CourseError: an unknown method or hyper-parameter, or a value the method refuses.
    """
    key = str(name).lower().replace("_", "-")
    if key not in METHODS:
        raise unknown_name("method", name, METHODS)
    method = METHODS[key]
    known = [field.name for field in dataclasses.fields(method)]
    for setting in settings:
        if setting not in known:
            if not known:
                raise CourseError(f"{method.__name__} has no hyper-parameters; got {setting!r}.")
            raise unknown_name(f"hyper-parameter of {method.__name__}", setting, known)
    return method(**settings)
