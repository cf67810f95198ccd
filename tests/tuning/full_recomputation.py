"""Generation without a cache: what every cached, batched, left-padded one has to equal."""

from __future__ import annotations

import torch

TEXTS = ([7, 8, 9, 10, 11], [21, 22], [31, 32, 33])


def left_padded(texts) -> dict:
    width = max(len(text) for text in texts)
    return {
        "input_ids": torch.tensor([[0] * (width - len(t)) + list(t) for t in texts]),
        "attention_mask": torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in texts]),
    }


def token_by_token(tuned, ids: torch.Tensor, steps: int) -> list[int]:
    """Greedy continuation of one unpadded text, everything recomputed at each step."""
    for _ in range(steps):
        logits = tuned(input_ids=ids, use_cache=False).logits
        ids = torch.cat((ids, logits[:, -1:].argmax(-1)), 1)
    return ids[0, -steps:].tolist()


def written_for(tuned, text, steps: int) -> list[int]:
    """The same for an encoder-decoder: the start token and what it writes for one text."""
    written = torch.tensor([[0]])
    for _ in range(steps):
        logits = tuned(input_ids=torch.tensor([text]), decoder_input_ids=written).logits
        written = torch.cat((written, logits[:, -1:].argmax(-1)), 1)
    return written[0].tolist()
