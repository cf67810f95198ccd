"""Exercises 3a and 3b, a prefix: one table for all layers, and the MLP that makes it."""

from __future__ import annotations

from typing import Any

import torch

from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
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
