"""Exercise 3, a prefix: one table for all layers, the MLP, the cache, and the share of the text."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache

from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
from autograder.judging.plms import small_plm
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


# --- 3a, keys and values --------------------------------------------------------------------


def cut(table: torch.Tensor, layers: int, heads: int) -> torch.Tensor:
    """The reference, block by block: (B, P, 2·L·h·d_h) -> (L, 2, B, h, P, d_h)."""
    blocks = table.chunk(2 * layers, dim=-1)
    by_head = [torch.stack(block.chunk(heads, dim=-1), dim=1) for block in blocks]
    return torch.stack([torch.stack(by_head[2 * i : 2 * i + 2]) for i in range(layers)])


def drawn_table(draw: Draw, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, int, int]:
    """A table whose sizes all differ, its layers and heads."""
    rows, places, layers, heads, size = draw.random.sample(range(2, 7), 5)
    return draw.normal(rows, places, 2 * layers * heads * size, dtype=dtype), layers, heads


@check("puts each number where it belongs", points=1, exercise="keys-and-values")
def _places(student: Student, draw: Draw) -> None:
    for table, layers, heads in (drawn_table(draw), (draw.normal(1, 1, 2), 1, 1)):
        got = student.call("keys_and_values", table, layers, heads)
        expect_tensor("keys_and_values", got, cut(table, layers, heads))


@check("keeps the dtype and lets gradients flow", points=1, exercise="keys-and-values")
def _table_gradients(student: Student, draw: Draw) -> None:
    for dtype in (torch.float64, torch.float16):
        table, layers, heads = drawn_table(draw, dtype)
        got = student.call("keys_and_values", table, layers, heads)
        expect_tensor(f"keys_and_values of {dtype}", got, cut(table, layers, heads))
    table, layers, heads = drawn_table(draw)
    exact = table.clone().requires_grad_(True)
    expected = cut(exact, layers, heads)
    weights = draw.normal(*expected.shape)
    (expected * weights).sum().backward()
    found = student.gradients(
        None, "keys_and_values", [table, layers, heads], weights, inputs=[0]
    )["input 0"]  # fmt: skip
    expect(found is not None, "keys_and_values: no gradient reaches the table.")
    expect_tensor("keys_and_values: the gradient of the table", found, exact.grad)


@check("refuses a number of columns that does not fit", points=1, exercise="keys-and-values")
def _columns(student: Student, draw: Draw) -> None:
    layers, heads = draw.between(2, 4), draw.between(2, 4)
    for columns in (2 * layers * heads + 1, 2 * layers * (heads + 1), 2 * heads * layers + layers):
        if columns % (2 * layers * heads):
            table = draw.normal(2, heads, columns)
            expect_refusal(
                f"keys_and_values of {columns} columns, {layers} layers, {heads} heads",
                lambda table=table: student.call("keys_and_values", table, layers, heads),
            )


# --- 3b, the module -------------------------------------------------------------------------


def sizes_of(draw: Draw) -> tuple[int, int, int]:
    """(layers, hidden size, length), all different."""
    return tuple(draw.random.sample(range(2, 8), 3))


def values_of(student: Student, prefix: Remote) -> dict[str, torch.Tensor]:
    return {name: value for name, (value, _) in student.parameters(prefix).items()}


TABLE = ("table",)
MLP = ("start", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias")


def given(
    student: Student, draw: Draw, prefix: Remote, names: tuple[str, ...] = TABLE, std: float = 1.0
) -> dict[str, torch.Tensor]:
    """Writes values of the judge's own into the prefix's parameters, which have these names."""
    found = values_of(student, prefix)
    listed = f"expected the parameters {', '.join(names)}; got {', '.join(found) or 'none'}"
    expect(found.keys() == set(names), f"Prefix: {listed}.")
    values = {name: std * draw.normal(*found[name].shape) for name in names}
    student.put(prefix, values)
    return values


def made_by_mlp(values: dict[str, torch.Tensor]) -> torch.Tensor:
    """The reference: (P, 2·L·d)."""
    inner = torch.tanh(values["start"] @ values["mlp.0.weight"].T + values["mlp.0.bias"])
    return inner @ values["mlp.2.weight"].T + values["mlp.2.bias"]


def expect_parameters(what: str, student: Student, prefix: Remote, shapes: dict[str, Any]) -> None:
    found = student.parameters(prefix)
    expect(
        found.keys() == shapes.keys(),
        f"{what}: expected the parameters {', '.join(shapes)}; got {', '.join(found) or 'none'}.",
    )
    for name, shape in shapes.items():
        value, trained = found[name]
        shown = f"expected the shape {shape}, got {tuple(value.shape)}"
        expect(tuple(value.shape) == shape, f"{what}, {name}: {shown}.")
        expect(trained, f"{what}: {name} can't be trained.")


def expect_spread(what: str, value: torch.Tensor, std: float) -> None:
    """Looks drawn from a normal distribution with mean 0; wrong once in millions of draws."""
    expect(bool((value.std() / std - 1).abs() < 0.12), f"{what}: not the standard deviation.")
    expect(bool(value.mean().abs() < 0.12 * std), f"{what}: the mean is not 0.")
    far = (value.abs() > 2 * std).double().mean().item()
    expect(0.02 < far < 0.08, f"{what}: not drawn from a normal distribution.")


@check("without an MLP starts as a small table", points=1, exercise="prefix")
def _small(student: Student, draw: Draw) -> None:
    layers, size, length = sizes_of(draw)
    size *= 64  # thousands of numbers, for the spread
    prefix = student.make("Prefix", layers, size, length)
    shapes = {"table": (length, 2 * layers * size)}
    expect_parameters("Prefix without an MLP", student, prefix, shapes)
    first = values_of(student, prefix)["table"]
    expect_spread("Prefix.table at the start", first, 0.02)
    second = values_of(student, student.make("Prefix", layers, size, length))["table"]
    expect(not torch.equal(first, second), "Prefix: two prefixes start with the same numbers.")


@check("with an MLP has a start and two layers", points=1, exercise="prefix")
def _two_layers(student: Student, draw: Draw) -> None:
    layers, size, length = sizes_of(draw)
    size, width = size * 256, draw.between(3, 9)
    prefix = student.make("Prefix", layers, size, length, width)
    columns = 2 * layers * size
    shapes = {
        "start": (length, size),
        "mlp.0.weight": (width, size),
        "mlp.0.bias": (width,),
        "mlp.2.weight": (columns, width),
        "mlp.2.bias": (columns,),
    }
    expect_parameters("Prefix with an MLP", student, prefix, shapes)
    expect_spread("Prefix.start", values_of(student, prefix)["start"], 1.0)


@check("gives the table to every text, and learns from all", points=1, exercise="prefix")
def _every_text(student: Student, draw: Draw) -> None:
    layers, size, length = sizes_of(draw)
    prefix = student.make("Prefix", layers, size, length)
    table = given(student, draw, prefix)["table"]
    student.train(prefix, False)
    for rows in (1, draw.between(2, 5)):
        got = student.method(prefix, "__call__", rows)
        expect_tensor("Prefix.forward", got, table.expand(rows, -1, -1))
    weights = draw.normal(3, *table.shape)
    found = student.gradients(prefix, "__call__", [3], weights, parameters=prefix).get("table")
    expect(found is not None, "Prefix: no gradient reaches the table.")
    expect_tensor("Prefix: the table's gradient", found, weights.sum(0))


def with_mlp(student: Student, draw: Draw, dropout: float = 0.0) -> tuple[Remote, dict[str, Any]]:
    """A prefix with an MLP and the judge's values, as in evaluation."""
    layers, size, length = sizes_of(draw)
    prefix = student.make("Prefix", layers, size, length, draw.between(3, 9), dropout)
    values = given(student, draw, prefix, MLP, 0.5)
    student.train(prefix, False)
    return prefix, values


