"""Small PLMs with random weights, the same on both sides of the wire."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import transformers as hf

FAMILIES = {
    "bert": (hf.BertConfig, hf.BertForMaskedLM),
    "roberta": (hf.RobertaConfig, hf.RobertaForMaskedLM),
    "bert-classifier": (hf.BertConfig, hf.BertForSequenceClassification),
    "roberta-classifier": (hf.RobertaConfig, hf.RobertaForSequenceClassification),
    "gpt2": (hf.GPT2Config, hf.GPT2LMHeadModel),
    "t5": (hf.T5Config, hf.T5ForConditionalGeneration),
}
SIZES = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 64,
}  # fmt: skip
SPREAD = (
    0.2  # of the weights: ten times the usual, so that every part of an input makes a difference
)
GPT2_NAMES = {
    "hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
    "intermediate_size": "n_inner", "max_position_embeddings": "n_positions",
}  # fmt: skip
T5_NAMES = {
    "hidden_size": "d_model", "num_hidden_layers": "num_layers", "num_attention_heads": "num_heads",
    "intermediate_size": "d_ff", "max_position_embeddings": "n_positions",
}  # fmt: skip
OTHER_NAMES = {"gpt2": GPT2_NAMES, "t5": T5_NAMES}


def small_plm(
    family: str, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> hf.PreTrainedModel:
    """A PLM of a family of FAMILIES in evaluation mode.

    Its weights come from a generator of its own: the global one is shared by all threads, and a
    judge has several.
    """
    config, model = FAMILIES[family]
    settings = SIZES | dict(sizes or {})
    names = OTHER_NAMES.get(family, {})
    settings = {names.get(name, name): value for name, value in settings.items()}
    made = model(config(**settings)).eval().float()
    _tie(made)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, SPREAD, generator=generator)
            else:  # of norms and biases
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return made


def _tie(model: hf.PreTrainedModel) -> None:
    """Lets tied weights be one parameter, and relies on nobody else for it.

    While any thread loads a PLM (the runs of another student), transformers ties and initialises
    nothing in the whole process: a reference made then would give other answers than the worker's.
    """
    for target, source in model.all_tied_weights_keys.items():
        module, _, name = target.rpartition(".")
        setattr(model.get_submodule(module), name, model.get_parameter(source))
