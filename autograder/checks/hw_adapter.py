"""Hidden checks of HW-Adapter: what docstrings promise, on values, sizes and PLMs drawn anew.

The judge has its own version of each method, hung into the same small PLM by hooks. Which
parameters train is not asked but seen: the student's model takes a step of training, and what has
moved, and where to, is compared with the judge's model after the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
from autograder.judging.plms import small_plm
from autograder.judging.student import Student
from autograder.judging.wire import Remote

check = Checks()
STEP = 0.05  # learning rate of the steps of training
NEAR = 1e-3  # after a step, or through several layers, rounding adds up


# --- what several exercises need ------------------------------------------------------------


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
    found = student.parameters(student.make("Bottleneck", width, size))
    shapes = {name: tuple(value.shape) for name, (value, _) in found.items()}
    right = {"down.weight": (size, width), "down.bias": (size,),
             "up.weight": (width, size), "up.bias": (width,)}  # fmt: skip
    expect(shapes == right, f"Bottleneck: expected the parameters {right}, got {shapes}.")


@check("lets gradients reach its parameters and what it reads", points=2, exercise="bottleneck")
def _bottleneck_gradients(student: Student, draw: Draw) -> None:
    width, size = draw.between(2, 6), draw.between(1, 4)
    values = adapter_values(draw, width, size)
    ours, adapter = Judged(values), student.make("Bottleneck", width, size)
    student.put(adapter, values)
    x, weights = draw.normal(3, width), draw.normal(3, width)
    found = student.gradients(
        adapter, "__call__", [x], weights, inputs=[0], parameters=adapter
    )  # fmt: skip
    exact = x.clone().requires_grad_(True)
    (ours(exact) * weights).sum().backward()
    for name, right in [("input 0", exact), *ours.named_parameters()]:
        expect(found.get(name) is not None, f"Bottleneck: no gradient reaches {name}.")
        expect_tensor(f"Bottleneck: the gradient of {name}", found[name], right.grad)


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
    z, weights = draw.normal(3, inside), draw.normal(3, width)
    found = student.gradients(shift, "__call__", [z], weights, inputs=[0], parameters=shift)
    exact = z.clone().requires_grad_(True)
    (ours(exact) * weights).sum().backward()
    for name, right in [("input 0", exact), *ours.named_parameters()]:
        expect(found.get(name) is not None, f"TokenShift: no gradient reaches {name}.")
        expect_tensor(f"TokenShift: the gradient of {name}", found[name], right.grad)


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
    found = {name: value for name, (value, _) in student.parameters(lora).items()}
    right = {"linear.weight": (rows, columns), "linear.bias": (rows,), "A": (rank, columns),
             "B": (rows, rank)}  # fmt: skip
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    expect(shapes == right, f"LoRALinear: expected the parameters {right}, got {shapes}.")
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


# --- 4, five mistakes -----------------------------------------------------------------------


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


# --- 6, AdaMix ------------------------------------------------------------------------------


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
    found = {name: value for name, (value, _) in student.parameters(mixture).items()}
    right = {n: tuple(v.shape) for n, v in mixture_values(draw, width, size, experts).items()}
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    expect(shapes == right, f"AdaMixAdapter: expected the parameters {right}, got {shapes}.")
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
