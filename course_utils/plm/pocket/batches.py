"""From marked documents to training batches: encoding, masking, packing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from course_utils.plm.pocket.corpus import Document
from course_utils.plm.pocket.tokenizer import MAX_LENGTH

IGNORE = -100


@dataclass(frozen=True)
class Masking:
    """How often a word is to be guessed, cues and all the others; and how often a batch starts
    at a random position instead of 0."""

    cues: float
    others: float
    shifted: float = 0.0


class Encoder:
    """Marked documents to ids and cue flags, by table look-up (every word is one token)."""

    def __init__(self, tokenizer) -> None:
        self.ids = tokenizer.get_vocab()
        self.cls, self.sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.pad, self.mask = tokenizer.pad_token_id, tokenizer.mask_token_id
        self.first_word = tokenizer.convert_tokens_to_ids("##9") + 1
        self.size = len(tokenizer)

    def __call__(self, document: Document) -> tuple[list[int], list[bool]]:
        """Ids of the text (no special tokens) and, for each, whether it is a cue."""
        ids, cues = [], []
        for word in document.text.split():
            cue = len(word) > 2 and word[0] == "<" and word[-1] == ">"
            ids.append(self.ids[word[1:-1] if cue else word])
            cues.append(cue)
        return ids, cues


def masked_batches(
    documents: Iterator[Document],
    encoder: Encoder,
    masking: Masking,
    tokens: int,
    seed: int,
    window: int = 4096,
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches for masked language modelling, of about `tokens` tokens and of like lengths.

    Of the chosen words, all cues and 80 % of the others become [MASK], 10 % a random word,
    10 % stay (Devlin et al. 2019, section 3.1). A third of the documents is split into BERT's
    two segments. A shifted batch starts at a random position, so that all positions are trained
    and the models bear prefixes before the text.

    Yields:
        input_ids, attention_mask, token_type_ids, position_ids, labels, each (B, T);
        labels are IGNORE where nothing is to be guessed.
    """
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    for group in _groups(documents, encoder, tokens, rng, window):
        batch = _masked(group, encoder, masking, rng, noise)
        if (batch["labels"] != IGNORE).any():
            yield batch


def _groups(documents, encoder: Encoder, tokens: int, rng, window: int = 4096) -> Iterator[list]:
    """Encoded documents of like lengths, as many as fit into a batch of `tokens` tokens."""
    while True:
        chunk = sorted((encoder(d) for d in islice(documents, window)), key=lambda e: len(e[0]))
        if not chunk:
            return
        rows, widest, groups = [], 0, []
        for encoded in chunk:
            widest = max(widest, len(encoded[0]) + 3)
            if rows and (len(rows) + 1) * widest > tokens:
                groups.append(rows)
                rows, widest = [], len(encoded[0]) + 3
            rows.append(encoded)
        if rows:
            groups.append(rows)
        rng.shuffle(groups)
        yield from groups


def _masked(group, encoder: Encoder, masking: Masking, rng, noise) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in group) + 3
    size = (len(group), width)
    ids = np.full(size, encoder.pad, dtype=np.int64)
    attend, kinds = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    cue, word = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    stop = encoder.ids["."]
    for row, (text, cues) in enumerate(group):
        places = [i for i, t in enumerate(text[:-1]) if t == stop]
        cut = rng.choice(places) + 1 if places and rng.random() < 0.33 else len(text)
        first, second = text[:cut], text[cut:]
        line = [encoder.cls, *first, encoder.sep] + ([*second, encoder.sep] if second else [])
        n = len(line)
        ids[row, :n], attend[row, :n] = line, 1
        cue[row, 1 : cut + 1] = cues[:cut]
        word[row, 1 : cut + 1] = True
        if second:
            cue[row, cut + 2 : n - 1] = cues[cut:]
            word[row, cut + 2 : n - 1] = True
            kinds[row, cut + 2 : n] = 1
    chance = np.where(cue, masking.cues, np.where(word, masking.others, 0.0))
    guess = noise.random(size) < chance
    labels = np.where(guess, ids, IGNORE)
    how = noise.random(size)
    ids = np.where(guess & (cue | (how < 0.8)), encoder.mask, ids)
    random_words = noise.integers(encoder.first_word, encoder.size, size)
    ids = np.where(guess & ~cue & (how >= 0.9), random_words, ids)
    arrays = {
        "input_ids": ids,
        "attention_mask": attend,
        "token_type_ids": kinds,
        "labels": labels,
    }
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {**batch, "position_ids": _positions(size, rng, masking.shifted)}


def causal_batches(
    documents: Iterator[Document],
    encoder: Encoder,
    cue_weight: float,
    tokens: int,
    seed: int,
    shifted: float = 0.0,
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches for causal language modelling, of about `tokens` tokens and of like lengths.

    Each document has a row of its own. In packed rows the words of a neighbour get in the way
    while comparing and counting are learnt, and undo both when they come later.

    Args:
        shifted: share of the batches that start at a random position.

    Yields:
        input_ids, position_ids and labels (B, T), and weights (B, T): how much a token's loss
        counts; a cue counts `cue_weight` times as much as another word, padding nothing.
    """
    rng = random.Random(seed)
    for group in _groups(documents, encoder, tokens, rng):
        width = max(len(text) for text, _ in group) + 2
        ids = np.full((len(group), width), encoder.pad, dtype=np.int64)
        weights = np.zeros(ids.shape, dtype=np.float32)
        for row, (text, cues) in enumerate(group):
            n = len(text) + 2
            ids[row, :n] = [encoder.cls, *text, encoder.sep]
            weights[row, 1:n] = [*(cue_weight if cue else 1.0 for cue in cues), 1.0]
        batch = torch.from_numpy(ids)
        yield {
            "input_ids": batch,
            "position_ids": _positions(batch.shape, rng, shifted),
            "labels": batch,
            "weights": torch.from_numpy(weights),
        }


def _positions(size: tuple[int, ...], rng, shifted: float) -> torch.Tensor:
    start = rng.randrange(0, MAX_LENGTH - size[1]) if rng.random() < shifted else 0
    return torch.arange(start, start + size[1]).expand(size).contiguous()
