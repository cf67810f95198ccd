"""The pocket models' architectures (their names are in `course_utils.plm.names`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One pocket model's architecture and length of pre-training.

    Attributes:
        width: hidden size d.
        layers: number of Transformer layers L.
        heads: attention heads.
        causal: GPT-2's architecture rather than BERT's.
        tokens: read in the full mix at the end of pre-training, in millions.
    """

    width: int
    layers: int
    heads: int
    causal: bool
    tokens: float


SIZES: dict[str, Size] = {
    "pocket-bert-tiny": Size(48, 2, 4, False, 40),
    "pocket-bert-base": Size(128, 4, 4, False, 10),
    "pocket-bert-large": Size(256, 6, 8, False, 8),
    "pocket-gpt2": Size(160, 6, 5, True, 8),
}
