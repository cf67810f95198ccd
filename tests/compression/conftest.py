"""Small classifiers for all tests of this folder."""

from __future__ import annotations

import pytest
import small_plms
import small_tasks as small


@pytest.fixture
def make_plm():
    """make_plm(name, layers=4, seed=0): a classifier of that kind in eval mode."""

    def make(name: str, layers: int = 4, seed: int = 0, **changes):
        count = "n_layer" if name.startswith("gpt2") else "num_hidden_layers"
        return small_plms.make(name, seed, **{"initializer_range": 0.3, count: layers} | changes)

    return make


@pytest.fixture(scope="session")
def tokenizer():
    return small.tokenizer()


@pytest.fixture(scope="session")
def task():
    return small.sentiment()
