"""What is compared: the same method in this kit and in peft, on the same PLM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from course_utils import load_plm
from course_utils.tuning import IA3, LoRA, Method, PrefixTuning, PTuning, SoftPrompt, attach

LABELS = ("no", "yes")
LENGTH = 20  # prompt vectors; also the length of a prefix
LIBRARIES = ("ours", "peft")
FFN_OUT = r".*layer\.\d+\.output\.dense"  # not the attention's output.dense


@dataclass(frozen=True)
class Pair:
    """One method in both libraries.

    Attributes:
        ours: the kit's method.
        peft: name of peft's configuration class, and its settings for a PLM of width d.
        inserts: puts modules into the PLM, which peft takes out again with `unload`.
    """

    ours: Method
    peft: tuple[str, Callable[[int], dict[str, Any]]]
    inserts: bool = False

    def attach(self, library: str, model: PreTrainedModel) -> nn.Module:
        """The model with the method, by one of LIBRARIES."""
        if library == "ours":
            return attach(model, self.ours)
        import peft

        return peft.get_peft_model(model, self.peft_config(model))

    def peft_config(self, model: PreTrainedModel) -> Any:
        import peft

        name, settings = self.peft
        return getattr(peft, name)(task_type="SEQ_CLS", **settings(model.config.hidden_size))

    def detach(self, library: str, tuned: nn.Module) -> PreTrainedModel:
        """The PLM again, to attach to anew."""
        if library == "ours":
            return tuned.detach()
        if self.inserts:
            return tuned.unload().requires_grad_(True)
        model = tuned.get_base_model()
        model.classifier = model.classifier.original_module  # peft leaves its wrapper here
        return model.requires_grad_(True)


PAIRS: dict[str, Pair] = {
    "LoRA": Pair(
        LoRA(rank=8, alpha=16, sites=("query", "value")),
        ("LoraConfig", lambda d: {"r": 8, "lora_alpha": 16, "target_modules": ["query", "value"]}),
        inserts=True,
    ),
    "IA3": Pair(
        IA3(),
        (
            "IA3Config",
            lambda d: {
                "target_modules": rf".*self\.(key|value)|{FFN_OUT}",
                "feedforward_modules": FFN_OUT,
            },
        ),
        inserts=True,
    ),
    "prefix": Pair(
        PrefixTuning(length=LENGTH, mlp=0),
        ("PrefixTuningConfig", lambda d: {"num_virtual_tokens": LENGTH}),
    ),
    "prefix with MLP": Pair(
        PrefixTuning(length=LENGTH, mlp=128),
        (
            "PrefixTuningConfig",
            lambda d: {
                "num_virtual_tokens": LENGTH,
                "prefix_projection": True,
                "encoder_hidden_size": 128,
            },
        ),
    ),
    "soft prompt": Pair(
        SoftPrompt(length=LENGTH, init="random"),
        ("PromptTuningConfig", lambda d: {"num_virtual_tokens": LENGTH}),
    ),
    "P-tuning": Pair(
        PTuning(length=LENGTH, encoder="mlp", hidden=128),
        (
            "PromptEncoderConfig",
            lambda d: {
                "num_virtual_tokens": LENGTH,
                "encoder_reparameterization_type": "MLP",
                "encoder_hidden_size": 128,
            },
        ),
    ),
}

SHAPES: dict[str, tuple[dict[str, int], int, int]] = {
    "bert-base": ({}, 8, 64),
    "bert-large": (
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        4,
        64,
    ),
}
"""Random models of the published shapes: configuration, rows and tokens of a batch."""

MODELS = ("pocket-bert-base", *SHAPES)


def load(name: str) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """A classifier of that name on the GPU where there is one, and a batch for it.

    Returns:
        the model in eval mode; input_ids and attention_mask (rows, tokens), labels (rows,).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    if name in SHAPES:
        shape, rows, tokens = SHAPES[name]
        with torch.device(device):  # random weights are drawn there, in no time on a GPU
            model = BertForSequenceClassification(BertConfig(num_labels=len(LABELS), **shape))
    else:
        model, _ = load_plm(name, head="classifier", labels=LABELS)
        del model.newly_initialised  # then the head is the classifier, as for peft, without pooler
        rows, tokens = 16, 32
    ids = torch.randint(5, model.config.vocab_size, (rows, tokens))
    mask = torch.ones_like(ids)
    mask[: rows // 2, tokens - tokens // 4 :] = 0  # half of the texts are shorter
    batch = {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "labels": torch.arange(rows) % len(LABELS),
    }
    return model.to(device).eval(), {key: value.to(device) for key, value in batch.items()}
