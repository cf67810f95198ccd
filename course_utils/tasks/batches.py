"""From encoded examples to the padded tensors of one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # the label that PyTorch's cross-entropy leaves out


class Collator:
    """Pads features to the longest of the batch and stacks them as tensors.

    input_ids are padded with pad_id, labels with -100, other columns with a number per token
    (masks, token types) with 0; a scalar becomes a (B,) tensor, a list of places (mask positions)
    is stacked as it is. An example without a label gets -100. Examples of several rows each
    (choices, draws of demonstrations) give (B, C, L).

    Args:
        pad_id: the tokenizer's padding token; see `pad_id`.
        side: "right" for training; "left" for generation with a causal PLM.
    """

    def __init__(self, pad_id: int, side: str = "right") -> None:
        self.pad_id = pad_id
        self.side = side

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        if isinstance(features[0]["input_ids"][0], list):
            batch = self._stacked(features)
        else:
            batch = self._columns(features)
        if any("labels" in f for f in features):
            batch["labels"] = self._labels([f.get("labels", IGNORED) for f in features])
        return batch

    def _columns(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        import torch

        lengths = [len(f["input_ids"]) for f in features]
        batch = {}
        for key in features[0]:
            values = [f[key] for f in features] if key != "labels" else []
            if _per_token(key, values, lengths):
                batch[key] = self._padded(values, self.pad_id if key == "input_ids" else 0)
            elif values:
                batch[key] = torch.as_tensor(values)
        if "attention_mask" not in batch:
            batch["attention_mask"] = self._padded([[1] * n for n in lengths], 0)
        return batch

    def _stacked(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        width = len(features[0]["input_ids"])
        flat = [{k: f[k][c] for k in f if k != "labels"} for f in features for c in range(width)]
        return {k: v.view(len(features), width, -1) for k, v in self._columns(flat).items()}

    def _labels(self, labels: list[Any]) -> Tensor:
        import torch

        if isinstance(labels[0], list):
            return self._padded(labels, IGNORED)
        return torch.as_tensor(labels)

    def _padded(self, values: list[list[int]], pad: int) -> Tensor:
        import torch

        longest = max(map(len, values))
        gaps = [[pad] * (longest - len(v)) for v in values]
        pairs = zip(values, gaps, strict=True)
        if self.side == "left":
            return torch.tensor([gap + list(v) for v, gap in pairs])  # (B, L)
        return torch.tensor([list(v) + gap for v, gap in pairs])  # (B, L)


def collate(features: Sequence[Mapping[str, Any]], tokenizer: Any) -> dict[str, Tensor]:
    """A padded batch of features; short for `Collator(pad_id(tokenizer))(features)`."""
    return Collator(pad_id(tokenizer))(features)


def pad_id(tokenizer: Any) -> int:
    """The padding id. A tokenizer without one pads with its end token, which the mask hides."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, 0)
    return next(token for token in known if token is not None)


def _per_token(key: str, values: Sequence[Any], lengths: Sequence[int]) -> bool:
    """Whether a column has a number per token. Places in the text ("..._positions") never are.

    A model's own encoding may have others, known by their lengths: those of the text in every
    row, since a single row is as long as its places by chance.
    """
    if key.endswith("_positions") or not values or not isinstance(values[0], list):
        return False
    return [len(value) for value in values] == list(lengths)