@check("makes the table with the MLP", points=1, exercise="prefix")
def _from_mlp(student: Student, draw: Draw) -> None:
    prefix, values = with_mlp(student, draw)
    rows = draw.between(2, 4)
    got = student.method(prefix, "__call__", rows)
    expect_tensor("Prefix.forward with an MLP", got, made_by_mlp(values).expand(rows, -1, -1))


@check("trains start and MLP", points=1, exercise="prefix")
def _mlp_gradients(student: Student, draw: Draw) -> None:
    prefix, values = with_mlp(student, draw)
    exact = {name: value.clone().requires_grad_(True) for name, value in values.items()}
    table = made_by_mlp(exact)
    weights = draw.normal(2, *table.shape)
    (table * weights).sum().backward()
    found = student.gradients(prefix, "__call__", [2], weights, parameters=prefix)
    for name, value in exact.items():
        expect(found.get(name) is not None, f"Prefix: no gradient reaches {name}.")
        expect_tensor(f"Prefix: the gradient of {name}", found[name], value.grad, 1e-3)


@check("drops numbers while training, for each text anew", points=1, exercise="prefix")
def _dropout(student: Student, draw: Draw) -> None:
    rate = draw.random.choice((0.25, 0.5))
    prefix = student.make("Prefix", 3, 8, 6, 0, rate)
    table = given(student, draw, prefix)["table"]  # 6 x 48
    student.train(prefix, False)
    got = student.method(prefix, "__call__", 2)
    expect_tensor("Prefix.forward in evaluation", got, table.expand(2, -1, -1))
    student.train(prefix, True)
    got = student.method(prefix, "__call__", 4)
    dropped = got == 0
    kept = table.expand(4, -1, -1) / (1 - rate)
    expect_tensor("Prefix.forward in training", got, torch.where(dropped, 0.0, kept))
    share = dropped.double().mean().item()
    expect(abs(share - rate) < 0.1, "Prefix.forward in training: not the share of dropped numbers.")
    same = torch.equal(dropped[0], dropped[1]) or torch.equal(dropped[2], dropped[3])
    expect(not same, "Prefix.forward in training: all texts lose the same numbers.")
    again = student.method(prefix, "__call__", 4)
    expect(not torch.equal(got, again), "Prefix.forward in training: nothing is drawn anew.")


