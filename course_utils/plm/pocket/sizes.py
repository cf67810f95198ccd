"""The pocket models: their names, sizes and aliases. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Size:
    """One pocket model's architecture and length of pre-training.

    Attributes:
        width: hidden size d.
        layers: number of Transformer layers L.
        heads: attention heads.
        causal: GPT-2's architecture rather than BERT's.
        tokens: tokens of pre-training, in millions.
    """

    width: int
    layers: int
    heads: int
    causal: bool
    tokens: float


POCKET_MODELS: dict[str, Size] = {
    "pocket-bert-tiny": Size(48, 2, 4, False, 16),
    "pocket-bert-base": Size(128, 4, 4, False, 16),
    "pocket-bert-large": Size(256, 6, 8, False, 16),
    "pocket-gpt2": Size(160, 6, 5, True, 16),
}

POCKET_ALIASES = {"pocket-bert": "pocket-bert-base"}


def folder(name: str) -> Path:
    """Where the weights of a pocket model ship inside the package."""
    return WEIGHTS / POCKET_ALIASES.get(name, name)
