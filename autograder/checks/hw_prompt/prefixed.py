"""Exercises 3c and 3d, the frozen model reads a prefix; what one of zeros leaves to the text."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache

from autograder.checks.hw_prompt.frozen import expect_logits
from autograder.judging.judge import Checks, Draw, expect, expect_tensor
from autograder.judging.plms import small_plm
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()
NEAR = 1e-3  # through several layers, rounding adds up


# --- 3c, the frozen model -------------------------------------------------------------------


def prefixed(
    model: Any, past: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, **more: Any
) -> Any:
    """The reference."""
    cache = DynamicCache()
    for layer in range(len(past)):
        cache.update(past[layer, 0], past[layer, 1], layer)
    mask = torch.nn.functional.pad(mask, (past.shape[-2], 0), value=1)
    return model(input_ids=ids, attention_mask=mask, past_key_values=cache, **more)


def drawn_past(draw: Draw, model: Any, rows: int, places: int = 5) -> torch.Tensor:
    config = model.config
    heads = config.num_attention_heads
    size = config.hidden_size // heads
    return draw.normal(config.num_hidden_layers, 2, rows, heads, places, size)


def drawn_texts(draw: Draw, rows: int, left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, mask), the last text two tokens shorter than the others; RoBERTa's padding is 1.

    Args:
        left: the padding comes first, where a causal model would see it.
    """
    tokens = draw.between(4, 7)
    ids, mask = draw.integers(10, 60, rows, tokens), torch.ones(rows, tokens, dtype=torch.int64)
    padded = slice(0, 2) if left else slice(-2, None)
    ids[-1, padded], mask[-1, padded] = 1, 0
    return ids, mask


def drawn_plm(student: Student, draw: Draw, family: str) -> tuple[Any, Remote]:
    """The same PLM here and at the worker."""
    sizes = {
        "num_hidden_layers": draw.between(2, 4),
        "hidden_size": 12 * draw.between(1, 2),
        "num_attention_heads": draw.between(2, 3),
    }
    seed = draw.between(0, 999)
    return small_plm(family, sizes, seed), student.plm(family, sizes, seed)


def expect_like(student: Student, draw: Draw, family: str) -> None:
    here, there = drawn_plm(student, draw, family)
    for rows, places in zip((2, 3), draw.random.sample(range(1, 7), 2), strict=True):
        past = drawn_past(draw, here, rows, places)
        ids, mask = drawn_texts(draw, rows, left=family == "gpt2")
        got = student.call("prefixed_logits", there, past, ids, mask)
        expected = prefixed(here, past, ids, mask).logits
        expect_logits(f"prefixed_logits with {family}", got, expected, mask, NEAR)


@check("BERT attends to the prefix, padding left out", points=1, exercise="prefixed-logits")
def _bert(student: Student, draw: Draw) -> None:
    expect_like(student, draw, "bert")


@check("RoBERTa does, at the right positions", points=1, exercise="prefixed-logits")
def _roberta(student: Student, draw: Draw) -> None:
    expect_like(student, draw, "roberta")


@check("GPT-2 does, padding left out", points=1, exercise="prefixed-logits")
def _gpt2(student: Student, draw: Draw) -> None:
    expect_like(student, draw, "gpt2")


@check("begins afresh at every call", points=1, exercise="prefixed-logits")
def _afresh(student: Student, draw: Draw) -> None:
    here, there = drawn_plm(student, draw, "bert")  # GPT-2 has a check of its own
    past, other = drawn_past(draw, here, 2), drawn_past(draw, here, 2, draw.between(2, 6))
    ids, mask = drawn_texts(draw, 2)
    for prefix in (past, past, other):
        got, after, _ = student.watched("prefixed_logits", there, prefix, ids, mask)
        expected = prefixed(here, prefix, ids, mask).logits
        expect_logits("prefixed_logits, called again", got, expected, mask, NEAR)
        for what, left, before in zip(
            ("past", "input_ids", "attention_mask"), after[1:], (prefix, ids, mask), strict=True
        ):
            expect(
                type(left) is torch.Tensor and torch.equal(left, before),
                f"prefixed_logits: {what} was changed.",
            )


