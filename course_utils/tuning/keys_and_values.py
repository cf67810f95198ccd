"""Trained keys and values in front of those of the text, in every attention block.

    a = softmax(q [P_k; K]ᵀ / √d_h) [P_v; V]        q: (d_h)    P_k, P_v: (P, d_h)    K, V: (T, d_h)

In every layer each token may also attend to P places where no text stands. That is all prefix
tuning and P-tuning v2 do to a PLM; this module does it, and they say what P_k and P_v start from.

How. The papers' code hands the PLM a key-value cache that is already filled. Such a cache never
reaches T5's encoder, and every row and every beam carries a copy of it. Here each attention block
gets, for one call, a stand-in for its cache that answers with the prefix in front of whatever the
block asks for. The real cache, if there is one, holds the text alone: generation, beams and a
cache continued by hand are as without a method, and no call leaves anything for the next.

Where. Self-attention of every layer; in an encoder-decoder that of both stacks, and
cross-attention. With grouped-query attention there are as many prefix heads as key heads.

Positions. The text begins at P, as after P tokens and as in the papers' code: P + T may not exceed
BERT's 512 positions or GPT-2's 1024; RoBERTa counts from padding_idx + 1 and skips padding, as
ever. T5 has distances instead of positions: the prefix stands before the text's first token.
Llama turns its keys by their position; a prefix key is used as it is, so it is learnt turned.

Attention maps have the prefix's P columns first. Hidden states and logits have none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache

from course_utils.errors import CourseError
from course_utils.plm.architectures import Attention, Sites
from course_utils.tuning.placement import Placement
from course_utils.tuning.positions import Front

ATTENTION = ("eager", "sdpa")


class BlockPrefix(nn.Module):
    """The prefix of one attention block. What it is computed from is said by `table`.

    Args:
        dropout: probability of dropping a number of P_k or P_v, drawn for each row of a batch.
        cross: whether the block attends from a decoder to its encoder.
    """

    def __init__(self, *, dropout: float, cross: bool):
        super().__init__()
        self.dropout = dropout
        self.cross = cross

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(P_k, P_v) of all heads, (P, h·d_h) each."""
        raise NotImplementedError

    @property
    def length(self) -> int:
        raise NotImplementedError

    def forward(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The block's keys and values, (B, h, T, d_h) -> (B, h, P+T, d_h)."""
        rows, heads, _, size = keys.shape
        longer = []
        for mine, text in zip(self.table(), (keys, values), strict=True):
            mine = mine.to(text.dtype).view(-1, heads, size).transpose(0, 1)  # (h, P, d_h)
            mine = F.dropout(mine.expand(rows, -1, -1, -1), self.dropout, self.training)
            longer.append(torch.cat((mine, text), dim=2))
        return tuple(longer)


def attention_blocks(sites: Sites) -> list[tuple[str, Attention]]:
    """(kind, block) in the order of the layers; kind is "encoder", "decoder" or "cross"."""
    blocks = []
    for layer in sites:
        blocks.append((layer.stack, layer.attention))
        if layer.cross is not None:
            blocks.append(("cross", layer.cross))
    return blocks


def check_attention(model) -> None:
    """Refuse an attention that takes no mask over prefix and text."""
    kind = getattr(model.config, "_attn_implementation", "eager")
    if kind not in ATTENTION:
        raise CourseError(
            f"a prefix needs eager or sdpa attention; this PLM was loaded with {kind!r}. Load it "
            "with attn_implementation='sdpa'."
        )


def put_in_front(
    placement: Placement, blocks: Sequence[tuple[str, Attention]], prefixes: Sequence[BlockPrefix]
) -> None:
    """Place one prefix in each block, and the text's positions behind it."""
    for (_, block), prefix in zip(blocks, prefixes, strict=True):
        host = placement.around(block.key)
        placement.add(host, "prefix", prefix)
        placement.before(host, _attend_to_prefix)
    front = Front.of(prefixes[0].length, placement.sites)
    if front.positions_are_given:
        placement.before(placement.sites.entry, partial(_begin_behind, front))


class PrefixedCache:
    """Stands in for the cache of one attention block, or for none, during one call."""

    def __init__(self, prefix: BlockPrefix, cache, layer: int):
        self.prefix, self.cache, self.layer = prefix, cache, layer

    def get_seq_length(self, layer: int = 0) -> int:
        """How many places come before the tokens of this call."""
        cached = 0 if self.cache is None else self.cache.get_seq_length(layer)
        return self.prefix.length + cached

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *more, **named):
        """Cache the text's new keys and values; all of them, with the prefix in front."""
        if self.cache is not None:
            keys, values = self.cache.update(keys, values, layer, *more, **named)
        return self.prefix(keys, values)

    @property
    def layers(self) -> dict:
        """What cross-attention reads instead, once the encoder's keys and values are cached."""
        cached = self.cache.layers[self.layer]
        keys, values = self.prefix(cached.keys, cached.values)
        return {self.layer: SimpleNamespace(keys=keys, values=values)}


