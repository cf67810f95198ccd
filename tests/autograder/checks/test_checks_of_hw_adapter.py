"""HW-Adapter's checks: the instructor's version passes every draw, usual mistakes fail one."""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from autograder.checks import checks_of
from autograder.judging.judge import Check, Draw, Wrong, judge
from autograder.judging.student import Student, StudentError

SOURCE = Path(__file__).parents[3] / "assignments" / "source" / "hw_adapter" / "hw_adapter.ipynb"
CHECKS = checks_of("hw_adapter").all
POINTS = {"bottleneck": 9, "add-adapters": 11, "token-shift": 4, "add-adapter-bias": 5,
          "train-biases": 7, "lora-linear": 11, "add-lora": 7, "hunt-trained": 4,
          "hunt-biases": 4, "hunt-place": 4, "hunt-dropout": 4, "hunt-training": 4,
          "bonus-adamix": 10}  # fmt: skip
OF = {name: [check for check in CHECKS if check.exercise == name] for name in POINTS}
DRAWS = int(os.environ.get("DRAWS", "2"))


@cache
def cells(*, graded: bool = False) -> dict[str, str]:
    """grade_id -> source of what runs when grading, or of the visible checks."""
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in nbformat.read(SOURCE, as_version=4).cells
        if cell.cell_type == "code"
        and "nbgrader" in cell.metadata
        and cell.metadata["nbgrader"]["grade"] is graded
    }


def as_given(source: str, stub: str = "raise NotImplementedError()") -> str:
    """An answer as students get it; without the stub, what is below it counts."""
    kept, inside = [], False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            kept.append(line.split("#")[0] + stub)
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, connect):
    """A worker on which answers are tried, the right ones put back after each."""
    student = Student(connect(tmp_path_factory.mktemp("bench")), seconds=60)
    ran = student.run(list(cells().items()))
    assert not any(cell.kind for cell in ran), ran
    yield student
    student.close()