@check("lets gradients reach the prefix, and the model alone", points=1, exercise="prefixed-logits")
def _past_gradients(student: Student, draw: Draw) -> None:
    here, there = drawn_plm(student, draw, "bert")
    past, (ids, mask) = drawn_past(draw, here, 2), drawn_texts(draw, 2)
    weights = draw.normal(*ids.shape, here.config.vocab_size) * mask[..., None]
    exact = past.clone().requires_grad_(True)
    (prefixed(here, exact, ids, mask).logits * weights).sum().backward()
    found = student.gradients(
        None, "prefixed_logits", [there, past, ids, mask], weights, inputs=[1]
    )["input 1"]  # fmt: skip
    expect(found is not None, "prefixed_logits: no gradient reaches the prefix.")
    scale = exact.grad.abs().max()
    expect_tensor("prefixed_logits: the prefix's gradient", found / scale, exact.grad / scale, NEAR)
    own = dict(here.named_parameters())
    for name, (value, trained) in student.parameters(there).items():
        same = torch.equal(value, own[name]) and trained
        expect(same, "prefixed_logits: the model was changed (its weights, or what is trained).")
    expect(student.get(there, "training") is False, "prefixed_logits: the model's mode changed.")


# --- 3d, the share of the text --------------------------------------------------------------


def share_of(
    queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, length: int
) -> torch.Tensor:
    """The reference, in float64 and logarithms: (B, h, T)."""
    scores = torch.einsum("bhtd,bhjd->bhtj", queries.double(), keys.double())
    scores = scores / queries.shape[-1] ** 0.5
    scores = scores.masked_fill(mask[:, None, None, :] == 0, -torch.inf)
    prefix = torch.tensor(float(length), dtype=torch.float64).log()
    return torch.sigmoid(scores.logsumexp(-1) - prefix).to(queries.dtype)


@check("is what a frozen layer leaves to the text", points=2, exercise="text-share")
def _frozen_layer(student: Student, draw: Draw) -> None:
    """Against attention weights that BERT itself computes behind keys of zeros."""
    sizes = {"hidden_size": 24, "num_attention_heads": draw.between(2, 3), "num_hidden_layers": 1}
    model = small_plm("bert", sizes, draw.between(0, 999))
    model.set_attn_implementation("eager")
    past = torch.zeros_like(drawn_past(draw, model, 3, draw.between(2, 6)))
    ids, mask = drawn_texts(draw, 3)
    block, seen = model.bert.encoder.layer[0].attention.self, {}
    for name in ("query", "key"):
        getattr(block, name).register_forward_hook(
            lambda _, given, output, name=name: seen.update({name: output.detach()})
        )
    with torch.no_grad():
        weights = prefixed(model, past, ids, mask, output_attentions=True).attentions[0]
    heads, length = past.shape[3], past.shape[4]
    queries, keys = (
        seen[name].unflatten(-1, (heads, -1)).transpose(1, 2).contiguous()
        for name in ("query", "key")
    )
    got = student.call("text_share", queries, keys, mask, length)
    expect_tensor("text_share", got, weights[..., length:].sum(-1))


@check("counts no padding", points=1, exercise="text-share")
def _padding(student: Student, draw: Draw) -> None:
    rows, heads, tokens, size = draw.random.sample(range(2, 7), 4)
    queries, keys = (2 * draw.normal(rows, heads, tokens, size) for _ in range(2))
    mask = (torch.arange(tokens) < draw.integers(1, tokens + 1, rows, 1)).long()
    mask[0, -1] = 0
    length = draw.between(1, 9)
    got = student.call("text_share", queries, keys, mask, length)
    expect_tensor("text_share of padded texts", got, share_of(queries, keys, mask, length))


@check("stands scores of 1000, and no prefix", points=1, exercise="text-share")
def _extremes(student: Student, draw: Draw) -> None:
    queries, keys = draw.normal(2, 2, 3, 4), draw.normal(2, 2, 5, 4)[:, :, :3].contiguous()
    mask = torch.ones(2, 3, dtype=torch.int64)
    got = student.call("text_share", queries, keys, mask, 0)
    expect_tensor("text_share without a prefix", got, torch.ones(2, 2, 3))
    ones = torch.ones(1, 1, 2, 4)
    for sign, expected in ((500.0, 1.0), (-500.0, 0.0)):  # scores of 1000 and of -1000
        got = student.call("text_share", ones, sign * ones, mask[:1, :2], draw.between(1, 9))
        expect_tensor("text_share of scores of 1000", got, torch.full((1, 1, 2), expected))
