"""`attach`: freeze a PLM and give it a method; `load_tuned`: the same with saved weights."""

from __future__ import annotations

import os

import torch
from torch import nn
from transformers import PreTrainedModel

from course_utils.errors import CourseError
from course_utils.plm.architectures import SUPPORTED
from course_utils.plm.architectures import sites as sites_of
from course_utils.plm.load import head_parameters, seeded
from course_utils.tuning import saving
from course_utils.tuning.method import Method
from course_utils.tuning.methods import method_named
from course_utils.tuning.placement import Placement
from course_utils.tuning.tuned import Tuned, original_state


def attach(model: PreTrainedModel, method: Method, *, tokenizer=None, seed: int = 0) -> Tuned:
    """Freeze `model`, place the method's modules in it, and keep its task head trainable.

    The model is changed in place and belongs to the returned `Tuned` until `detach()` gives it
    back exactly as it was.

    Args:
        model: any transformers model, usually from `load_plm`.
        method: such as LoRA(rank=8).
        tokenizer: for methods that start from words; a model from `load_plm` brings its own.
        seed: draws the method's start values. torch's global generator is untouched.

    Raises:
        CourseError: the method can't tune this model, or something is attached already. The model
            is then unchanged.
    """
    return _attach(model, method, tokenizer=tokenizer, seed=seed, loading=False)


def load_tuned(
    model: PreTrainedModel, folder: str | os.PathLike, *, check_weights: bool = True
) -> Tuned:
    """Attach what `tuned.save(folder)` wrote to a freshly loaded PLM.

    Args:
        model: the PLM it was trained on, with the same head.
        check_weights: False allows other weights of the same shapes.

    Raises:
        CourseError: the folder is incomplete or damaged, or was made for another PLM. The model
            is then unchanged.
    """
    tensors, page = saving.read(folder)
    method = method_named(page["method"], **page["settings"])
    tuned = attach_empty(model, method)
    try:
        plm = dict(page["plm"]) if check_weights else {**page["plm"], "values": {}}
        saving.check_identity(plm, model, set(tuned.trained_names()), folder)
        _copy_in(tuned, tensors, folder)
    except BaseException:
        tuned.detach()
        raise
    return tuned


def finished(tuned: Tuned) -> Tuned:
    """The same model with its method in the form `save` keeps: prefix tuning without its MLP.

    It computes the same. `tuned` itself is detached by it; most methods come back as they are.
    """
    method, tensors = tuned.kept()
    if method == tuned.method:
        return tuned
    values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    training = tuned.training
    done = attach_empty(tuned.detach(), method)
    _copy_in(done, values, "what was trained")
    return done.train(training)


def attach_empty(model: PreTrainedModel, method: Method) -> Tuned:
    """`attach` for a method whose numbers are put in next; its start values mean nothing."""
    return _attach(model, method, tokenizer=None, seed=0, loading=True)


def _attach(model, method, *, tokenizer, seed: int, loading: bool) -> Tuned:
    _check_types(model, method)
    described = model.config.model_type in SUPPORTED
    sites = sites_of(model) if method.needs_sites or described else None
    method.check(model, sites)
    head = head_parameters(model)
    original = original_state(model)
    placement = Placement(
        model,
        sites,
        tokenizer=tokenizer if tokenizer is not None else getattr(model, "plm_tokenizer", None),
        loading=loading,
    )
    try:
        with seeded(seed):
            method.place(placement)
    except BaseException:
        placement.take_out()
        raise
    return Tuned(model, method, placement, head, original)


def _check_types(model, method) -> None:
    if isinstance(method, type) and issubclass(method, Method):
        raise CourseError(f"attach got the class {method.__name__}; write {method.__name__}().")
    if not isinstance(method, Method):
        raise CourseError(
            f"attach needs a method such as LoRA(rank=8), not {type(method).__name__}."
        )
    if isinstance(model, Tuned):
        raise CourseError(
            "attach got a model that is tuned already. Give it tuned.detach() for another method "
            "on the same PLM, or tuned.merge() to build on what was learnt."
        )
    if not isinstance(model, PreTrainedModel):
        raise CourseError(
            f"attach needs the transformers model from load_plm, not {type(model).__name__}"
            + (". Attach first, then wrap." if isinstance(model, nn.Module) else ".")
        )
    attached = getattr(model, "tuned_with", None)
    if attached is not None:
        raise CourseError(
            f"{type(model).__name__} already carries {attached}. Call tuned.detach() first."
        )


def _copy_in(tuned: Tuned, tensors: dict[str, torch.Tensor], folder) -> None:
    parameters = dict(tuned.plm.named_parameters())
    own = {name: parameters[name] for name in tuned.trained_names()}
    if set(own) != set(tensors):
        odd = sorted(set(own) ^ set(tensors))
        raise CourseError(
            f"the tensors in {str(folder)!r} are not those of {tuned.method} on this PLM: "
            f"{', '.join(odd[:3])}{', ...' if len(odd) > 3 else ''} in only one of the two."
        )
    for name, parameter in own.items():
        if parameter.shape != tensors[name].shape:
            raise CourseError(
                f"{name} is {tuple(tensors[name].shape)} in {str(folder)!r} and "
                f"{tuple(parameter.shape)} in this PLM."
            )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])
