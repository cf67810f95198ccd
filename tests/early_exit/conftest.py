"""Small PLMs of four layers with exits, and a batch whose rows differ in length."""

from __future__ import annotations

import pytest
import small_plms
import torch

from course_utils.early_exit import EarlyExit

LABELS = 3


@pytest.fixture
def make_plm():
    """make_plm(name, layers=4, seed=0): weights large enough for the exits to disagree."""

    def make(name: str, layers: int = 4, seed: int = 0, **changes):
        count = "n_layer" if name.startswith("gpt2") else "num_hidden_layers"
        changes = {"num_labels": LABELS, "initializer_range": 0.6, count: layers} | changes
        return small_plms.make(name, seed, **changes)

    return make


@pytest.fixture
def make_exits(make_plm):
    """make_exits(name, seed=0): an EarlyExit whose confidence says something, in eval mode."""

    def make(name: str, seed: int = 0, **changes) -> EarlyExit:
        exits = EarlyExit(make_plm(name, seed=seed, **changes), seed=seed)
        torch.nn.init.normal_(exits.confidence.weight, generator=torch.Generator().manual_seed(5))
        exits.confidence_trained = True
        return exits

    return make


@pytest.fixture
def make_batch():
    """make_batch(name, rows=12): right-padded ids and mask."""

    def make(name: str, rows: int = 12, tokens: int = 9) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(2)
        ids = torch.randint(5, small_plms.VOCAB, (rows, tokens), generator=generator)
        mask = torch.ones_like(ids)
        for row in range(rows):
            mask[row, tokens - row % 6 :] = 0
        pad = 1 if name.startswith("roberta") else 0
        return {"input_ids": ids.masked_fill(mask == 0, pad), "attention_mask": mask}

    return make
