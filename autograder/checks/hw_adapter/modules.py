"""One module of the student's beside the judge's: its values, parameters and gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from autograder.judging.judge import Draw, expect, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote


class Judged(nn.Module):
    """The judge's adapter, Δh = W2 gelu(W1 x + b1) + b2."""

    def __init__(self, values: dict[str, torch.Tensor]) -> None:
        super().__init__()
        width, size = values["up.weight"].shape
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        write(self, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(F.gelu(self.down(x)))


def write(module: nn.Module, values: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            module.get_parameter(name).copy_(value)


def adapter_values(draw: Draw, width: int, size: int) -> dict[str, torch.Tensor]:
    return {
        "down.weight": draw.normal(size, width) / 2,
        "down.bias": draw.normal(size) / 2,
        "up.weight": draw.normal(width, size) / 2,
        "up.bias": draw.normal(width) / 2,
    }


def expect_shapes(
    what: str, student: Student, module: Remote, right: Mapping[str, tuple[int, ...]]
) -> dict[str, torch.Tensor]:
    """The module has exactly these parameters; gives their values."""
    found = {name: value for name, (value, _) in student.parameters(module).items()}
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    expect(shapes == right, f"{what}: expected the parameters {right}, got {shapes}.")
    return found


def expect_gradients(
    what: str, student: Student, theirs: Remote, ours: nn.Module, x: torch.Tensor, draw: Draw
) -> None:
    """Of a weighted sum of the output, by x and by each parameter."""
    exact = x.clone().requires_grad_(True)
    output = ours(exact)
    weights = draw.normal(*output.shape)
    (output * weights).sum().backward()
    found = student.gradients(theirs, "__call__", [x], weights, inputs=[0], parameters=theirs)
    for name, right in [("input 0", exact), *ours.named_parameters()]:
        expect(found.get(name) is not None, f"{what}: no gradient reaches {name}.")
        expect_tensor(f"{what}: the gradient of {name}", found[name], right.grad)
