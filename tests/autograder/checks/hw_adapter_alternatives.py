"""Right answers to HW-Adapter in styles of their own: loops, einsum, in place, wrappers, new names.

exercise -> whole cells. Each keeps what docstring and signature promise, and little else of the
instructor's version; it must have full points on every draw.
"""

from __future__ import annotations

ALTERNATIVES = {
    "bottleneck": [
        # Built on a list of its own, einsum both ways, gelu by the error function.
        """
class Bottleneck(nn.Module):
    def __init__(self, width, size):
        nn.Module.__init__(self)
        down, up = nn.Linear(width, size), nn.Linear(size, width)
        state = up.state_dict()
        up.load_state_dict({name: torch.zeros_like(value) for name, value in state.items()})
        down.bias.data.fill_(0)
        self.add_module("down", down)
        self.add_module("up", up)

    def forward(self, x):
        inside = torch.einsum("...d,rd->...r", x, self.down.weight).add(self.down.bias)
        inside = 0.5 * inside * (1 + torch.erf(inside / 2**0.5))
        return torch.einsum("...r,dr->...d", inside, self.up.weight) + self.up.bias
""",
    ],
    "add-adapters": [
        # The ends of the sub-layers are written anew, as modules that hold the old ones.
        """
class WithAdapter(nn.Module):
    def __init__(self, old, adapter, place):
        super().__init__()
        self.old, self.little, self.place = old, adapter, place

    def forward(self, hidden_states, input_tensor):
        h = self.old.dropout(self.old.dense(hidden_states))
        if self.place == "houlsby":
            return self.old.LayerNorm(h + self.little(h) + input_tensor)
        s = h + input_tensor
        return self.old.LayerNorm(s + self.little(self.old.LayerNorm(s)))

def add_adapters(model, size, place):
    if not place in {"houlsby", "pfeiffer"}:
        raise ValueError
    made = []
    for layer in model.base_model.encoder.layer:
        for owner in [layer.attention, layer] if place == "houlsby" else [layer]:
            made.append(Bottleneck(width=model.config.hidden_size, size=size))
            owner.output = WithAdapter(owner.output, made[-1], place)
    new = {id(p) for adapter in made for p in adapter.parameters()}
    for p in model.base_model.parameters():
        p.requires_grad = id(p) in new
    return made
""",
        # The forward functions of this very model are replaced; adapters in a list of the PLM's.
        """
def add_adapters(model, size, place):
    if place != "houlsby" and place != "pfeiffer":
        raise ValueError("place")
    freeze_plm(model)
    model.extra = nn.ModuleList()
    for layer in layers_of(model):
        ends = (layer.attention.output, layer.output)[(place == "pfeiffer") :]
        for end in ends:
            adapter = Bottleneck(model.config.hidden_size, size)
            model.extra.append(adapter)

            def forward(hidden_states, input_tensor, end=end, adapter=adapter):
                h = end.dense(hidden_states)
                if place == "houlsby":
                    h = h + adapter(h)
                    return end.LayerNorm(end.dropout(h) + input_tensor)
                s = end.dropout(h) + input_tensor
                return end.LayerNorm(s + adapter(end.LayerNorm(s)))

            end.forward = forward
    return list(model.extra)
""",
    ],
    "token-shift": [
        # An outer product.
        """
class TokenShift(nn.Module):
    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.alpha = torch.nn.Linear(in_features=inside, out_features=1)
        self.register_parameter("v", torch.nn.Parameter(torch.tensor([0.0] * width)))

    def forward(self, z):
        flat = z.reshape(-1, z.shape[-1])
        alpha = flat.mv(self.alpha.weight[0]) + self.alpha.bias
        return alpha.outer(self.v).view(*z.shape[:-1], len(self.v))
""",
    ],
    "add-adapter-bias": [
        # z is taken where it is made, and added where the layer's dropout was.
        """
class Shifted(nn.Module):
    def __init__(self, dropout, shift):
        super().__init__()
        self.dropout, self.shift, self.z = dropout, shift, []

    def forward(self, h):
        return self.dropout(h) + self.shift(self.z.pop())

def add_adapter_bias(model):
    shifts = nn.ModuleList()
    for p in model.bert.parameters() if hasattr(model, "bert") else model.roberta.parameters():
        p.requires_grad_(False)
    for layer in layers_of(model):
        shift = TokenShift(inside=layer.intermediate.dense.out_features,
                           width=layer.output.dense.out_features)
        layer.output.dropout = place = Shifted(layer.output.dropout, shift)
        layer.intermediate.register_forward_hook(lambda m, a, z, place=place: place.z.append(z))
        shifts.append(shift)
    return [shift for shift in shifts]
""",
    ],
    "train-biases": [
        # Modules by recursion, through the parameters that they own.
        """
def train_biases(model):
    def of(module):
        own = dict(module.named_parameters(recurse=False))
        if own.get("bias") is not None:
            yield own["bias"]
        for child in module.children():
            yield from of(child)

    biases = list(of(model.base_model))
    if biases == []:
        raise ValueError("nothing to train")
    known = set(map(id, biases))
    for p in model.base_model.parameters():
        p.requires_grad = id(p) in known
    return int(torch.tensor([b.numel() for b in biases]).sum())
""",
    ],
    "lora-linear": [
        # Two weights are kept, and the one that is asked for is put in; A as kaiming would have it.
        """
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.add_module("linear", linear)
        for p in self.linear.parameters():
            p.requires_grad = False
        out, inside = linear.weight.shape
        kind = {"dtype": linear.weight.dtype, "device": linear.weight.device}
        self.A = nn.Parameter(torch.rand(rank, inside, **kind) - 0.5)
        self.B = nn.Parameter(torch.zeros(out, rank, **kind))
        self.factor = torch.tensor(alpha) / rank
        self.times = 0

    def forward(self, x):
        h = self.linear.forward(x)
        if not self.times:
            low = torch.einsum("...i,ri->...r", x, self.A)
            h = h + torch.einsum("...r,or->...o", low, self.B) * self.factor
        return h

    def merge(self):
        if self.times == 0:
            self._add(+1)

    def unmerge(self):
        if self.times == 1:
            self._add(-1)

    def _add(self, sign):
        with torch.no_grad():
            self.linear.weight.add_(self.B @ self.A, alpha=sign * float(self.factor))
        self.times += sign
""",
        # A new parameter with the sum in it in the place of the old one.
        """
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        linear.weight.requires_grad = False
        if linear.bias is not None:
            linear.bias.requires_grad = False
        self.linear = linear
        self.scaling = alpha / rank
        self.A = nn.Parameter(torch.randn_like(linear.weight[:1].repeat(rank, 1)))
        self.B = nn.Parameter(torch.zeros_like(linear.weight[:, :1].repeat(1, rank)))
        self.before = None

    def delta(self):
        return torch.mm(self.B, self.A).mul(self.scaling)

    def forward(self, x):
        extra = 0 if self.before is not None else x @ self.delta().mT
        return self.linear(x) + extra

    def merge(self):
        if self.before is None:
            self.before = self.linear.weight
            self.linear.weight = nn.Parameter((self.before + self.delta()).detach(), False)

    def unmerge(self):
        if self.before is not None:
            self.linear.weight, self.before = self.before, None
""",
    ],
    "add-lora": [
        # By the modules' names.
        """
def add_lora(model, rank, alpha):
    plm = model.base_model
    plm.requires_grad_(False)
    places = [name for name, _ in plm.named_modules()
              if name.endswith(("attention.self.query", "attention.self.value"))]
    found = {}
    for name in places:
        parent, last = plm.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        found[name] = LoRALinear(linear=getattr(parent, last), rank=rank, alpha=alpha)
        parent.add_module(last, found[name])
    return list(found.values())
""",
    ],
    "hunt-trained": [
        """
def choose_trained(model):
    names = []
    inner = {id(p) for p in model.base_model.parameters()}
    adapters = {id(p) for m in model.modules() if type(m) is PlainAdapter for p in m.parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = id(parameter) in adapters or id(parameter) not in inner
        if parameter.requires_grad:
            names.append(name)
    return names
""",
    ],
    "hunt-biases": [
        """
def ffn_biases(model):
    prefix = "" if model.base_model is model else model.base_model_prefix + "."
    return {
        f"{prefix}encoder.layer.{number}.output.dense.bias": layer.output.dense.bias
        for number, layer in enumerate(layers_of(model))
    }
""",
    ],
    "hunt-place": [
        """
class AdaptedOutput(nn.Module):
    def __init__(self, output, size):
        super().__init__()
        self.dense, self.dropout, self.LayerNorm = output.dense, output.dropout, output.LayerNorm
        self.adapter = PlainAdapter(width=output.dense.out_features, size=size)

    def forward(self, hidden_states, input_tensor):
        out = self.dropout(self.dense(hidden_states))
        out = torch.stack([out, self.adapter(out), input_tensor]).sum(0)
        return self.LayerNorm.forward(out)
""",
    ],
    "hunt-dropout": [
        # By hand, where there is something to drop.
        """
class DropoutAdapter(PlainAdapter):
    def __init__(self, width, size, p=0.1):
        super().__init__(width, size)
        self.p = p

    def forward(self, h):
        inner = nn.functional.gelu(self.down(h))
        if not self.training:
            return self.up(inner)
        kept = torch.bernoulli(torch.full_like(inner, 1 - self.p))
        return self.up(inner * kept / (1 - self.p))
""",
    ],
    "hunt-training": [
        """
def start_training(model, size, rate):
    adapters = put_adapters(model, size)
    head = [p for n, p in model.named_parameters() if n.startswith("classifier")]
    groups = [{"params": [p for a in adapters for p in a.parameters()]}, {"params": head}]
    return (torch.optim.SGD(groups, lr=rate), adapters)
""",
    ],
    "bonus-adamix": [
        # Choices as a distribution over experts: one-hot in training, even afterwards.
        """
class AdaMixAdapter(nn.Module):
    def __init__(self, width, size, experts):
        super().__init__()
        lists = [nn.Linear(width, size).weight.detach() for _ in range(experts)]
        self.W1 = nn.Parameter(torch.stack(lists))
        for name, shape in (("b1", (experts, size)), ("W2", (width, size)), ("b2", (width,))):
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def forward(self, x):
        M = len(self.W1)
        pick = torch.full((M,), 1 / M)
        if self.training:
            pick = nn.functional.one_hot(torch.multinomial(pick, 1)[0], M).float()
        W1 = torch.einsum("m,mrd->rd", pick, self.W1)
        b1 = torch.einsum("m,mr->r", pick, self.b1)
        inner = nn.functional.gelu(nn.functional.linear(x, W1, bias=b1))
        return nn.functional.linear(inner, self.W2, bias=self.b2)

def consistency(p_logits, q_logits):
    total = 0.0
    for p, q in zip(p_logits, q_logits):
        lp, lq = p - p.logsumexp(0), q - q.logsumexp(0)
        total = total + (lp.exp() * (lp - lq)).sum() / 2 + (lq.exp() * (lq - lp)).sum() / 2
    return total / len(p_logits)
""",
    ],
}
