"""What a PLM says, compared with the model's own logits and losses."""

from __future__ import annotations

import math

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.show.words import surprise, top_words


def test_words_for_a_mask_are_the_models_own_softmax(masked):
    model, tokenizer = masked
    found = top_words(model, tokenizer, "the soup was {mask} .", 3)
    batch = tokenizer("the soup was [MASK] .", return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch).logits[0, 3].softmax(-1).topk(3)
    assert [p for _, p in found] == pytest.approx(expected.values.tolist())
    assert [tokenizer.convert_tokens_to_ids(w) for w, _ in found] == expected.indices.tolist()


def test_the_next_word_of_a_causal_plm(causal):
    model, tokenizer = causal
    (word, p), *_ = top_words(model, tokenizer, "the soup was", 1)
    with torch.no_grad():
        row = model(**_ids(tokenizer, "the soup was")).logits[0, -1].softmax(-1)
    assert p == pytest.approx(row.max().item())
    assert tokenizer.convert_tokens_to_ids(word) == row.argmax().item()


def test_causal_surprise_adds_up_to_the_models_loss(causal):
    model, tokenizer = causal
    tokens, bits = surprise(model, tokenizer, "the soup was stale .")
    batch = _ids(tokenizer, "the soup was stale .")
    with torch.no_grad():
        nats = model(**batch, labels=batch["input_ids"]).loss.item()
    assert tokens == ["soup", "was", "stale", "."]
    assert sum(bits) / len(bits) * math.log(2) == pytest.approx(nats, rel=1e-5)


def test_masked_surprise_is_read_with_the_token_itself_hidden(masked):
    model, tokenizer = masked
    tokens, bits = surprise(model, tokenizer, "the soup was stale")
    batch = _ids(tokenizer, "the soup [MASK] stale")
    with torch.no_grad():
        p = model(**batch).logits[0, 2].softmax(-1)[tokenizer.convert_tokens_to_ids("was")]
    assert tokens == ["the", "soup", "was", "stale"]
    assert bits[2] == pytest.approx(-math.log2(p.item()), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("masked", "no gap here", "exactly one"),
        ("masked", "{mask} and {mask}", "it has 2"),
        ("causal", "the {mask}", "end the text"),
        ("masked", "{mask} " + "soup " * 60, "at most 24"),
        ("causal", "", "empty"),
    ],
)
def test_what_can_not_be_asked(kind, text, message, request):
    model, tokenizer = request.getfixturevalue(kind)
    with pytest.raises(CourseError, match=message):
        top_words(model, tokenizer, text)


def _ids(tokenizer, text):
    batch = tokenizer(text, return_tensors="pt")
    return {key: batch[key] for key in ("input_ids", "attention_mask")}
