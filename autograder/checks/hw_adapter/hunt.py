"""Exercise 4, five mistakes in an adapter library."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from autograder.checks.hw_adapter.modules import Judged, adapter_values
from autograder.checks.hw_adapter.pairs import (
    NEAR,
    STEP,
    Pair,
    classifier,
    expect_learnt,
    expect_modules,
    freeze,
    layers,
    pair,
    put_after,
)
from autograder.judging.judge import Checks, Draw, expect, expect_tensor
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()


def library_adapters(both: Pair, theirs: Any) -> list[tuple[Remote, nn.Module]]:
    """The library's adapters in both models, with the same drawn values."""
    freeze(both.here)
    theirs = expect_modules("the adapters", theirs, len(layers(both.here)))
    ours = []
    for adapter, layer in zip(theirs, layers(both.here), strict=True):
        values = adapter_values(both.draw, both.width, 2)
        both.student.put(adapter, values)
        ours.append(Judged(values))
        put_after(layer.output.dense, lambda z, h, adapter=ours[-1]: adapter(h))
    both.here.judged = nn.ModuleList(ours)
    return list(zip(theirs, ours, strict=True))


@check("trains what the docstring says, and nothing else", points=4, exercise="hunt-trained")
def _hunt_trained(student: Student, draw: Draw) -> None:
    for family in ("bert", "roberta"):
        both = classifier(student, draw, family)
        modules = library_adapters(both, student.call("put_adapters", both.there, 2))
        names = student.call("choose_trained", both.there)
        both.learn("choose_trained")
        expect_learnt(both, "choose_trained", modules)
        named = type(names) is list and all(type(name) is str for name in names)
        expect(named, "choose_trained: expected a list of names.")
        tensors = 4 * len(modules) + sum(
            not n.startswith((both.here.base_model_prefix + ".", "judged."))
            for n, _ in both.here.named_parameters()
        )
        expect(len(set(names)) == tensors,
               "choose_trained: the names it gives are not those of what is trained.")  # fmt: skip


@check("gives the biases that the docstring says, and no others", points=4, exercise="hunt-biases")
def _hunt_biases(student: Student, draw: Draw) -> None:
    for family in ("bert", "roberta-classifier"):
        both = pair(student, draw, family)
        got = student.call("ffn_biases", both.there)
        wanted = {id(layer.output.dense.bias) for layer in layers(both.here)}
        right = {n: p.detach() for n, p in both.here.named_parameters() if id(p) in wanted}
        expect(type(got) is dict, "ffn_biases: expected a dict.")
        expect(list(got) == list(right), "ffn_biases: these are not the names asked for.")
        for name, value in right.items():
            expect_tensor(f"ffn_biases: {name}", got[name], value)


@check("computes what the docstring says", points=4, exercise="hunt-place")
def _hunt_place(student: Student, draw: Draw) -> None:
    for family, part in (("bert", "output"), ("roberta", "attention.output")):
        both = classifier(student, draw, family)
        path = f"encoder.layer.0.{part}"
        ours = both.here.base_model.get_submodule(path)
        theirs = student.make("AdaptedOutput", student.get(both.there, f"base_model.{path}"), 2)
        values = adapter_values(draw, both.width, 2)
        student.put(theirs, {f"adapter.{name}": value for name, value in values.items()})
        student.train(theirs, False)
        adapter = Judged(values)
        put_after(ours.dense, lambda z, h, adapter=adapter: adapter(h))
        z = draw.normal(2, 3, ours.dense.in_features)
        x = draw.normal(2, 3, both.width)
        got = student.method(theirs, "__call__", z, x)
        expect_tensor("AdaptedOutput", got, ours(z, x).detach(), NEAR)


@check("drops by chance in training, and only there", points=4, exercise="hunt-dropout")
def _hunt_dropout(student: Student, draw: Draw) -> None:
    width, p = draw.between(2, 5), draw.random.choice([0.25, 0.3, 0.6, 0.7])
    adapter = student.make("DropoutAdapter", width, 1, p)
    values = adapter_values(draw, width, 1)
    values["down.bias"] += 2  # an inner unit that has something to drop
    student.put(adapter, values)
    x = draw.normal(80, width)
    inner = F.gelu(F.linear(x, values["down.weight"], values["down.bias"]))
    up = [F.linear(t, values["up.weight"], values["up.bias"]) for t in (inner, inner / (1 - p))]
    student.train(adapter, False)
    for _ in range(2):
        got = student.method(adapter, "__call__", x)
        expect_tensor("DropoutAdapter in evaluation mode", got, up[0])
    student.train(adapter, True)
    got = student.method(adapter, "__call__", x)
    expect(type(got) is torch.Tensor and got.shape == x.shape,
           "DropoutAdapter in training mode: expected a tensor of the shape it reads.")  # fmt: skip
    kept = torch.isclose(got, up[1], rtol=NEAR, atol=NEAR).all(-1)
    gone = torch.isclose(got, values["up.bias"], rtol=NEAR, atol=NEAR).all(-1)
    expect(bool((kept | gone).all()), "DropoutAdapter in training mode: the values are not right.")
    expect(
        0 < int(kept.sum()) < len(x), "DropoutAdapter in training mode: it drops nothing or all."
    )
    share = float(gone.float().mean())
    expect(abs(share - p) < 0.3, "DropoutAdapter in training mode: it drops too many or too few.")


@check("the optimizer moves what the docstring says, and nothing else", points=4,
       exercise="hunt-training")  # fmt: skip
def _hunt_training(student: Student, draw: Draw) -> None:
    for family in ("bert", "roberta"):
        both = classifier(student, draw, family)
        made = student.call("start_training", both.there, 2, STEP)
        expect(type(made) is tuple and len(made) == 2, "start_training: expected two things.")
        expect(isinstance(made[0], Remote), "start_training: the first should be an optimizer.")
        modules = library_adapters(both, made[1])
        both.learn("start_training", made[0])
        expect_learnt(both, "start_training", modules)
