"""Trained vectors in front of a PLM's input, where word embeddings stand: [P ; E(x)].

Where exactly: before everything, in front of BERT's [CLS] or a causal model's first token, as in
the paper and in P-tuning v2's comparison. Positions 0 .. P-1 belong to the prompt and the text
begins at P. What comes out is cut back to the text, inside the PLM, before any head sees it:
logits, hidden states, the pooled [CLS] and a loss all refer to the original tokens, so
`mask_positions` computed without a prompt still index the logits. (Attention maps keep the prompt.)
In an encoder-decoder the prompt goes before the encoder's input, and the decoder may attend to it.

In generation the prompt enters once, with the first call, and then lives in the key-value cache.
In a left-padded batch it comes before the padding: as nothing attends to padding and positions
count only real tokens, every row is the same as by itself.

What the vectors are is said by soft_prompt.py (parameters) and p_tuning.py (an encoder's output).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.plm.architectures import Sites
from course_utils.tuning.method import Method, require
from course_utils.tuning.placement import Placement
from course_utils.tuning.positions import Front


@dataclass(frozen=True)
class InputPrompt(Method):
    """What all prompts of vectors have in common: P of them in front of the word embeddings.

    Args:
        length: P, the number of vectors.
    """

    length: int = 20

    def __post_init__(self) -> None:
        require(
            isinstance(self.length, int) and self.length >= 1,
            f"{type(self).__name__}(length={self.length!r}): the length is a whole number from 1 "
            "on.",
        )

    @property
    def extra_tokens(self) -> int:
        return self.length

    def check(self, model, sites: Sites) -> None:
        self._front(sites)

    def place(self, placement: Placement) -> None:
        sites = placement.sites
        placement.add(sites.entry, "soft_prompt", self.vectors(placement, self._front(sites)))
        placement.before(sites.entry, _prepend)
        if sites.decoder is not None:
            placement.before(sites.decoder, partial(_see_prompt, self.length))
        else:
            placement.after(sites.entry, _cut)
        if sites.pooler is not None:
            placement.before(sites.pooler, partial(_pool_text, self.length))

    def vectors(self, placement: Placement, front: Front) -> PromptVectors:
        """The module that holds, or makes, the P vectors."""
        raise NotImplementedError

    def _front(self, sites: Sites) -> Front:
        return Front.of(self.length, sites, "soft prompt")


class PromptVectors(nn.Module):
    """The P vectors of one PLM; `table` says what they are."""

    def __init__(self, front: Front):
        super().__init__()
        self.front = front

    def table(self) -> torch.Tensor:
        """(P, d)"""
        raise NotImplementedError

    def forward(self, rows: int, dtype: torch.dtype) -> torch.Tensor:
        """(rows, P, d): the same prompt for every row."""
        return self.table().to(dtype).expand(rows, -1, -1)


def _prepend(host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before the PLM reads its input: ids become embeddings with the prompt in front.

    With a filled key-value cache the prompt is in there already; then only mask and positions are
    made to count it.
    """
    prompt: PromptVectors = host.soft_prompt
    front = prompt.front
    inputs = dict(zip(front.arguments, args, strict=False)) | kwargs
    ids, embeds = inputs.get("input_ids"), inputs.get("inputs_embeds")
    if (ids is None) == (embeds is None):
        return args, kwargs  # the PLM's own error says it best
    given = ids if ids is not None else embeds
    rows, now = given.shape[:2]
    cached = _cached(inputs.get("past_key_values"))
    past = cached - front.length if cached else 0  # of the text alone
    front.check(past + now)
    mask = inputs.get("attention_mask")
    if front.positions_are_given:
        inputs["position_ids"] = front.positions(inputs, past)
    inputs["attention_mask"] = _with_prompt_seen(mask, front.length, rows)
    if cached:
        return (), inputs
    if front.positions_are_given:
        inputs["position_ids"] = front.before(inputs["position_ids"])
    if inputs.get("token_type_ids") is not None:
        types = inputs["token_type_ids"]
        inputs["token_type_ids"] = torch.cat((types.new_zeros(rows, front.length), types), 1)
    if embeds is None:
        embeds = host.get_input_embeddings()(ids)  # (B, T, d)
    inputs["input_ids"] = None
    inputs["inputs_embeds"] = torch.cat((prompt(rows, embeds.dtype), embeds), 1)  # (B, P+T, d)
    return (), inputs


def _cut(host: nn.Module, args: tuple, kwargs: dict, output):
    """After the PLM: give back the text's hidden states only, (B, P+T, d) -> (B, T, d)."""
    embeds, cache = kwargs.get("inputs_embeds"), kwargs.get("past_key_values")
    if embeds is None or (cache is not None and _cached(cache) != embeds.shape[1]):
        return output  # a later step of generation: no prompt in this call
    length = host.soft_prompt.front.length
    if isinstance(output, tuple):
        return (output[0][:, length:], *output[1:])
    output.last_hidden_state = output.last_hidden_state[:, length:]
    if getattr(output, "hidden_states", None) is not None:
        output.hidden_states = tuple(h[:, length:] for h in output.hidden_states)
    return output


def _pool_text(length: int, host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before BERT's pooler, which reads the first position: make that [CLS], not the prompt."""
    return (args[0][:, length:], *args[1:]), kwargs


def _see_prompt(length: int, host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before a decoder: let its cross-attention see the encoder's prompt positions too."""
    mask, memory = kwargs.get("encoder_attention_mask"), kwargs.get("encoder_hidden_states")
    if mask is not None and memory is not None and memory.shape[1] == mask.shape[1] + length:
        kwargs = kwargs | {"encoder_attention_mask": _with_prompt_seen(mask, length, mask.shape[0])}
    return args, kwargs


def _cached(cache) -> int:
    return 0 if cache is None else int(cache.get_seq_length())


def _with_prompt_seen(mask: torch.Tensor | None, length: int, rows: int) -> torch.Tensor | None:
    """(B, T) -> (B, P+T), the prompt never masked. None means that all is seen, and stays None."""
    if mask is None:
        return None
    if mask.ndim != 2:
        raise CourseError(
            f"a soft prompt needs an attention_mask of shape (batch, tokens), not "
            f"{tuple(mask.shape)}; a static cache, which makes such masks, has no room for it."
        )
    return torch.cat((mask.new_ones(rows, length), mask), dim=1)
