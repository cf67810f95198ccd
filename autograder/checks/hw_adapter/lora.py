"""Exercise 3, LoRA: the map, merged and unmerged, and its places in a PLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from autograder.checks.hw_adapter.modules import expect_shapes
from autograder.checks.hw_adapter.pairs import (
    NEAR,
    STEP,
    Pair,
    classifier,
    expect_learnt,
    expect_modules,
    freeze,
    layers,
    put_after,
)
from autograder.judging.judge import Checks, Draw, expect, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


# --- 3a, LoRA -------------------------------------------------------------------------------


@dataclass
class Low:
    """A student's LoRALinear with drawn values, and those values."""

    student: Student
    lora: Remote
    linear: Remote
    weight: torch.Tensor
    bias: torch.Tensor | None
    A: torch.Tensor
    B: torch.Tensor
    scale: float

    @property
    def change(self) -> torch.Tensor:
        return self.scale * self.B @ self.A

    def ours(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight + self.change, self.bias)

    def theirs(self, x: torch.Tensor) -> Any:
        return self.student.method(self.lora, "__call__", x)

    def weight_there(self) -> Any:
        return self.student.get(self.lora, "linear.weight")

    def merge(self) -> None:
        self.student.method(self.lora, "merge")

    def unmerge(self) -> None:
        self.student.method(self.lora, "unmerge")