@check("says the same when the MLP is thrown away", points=1, exercise="prefix")
def _finished(student: Student, draw: Draw) -> None:
    prefix, values = with_mlp(student, draw, dropout=0.5)
    table = made_by_mlp(values)
    for training in (True, False):  # it may be finished in the middle of training
        prefix, values = with_mlp(student, draw, dropout=0.5)
        table = made_by_mlp(values)
        student.train(prefix, training)
        student.method(prefix, "finish")
        student.train(prefix, False)
        got = student.method(prefix, "__call__", 2)
        expect_tensor("Prefix.forward after finish", got, table.expand(2, -1, -1))
    plain = student.make("Prefix", 2, 3, 4)
    table = given(student, draw, plain)["table"]
    student.method(plain, "finish")
    student.train(plain, False)
    got = student.method(plain, "__call__", 1)
    expect_tensor("Prefix.forward, finished without an MLP", got, table[None])


@check("keeps the table alone, and trains it on", points=1, exercise="prefix")
def _table_alone(student: Student, draw: Draw) -> None:
    prefix, values = with_mlp(student, draw)
    table = made_by_mlp(values)
    student.method(prefix, "finish")
    shapes = {"table": tuple(table.shape)}
    expect_parameters("Prefix after finish", student, prefix, shapes)
    weights = draw.normal(2, *table.shape)
    found = student.gradients(prefix, "__call__", [2], weights, parameters=prefix).get("table")
    expect(found is not None, "Prefix after finish: no gradient reaches the table.")
    expect_tensor("Prefix after finish: the table's gradient", found, weights.sum(0))
    moved = given(student, draw, prefix)["table"]
    got = student.method(prefix, "__call__", 1)
    expect_tensor("Prefix after finish, trained on", got, moved[None])


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
        expect_logits(f"prefixed_logits with {family}", got, prefixed(here, past, ids, mask), mask)


def expect_logits(what: str, got: Any, expected: Any, mask: torch.Tensor) -> None:
    """Equal wherever the text is not padding."""
    expected = expected.logits.detach()
    expect(type(got) is torch.Tensor, f"{what}: expected a tensor.")
    shapes = f"expected the shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    expect(got.shape == expected.shape, f"{what}: {shapes}.")
    expect_tensor(what, got[mask.bool()], expected[mask.bool()], 1e-3)


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
        expected = prefixed(here, prefix, ids, mask)
        expect_logits("prefixed_logits, called again", got, expected, mask)
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
    expect_tensor("prefixed_logits: the prefix's gradient", found / scale, exact.grad / scale, 1e-3)
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
