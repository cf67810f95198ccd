"""Exercise 6, AdaMix: experts drawn in training, their average, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from autograder.checks.hw_adapter.modules import expect_shapes
from autograder.checks.hw_adapter.pairs import NEAR, STEP, near
from autograder.judging.judge import Checks, Draw, expect, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


def mixture_values(draw: Draw, width: int, size: int, experts: int) -> dict[str, torch.Tensor]:
    return {"W1": draw.normal(experts, size, width), "b1": draw.normal(experts, size),
            "W2": draw.normal(width, size), "b2": draw.normal(width)}  # fmt: skip


def passed(values: dict[str, torch.Tensor], x: torch.Tensor, W1: Any, b1: Any) -> torch.Tensor:
    return F.linear(F.gelu(F.linear(x, W1, b1)), values["W2"], values["b2"])


@dataclass
class Mixed:
    student: Student
    mixture: Remote
    values: dict[str, torch.Tensor]
    x: torch.Tensor

    def outputs(self) -> torch.Tensor:
        """(M, ...): what each expert makes of x."""
        both = zip(self.values["W1"], self.values["b1"], strict=True)
        return torch.stack([passed(self.values, self.x, W1, b1) for W1, b1 in both])

    def ask(self) -> Any:
        return self.student.method(self.mixture, "__call__", self.x)


def mixed(student: Student, draw: Draw, *, training: bool) -> Mixed:
    width, size, experts = draw.between(3, 6), draw.between(2, 4), draw.between(2, 4)
    values = mixture_values(draw, width, size, experts)
    mixture = student.make("AdaMixAdapter", width, size, experts)
    student.put(mixture, values)
    student.train(mixture, training)
    return Mixed(student, mixture, values, draw.normal(3, 4, width))


@check("starts at exactly zero, with experts that differ", points=1, exercise="bonus-adamix")
def _mixture_start(student: Student, draw: Draw) -> None:
    width, size, experts = draw.between(3, 6), draw.between(2, 4), draw.between(2, 4)
    mixture, x = student.make("AdaMixAdapter", width, size, experts), draw.normal(4, width)
    got = student.method(mixture, "__call__", x)
    expect_tensor("AdaMixAdapter at the start", got, torch.zeros(4, width))
    right = {n: tuple(v.shape) for n, v in mixture_values(draw, width, size, experts).items()}
    found = expect_shapes("AdaMixAdapter", student, mixture, right)
    first, second = found["W1"][:2]
    expect(not torch.equal(first, second), "AdaMixAdapter: the experts start alike.")
    expect(not any(found[name].any() for name in ("b1", "W2", "b2")),
           "AdaMixAdapter: b1, W2 and b2 are zero at the start.")  # fmt: skip


@check("in evaluation, computes with the averaged weights", points=3, exercise="bonus-adamix")
def _mixture_averages(student: Student, draw: Draw) -> None:
    one = mixed(student, draw, training=False)
    right = passed(one.values, one.x, one.values["W1"].mean(0), one.values["b1"].mean(0))
    for _ in range(2):
        expect_tensor("AdaMixAdapter in evaluation mode", one.ask(), right, NEAR)


@check("in training, one expert serves the batch, each as likely", points=2,
       exercise="bonus-adamix")  # fmt: skip
def _mixture_draws(student: Student, draw: Draw) -> None:
    one = mixed(student, draw, training=True)
    known, turns = one.outputs(), 100
    drawn = []
    for _ in range(turns):
        got = one.ask()
        expect(type(got) is torch.Tensor, "AdaMixAdapter in training mode: expected a tensor.")
        fits = [n for n, out in enumerate(known) if near(got, out)]
        expect(bool(fits), "AdaMixAdapter in training mode: this is no single expert's output.")
        drawn.append(fits[0])
    often = [drawn.count(n) for n in range(len(known))]
    least = turns / len(known) / 4  # chance alone goes below in one of some hundred thousand runs
    expect(min(often) > least, "AdaMixAdapter in training mode: an expert is hardly ever drawn.")


@check("a step trains the drawn expert and the shared half", points=1, exercise="bonus-adamix")
def _mixture_learns(student: Student, draw: Draw) -> None:
    one = mixed(student, draw, training=True)
    student.learn(one.mixture, [one.x], draw.normal(*one.x.shape), rate=STEP)
    after = {name: value for name, (value, _) in student.parameters(one.mixture).items()}
    for name in ("W1", "b1"):
        moved = [not torch.equal(a, b) for a, b in zip(after[name], one.values[name], strict=True)]
        expect(sum(moved) == 1, f"AdaMixAdapter: a step moves {sum(moved)} experts of {name}.")
    for name in ("W2", "b2"):
        expect(not torch.equal(after[name], one.values[name]), f"AdaMixAdapter: {name} stays.")


def disagreement(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The reference."""
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    there = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    back = F.kl_div(log_p, log_q, log_target=True, reduction="batchmean")
    return (there + back) / 2


@check("measures disagreement both ways, the mean over the batch", points=2,
       exercise="bonus-adamix")  # fmt: skip
def _consistency(student: Student, draw: Draw) -> None:
    for _ in range(3):
        shape = draw.between(2, 5), draw.between(2, 4)
        p, q = draw.normal(*shape), draw.normal(*shape)
        expect_tensor("consistency", student.call("consistency", p, q), disagreement(p, q))
    p, q = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 1000.0]])
    got = student.call("consistency", p, q)
    expect_tensor("consistency of logits as large as 1000", got, disagreement(p, q), NEAR)


@check("lets gradients of the disagreement reach both answers", points=1, exercise="bonus-adamix")
def _consistency_gradients(student: Student, draw: Draw) -> None:
    p, q = draw.normal(3, 4), draw.normal(3, 4)
    found = student.gradients(None, "consistency", [p, q], torch.tensor(1.0), inputs=[0, 1])
    exact = [p.clone().requires_grad_(True), q.clone().requires_grad_(True)]
    disagreement(*exact).backward()
    for n, right in enumerate(exact):
        expect(found[f"input {n}"] is not None, "consistency: no gradient reaches an answer.")
        expect_tensor("consistency: a gradient", found[f"input {n}"], right.grad)
