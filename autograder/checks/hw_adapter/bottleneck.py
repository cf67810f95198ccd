"""Exercise 1, bottleneck adapters: the module, and Houlsby's and Pfeiffer's places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from autograder.checks.hw_adapter.modules import (
    Judged,
    adapter_values,
    expect_gradients,
    expect_shapes,
)
from autograder.checks.hw_adapter.pairs import (
    Pair,
    classifier,
    expect_learnt,
    expect_modules,
    expect_there,
    freeze,
    layers,
    put_after,
)
from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


# --- 1a, the bottleneck ---------------------------------------------------------------------


@check("starts at exactly zero, and can learn from there", points=2, exercise="bottleneck")
def _bottleneck_start(student: Student, draw: Draw) -> None:
    width, size = draw.between(3, 8), draw.between(1, 5)
    adapter, x = student.make("Bottleneck", width, size), draw.normal(4, width)
    got = student.method(adapter, "__call__", x)
    expect_tensor("Bottleneck at the start", got, torch.zeros(4, width))
    found = student.gradients(adapter, "__call__", [x], draw.normal(4, width), parameters=adapter)
    for name in ("up.weight", "up.bias"):
        flows = found.get(name)
        expect(
            flows is not None and bool(flows.any()),
            f"Bottleneck at the start: no gradient reaches {name}, so it can't learn.",
        )
    biases = student.parameters(adapter)["down.bias"][0]
    expect(not biases.any(), "Bottleneck at the start: b1 is not zero.")


@check("computes W2 gelu(W1 x + b1) + b2", points=3, exercise="bottleneck")
def _bottleneck_values(student: Student, draw: Draw) -> None:
    for _ in range(3):
        width, size = draw.between(2, 8), draw.between(1, 9)
        values = adapter_values(draw, width, size)
        adapter, x = student.make("Bottleneck", width, size), draw.normal(3, 4, width)
        student.put(adapter, values)
        got = student.method(adapter, "__call__", x)
        expect_tensor("Bottleneck", got, Judged(values)(x).detach())


@check("takes any number of dimensions in front, and float64", points=1, exercise="bottleneck")
def _bottleneck_shapes(student: Student, draw: Draw) -> None:
    width = draw.between(2, 6)
    values = adapter_values(draw, width, 3)
    ours, adapter = Judged(values), student.make("Bottleneck", width, 3)
    student.put(adapter, values)
    for shape in ((), (5,), (2, 1, 3)):
        x = draw.normal(*shape, width)
        got = student.method(adapter, "__call__", x)
        expect_tensor(f"Bottleneck of {len(shape) + 1} dimensions", got, ours(x).detach())
    x = draw.normal(4, width, dtype=torch.float64)
    student.method(adapter, "double")
    got = student.method(adapter, "__call__", x)
    expect_tensor("Bottleneck of float64", got, ours.double()(x).detach())


@check("has W1, b1, W2, b2 and no other parameters", points=1, exercise="bottleneck")
def _bottleneck_parameters(student: Student, draw: Draw) -> None:
    width, size = draw.between(3, 8), draw.between(1, 2)
    adapter = student.make("Bottleneck", width, size)
    right = {"down.weight": (size, width), "down.bias": (size,),
             "up.weight": (width, size), "up.bias": (width,)}  # fmt: skip
    expect_shapes("Bottleneck", student, adapter, right)


@check("lets gradients reach its parameters and what it reads", points=2, exercise="bottleneck")
def _bottleneck_gradients(student: Student, draw: Draw) -> None:
    width, size = draw.between(2, 6), draw.between(1, 4)
    values = adapter_values(draw, width, size)
    ours, adapter = Judged(values), student.make("Bottleneck", width, size)
    student.put(adapter, values)
    expect_gradients("Bottleneck", student, adapter, ours, draw.normal(3, width), draw)


# --- 1b, its places -------------------------------------------------------------------------


def adapt(model: Any, place: str, values: Sequence[dict[str, torch.Tensor]]) -> list[nn.Module]:
    """The reference."""
    freeze(model)
    ours = [Judged(one) for one in values]
    for number, layer in enumerate(layers(model)):
        if place == "houlsby":
            for linear, adapter in zip(
                (layer.attention.output.dense, layer.output.dense),
                ours[2 * number : 2 * number + 2],
                strict=True,
            ):
                put_after(linear, lambda z, h, adapter=adapter: adapter(h))
        else:
            layer.output.LayerNorm.register_forward_pre_hook(
                lambda norm, s, adapter=ours[number]: (s[0] + adapter(norm.forward(s[0])),)
            )
    model.judged = nn.ModuleList(ours)
    return ours


def adapted(both: Pair, place: str, size: int) -> list[tuple[Remote, nn.Module]]:
    """Adapters with the same drawn values in both models."""
    count = len(layers(both.here)) * (2 if place == "houlsby" else 1)
    what = f"add_adapters, {place}"
    theirs = expect_modules(what, both.student.call("add_adapters", both.there, size, place), count)
    values = [adapter_values(both.draw, both.width, size) for _ in range(count)]
    for adapter, one in zip(theirs, values, strict=True):
        both.student.put(adapter, one)
    return list(zip(theirs, adapt(both.here, place, values), strict=True))


@check("leaves the model's answers as they were", points=1, exercise="add-adapters")
def _adapters_start(student: Student, draw: Draw) -> None:
    for place in ("houlsby", "pfeiffer"):
        both = classifier(student, draw)
        student.call("add_adapters", both.there, 2, place)
        both.expect_same(f"add_adapters, {place}: the logits before training")


@check("puts Houlsby's behind both sub-layers, in order", points=3, exercise="add-adapters")
def _houlsby(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    adapted(both, "houlsby", draw.between(1, 4))
    both.expect_same("add_adapters, houlsby: the logits with adapters of other values")


@check("puts Pfeiffer's behind the FFN, reading the normed sum", points=3, exercise="add-adapters")
def _pfeiffer(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    adapted(both, "pfeiffer", draw.between(1, 4))
    both.expect_same("add_adapters, pfeiffer: the logits with adapters of other values")


@check("works with RoBERTa, too", points=1, exercise="add-adapters")
def _adapters_roberta(student: Student, draw: Draw) -> None:
    for place in ("houlsby", "pfeiffer"):
        both = classifier(student, draw, "roberta")
        adapted(both, place, 2)
        both.expect_same(f"add_adapters, {place}: the logits of a RoBERTa")


@check("trains adapters and head, and nothing else", points=2, exercise="add-adapters")
def _adapters_learn(student: Student, draw: Draw) -> None:
    for place in ("houlsby", "pfeiffer"):
        both = classifier(student, draw)
        modules = adapted(both, place, 3)
        both.learn(f"add_adapters, {place}")
        expect_learnt(both, f"add_adapters, {place}", modules)


@check("refuses a place it does not know", points=1, exercise="add-adapters")
def _adapters_refuse(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    expect_refusal(
        "add_adapters at another place",
        lambda: student.call("add_adapters", both.there, 2, "sideways"),
    )
    both.learn()
    found = [value for value, _ in student.parameters(both.there).values()]
    expect_there("add_adapters: it refuses the place, but has frozen the model.",
                 [p.detach() for p in both.here.parameters()], found)  # fmt: skip