def test_points_are_those_of_the_exercises():
    assert {name: checks_of("hw_adapter").points_of(name) for name in POINTS} == POINTS
    assert set(Counter(check.exercise for check in CHECKS)) == set(POINTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_the_instructors_version_passes_on_every_draw(bench, check):
    for number in range(DRAWS):
        check.run(bench, Draw(f"{number}/{check.name}"))
        bench.forget()


class Mistake(NamedTuple):
    exercise: str
    old: str  #: of the right answer; "" stands for the code that exercise 4 hands out
    new: str
    fails: str  #: how the check begins that must not pass
    looks_right: bool = True  #: the visible check lets it pass


MISTAKES = [
    # 1a
    Mistake("bottleneck", "(self.down.bias, self.up.weight, self.up.bias)",
            "(self.down.weight, self.down.bias, self.up.weight, self.up.bias)",
            "starts at exactly zero"),
    Mistake("bottleneck", "(self.down.bias, self.up.weight, self.up.bias)",
            "(self.down.bias, self.up.bias)", "starts at exactly zero", looks_right=False),
    Mistake("bottleneck", "gelu(self.down(x))", "relu(self.down(x))", "computes",
            looks_right=False),
    Mistake("bottleneck", "return self.up", "return x + self.up", "computes", looks_right=False),
    Mistake("bottleneck", "gelu(self.down(x))", "gelu(self.down(x), approximate='tanh')",
            "computes", looks_right=False),
    Mistake("bottleneck", "self.up(nn.functional.gelu(self.down(x)))",
            "self.up(nn.functional.gelu(self.down(x.float())))", "takes any number"),
    Mistake("bottleneck", "return self.up(nn.functional.gelu(self.down(x)))",
            "flat = x.reshape(-1, x.shape[-1])\n"
            "        return self.up(nn.functional.gelu(self.down(flat))).reshape(x.shape[0], -1, "
            "x.shape[-1]).squeeze(1)", "takes any number"),
    Mistake("bottleneck", "self.down = nn.Linear(width, size)",
            "self.down = nn.Linear(width, size)\n        self.norm = nn.LayerNorm(width)",
            "has W1, b1, W2, b2"),
    Mistake("bottleneck", "self.down(x)", "self.down(x.detach())", "lets gradients"),
    Mistake("bottleneck", "gelu(self.down(x))", "gelu(self.down(x)).detach()", "lets gradients"),
    # 1b
    Mistake("add-adapters", "h + dense.adapter(h)", "dense.adapter(h)", "leaves the model",
            looks_right=False),
    Mistake("add-adapters", "lambda dense, args, h: h + dense.adapter(h)",
            "lambda module, args, h: h + dense.adapter(h)", "puts Houlsby's", looks_right=False),
    Mistake("add-adapters", "(layer.attention.output.dense, layer.output.dense)",
            "(layer.output.dense, layer.attention.output.dense)", "puts Houlsby's"),
    Mistake("add-adapters", "(layer.attention.output.dense, layer.output.dense)",
            "(layer.attention.output.LayerNorm, layer.output.LayerNorm)", "puts Houlsby's"),
    Mistake("add-adapters", "norm.adapter(norm.forward(args[0]))", "norm.adapter(args[0])",
            "puts Pfeiffer's"),
    Mistake("add-adapters", "norm = layer.output.LayerNorm",
            "norm = layer.attention.output.LayerNorm",
            "puts Pfeiffer's"),
    Mistake("add-adapters", "in layers_of(model)", "in model.bert.encoder.layer",
            "works with RoBERTa"),
    Mistake("add-adapters", "freeze_plm(model)", "pass", "trains adapters", looks_right=False),
    Mistake("add-adapters", "freeze_plm(model)",
            "freeze_plm(model)\n    for layer in layers_of(model):\n"
            "        layer.output.LayerNorm.weight.requires_grad_(True)\n"
            "    model.classifier.weight.requires_grad_(False)", "trains adapters",
            looks_right=False),
    Mistake("add-adapters", "    return adapters",
            "    model.classifier.requires_grad_(False)\n    return adapters", "trains adapters",
            looks_right=False),
    Mistake("add-adapters", 'if place not in ("houlsby", "pfeiffer")', "if False", "refuses"),
    Mistake("add-adapters", "if place not in", "freeze_plm(model)\n    if place not in", "refuses"),
    # 2a
    Mistake("token-shift", "torch.zeros(width)", "torch.ones(width)", "starts at exactly zero",
            looks_right=False),
    Mistake("token-shift", "self.alpha = nn.Linear(inside, 1)",
            "self.alpha = nn.Linear(inside, 1)\n        nn.init.zeros_(self.alpha.weight)\n"
            "        nn.init.zeros_(self.alpha.bias)", "starts at exactly zero"),
    Mistake("token-shift", "self.alpha(z) * self.v",
            "self.alpha(z.mean(-2, keepdim=True) if z.dim() > 1 else z) * self.v + 0 * z[..., :1]",
            "moves each token"),
    Mistake("token-shift", "self.alpha(z) * self.v", "self.alpha(z).detach() * self.v",
            "lets gradients"),
    # 2b
    Mistake("add-adapter-bias", "h + dense.shift(args[0])", "h + dense.shift(args[0].relu())",
            "shifts each layer"),
    Mistake("add-adapter-bias",
            "dense.register_forward_hook(lambda dense, args, h: h + dense.shift(args[0]))",
            "layer.output.register_forward_hook(lambda out, args, h: h + out.dense.shift(args[0]))",
            "shifts each layer"),
    Mistake("add-adapter-bias", "lambda dense, args, h:", "lambda module, args, h:",
            "shifts each layer", looks_right=False),
    Mistake("add-adapter-bias", "freeze_plm(model)", "pass", "trains shifts", looks_right=False),
    Mistake("add-adapter-bias", "    return shifts",
            "    model.classifier.requires_grad_(False)\n"
            "    layers_of(model)[0].output.LayerNorm.requires_grad_(True)\n    return shifts",
            "trains shifts", looks_right=False),
    # 2c
    Mistake("train-biases", "for module in model.base_model.modules()]",
            "for module in model.base_model.modules() if isinstance(module, nn.Linear)]",
            "trains the biases", looks_right=False),
    Mistake("train-biases", "        bias.requires_grad_(True)",
            "        bias.requires_grad_(True)\n    for p in model.parameters():\n"
            "        p.requires_grad_(p.requires_grad and p.dim() == 1)", "trains the biases",
            looks_right=False),
    Mistake("train-biases", "for module in model.base_model.modules()]",
            "for module in model.base_model.modules() if isinstance(module, (nn.Linear, "
            "nn.LayerNorm))]", "works with GPT-2"),
    Mistake("train-biases", "return sum(bias.numel() for bias in biases)",
            "return trained_numbers(model)", "counts the PLM's", looks_right=False),
    Mistake("train-biases",
            'own = [getattr(module, "bias", None) for module in model.base_model.modules()]',
            "own = [p for n, p in model.base_model.named_parameters() if 'bias' in n]",
            "does not take T5's"),
    Mistake("train-biases", "if not biases", "if False", "does not take T5's"),
    # 3a
    Mistake("lora-linear", "torch.zeros(weight.size(0), rank, dtype=weight.dtype)",
            "torch.randn(weight.size(0), rank, dtype=weight.dtype)", "starts as the map",
            looks_right=False),
    Mistake("lora-linear", "torch.randn(rank, weight.size(1), dtype=weight.dtype) / rank",
            "torch.zeros(rank, weight.size(1), dtype=weight.dtype)", "starts as the map"),
    Mistake("lora-linear", "self.scale = alpha / rank", "self.scale = alpha", "adds"),
    Mistake("lora-linear", "self.scale = alpha / rank", "self.scale = rank / alpha", "adds"),
    Mistake("lora-linear", "self.scale = alpha / rank", "self.scale = alpha // rank", "adds"),
    Mistake("lora-linear", ", dtype=weight.dtype", "", "takes a map"),
    Mistake("lora-linear", "self.linear = linear.requires_grad_(False)",
            "linear.bias.requires_grad_(False)\n        self.linear = linear.requires_grad_(False)",
            "takes a map"),
    Mistake("lora-linear", "linear.requires_grad_(False)", "linear", "trains A and B",
            looks_right=False),
    Mistake("lora-linear", "linear.requires_grad_(False)",
            "linear\n        linear.weight.requires_grad_(False)", "trains A and B",
            looks_right=False),
    Mistake("lora-linear", "self.linear(x) + self.scale * (x @ self.A.T) @ self.B.T",
            "self.linear(x) + self.scale * (x @ self.A.T.detach()) @ self.B.T", "trains A and B"),
    Mistake("lora-linear", "if self.merged:\n            return", "if False:\n            return",
            "merged, holds", looks_right=False),
    Mistake("lora-linear", "+= self.scale * (", "+= (", "merged, holds"),
    Mistake("lora-linear", "        if not self.merged:\n            self.linear.weight.data +=",
            "        if True:\n            self.linear.weight.data +=", "merges once"),
    Mistake("lora-linear", "        if self.merged:\n            self.linear.weight.data -=",
            "        if True:\n            self.linear.weight.data -=", "merges once"),
    Mistake("lora-linear", "            self.merged = False\n", "", "merges once",
            looks_right=False),
    # 3b
    Mistake("add-lora", "LoRALinear(attention.query, rank, alpha)",
            "LoRALinear(nn.Linear(attention.query.in_features, attention.query.out_features), "
            "rank, alpha)", "leaves the model", looks_right=False),
    Mistake("add-lora", "attention.value = LoRALinear(attention.value,",
            "attention.key = attention.value = LoRALinear(attention.value,", "leaves the model",
            looks_right=False),
    Mistake("add-lora", "value", "key", "changes query and value"),
    Mistake("add-lora", "[attention.query, attention.value]", "[attention.value, attention.query]",
            "changes query and value"),
    Mistake("add-lora", "LoRALinear(attention.query, rank, alpha)",
            "LoRALinear(attention.query, rank, 2 * rank)", "changes query and value"),
    Mistake("add-lora", "in layers_of(model)", "in model.bert.encoder.layer", "works with RoBERTa"),
    Mistake("add-lora", "freeze_plm(model)\n", "pass\n", "trains all A and B", looks_right=False),
    Mistake("add-lora", "    return maps", "    freeze_plm(model)\n    return maps",
            "trains all A and B", looks_right=False),
    Mistake("add-lora", "    return maps",
            "    model.requires_grad_(False)\n    for lora in maps:\n"
            "        lora.A.requires_grad_(True)\n        lora.B.requires_grad_(True)\n"
            "    return maps", "trains all A and B", looks_right=False),
    # 4: the code as it was handed out, and mending too much
    Mistake("hunt-trained", "", "", "trains what"),
    Mistake("hunt-trained", '".adapter." in name or not name.startswith(plm)', "True",
            "trains what"),
    Mistake("hunt-trained", "not name.startswith(plm)", "'classifier.weight' in name",
            "trains what"),
    Mistake("hunt-biases", "", "", "gives the biases"),
    Mistake("hunt-biases", "layer.output.dense.bias", "layer.intermediate.dense.bias",
            "gives the biases", looks_right=False),
    Mistake("hunt-biases", "for name, bias in", "for name, bias in list(reversed(list("
            "model.named_parameters()))) or", "gives the biases"),
    Mistake("hunt-place", "", "", "computes what"),
    Mistake("hunt-place", "self.LayerNorm(h + self.adapter(h) + input_tensor)",
            "self.LayerNorm(h + self.adapter(h + input_tensor) + input_tensor)",
            "computes what"),
    Mistake("hunt-dropout", "", "", "drops by chance"),
    Mistake("hunt-dropout", "dropout(inner, self.p, self.training)", "dropout(inner, 0.0)",
            "drops by chance"),
    Mistake("hunt-dropout", "dropout(inner, self.p, self.training)",
            "dropout(inner, 1 - self.p, self.training)", "drops by chance"),
    Mistake("hunt-dropout", "self.training", "not self.training", "drops by chance"),
    Mistake("hunt-training", "", "", "the optimizer moves"),
    Mistake("hunt-training", "[p for p in model.parameters() if p.requires_grad]",
            "[p for a in adapters for p in a.parameters()]", "the optimizer moves"),
    Mistake("hunt-training", "    adapters = put_adapters(model, size)",
            "    adapters = put_adapters(model, size)\n    model.base_model.requires_grad_(True)",
            "the optimizer moves"),
    # 6
    Mistake("bonus-adamix", "torch.randn(experts, size, width)",
            "torch.randn(1, size, width).repeat(experts, 1, 1)", "starts at exactly zero"),
    Mistake("bonus-adamix", "self.W1.mean(0), self.b1.mean(0)", "self.W1[0], self.b1[0]",
            "in evaluation", looks_right=False),
    Mistake("bonus-adamix", "self.W1.mean(0), self.b1.mean(0)", "self.W1.mean(0), self.b1[0]",
            "in evaluation"),
    Mistake("bonus-adamix", "        inner = nn",
            "        if not self.training:\n            both = zip(self.W1, self.b1)\n"
            "            return sum(nn.functional.gelu(x @ W.T + b) @ self.W2.T + self.b2\n"
            "                       for W, b in both) / len(self.W1)\n        inner = nn",
            "in evaluation", looks_right=False),
    Mistake("bonus-adamix", "j = torch.randint(len(self.W1), ()).item()", "j = 0", "in training"),
    Mistake("bonus-adamix", "torch.randint(len(self.W1), ())",
            "torch.randint(len(self.W1) - 1, ())", "in training"),
    Mistake("bonus-adamix", "self.W1[j], self.b1[j]",
            "self.W1[j], self.b1[torch.randint(len(self.W1), ())]", "in training"),
    Mistake("bonus-adamix", "self.W1[j], self.b1[j]", "self.W1[j].detach(), self.b1[j]", "a step"),
    Mistake("bonus-adamix", "self.W1[j], self.b1[j]",
            "self.W1[j] + 0 * self.W1.mean(0), self.b1[j] + 1e-2 * (self.b1.mean(0) - "
            "self.b1.mean(0).detach())", "a step"),
    Mistake("bonus-adamix", "0.5 * ((log_p.exp() - log_q.exp())", "((log_p.exp() - log_q.exp())",
            "measures"),
    Mistake("bonus-adamix", "0.5 * ((log_p.exp() - log_q.exp())", "0.5 * (log_p.exp()", "measures"),
    Mistake("bonus-adamix", ".sum(-1).mean()", ".mean()", "measures"),
    Mistake("bonus-adamix", "q_logits.log_softmax(-1)", "q_logits.softmax(-1).log()", "measures"),
    Mistake("bonus-adamix", "q_logits.log_softmax", "q_logits.detach().log_softmax",
            "lets gradients"),
]  # fmt: skip


def fails(student: Student, check: Check, number: int) -> bool:
    try:
        check.run(student, Draw(f"{number}/{check.name}"))
    except (Wrong, StudentError):
        return True
    finally:
        student.forget()
    return False


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.exercise}: {m.new[:30]}")
def test_usual_mistakes_fail_their_check(bench, mistake):
    right, visible = cells()[mistake.exercise], cells(graded=True)[f"{mistake.exercise}-check"]
    checks = [c for c in OF[mistake.exercise] if c.name.startswith(mistake.fails)]
    assert mistake.old in right, "the mistake is made in the answer as it stands"
    wrong = right.replace(mistake.old, mistake.new) if mistake.old else as_given(right, "pass")
    ran, seen = bench.run([(mistake.exercise, wrong), ("visible", visible)])
    try:
        passed = [
            c.name for c in checks for n in range(max(1, DRAWS // 2)) if not fails(bench, c, n)
        ]
    finally:
        bench.run([(mistake.exercise, right)])
    assert ran.kind == ""
    assert passed == [], "right by chance"
    assert (seen.kind == "") is mistake.looks_right, seen


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_every_check_is_failed_by_some_mistake(check):
    assert any(m.exercise == check.exercise and check.name.startswith(m.fails) for m in MISTAKES)


def test_mistakes_and_right_answers_name_what_exists():
    for mistake in MISTAKES:
        assert any(
            c.exercise == mistake.exercise and c.name.startswith(mistake.fails) for c in CHECKS
        ), mistake
    assert set(RIGHT) == set(POINTS)


RIGHT = {
    "bottleneck": """
class Bottleneck(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        self.up = nn.Linear(size, width)
        self.down = nn.Linear(width, size)
        self.act = nn.GELU()
        self.up.weight.data[:] = 0
        self.up.bias.data[:] = 0
        torch.nn.init.normal_(self.down.weight, std=0.5)
        self.down.bias.data[:] = 0

    def forward(self, x):
        inner = self.act(x @ self.down.weight.T + self.down.bias)
        return torch.einsum("...r,dr->...d", inner, self.up.weight) + self.up.bias
""",
    "add-adapters": """
class Behind(nn.Module):
    def __init__(self, module, adapter):
        super().__init__()
        self.module, self.adapter = module, adapter

    def forward(self, x):
        h = self.module(x)
        return h + self.adapter(h)

class Before(Behind):
    def forward(self, s):
        return self.module(s + self.adapter(self.module(s)))

def add_adapters(model, size, place):
    if place == "houlsby":
        freeze_plm(model)
        found = []
        for layer in layers_of(model):
            for end in (layer.attention.output, layer.output):
                adapter = Bottleneck(model.config.hidden_size, size)
                end.dropout = Behind(end.dropout, adapter)
                found.append(adapter)
        return found
    elif place == "pfeiffer":
        found = [Bottleneck(model.config.hidden_size, size) for _ in layers_of(model)]
        for adapter, layer in zip(found, layers_of(model)):
            layer.output.LayerNorm = Before(layer.output.LayerNorm, adapter)
        for name, p in model.named_parameters():
            p.requires_grad = "adapter" in name or name.startswith("classifier")
        return found
    raise ValueError(place)
""",
    "token-shift": """
class TokenShift(nn.Module):
    def __init__(self, inside, width):
        super().__init__()
        self.v = nn.Parameter(torch.empty(width))
        nn.init.constant_(self.v, 0.0)
        self.alpha = nn.Linear(inside, 1, bias=True)

    def forward(self, z):
        return torch.einsum("...,d->...d", self.alpha(z).squeeze(-1), self.v)
""",
    "add-adapter-bias": """
class ShiftedDense(nn.Module):
    def __init__(self, dense, shift):
        super().__init__()
        self.dense, self.shift = dense, shift

    def forward(self, z):
        return self.dense(z) + self.shift(z)

def add_adapter_bias(model):
    for p in model.base_model.parameters():
        p.requires_grad = False
    found = []
    for layer in layers_of(model):
        shift = TokenShift(model.config.intermediate_size, model.config.hidden_size)
        layer.output.dense = ShiftedDense(layer.output.dense, shift)
        found.append(shift)
    return found
""",
    "train-biases": """
def train_biases(model):
    found = {}
    for name, parameter in model.base_model.named_parameters():
        if name.split(".")[-1] == "bias":
            found[name] = parameter
    if len(found) == 0:
        raise ValueError("no biases")
    for name, parameter in model.base_model.named_parameters():
        parameter.requires_grad = name in found
    count = 0
    for parameter in found.values():
        count += parameter.numel()
    return count
""",
    "lora-linear": """
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.rank, self.alpha = linear, rank, alpha
        for p in linear.parameters():
            p.requires_grad = False
        self.A = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        nn.init.kaiming_uniform_(self.A, a=5**0.5)
        self.B = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        self.kept = None

    def change(self):
        return self.alpha / self.rank * self.B @ self.A

    def forward(self, x):
        weight = self.linear.weight
        if self.kept is None:
            weight = weight + self.change()
        return nn.functional.linear(x, weight, self.linear.bias)

    @torch.no_grad()
    def merge(self):
        if self.kept is None:
            self.kept = self.linear.weight.clone()
            self.linear.weight.add_(self.change())

    @torch.no_grad()
    def unmerge(self):
        if self.kept is not None:
            self.linear.weight.copy_(self.kept)
            self.kept = None
""",
    "add-lora": """
def add_lora(model, rank, alpha):
    found = []
    for layer in model.base_model.encoder.layer:
        for name in ("query", "value"):
            lora = LoRALinear(getattr(layer.attention.self, name), rank, alpha)
            setattr(layer.attention.self, name, lora)
            found.append(lora)
    for p in model.base_model.parameters():
        p.requires_grad = False
    for lora in found:
        lora.A.requires_grad = lora.B.requires_grad = True
    return found
""",
    "hunt-trained": """
def choose_trained(model):
    model.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, PlainAdapter):
            module.requires_grad_(True)
    for child in model.children():
        if child is not model.base_model:
            child.requires_grad_(True)
    return [n for n, p in model.named_parameters() if p.requires_grad]
""",
    "hunt-biases": """
def ffn_biases(model):
    found = {}
    for name, parameter in model.named_parameters():
        if "output.dense.bias" in name and "attention" not in name:
            found[name] = parameter
    return found
""",
    "hunt-place": """
class AdaptedOutput(nn.Module):
    def __init__(self, output, size):
        super().__init__()
        self.output = output
        self.adapter = PlainAdapter(output.dense.out_features, size)

    def forward(self, hidden_states, input_tensor):
        h = self.output.dropout(self.output.dense(hidden_states))
        h = h + self.adapter(h)
        return self.output.LayerNorm(input_tensor + h)
""",
    "hunt-dropout": """
class DropoutAdapter(PlainAdapter):
    def __init__(self, width, size, p=0.1):
        super().__init__(width, size)
        self.drop = nn.Dropout(p)

    def forward(self, h):
        return self.up(self.drop(nn.functional.gelu(self.down(h))))
""",
    "hunt-training": """
def start_training(model, size, rate):
    adapters = put_adapters(model, size)
    return torch.optim.SGD(model.parameters(), lr=rate), adapters
""",
    "bonus-adamix": """
class AdaMixAdapter(nn.Module):
    def __init__(self, width, size, experts):
        super().__init__()
        self.W1 = nn.Parameter(torch.empty(experts, size, width).uniform_(-0.3, 0.3))
        self.b1 = nn.Parameter(torch.zeros(experts, size))
        self.W2 = nn.Parameter(torch.zeros(width, size))
        self.b2 = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        import random
        chosen = [random.randrange(len(self.W1))] if self.training else range(len(self.W1))
        W1 = sum(self.W1[j] for j in chosen) / len(chosen)
        b1 = sum(self.b1[j] for j in chosen) / len(chosen)
        F = nn.functional
        return F.linear(F.gelu(F.linear(x, W1, b1)), self.W2, self.b2)

def consistency(p_logits, q_logits):
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    one = nn.functional.kl_div(p, q, reduction="batchmean", log_target=True)
    two = nn.functional.kl_div(q, p, reduction="batchmean", log_target=True)
    return (one + two) / 2
""",
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_right_answers_in_other_words_pass(bench, exercise):
    visible = cells(graded=True)[f"{exercise}-check"]
    ran = bench.run([(exercise, RIGHT[exercise]), ("visible", visible)])
    try:
        failed = [c.name for c in OF[exercise] for n in range(DRAWS) if fails(bench, c, n)]
    finally:
        bench.run([(exercise, cells()[exercise])])
    assert [cell.error for cell in ran] == ["", ""]
    assert failed == []


def test_a_stub_has_nothing_and_every_message_says_so(tmp_path, connect):
    stubs = {name: as_given(source) for name, source in cells().items()}
    judgement = judge(lambda: Student(connect(tmp_path), seconds=60), list(stubs.items()), CHECKS)
    assert judgement.earned == 0
    assert judgement.most == sum(POINTS.values())
    assert {outcome.message for outcome in judgement.outcomes} == {"not written yet"}
