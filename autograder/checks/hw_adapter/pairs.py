"""The judge's PLM beside the student's: the same weights, a step of training, what has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from autograder.judging.judge import Draw, expect, expect_tensor
from autograder.judging.plms import small_plm
from autograder.judging.student import Student
from autograder.judging.wire import Remote

STEP = 0.05  # learning rate of the steps of training
NEAR = 1e-3  # after a step, or through several layers, rounding adds up


def freeze(model: nn.Module) -> None:
    model.base_model.requires_grad_(False)


def layers(model: Any) -> Any:
    return model.base_model.encoder.layer


def put_after(linear: nn.Module, change: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
    """h becomes h + change(z, h) behind a map from z to h."""
    linear.register_forward_hook(lambda _, args, h: h + change(args[0], h))


@dataclass
class Pair:
    """The same small classifier here and at the worker, with a batch of texts."""

    student: Student
    draw: Draw
    family: str
    here: Any
    there: Remote
    batch: dict[str, torch.Tensor]

    @property
    def width(self) -> int:
        return self.here.config.hidden_size

    def theirs(self) -> Any:
        """The logits of the student's model."""
        found = self.student.method(self.there, "__call__", **self._inputs())
        expect(isinstance(found, Remote), "the model does not give what it gave before.")
        return self.student.get(found, "logits")

    def ours(self) -> torch.Tensor:
        return self.here(**self.batch).logits.detach()

    def expect_same(self, what: str) -> None:
        expect_tensor(what, self.theirs(), self.ours(), NEAR)

    def learn(self, what: str = "", optimizer: Remote | None = None) -> None:
        """One step of training of both; of answers that differ before it, that is what is said."""
        if what:
            self.expect_same(f"{what}: the logits before a step of training")
        weights = self.draw.normal(*self.ours().shape)
        self.student.learn(self.there, [], weights, take="logits", rate=STEP, optimizer=optimizer,
                           **self._inputs())  # fmt: skip
        self.here.zero_grad(set_to_none=True)
        (self.here(**self.batch).logits * weights).sum().backward()
        own = [p for p in self.here.parameters() if p.requires_grad]
        torch.optim.SGD(own, lr=STEP).step()

    def frozen(self) -> list[torch.Tensor]:
        return [p.detach() for p in self.here.parameters() if not p.requires_grad]

    def _inputs(self) -> dict[str, torch.Tensor]:
        return dict(self.batch)


def pair(student: Student, draw: Draw, family: str = "bert", **sizes: int) -> Pair:
    sizes = {
        "num_hidden_layers": draw.between(2, 3),  # a mistake may show in the second
        "hidden_size": 4 * draw.between(2, 4),
        "intermediate_size": 2 * draw.between(7, 11),
    } | sizes
    if family.endswith("classifier"):
        sizes["num_labels"] = draw.between(2, 4)
    seed = draw.between(0, 9999)
    here, there = small_plm(family, sizes, seed), student.plm(family, sizes, seed)
    ids = draw.integers(10, 60, draw.between(2, 3), draw.between(3, 6))
    mask = torch.ones_like(ids)
    mask[-1, -1] = 0
    return Pair(student, draw, family, here, there, {"input_ids": ids, "attention_mask": mask})


def classifier(student: Student, draw: Draw, family: str = "bert", **sizes: int) -> Pair:
    return pair(student, draw, f"{family}-classifier", **sizes)


def expect_modules(what: str, found: Any, count: int) -> list[Remote]:
    expect(type(found) is list, f"{what}: expected a list of modules.")
    expect(all(isinstance(one, Remote) for one in found), f"{what}: expected modules in the list.")
    expect(len(found) == count, f"{what}: expected {count} of them, got {len(found)}.")
    return found


def expect_there(what: str, wanted: Iterable[torch.Tensor], found: Sequence[torch.Tensor]) -> None:
    """Each wanted tensor is one of those found, whatever it is called there; each counts once."""
    left = list(found)
    for tensor in wanted:
        place = next((n for n, one in enumerate(left) if near(one, tensor)), None)
        expect(place is not None, what)
        left.pop(place)


def near(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=NEAR, atol=NEAR / 10)


def expect_learnt(both: Pair, what: str, modules: Sequence[tuple[Remote, nn.Module]]) -> None:
    """After a step of both: the PLM as it was, and modules and head where the judge's are.

    Args:
        modules: the student's and the judge's modules that should have learnt.
    """
    found = [value for value, _ in both.student.parameters(both.there).values()]
    expect_there(f"{what}: training changed the PLM's own weights.", both.frozen(), found)
    prefix = both.here.base_model_prefix + "."
    head = [p.detach() for n, p in both.here.named_parameters()
            if not n.startswith((prefix, "judged."))]  # fmt: skip
    expect_there(f"{what}: the head was not trained as it should.", head, found)
    for theirs, ours in modules:
        got = both.student.parameters(theirs)
        for name, value in ours.named_parameters():
            expect(name in got, f"{what}: a module has lost its parameter {name}.")
            expect_tensor(f"{what}: {name} after a step", got[name][0], value.detach(), NEAR)
    both.expect_same(f"{what}: the logits after a step")
