"""The methods and PLMs that every promise is tried on."""

from __future__ import annotations

import pytest
import torch

from course_utils.tuning import (
    IA3,
    AdaMix,
    AdapterBias,
    BitFit,
    FullFineTuning,
    HeadOnly,
    Houlsby,
    LoRA,
    ParallelAdapter,
    Pfeiffer,
    PrefixTuning,
    PTuning,
    PTuningV2,
    QLoRA,
    SoftPrompt,
    TopLayers,
    UniPELT,
)

PLMS = (
    "bert",
    "bert-lm",
    "bert-choice",
    "roberta",
    "roberta-lm",
    "gpt2",
    "gpt2-classifier",
    "llama",
    "llama-classifier",
    "t5",
    "t5-gated",
    "t5-encoder",
    "t5-tagger",
)
EVERYWHERE = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out", "embeddings")
METHODS = {
    "lora": LoRA(rank=2),
    "lora-everywhere": LoRA(rank=3, alpha=6, sites=EVERYWHERE),
    "houlsby": Houlsby(bottleneck=3),
    "pfeiffer": Pfeiffer(bottleneck=3),
    "parallel": ParallelAdapter(bottleneck=3),
    "adamix": AdaMix(of=Houlsby(bottleneck=3), experts=3),
    "adamix-lora": AdaMix(of=LoRA(rank=2, sites=EVERYWHERE), share="none"),
    "qlora": QLoRA(rank=2),
    "adapter-bias": AdapterBias(),
    "adapter-bias-later": AdapterBias(reads="output", start="ones", shared=True),
    "bitfit": BitFit(),
    "ia3": IA3(),
    "soft-prompt": SoftPrompt(length=5, init="random"),
    "p-tuning": PTuning(length=4, hidden=3),
    "prefix": PrefixTuning(length=4, mlp=6),
    "p-tuning-v2": PTuningV2(length=5),
    "unipelt": UniPELT(bottleneck=3, length=4, mlp=6, rank=2),
    "top-layers": TopLayers(layers=1),
    "full": FullFineTuning(),
    "head-only": HeadOnly(),
}
NO_BIASES = ("llama", "t5")
ENCODERS = ("bert", "roberta", "t5-encoder", "t5-tagger")
NEW_HEAD = ("bert", "roberta", "gpt2-classifier", "t5-tagger")
OTHERWISE_KEPT = ("p-tuning", "prefix", "unipelt", "adamix", "adamix-lora")
PLACED = (  # methods with modules of their own, for the tests that look at those
    "lora-everywhere",
    "houlsby",
    "pfeiffer",
    "parallel",
    "adamix",
    "adamix-lora",
    "qlora",
    "adapter-bias",
    "adapter-bias-later",
    "ia3",
    "soft-prompt",
    "p-tuning",
    "prefix",
    "p-tuning-v2",
    "unipelt",
)


def fits(plm: str, method: str) -> bool:
    if method == "bitfit":
        return not plm.startswith(NO_BIASES)
    if method == "unipelt":
        return plm.startswith(ENCODERS)
    return method != "head-only" or plm in NEW_HEAD


def cases(plms, methods) -> list[tuple[str, str]]:
    return [(plm, method) for plm in plms for method in methods if fits(plm, method)]


CASES = cases(PLMS, METHODS)
all_cases = pytest.mark.parametrize(("plm", "method"), CASES)


def with_noise(tuned):
    """As if trained: every trained parameter moved a little."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in tuned.trainable_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            parameter.add_(noise.to(parameter))
    return tuned.eval()
