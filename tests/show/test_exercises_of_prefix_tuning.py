"""Notebook 10: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import math
import re

import pytest
import torch
from transformers import DynamicCache

from course_utils.show.exercises import prefix_tuning as exercises


def sizes(P, L, d, k, *, kept=lambda P, L, d: 2 * P * L * d, biases=1, table=True):
    trained = (P * d if table else 0) + (d + biases) * k + (k + biases) * 2 * L * d
    return kept(P, L, d), trained


def attend(q, K, V, P_k, P_v, *, scale=True, dim=-1, size=None):
    scores = q @ torch.cat((P_k, K)).T
    scores = scores / math.sqrt(q.shape[-1]) if scale else scores
    return scores.softmax(dim) @ torch.cat((P_v, V))


def apart(q, K, V, P_k, P_v, *, share=1.0):
    def one(keys, values):
        return (q @ keys.T / math.sqrt(q.shape[-1])).softmax(-1) @ values

    return share * (one(K, V) + one(P_k, P_v))


def as_an_adapter(q, K, V, P_k, P_v):
    """(1 - λ) h + λ Δh: the same, and right."""
    text, prefix = (q @ k.T / math.sqrt(q.shape[-1]) for k in (K, P_k))
    gate = (prefix.logsumexp(-1) - text.logsumexp(-1)).sigmoid()[:, None]
    return (1 - gate) * (text.softmax(-1) @ V) + gate * (prefix.softmax(-1) @ P_v)


def zero_factor(scores, P):
    return (scores.logsumexp(-1) - math.log(P)).sigmoid()


def read_each(model, prefix, texts, *, afresh=True, filled=True):
    def fill():
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(prefix):
            cache.update(keys, values, layer)
        return cache

    kept = fill()
    rows = []
    for ids in texts:
        cache = None if not filled else fill() if afresh else kept
        rows.append(model(input_ids=ids, past_key_values=cache).logits[0, -1])
    return rows


CASES = [
    (exercises.check_prefix_sizes, sizes),
    (exercises.check_attend, attend),
    (exercises.check_attend, as_an_adapter),
    (exercises.check_zero_factor, zero_factor),
    (exercises.check_read_each, read_each),
]


@pytest.mark.parametrize(("check", "answer"), CASES)
def test_right(check, answer):
    verdict = check(answer)
    assert verdict.state == "right", verdict


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("check", [check for check, _ in CASES])
@pytest.mark.parametrize("answer", [..., unfinished, lambda *arguments: None])
def test_open(check, answer):
    assert check(answer).state == "open"


@pytest.mark.parametrize(
    ("check", "answer", "advice"),
    [
        (exercises.check_prefix_sizes, lambda *a: sizes(*a, kept=lambda P, L, d: P * L * d), "key"),
        (
            exercises.check_prefix_sizes,
            lambda *a: sizes(*a, kept=lambda P, L, d: 2 * P * d),
            "every layer",
        ),
        (exercises.check_prefix_sizes, lambda *a: sizes(*a, biases=0), "bias"),
        (exercises.check_prefix_sizes, lambda *a: sizes(*a, table=False), "table"),
        (exercises.check_prefix_sizes, lambda *a: [sizes(*a)[0]], "Two numbers"),
        (exercises.check_attend, lambda *a: attend(*a, scale=False), "square root"),
        (exercises.check_attend, lambda *a: attend(*a, dim=0), "last dimension"),
        (exercises.check_attend, lambda *a: apart(*a), "share the weight"),
        (exercises.check_attend, lambda *a: apart(*a, share=0.5), "mean of the two"),
        (
            exercises.check_attend,
            lambda q, K, V, P_k, P_v: attend(torch.cat((P_k, q)), K, V, P_k, P_v),
            "does not look",
        ),
        (
            exercises.check_attend,
            lambda q, K, V, P_k, P_v: attend(q, K, V, P_k[:0], P_v[:0]),
            "text alone",
        ),
        (exercises.check_zero_factor, lambda s, P: 1 - zero_factor(s, P), "share of the prefix"),
        (exercises.check_zero_factor, lambda s, P: len(s) / (len(s) + P), "counts places"),
        (exercises.check_zero_factor, lambda s, P: 1.0, "exp"),
        (
            exercises.check_zero_factor,
            lambda s, P: s.exp().sum() / (s.exp().sum() + P),
            "too large",
        ),
        (exercises.check_zero_factor, lambda s, P: 0.5, "is right"),
        (exercises.check_read_each, lambda *a: read_each(*a, afresh=False), "grows"),
        (exercises.check_read_each, lambda *a: read_each(*a, filled=False), "No prefix"),
        (exercises.check_read_each, lambda *a: read_each(*a)[:1], "3 texts"),
    ],
)
def test_typical_mistakes_get_advice(check, answer, advice):
    verdict = check(answer)
    assert verdict.state == "not yet", verdict
    assert re.search(advice, verdict.text), verdict.text
