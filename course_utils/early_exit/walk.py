"""A PLM one layer at a time, with rows that may leave on the way.

    walk = Walk(sites, batch)          # embeddings and attention mask are made, no layer has run
    walk.through(layer)                # hidden states of the next layer
    walk.keep(stay)                    # rows that are done are computed no further

Embeddings and masks differ between architectures, so the PLM makes them itself: its own forward
pass is begun and stopped at the door of the first layer, where everything a layer is given can be
seen. From there on it is a loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from course_utils.plm.architectures import Layer, Sites


class Walk:
    """The hidden states of a batch on their way through the layers.

    Attributes:
        hidden: (B, T, d), behind the layers that have run; B shrinks as rows leave.
        place: (B,) the position whose state stands for the text: the first token of an encoder
            ([CLS]), the last of a decoder, which alone has seen everything.
    """

    def __init__(self, sites: Sites, batch: Mapping[str, Tensor]) -> None:
        self.hidden, self.rest, self.named = _enter(sites, batch)
        self.place = _place(sites, batch)

    def through(self, layer: Layer) -> Tensor:
        """Run one layer; the hidden states behind it, (B, T, d)."""
        out = layer.module(self.hidden, *self.rest, **self.named)
        self.hidden = out[0] if isinstance(out, tuple) else out
        return self.hidden

    def keep(self, stay: Tensor) -> None:
        """Go on with these rows only. stay: (B,) booleans."""
        rows = len(self.hidden)
        self.hidden, self.place = self.hidden[stay], self.place[stay]
        self.rest = _rows_of(self.rest, stay, rows)
        self.named = {name: _rows_of(value, stay, rows) for name, value in self.named.items()}

    def read(self) -> Tensor:
        """(B, d), the state at `place`."""
        return self.hidden[torch.arange(len(self.place), device=self.place.device), self.place]


class _AtTheDoor(Exception):
    """Raised in front of the first layer, to go no further."""


def _enter(sites: Sites, batch: Mapping[str, Tensor]) -> tuple[Tensor, tuple, dict]:
    """(hidden states, other positional, named arguments) that the first layer is called with."""
    seen: list = []

    def stop(module: nn.Module, args: tuple, named: dict) -> None:
        seen.append((args, named))
        raise _AtTheDoor

    inputs = dict(batch)
    if sites.kind == "decoder":
        inputs["use_cache"] = False  # nothing is generated
    door = sites.layers[0].module.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        sites.entry(**inputs)
    except _AtTheDoor:
        pass
    finally:
        door.remove()
    (hidden, *rest), named = seen[0]
    return hidden, tuple(rest), named


def _place(sites: Sites, batch: Mapping[str, Tensor]) -> Tensor:
    ids = batch["input_ids"]  # (B, T)
    if sites.kind == "encoder":
        return torch.zeros(len(ids), dtype=torch.long, device=ids.device)
    # The last token that is not padding, found as transformers' own classifiers find it.
    padding = sites.entry.config.pad_token_id
    if padding is None:
        return torch.full((len(ids),), ids.shape[1] - 1, device=ids.device)
    counted = torch.arange(ids.shape[1], device=ids.device) * (ids != padding)  # (B, T)
    return counted.argmax(-1)


def _rows_of(value, stay: Tensor, rows: int):
    """The rows that stay of an attention mask, positions ...; what has no rows is left alone."""
    if isinstance(value, tuple):
        return tuple(_rows_of(part, stay, rows) for part in value)
    if isinstance(value, Tensor) and value.ndim > 1 and len(value) == rows:
        return value[stay]
    return value
