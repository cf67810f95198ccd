"""Exercise 2, one vector per layer and the biases that are there: AdapterBias, BitFit."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from autograder.checks.hw_adapter.modules import expect_gradients, write
from autograder.checks.hw_adapter.pairs import (
    Pair,
    classifier,
    expect_learnt,
    expect_modules,
    freeze,
    layers,
    near,
    pair,
    put_after,
)
from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


# --- 2a and 2b, AdapterBias -----------------------------------------------------------------


class JudgedShift(nn.Module):
    """α(z) v."""

    def __init__(self, values: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.alpha = nn.Linear(values["alpha.weight"].shape[1], 1)
        self.v = nn.Parameter(values["v"].clone())
        write(self, values)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.alpha(z) * self.v


def shift_values(draw: Draw, inside: int, width: int) -> dict[str, torch.Tensor]:
    return {"alpha.weight": draw.normal(1, inside) / 2, "alpha.bias": draw.normal(1),
            "v": draw.normal(width)}  # fmt: skip


@check("starts at exactly zero, and can learn from there", points=1, exercise="token-shift")
def _shift_start(student: Student, draw: Draw) -> None:
    inside, width = draw.between(2, 9), draw.between(2, 6)
    shift, z = student.make("TokenShift", inside, width), draw.normal(4, inside)
    got = student.method(shift, "__call__", z)
    expect_tensor("TokenShift at the start", got, torch.zeros(4, width))
    found = student.gradients(shift, "__call__", [z], torch.ones(4, width), parameters=shift)
    flows = found.get("v")
    expect(flows is not None and bool(flows.any()),
           "TokenShift at the start: no gradient reaches v, so it can't learn.")  # fmt: skip


@check("moves each token along v by its own α", points=2, exercise="token-shift")
def _shift_values(student: Student, draw: Draw) -> None:
    inside, width = draw.between(2, 9), draw.between(2, 6)
    values = shift_values(draw, inside, width)
    shift = student.make("TokenShift", inside, width)
    student.put(shift, values)
    for shape in ((), (4,), (2, 3)):
        z = draw.normal(*shape, inside)
        got = student.method(shift, "__call__", z)
        expect_tensor("TokenShift", got, JudgedShift(values)(z).detach())


@check("lets gradients reach α, v and what it reads", points=1, exercise="token-shift")
def _shift_gradients(student: Student, draw: Draw) -> None:
    inside, width = draw.between(2, 9), draw.between(2, 6)
    values = shift_values(draw, inside, width)
    ours, shift = JudgedShift(values), student.make("TokenShift", inside, width)
    student.put(shift, values)
    expect_gradients("TokenShift", student, shift, ours, draw.normal(3, inside), draw)


def shifted(both: Pair) -> list[tuple[Remote, nn.Module]]:
    """Shifts with the same drawn values in both models."""
    freeze(both.here)
    count, inside = len(layers(both.here)), both.here.config.intermediate_size
    found = both.student.call("add_adapter_bias", both.there)
    theirs = expect_modules("add_adapter_bias", found, count)
    ours = []
    for shift, layer in zip(theirs, layers(both.here), strict=True):
        values = shift_values(both.draw, inside, both.width)
        both.student.put(shift, values)
        ours.append(JudgedShift(values))
        put_after(layer.output.dense, lambda z, h, shift=ours[-1]: shift(z))
    both.here.judged = nn.ModuleList(ours)
    return list(zip(theirs, ours, strict=True))


@check("shifts each layer before its sum, from the FFN's inside", points=3,
       exercise="add-adapter-bias")  # fmt: skip
def _bias_place(student: Student, draw: Draw) -> None:
    for family in ("bert", "roberta"):
        both = classifier(student, draw, family)
        shifted(both)
        both.expect_same(f"add_adapter_bias, {family}: the logits with shifts of other values")


@check("trains shifts and head, and nothing else", points=2, exercise="add-adapter-bias")
def _bias_learns(student: Student, draw: Draw) -> None:
    both = classifier(student, draw)
    modules = shifted(both)
    both.learn("add_adapter_bias")
    expect_learnt(both, "add_adapter_bias", modules)


# --- 2c, BitFit -----------------------------------------------------------------------------


def own_biases(model: Any) -> list[nn.Parameter]:
    """The reference."""
    found = [getattr(module, "bias", None) for module in model.base_model.modules()]
    return [bias for bias in found if isinstance(bias, nn.Parameter)]


def biases_learnt(student: Student, draw: Draw, family: str) -> None:
    both = pair(student, draw, family)
    freeze(both.here)
    for bias in own_biases(both.here):
        bias.requires_grad_(True)
    student.call("train_biases", both.there)
    both.learn()
    got, right = student.parameters(both.there), dict(both.here.named_parameters())
    for name, value in right.items():
        expect(name in got, "train_biases: the model has lost a parameter.")
        kind = "should be trained" if value.requires_grad else "should not be trained"
        same = near(got[name][0], value.detach())
        expect(same, f"train_biases: with {type(both.here).__name__}, {name} {kind}.")


@check("trains the biases of maps and norms, and the head", points=3, exercise="train-biases")
def _bitfit(student: Student, draw: Draw) -> None:
    for family in ("bert-classifier", "roberta-classifier"):
        biases_learnt(student, draw, family)


@check("works with GPT-2, whose maps are of another kind", points=1, exercise="train-biases")
def _bitfit_gpt2(student: Student, draw: Draw) -> None:
    biases_learnt(student, draw, "gpt2")


@check("counts the PLM's biases, without the head's", points=1, exercise="train-biases")
def _bitfit_counts(student: Student, draw: Draw) -> None:
    for family in ("bert-classifier", "gpt2"):
        both = pair(student, draw, family)
        got = student.call("train_biases", both.there)
        expect(type(got) is int, "train_biases: expected a whole number.")
        right = sum(bias.numel() for bias in own_biases(both.here))
        expect(got == right, f"train_biases: with {type(both.here).__name__} the count is not "
               "that of the biases.")  # fmt: skip


@check("does not take T5's table for a bias, and refuses a PLM without any", points=2,
       exercise="train-biases")  # fmt: skip
def _bitfit_t5(student: Student, draw: Draw) -> None:
    there = student.plm("t5", {}, draw.between(0, 999))
    expect_refusal("train_biases with a T5", lambda: student.call("train_biases", there))
