"""Fewer layers, and layers that share their weights: two ways to a PLM with fewer parameters.

**Fewer layers.** A student with some of its teacher's layers, spread evenly, and its embeddings and
head: what DistilBERT (Sanh et al. 2019, arXiv:1910.01108) starts from, with every second layer. It
is faster in proportion, and not yet good: the layers it has were never each other's neighbours.

**Shared layers.** ALBERT (Lan et al. 2020, arXiv:1909.11942) uses the weights of one layer at every
depth. Parameters fall by almost (L - 1)/L of the layers, but every layer is still computed, so
nothing becomes faster. ALBERT is pre-trained so; made from a trained PLM, sharing breaks what
the layers had specialised in, and only training mends it in part. Left out: ALBERT's second
saving, embeddings factorised into two smaller matrices.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from transformers import PreTrainedModel

from course_utils.errors import CourseError
from course_utils.plm.architectures import Layer, Sites
from course_utils.plm.architectures import sites as sites_of
from course_utils.plm.load import seeded

MEAN = "mean"


def fewer_layers(model: PreTrainedModel, layers: int) -> PreTrainedModel:
    """A new model with `layers` of the model's layers, evenly spread and always the last one.

    Of 12 layers, 6 are the 2nd, 4th ... 12th. Embeddings, norms and head are copied; the model
    itself is left as it is.

    Raises:
        CourseError: an encoder-decoder, or not between 1 and the model's own number of layers.
    """
    sites = _one_stack(model, "fewer_layers")
    own = len(sites)
    if not isinstance(layers, int) or not 1 <= layers <= own:
        raise CourseError(
            f"fewer_layers(model, {layers!r}): this model has {own}; give 1 to {own}."
        )
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:layers]
    with seeded(0):
        small = type(model)(config).to(model.device, model.dtype)
    chosen = [sites.layers[(i + 1) * own // layers - 1] for i in range(layers)]
    state = _without_layers(model, sites)
    for layer, source in zip(sites_of(small), chosen, strict=True):
        values = source.module.state_dict()
        state |= {f"{layer.path}.{name}": value for name, value in values.items()}
    small.load_state_dict(state)
    for name in ("newly_initialised", "plm_name", "plm_revision", "plm_tokenizer"):
        if hasattr(model, name):
            setattr(small, name, getattr(model, name))
    _rename(small, f"{layers} of {own} layers")
    return small.train(model.training)


def share_layers(model: PreTrainedModel, start: str | int = MEAN) -> PreTrainedModel:
    """Make all layers of the model use one set of weights, in place, and return the model.

    Each depth keeps a module of its own, whose parameters are the first layer's: they are counted,
    and trained once, and what is attached at one depth acts there only. transformers'
    save_pretrained refuses shared weights; safetensors.torch.save_model(model, file) stores them
    once, for load_model into a model whose layers are shared.

    Args:
        start: "mean" of the layers' weights, or the number of the layer to begin with, from 0.

    Raises:
        CourseError: an encoder-decoder, layers that are no copies of one another, or an unknown
            start. The model is then unchanged.
    """
    sites = _one_stack(model, "share_layers")
    modules = [layer.module for layer in sites]
    shapes = [{n: p.shape for n, p in module.named_parameters()} for module in modules]
    if any(each != shapes[0] for each in shapes):
        raise CourseError(
            f"the layers of {type(model).__name__} have parameters of different shapes and can't "
            "share them. A method of tuning may be attached: detach it first."
        )
    first = dict(modules[0].named_parameters())
    with torch.no_grad():
        for name, value in _start_values(sites.layers, start).items():
            first[name].copy_(value)
    for module in modules[1:]:
        for name, parameter in first.items():
            path, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(path), attribute, parameter)
    _rename(model, "shared layers")
    return model


def _start_values(layers: tuple[Layer, ...], start: str | int) -> dict[str, torch.Tensor]:
    states = [dict(layer.module.named_parameters()) for layer in layers]
    if start == MEAN:
        return {n: torch.stack([s[n].detach() for s in states]).mean(0) for n in states[0]}
    if isinstance(start, int) and not isinstance(start, bool) and 0 <= start < len(states):
        return {name: value.detach().clone() for name, value in states[start].items()}
    raise CourseError(
        f"share_layers(start={start!r}): expected 'mean' or a layer, 0 to {len(states) - 1}."
    )


def _rename(model: nn.Module, change: str) -> None:
    """Records must not take it for the PLM it was made from."""
    if hasattr(model, "plm_name"):
        model.plm_name = f"{model.plm_name} ({change})"


def _one_stack(model: nn.Module, what: str) -> Sites:
    sites = sites_of(model)
    if sites.kind == "encoder-decoder":
        raise CourseError(
            f"{what} is for models of one stack; {type(model).__name__} has an encoder and a "
            "decoder, whose layers differ."
        )
    if getattr(model, "tuned_with", None) is not None:
        raise CourseError(
            f"{type(model).__name__} carries {model.tuned_with}: detach or merge it first."
        )
    return sites


def _without_layers(model: nn.Module, sites: Sites) -> dict[str, torch.Tensor]:
    """Everything of the model but its layers, by name."""
    inside = tuple(f"{layer.path}." for layer in sites)
    return {n: v for n, v in model.state_dict().items() if not n.startswith(inside)}
