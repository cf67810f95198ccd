"""Positions of a text that has P trained places in front: they take 0 .. P-1, the text begins at P.

A PLM that is given a text alone counts it from 0. Behind P places it is counted as after P tokens,
and of the PLM's learnt positions P fewer are left for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from course_utils.errors import CourseError
from course_utils.plm.architectures import Sites
from course_utils.plm.load import position_ids


@dataclass(frozen=True)
class Front:
    """What stands in front of every text of a PLM, and how that PLM counts.

    Attributes:
        length: P.
        kind: the PLM's, as in `Sites`.
        max_positions: how many there are; None where they have no end.
        padding_idx: RoBERTa counts from padding_idx + 1 and skips padding; None elsewhere.
        arguments: of the PLM's forward.
        name: what it is, for messages.
    """

    length: int
    kind: str
    max_positions: int | None
    padding_idx: int | None
    arguments: tuple[str, ...]
    name: str = "prefix"

    @classmethod
    def of(cls, length: int, sites: Sites, name: str = "prefix") -> Front:
        """A front of `length` places in the PLM with these sites.

        Raises:
            CourseError: it would leave no position for a text.
        """
        if sites.max_positions is not None and length >= sites.max_positions:
            raise CourseError(
                f"a {name} of length {length} leaves no room for a text: this PLM has "
                f"{sites.max_positions} positions for {name} and text together."
            )
        return cls(
            length,
            kind=sites.kind,
            max_positions=sites.max_positions,
            padding_idx=getattr(getattr(sites.entry, "embeddings", None), "padding_idx", None),
            arguments=tuple(inspect.signature(sites.entry.forward).parameters),
            name=name,
        )

    @property
    def positions_are_given(self) -> bool:
        """Whether the PLM takes positions; T5's are distances inside the attention."""
        return "position_ids" in self.arguments

    def shift(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """The arguments of the PLM's forward with the text's positions moved behind the front.

        The front itself must not be in the inputs, nor in the key-value cache.

        Raises:
            CourseError: the text does not fit.
        """
        inputs = dict(zip(self.arguments, args, strict=False)) | kwargs
        ids, embeds = inputs.get("input_ids"), inputs.get("inputs_embeds")
        if (ids is None) == (embeds is None):
            return args, kwargs  # the PLM's own error says it best
        cache = inputs.get("past_key_values")
        past = 0 if cache is None else int(cache.get_seq_length())
        given = ids if ids is not None else embeds
        self.check(past + given.shape[1])
        inputs["position_ids"] = self.positions(inputs, past)
        return (), inputs

    def positions(self, inputs: Mapping, past: int) -> torch.Tensor:
        """(B or 1, T): the positions of a text behind the front.

        Args:
            inputs: of the PLM's forward, for the text alone.
            past: tokens of the text that are in the key-value cache.
        """
        counted = inputs.get("position_ids")
        if counted is None:
            ids = inputs.get("input_ids")
            given = inputs.get("inputs_embeds") if ids is None else ids
            counted = self._count(ids, given, inputs.get("attention_mask"), past)
        moved = counted + self.length
        if self.padding_idx is None:
            return moved
        return torch.where(counted == self.padding_idx, counted, moved)

    def before(self, positions: torch.Tensor) -> torch.Tensor:
        """(B or 1, P+T): those of the front, then those of the text."""
        start = 0 if self.padding_idx is None else self.padding_idx + 1
        own = torch.arange(start, start + self.length, device=positions.device)
        return torch.cat((own.expand(positions.shape[0], -1), positions), dim=1)

    def check(self, tokens: int) -> None:
        """Refuse, with a CourseError, a text of so many tokens that does not fit."""
        if self.max_positions is not None and tokens + self.length > self.max_positions:
            room = self.max_positions - self.length
            raise CourseError(
                f"a text of {tokens} tokens and a {self.name} of {self.length} do not fit: this "
                f"PLM has {self.max_positions} positions. Cut texts to {room} tokens "
                f"(max_length=..., truncation=True) or use a shorter {self.name}."
            )

    def _count(self, ids, given: torch.Tensor, mask, past: int) -> torch.Tensor:
        """(B or 1, T): how the PLM counts the text by itself."""
        now = given.shape[1]
        if self.padding_idx is not None and ids is not None:
            real = ids.ne(self.padding_idx)
            return real.cumsum(1) * real + self.padding_idx
        if self.kind == "decoder" and mask is not None and mask.ndim == 2:
            return position_ids(mask)[:, -now:]
        start = past if self.padding_idx is None else past + self.padding_idx + 1
        return torch.arange(start, start + now, device=given.device).unsqueeze(0)
