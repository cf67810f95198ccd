"""`Tuned`: a PLM with a method attached, to be trained, saved, merged or taken apart again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from course_utils.errors import CourseError
from course_utils.plm.load import position_ids
from course_utils.tuning import saving
from course_utils.tuning.merging import merge, unmerge
from course_utils.tuning.method import Method
from course_utils.tuning.placement import Placement
from course_utils.tuning.summary import draw


@dataclass
class Original:
    """The state to restore: flags by name, and the values of what will be trained."""

    requires_grad: dict[str, bool]
    training: dict[str, bool]
    parameters: int
    checkpointing: bool
    values: dict[str, torch.Tensor]


def original_state(model: PreTrainedModel) -> Original:
    """Everything about `model` that attaching and training may change, except values."""
    return Original(
        requires_grad={name: p.requires_grad for name, p in model.named_parameters()},
        training={name: module.training for name, module in model.named_modules()},
        parameters=sum(p.numel() for p in model.parameters()),
        checkpointing=_checkpointing(model),
        values={},
    )


class Tuned(nn.Module):
    """A PLM that carries a method. Call it like the PLM; train what `requires_grad`.

    Made by `attach` and `load_tuned`. It works in transformers' Trainer as it is: its state dict,
    and so every checkpoint, holds only what is trained.

    Attributes:
        plm: the transformers model.
        method: the method's hyper-parameters.
    """

    # The Trainer must divide the loss by the accumulation steps itself: the PLM's loss is a mean.
    accepts_loss_kwargs = False

    def __init__(
        self,
        plm: PreTrainedModel,
        method: Method,
        placement: Placement,
        head: frozenset[str],
        original: Original,
    ):
        super().__init__()
        self.plm = plm
        self.method = method
        self.placement = placement
        self.training = plm.training
        self._original = original
        self._state = "attached"
        self._replaced: dict[str, torch.Tensor] = {}
        self._added = tuple(sorted(placement.added_names()))
        self._trained = tuple(sorted(placement.trained | head))
        self._head = tuple(sorted(head))
        parameters = dict(plm.named_parameters())
        for name in self._trained:
            device = "meta" if parameters[name].is_meta else "cpu"
            original.values[name] = parameters[name].detach().to(device, copy=True)
        own = set(self.trained_names())
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in own)
        self._counts = {name: parameters[name].numel() for name in own}
        plm.tuned_with = repr(method)
        self.register_state_dict_post_hook(_keep_own_state)
        self.register_load_state_dict_post_hook(_expect_own_state)

    def forward(
        self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **batch
    ):
        """The PLM's ordinary output, with `.logits` and, when labels are given, `.loss`.

        A causal PLM counts its positions from the first real token of each row, as `generate`
        does, so left padding changes nothing.
        """
        if self._state == "detached":
            raise CourseError("this Tuned was detached from its PLM; attach again to use it.")
        batch |= {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "labels": labels,
        }
        batch = {name: value for name, value in batch.items() if value is not None}
        if self._causal and "position_ids" not in batch and attention_mask is not None:
            given = input_ids if input_ids is not None else batch.get("inputs_embeds")
            if attention_mask.ndim == 2 and given is not None:
                batch["position_ids"] = position_ids(attention_mask)[:, -given.shape[1] :]
        return self.plm(**batch)

    def generate(self, *args, **settings) -> torch.Tensor:
        """transformers' `generate`, with the method in effect. Ids of any prompt vectors are not
        in the result: it begins with the given ids, as without a method."""
        if not self.plm.can_generate():
            raise CourseError(
                f"{type(self.plm).__name__} does not generate text; load a causal or "
                "encoder-decoder PLM with head='lm' (such as 'pocket-gpt2')."
            )
        given = settings.get("inputs", args[0] if args else None)
        ids = settings.get("input_ids", given)
        more = settings.get("max_new_tokens")
        room = self.max_length if self._causal else None
        if room is not None and ids is not None and more is not None:
            tokens = ids.shape[1] + more
            if tokens > room:
                raise CourseError(
                    f"{ids.shape[1]} tokens and max_new_tokens={more} are {tokens}; this model "
                    f"has room for {room}. Shorten the input or ask for fewer tokens."
                )
        return self.plm.generate(*args, **settings)

    # What is trained, and how much it is.

    def trained_names(self) -> list[str]:
        """Names, within the PLM, of all parameters that train: the method's and the head's."""
        return sorted({*self._added, *self._trained})

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The parameters to hand to an optimizer."""
        own = set(self.trained_names())
        return [p for name, p in self.plm.named_parameters() if name in own]

    def count(self) -> int:
        """How many numbers are trained, task head included."""
        return sum(self._counts.values())

    def head_count(self) -> int:
        """How many of them belong to the task head."""
        return sum(self._counts[name] for name in self._head)

    def total(self) -> int:
        """Parameters of the PLM with its head, without what the method added."""
        return self._original.parameters

    def percent(self) -> float:
        """count() in percent of total()."""
        return 100 * self.count() / self.total()

    def formula(self) -> str:
        """How the count comes about, from the shapes of the PLM.

        >>> tuned.formula()                                                     # doctest: +SKIP
        'LoRA: 8 maps × 8·(128 + 128) = 16,384; task head 258; together 16,642 ...'
        """
        terms = self.method.terms(self.plm, self.placement.sites)
        own = sum(term.count for term in terms)
        text = f"{type(self.method).__name__}: {' + '.join(term.text for term in terms)}"
        text += f" = {own:,}; task head {self.head_count():,}" if self._head else f" = {own:,}"
        text += f"; together {own + self.head_count():,}" if self._head else ""
        return f"{text} of {self.total():,} ({self.percent():.3g} %)"

    def summary(self) -> str:
        """The PLM as a tree: equal layers folded, the method's modules and trained parts marked."""
        self._need("attached")
        tree = draw(self.plm, self.placement.added_modules(), set(self.trained_names()))
        return f"{tree}\n{self.formula()}"

    @property
    def max_length(self) -> int | None:
        """How many tokens a text may have; None where the PLM sets no limit."""
        sites = self.placement.sites
        if sites is None:
            return getattr(self.plm.config, "max_position_embeddings", None)
        return None if sites.max_positions is None else (
            sites.max_positions - self.method.extra_tokens
        )  # fmt: skip

    # Keeping and undoing.

    def save(self, folder: str | os.PathLike) -> Path:
        """Write adapter.safetensors and method.json: the method's tensors and the head, no PLM.

        Returns:
            The folder, made if needed.
        """
        method, tensors = self.kept()
        own = set(self.trained_names())
        page = {
            "method": method.name,
            "settings": method.settings(),
            "trained_parameters": self.count(),
            "formula": self.formula(),
            "plm": saving.identity(self.plm, own),
            "versions": saving.versions(),
        }
        return saving.write(folder, tensors, page)

    def kept(self) -> tuple[Method, dict[str, torch.Tensor]]:
        """What `save` writes: the method to attach again, and its and the head's tensors."""
        self._need("attached")
        method, tensors = self.method.kept(self.placement)
        return method, tensors | {name: self.plm.get_parameter(name) for name in self._trained}

    def detach(self) -> PreTrainedModel:
        """Give the PLM back exactly as `attach` took it: modules, values, flags and modes.

        What was learnt is gone unless saved. The values are the same bit for bit; type and device
        are those the model has now.
        """
        if self._state == "merged":
            self.unmerge()
        self._need("attached")
        if self.is_activation_checkpointing and not self._original.checkpointing:
            self.activation_checkpointing_disable()
        self.placement.take_out()
        parameters = dict(self.plm.named_parameters())
        with torch.no_grad():
            for name, value in self._original.values.items():
                parameters[name].copy_(value)
                parameters[name].grad = None
        self._restore_flags()
        for name, module in self.plm.named_modules():
            module.training = self._original.training.get(name, module.training)
        self._state = "detached"
        return self.plm

    def merge(self) -> PreTrainedModel:
        """Add what was learnt into the PLM's weights and return it, an ordinary model.

        It computes the same up to rounding, without the method's cost, and keeps the trained head;
        rounding is coarse where the weights are in 16 bit. `unmerge()` or
        `detach()` still go back exactly: the replaced weights are kept, on the CPU.

        Raises:
            CourseError: for a method whose effect is no change of weights, or when a changed
                weight is shared (tied embeddings) and merging would change another module too.
        """
        self._need("attached")
        changes = self.method.weight_changes(self.placement)
        self.placement.leave_storage()
        try:
            self._replaced = merge(self.plm, changes)
        except BaseException:
            self.placement.enter_storage()
            raise
        self.placement.take_out()
        self._restore_flags()
        self._state = "merged"
        return self.plm

    def unmerge(self) -> Tuned:
        """Undo `merge`: the PLM's weights are the old ones bit for bit, the method acts again."""
        self._need("merged")
        if hasattr(self.plm, "tuned_with"):
            raise CourseError("another method is attached to the merged PLM; detach that first.")
        unmerge(self.plm, self._replaced)
        self._replaced = {}
        self.placement.put_back()
        own = set(self.trained_names())
        for name, parameter in self.plm.named_parameters():
            parameter.requires_grad_(name in own)
        self.plm.tuned_with = repr(self.method)
        self._state = "attached"
        return self

    # What the Trainer and callers expect of a transformers model.

    @property
    def config(self):
        return self.plm.config

    @property
    def device(self) -> torch.device:
        return self.plm.device

    @property
    def dtype(self) -> torch.dtype:
        return self.plm.dtype

    @property
    def is_activation_checkpointing(self) -> bool:
        return _checkpointing(self.plm)

    def activation_checkpointing_enable(self, activation_checkpointing_kwargs=None, **more) -> None:
        """Trade time for memory: recompute hidden states in the backward pass."""
        settings = activation_checkpointing_kwargs or {"use_reentrant": False}
        if hasattr(self.plm, "activation_checkpointing_enable"):
            self.plm.activation_checkpointing_enable(settings, **more)
        else:  # transformers before the new name
            self.plm.gradient_checkpointing_enable(settings, **more)
        if not settings.get("use_reentrant"):
            # Only the re-entrant kind needs embeddings that ask for gradients, and the hook that
            # transformers sets for them would outlive the method.
            self.plm.disable_input_require_grads()

    def activation_checkpointing_disable(self) -> None:
        new = getattr(self.plm, "activation_checkpointing_disable", None)
        (new or self.plm.gradient_checkpointing_disable)()
        self.plm.disable_input_require_grads()

    is_gradient_checkpointing = is_activation_checkpointing  # the older names of the same
    gradient_checkpointing_disable = activation_checkpointing_disable

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs=None, **more) -> None:
        """The older name of `activation_checkpointing_enable`."""
        self.activation_checkpointing_enable(gradient_checkpointing_kwargs, **more)

    def __repr__(self) -> str:
        return (
            f"Tuned({type(self.plm).__name__} with {self.method}: {self.count():,} trained "
            f"of {self.total():,} parameters)"
        )

    @property
    def _causal(self) -> bool:
        return self.placement.sites is not None and self.placement.sites.kind == "decoder"

    def _need(self, state: str) -> None:
        if self._state != state:
            raise CourseError(
                f"this Tuned is {self._state}, it must be {state} for that."
                + (" Call unmerge() first." if self._state == "merged" else "")
            )

    def _restore_flags(self) -> None:
        for name, parameter in self.plm.named_parameters():
            parameter.requires_grad_(self._original.requires_grad[name])
        del self.plm.tuned_with


def _checkpointing(model: nn.Module) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def _keep_own_state(tuned: Tuned, state: dict, prefix: str, local_metadata) -> None:
    """A Tuned's state is what it trains, also as part of a larger module."""
    own = {f"{prefix}plm.{name}" for name in tuned.trained_names()}
    for name in [n for n in state if n.startswith(f"{prefix}plm.") and n not in own]:
        del state[name]


def _expect_own_state(tuned: Tuned, result) -> None:
    """Frozen weights are not missing from a state dict: they never were in one."""
    own = {f"plm.{name}" for name in tuned.trained_names()}
    frozen = {f"plm.{name}" for name in tuned.plm.state_dict()} - own
    result.missing_keys[:] = [
        name for name in result.missing_keys if not any(name.endswith(f) for f in frozen)
    ]
