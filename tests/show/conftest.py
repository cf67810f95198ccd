"""Very small random PLMs, made on the spot: what is drawn must not depend on trained weights."""

from __future__ import annotations

import pytest
import small_plms
import small_tokenizers

WORDS = ["the", "soup", "was", "stale", "fresh", "bad", "good", "it", ".", "and", "waiter", "rude"]


@pytest.fixture(scope="session")
def word_tokenizer():
    return small_tokenizers.of_words(WORDS)


@pytest.fixture(scope="session")
def masked(word_tokenizer):
    model = small_plms.bert(word_tokenizer, num_hidden_layers=1, max_position_embeddings=24)
    return model, word_tokenizer


@pytest.fixture(scope="session")
def causal(word_tokenizer):
    model = small_plms.gpt2(
        word_tokenizer, n_layer=1, n_positions=24, bos_token_id=2, eos_token_id=3
    )
    return model, word_tokenizer
