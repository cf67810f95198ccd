"""Right answers to HW-Adapter in other words: each must have full points on every draw."""

from __future__ import annotations

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