def low(
    student: Student,
    draw: Draw,
    *,
    rank: int = 2,
    bias: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Low:
    rows, columns = draw.between(3, 8), draw.between(3, 8)
    alpha = draw.random.choice([1, 5, 8, 16, 0.5])
    weight = draw.normal(rows, columns, dtype=dtype)
    b = draw.normal(rows, dtype=dtype) if bias else None
    linear = student.linear(weight, b)
    lora = student.make("LoRALinear", linear, rank, alpha)
    A, B = draw.normal(rank, columns, dtype=dtype), draw.normal(rows, rank, dtype=dtype)
    student.put(lora, {"A": A, "B": B})
    return Low(student, lora, linear, weight, b, A, B, alpha / rank)


@check("starts as the map it holds, with B zero and A not", points=2, exercise="lora-linear")
def _lora_start(student: Student, draw: Draw) -> None:
    rows, columns, rank = draw.between(3, 8), draw.between(3, 8), draw.between(1, 3)
    weight, bias, x = draw.normal(rows, columns), draw.normal(rows), draw.normal(4, columns)
    lora = student.make("LoRALinear", student.linear(weight, bias), rank, 8)
    got = student.method(lora, "__call__", x)
    expect_tensor("LoRALinear at the start", got, F.linear(x, weight, bias))
    right = {"linear.weight": (rows, columns), "linear.bias": (rows,), "A": (rank, columns),
             "B": (rows, rank)}  # fmt: skip
    found = expect_shapes("LoRALinear", student, lora, right)
    expect(not found["B"].any(), "LoRALinear: B is zero at the start.")
    expect(bool(found["A"].any()), "LoRALinear: A is not zero at the start, or nothing can learn.")


@check("adds (α / r) B A x", points=3, exercise="lora-linear")
def _lora_values(student: Student, draw: Draw) -> None:
    for rank in (1, 2, 3):
        made = low(student, draw, rank=rank)
        x = draw.normal(2, 3, made.weight.shape[1])
        expect_tensor("LoRALinear", made.theirs(x), made.ours(x), NEAR)


@check("takes a map without a bias, and one of float64", points=1, exercise="lora-linear")
def _lora_kinds(student: Student, draw: Draw) -> None:
    made = low(student, draw, bias=False)
    x = draw.normal(2, made.weight.shape[1])
    expect_tensor("LoRALinear without a bias", made.theirs(x), made.ours(x), NEAR)
    made = low(student, draw, dtype=torch.float64)
    x = draw.normal(2, made.weight.shape[1], dtype=torch.float64)
    expect_tensor("LoRALinear of float64", made.theirs(x), made.ours(x))


@check("trains A and B, and leaves the map alone", points=1, exercise="lora-linear")
def _lora_learns(student: Student, draw: Draw) -> None:
    made = low(student, draw)
    x = draw.normal(3, made.weight.shape[1])
    weights = draw.normal(3, made.weight.shape[0])
    student.learn(made.lora, [x], weights, rate=STEP)
    A, B = made.A.clone().requires_grad_(True), made.B.clone().requires_grad_(True)
    (F.linear(x, made.weight + made.scale * B @ A, made.bias) * weights).sum().backward()
    found = student.parameters(made.lora)
    for name, value in [("linear.weight", made.weight), ("linear.bias", made.bias)]:
        expect(torch.equal(found[name][0], value), f"LoRALinear: training moves {name}.")
    for name, value in [("A", A), ("B", B)]:
        right = (value - STEP * value.grad).detach()
        expect_tensor(f"LoRALinear: {name} after a step", found[name][0], right, NEAR)


@check("merged, holds W + ΔW and gives the same", points=2, exercise="lora-linear")
def _lora_merges(student: Student, draw: Draw) -> None:
    for bias in (True, False):
        made = low(student, draw, bias=bias)
        x = draw.normal(3, made.weight.shape[1])
        made.merge()
        right = made.weight + made.change
        expect_tensor("the weight after merge()", made.weight_there(), right, NEAR)
        expect_tensor("LoRALinear, merged", made.theirs(x), made.ours(x), NEAR)


@check("merges once, and comes back by unmerge", points=2, exercise="lora-linear")
def _lora_comes_back(student: Student, draw: Draw) -> None:
    made = low(student, draw)
    x = draw.normal(3, made.weight.shape[1])
    made.unmerge()
    what = "the weight after unmerge() of what is not merged"
    expect_tensor(what, made.weight_there(), made.weight, NEAR)
    for _ in range(2):
        made.merge()
    right = made.weight + made.change
    expect_tensor("the weight after merge() twice", made.weight_there(), right, NEAR)
    for _ in range(2):
        made.unmerge()
    what = "the weight after merge() and unmerge()"
    expect_tensor(what, made.weight_there(), made.weight, NEAR)
    expect_tensor("LoRALinear, unmerged", made.theirs(x), made.ours(x), NEAR)


# --- 3b, LoRA in a PLM ----------------------------------------------------------------------


class JudgedLow(nn.Module):
    """scale · B A x."""

    def __init__(self, A: torch.Tensor, B: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.A, self.B, self.scale = nn.Parameter(A.clone()), nn.Parameter(B.clone()), scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * F.linear(F.linear(x, self.A), self.B)


def lowered(both: Pair) -> list[tuple[Remote, nn.Module]]:
    """LoRA with the same drawn values in both models."""
    freeze(both.here)
    draw, d, rank = both.draw, both.width, both.draw.between(1, 2)
    alpha = draw.random.choice([3, 5, 7])  # no small multiple of a rank
    found = both.student.call("add_lora", both.there, rank, alpha)
    maps = [linear for layer in layers(both.here)
            for linear in (layer.attention.self.query, layer.attention.self.value)]  # fmt: skip
    theirs = expect_modules("add_lora", found, len(maps))
    ours = []
    for lora, linear in zip(theirs, maps, strict=True):
        A, B = draw.normal(rank, d) / 2, draw.normal(d, rank) / 2
        both.student.put(lora, {"A": A, "B": B})
        ours.append(JudgedLow(A, B, alpha / rank))
        put_after(linear, lambda x, h, update=ours[-1]: update(x))
    both.here.judged = nn.ModuleList(ours)
    return list(zip(theirs, ours, strict=True))


@check("leaves the model's answers as they were", points=1, exercise="add-lora")
def _add_lora_start(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    student.call("add_lora", both.there, 2, 4)
    both.expect_same("add_lora: the logits before training")


@check("changes query and value of each layer, in order", points=3, exercise="add-lora")
def _add_lora(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    lowered(both)
    both.expect_same("add_lora: the logits with A and B of other values")


@check("works with RoBERTa, too", points=1, exercise="add-lora")
def _add_lora_roberta(student: Student, draw: Draw) -> None:
    both = classifier(student, draw, "roberta")
    lowered(both)
    both.expect_same("add_lora: the logits of a RoBERTa")


@check("trains all A and B and the head, and nothing else", points=2, exercise="add-lora")
def _add_lora_learns(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    modules = lowered(both)
    both.learn("add_lora")
    expect_learnt(both, "add_lora", modules)