def _attend_to_prefix(host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before an attention block: its cache answers with the prefix, its mask admits it."""
    prefix, cache = host.prefix, kwargs.get("past_key_values")
    if getattr(cache, "is_compileable", False):
        raise CourseError(
            "a prefix needs a cache that grows with the text; a static one has no room for it. "
            "Leave out cache_implementation."
        )
    if prefix.cross and cache is not None:
        stand_in = copy.copy(cache)
        stand_in.cross_attention_cache = PrefixedCache(
            prefix, cache.cross_attention_cache, host.layer_idx
        )
    else:
        if isinstance(cache, EncoderDecoderCache):
            cache = cache.self_attention_cache
        stand_in = PrefixedCache(prefix, cache, host.layer_idx)
    name = "mask" if "mask" in kwargs else "attention_mask"  # T5, the others
    mask = kwargs.get(name)
    if mask is None and getattr(host, "is_causal", False):
        mask = _causal(args[0] if args else kwargs["hidden_states"])
    if mask is not None:
        mask = _admitting(prefix.length, mask)
    return args, kwargs | {"past_key_values": stand_in, name: mask}


def _admitting(length: int, mask: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, S) -> (B, 1, T, P+S): every token may attend to the prefix."""
    shape = (*mask.shape[:-1], length)
    seen = mask.new_ones(shape) if mask.dtype == torch.bool else mask.new_zeros(shape)
    return torch.cat((seen, mask), dim=-1)


def _causal(states: torch.Tensor) -> torch.Tensor | None:
    """(1, 1, T, T), the mask that transformers leaves out where sdpa can do without one; with a
    prefix it can't. One token alone may see everything there is, and needs none."""
    tokens = states.shape[1]
    if tokens == 1:
        return None
    return torch.ones(tokens, tokens, dtype=torch.bool, device=states.device).tril()[None, None]


def _begin_behind(front: Front, host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before the PLM: the text's positions begin at P."""
    return front.shift(args, kwargs)


class _Recorder:
    """A stand-in for a block's cache that adds nothing and keeps what it is given."""

    def get_seq_length(self, layer: int = 0) -> int:
        return 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *more, **named):
        self.keys, self.values = keys, values
        return keys, values


def activations(
    placement: Placement, blocks: Sequence[tuple[str, Attention]], ids: Sequence[int]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The keys and values the PLM itself computes for a text, (T, h·d_h) each, block by block.

    In an encoder-decoder both stacks read the text. Keys that carry a position (Llama's) are those
    of positions 0 .. T-1. In float32, on the CPU.
    """
    model, sites = placement.model, placement.sites
    text = torch.tensor([list(ids)], device=next(model.parameters()).device)
    inputs = {"input_ids": text}
    if sites.decoder is not None:
        inputs["decoder_input_ids"] = text
    hosts = [placement.around(block.key) for _, block in blocks]
    with torch.no_grad(), _in_eval_mode(model), _recorded(hosts) as records:
        model.base_model(**inputs)
    return [tuple(_all_heads(t) for t in (record.keys, record.values)) for record in records]


def _all_heads(states: torch.Tensor) -> torch.Tensor:
    """(1, h, T, d_h) -> (T, h·d_h)"""
    return states[0].transpose(0, 1).flatten(1).float().cpu()


@contextmanager
def _recorded(hosts: Sequence[nn.Module]) -> Iterator[list[_Recorder]]:
    records = [_Recorder() for _ in hosts]
    handles = []
    for host, record in zip(hosts, records, strict=True):

        def listen(_, args, kwargs, record=record):
            return args, kwargs | {"past_key_values": record}

        handles.append(host.register_forward_pre_hook(listen, with_kwargs=True))
    try:
        yield records
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
