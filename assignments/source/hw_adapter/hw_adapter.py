# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     cell_metadata_filter: nbgrader,tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # HW-Adapter · Small modules in a frozen language model
#
# Fine-tuning changes what a pre-trained language model (PLM) makes of a token, $h \to h + \Delta h$. In
# this homework you write four ways to get $\Delta h$ from a few trained numbers while the PLM stays as it
# is, mend somebody else's adapter library, and measure what the methods are worth.
#
# | exercise | what you write | difficulty | minutes | points |
# |---|---|---|---:|---:|
# | 1a | `Bottleneck` - the adapter's maths | ★☆☆ | 20 | 9 |
# | 1b | `add_adapters` - Houlsby's places and Pfeiffer's | ★★★ | 40 | 11 |
# | 2a | `TokenShift` - AdapterBias's maths | ★☆☆ | 15 | 4 |
# | 2b | `add_adapter_bias` - and its place | ★★☆ | 25 | 5 |
# | 2c | `train_biases` - BitFit | ★★☆ | 20 | 7 |
# | 3a | `LoRALinear` - a map with a low-rank change, merged and unmerged | ★★☆ | 35 | 11 |
# | 3b | `add_lora` - at query and value | ★★☆ | 20 | 7 |
# | 4a | `choose_trained` - mend it | ★★☆ | 15 | 4 |
# | 4b | `ffn_biases` - mend it | ★★☆ | 15 | 4 |
# | 4c | `AdaptedOutput` - mend it | ★★☆ | 15 | 4 |
# | 4d | `DropoutAdapter` - mend it | ★★☆ | 15 | 4 |
# | 4e | `start_training` - mend it | ★★☆ | 15 | 4 |
# | 5 | `results` - runs of at least two methods | ★★☆ | 60 | 16 |
# | 6 | `AdaMixAdapter` - bonus, up to 10 points more | ★★★ | 45 | 0 |
# | 7a | `merging` - a question | ★☆☆ | 10 | 3 |
# | 7b | `falling-loss` - a question | ★★☆ | 10 | 3 |
# | 7c | `verdict` - a question about your runs | ★★☆ | 20 | 4 |
#
# **How it works.** Write between the docstring and the check below it: replace
# `raise NotImplementedError()`. The check under an exercise tells you what it expected and what it got. Your
# work is graded by further checks of the same promises, on other sizes and other PLMs; each earns its own
# points, and everything they test is stated in a docstring. Please leave the lines `# id: ...` where they
# are: they tell the grader which cell is which.
#
# Run the cells from top to bottom. Only exercise 5 on the GPU track needs a GPU.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
# id: setup
import os
import warnings

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.simplefilter("ignore")
torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


def freeze_plm(model: nn.Module) -> None:
    """Freeze the PLM; a task head, such as `model.classifier`, goes on being trained."""
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The layers of a BERT or a RoBERTa, whatever its head."""
    return model.base_model.encoder.layer


print(f"torch {torch.__version__}, transformers {transformers.__version__}, device {device}")

# %% [markdown]
# The next cell holds what the checks are made of. Have a look; you can't change it. And look at one layer
# of the small BERT: you need the names of its parts.


# %% nbgrader={"grade": false, "grade_id": "check-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
# id: check-tools
def check_tensor(what, got, expected):
    """Complain unless `got` is a tensor with the type, shape and values of `expected`."""
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    want, have = tuple(expected.shape), tuple(got.shape)
    assert have == want, f"{what}: expected shape {want}, got {have}"
    assert got.dtype == expected.dtype, f"{what}: expected {expected.dtype}, got {got.dtype}"
    same = torch.allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert same, f"{what}: expected {expected.tolist()}, got {got.tolist()}"


def check_value(what, got, expected):
    """Complain unless the two are equal."""
    assert got == expected, f"{what}: expected {expected!r}, got {got!r}"


def small_bert():
    """A BERT classifier with random weights: two layers of width 8, an FFN of 12 inside."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=16,
        num_labels=3,
        initializer_range=0.5,  # large, so that a mistake makes a difference
    )
    return BertForSequenceClassification(config).eval()


INPUT_IDS = torch.tensor([[2, 10, 11, 3], [2, 12, 3, 0]])
ATTENTION_MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def logits_of(model):
    """(2, 3): what the classifier says of two small texts."""
    return model(INPUT_IDS, attention_mask=ATTENTION_MASK).logits


def trained_numbers(module):
    """How many numbers of a module an optimizer would move."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


print(layers_of(small_bert())[0])

# %% [markdown]
# ## Exercise 1 · Bottleneck adapters (20 points)
#
# An adapter is a network with a narrow middle (Houlsby et al., *Parameter-Efficient Transfer Learning for
# NLP*, 2019): down from $d$ to $r$ numbers, a nonlinearity, and up again.
#
# $$ \Delta h = W_2\, \mathrm{gelu}(W_1 x + b_1) + b_2, \qquad W_1: (r, d),\; W_2: (d, r) $$
#
# We start it so that $\Delta h$ is **exactly zero**: training then begins with the PLM as it is.
#
# *What do you expect: would it do to start W1 and W2 both at zero? Which gradients would arrive?*
#
# ### 1a · The module
#
# ★☆☆ · 20 minutes · 9 points


# %% nbgrader={"grade": false, "grade_id": "bottleneck", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: bottleneck
class Bottleneck(nn.Module):
    """Δh = W2 gelu(W1 x + b1) + b2 (equation above), exactly zero at the start.

    `down` and `up` are two `nn.Linear`, W1 with b1 and W2 with b2, and its only parameters. At the
    start W2, b1 and b2 are zero, W1 is random. gelu is the exact one.

    Args:
        width: d.
        size: r.
    """

    def __init__(self, width: int, size: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        for tensor in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(tensor)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Δh, without x itself: (..., d) -> (..., d), with any number of dimensions in front."""
        ### BEGIN SOLUTION
        return self.up(nn.functional.gelu(self.down(x)))
        ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: start values</summary>
# <code>nn.init.zeros_(tensor)</code> writes zeros into a parameter. A new <code>nn.Linear</code> has random weights,
# and a random bias.
# </details>
# <details><summary>Hint 2: why not both at zero</summary>
# The gradient of W1 is multiplied by W2, and that of W2 by gelu(W1 x + b1). One of the two has to be there.
# </details>

# %% nbgrader={"grade": true, "grade_id": "bottleneck-check", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
# id: bottleneck-check
adapter = Bottleneck(width=2, size=1)
x = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
with torch.no_grad():
    check_tensor("Bottleneck at the start", adapter(x), torch.zeros(2, 2))
    adapter.down.weight.copy_(torch.tensor([[1.0, 1.0]]))
    adapter.up.weight.copy_(torch.tensor([[2.0], [1.0]]))
    adapter.up.bias.copy_(torch.tensor([0.0, 1.0]))
    expected = torch.tensor([[5.99190, 3.99595], [-0.30854, 0.84573]])  # gelu(3) = 2.99595 ...
    check_tensor("Bottleneck", adapter(x), expected)

# %% [markdown]
# ### 1b · Two places for it
#
# In BERT each sub-layer (attention, then FFN) ends with `dense`, dropout, and a LayerNorm of the sum,
# $\mathrm{norm}(h + x)$, where $x$ is what the sub-layer has read.
#
# * **Houlsby** puts an adapter after *both* sub-layers, before that sum: $\mathrm{norm}(h + \Delta h(h) + x)$.
# * **Pfeiffer** puts one after the FFN only. It reads the normed sum, and the same norm is used again:
#   with $s = h + x$ the layer's output is $\mathrm{norm}(s + \Delta h(\mathrm{norm}(s)))$.
#
# *What do you expect: which of the two trains more numbers at the same bottleneck, and by what factor?*
#
# ★★★ · 40 minutes · 11 points


# %% nbgrader={"grade": false, "grade_id": "add-adapters", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: add-adapters
def add_adapters(model: nn.Module, size: int, place: str) -> list[nn.Module]:
    """Put `Bottleneck` adapters into a BERT or RoBERTa classifier, and train them alone.

    Afterwards the model is called as before and answers as before; training moves the adapters
    and the head (`freeze_plm` knows which that is) and nothing else: not even the LayerNorms, which
    the paper trains too.

    Args:
        model: a sequence classifier; it is changed in place.
        size: the bottleneck r.
        place: "houlsby" (equation above; the adapter reads what `dense` gives, and dropout may
            come before or after it) or "pfeiffer".

    Returns:
        The adapters in order: from the first layer to the last, and within a layer that of the
        attention before that of the FFN.

    Raises:
        ValueError: another place; the model is not changed then.
    """
    ### BEGIN SOLUTION
    if place not in ("houlsby", "pfeiffer"):
        raise ValueError(f"expected the place houlsby or pfeiffer, got {place!r}")
    freeze_plm(model)
    adapters = []
    for layer in layers_of(model):
        if place == "houlsby":
            for dense in (layer.attention.output.dense, layer.output.dense):
                dense.adapter = Bottleneck(model.config.hidden_size, size)
                dense.register_forward_hook(lambda dense, args, h: h + dense.adapter(h))
                adapters.append(dense.adapter)
        else:
            norm = layer.output.LayerNorm
            norm.adapter = Bottleneck(model.config.hidden_size, size)
            norm.register_forward_pre_hook(
                lambda norm, args: (args[0] + norm.adapter(norm.forward(args[0])),)
            )
            adapters.append(norm.adapter)
    return adapters
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: get in between without copying BERT's code</summary>
# Either replace a module by one of your own that holds the old one, or ask PyTorch to call you:
# <code>module.register_forward_hook(f)</code> calls <code>f(module, args, output)</code> after the module, and what
# you return takes the output's place; <code>register_forward_pre_hook(f)</code> calls <code>f(module, args)</code>
# before it, and you return the new arguments, a tuple.
# </details>
# <details><summary>Hint 2: functions made in a loop</summary>
# A <code>lambda</code> looks a name up when it is <i>called</i>: after the loop, all of them see the last adapter.
# A hook is given its module; let that hold the adapter.
# </details>
# <details><summary>Hint 3: Pfeiffer</summary>
# What goes into <code>layer.output.LayerNorm</code> is s. Inside a hook of the norm,
# <code>norm.forward(s)</code> uses it without calling the hook again.
# </details>

# %% nbgrader={"grade": true, "grade_id": "add-adapters-check", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
# id: add-adapters-check
for place, count in [("houlsby", 4), ("pfeiffer", 2)]:
    model = small_bert()
    with torch.no_grad():
        before = logits_of(model)
        adapters = add_adapters(model, 2, place)
        check_value(f"number of adapters, {place}", len(adapters), count)
        check_tensor(f"the model with new adapters, {place}", logits_of(model), before)
    one, head = 2 * 8 * 2 + 2 + 8, 8 * 3 + 3
    check_value(f"trained numbers, {place}", trained_numbers(model), count * one + head)
    logits_of(model).sum().backward()
    reached = [adapter.up.bias.grad is not None for adapter in adapters]
    check_value(f"adapters that a gradient reaches, {place}", reached, [True] * count)

# %% [markdown]
# ## Exercise 2 · AdapterBias and BitFit (16 points)
#
# Even fewer numbers: move every token along **one vector** $v$ per layer. In AdapterBias (Fu et al., 2022)
# each token says how far, from the FFN's inside $z$ - the activation that the FFN's last `dense` reads, $k$
# numbers wide:
#
# $$ \Delta h = \alpha(z)\, v, \qquad \alpha(z) = a^\top z + c, \qquad v = 0 \text{ at the start} $$
#
# *What do you expect: how many numbers is that for BERT-large (24 layers, d = 1024, k = 4096)?*
#
# ### 2a · The module
#
# ★☆☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "token-shift", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: token-shift
class TokenShift(nn.Module):
    """Δh = α(z) · v (equation above), exactly zero at the start.

    `alpha` is an `nn.Linear` from k numbers to one with its usual start, and `v` a parameter (d,)
    of zeros.

    Args:
        inside: k, the width of z.
        width: d.
    """

    def __init__(self, inside: int, width: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.alpha = nn.Linear(inside, 1)
        self.v = nn.Parameter(torch.zeros(width))
        ### END SOLUTION

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(..., k) -> (..., d): each token has its own α."""
        ### BEGIN SOLUTION
        return self.alpha(z) * self.v
        ### END SOLUTION


# %% [markdown]
# <details><summary>Hint</summary>
# (..., 1) times (d,) is (..., d).
# </details>

# %% nbgrader={"grade": true, "grade_id": "token-shift-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: token-shift-check
shift = TokenShift(inside=3, width=2)
z = torch.tensor([[1.0, 0.0, 2.0]])
with torch.no_grad():
    check_tensor("TokenShift at the start", shift(z), torch.zeros(1, 2))
    shift.alpha.weight.copy_(torch.tensor([[1.0, 5.0, 0.5]]))
    shift.alpha.bias.fill_(1.0)
    shift.v.copy_(torch.tensor([1.0, -2.0]))
    check_tensor("TokenShift", shift(z), torch.tensor([[3.0, -6.0]]))

# %% [markdown]
# ### 2b · Its place
#
# One shift per layer, at the end of the FFN and before the sum with $x$:
# $\mathrm{norm}(\mathrm{dense}(z) + \Delta h(z) + x)$.
#
# ★★☆ · 25 minutes · 5 points


# %% nbgrader={"grade": false, "grade_id": "add-adapter-bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: add-adapter-bias
def add_adapter_bias(model: nn.Module) -> list[nn.Module]:
    """Put a `TokenShift` into each layer of a BERT or RoBERTa classifier, and train them alone.

    Afterwards the model answers as before; training moves the shifts and the head, nothing else
    (the paper's program trains some LayerNorms too; we don't). Dropout may come before or after.

    Args:
        model: a sequence classifier; it is changed in place.

    Returns:
        The shifts, from the first layer to the last.
    """
    ### BEGIN SOLUTION
    freeze_plm(model)
    shifts = []
    for layer in layers_of(model):
        dense = layer.output.dense
        dense.shift = TokenShift(dense.in_features, dense.out_features)
        dense.register_forward_hook(lambda dense, args, h: h + dense.shift(args[0]))
        shifts.append(dense.shift)
    return shifts
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint: what is z in the model?</summary>
# It is what <code>layer.output.dense</code> is called with. A forward hook gets the module's arguments, too.
# </details>

# %% nbgrader={"grade": true, "grade_id": "add-adapter-bias-check", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# id: add-adapter-bias-check
model = small_bert()
with torch.no_grad():
    before = logits_of(model)
    shifts = add_adapter_bias(model)
    check_value("number of shifts", len(shifts), 2)
    check_tensor("the model with new shifts", logits_of(model), before)
check_value("trained numbers", trained_numbers(model), 2 * (12 + 1 + 8) + 27)
logits_of(model).sum().backward()
check_value("shifts that a gradient reaches", [s.v.grad is not None for s in shifts], [True, True])

# %% [markdown]
# ### 2c · BitFit: nothing new at all
#
# BitFit (Ben Zaken et al., 2022) trains biases that are already there: those of all maps and norms of the
# PLM. The tempting line is `"bias" in name`. T5 has a *table* called `relative_attention_bias.weight`, which is
# none, and no biases otherwise. So ask a module for its bias, not a name for its letters.
#
# ★★☆ · 20 minutes · 7 points


# %% nbgrader={"grade": false, "grade_id": "train-biases", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: train-biases
def train_biases(model: nn.Module) -> int:
    """Train the biases of a PLM, and freeze the rest of it; a head goes on being trained.

    A bias is a parameter that a module of the PLM has under the name `bias`, whatever the kind of
    module (GPT-2's maps are no `nn.Linear`). The PLM is what `freeze_plm` freezes.

    Args:
        model: any model of transformers; what it trains is changed, and nothing else.

    Returns:
        How many numbers the biases have, the head's not counted.

    Raises:
        ValueError: the PLM has no biases.
    """
    ### BEGIN SOLUTION
    own = [getattr(module, "bias", None) for module in model.base_model.modules()]
    biases = [bias for bias in own if isinstance(bias, nn.Parameter)]
    if not biases:
        raise ValueError(f"{type(model).__name__} has no biases to train")
    freeze_plm(model)
    for bias in biases:
        bias.requires_grad_(True)
    return sum(bias.numel() for bias in biases)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: all modules, also those inside others</summary>
# <code>model.base_model.modules()</code>
# </details>
# <details><summary>Hint 2: modules without a bias</summary>
# <code>getattr(module, "bias", None)</code> - which may be there and be <code>None</code>, or be something that is no
# <code>nn.Parameter</code>.
# </details>

# %% nbgrader={"grade": true, "grade_id": "train-biases-check", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
# id: train-biases-check
model = small_bert()
layer = 3 * 8 + 8 + 8 + 12 + 8 + 8  # query, key, value; dense, norm; FFN in, out; norm
expected = 8 + 2 * layer + 8  # the embeddings' norm and the pooler as well
check_value("train_biases of a small BERT", train_biases(model), expected)
check_value("trained numbers, with the head", trained_numbers(model), expected + 27)
gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=16, n_embd=8, n_layer=1, n_head=2))
check_value("train_biases of a small GPT-2", train_biases(gpt2), trained_numbers(gpt2))

# %% [markdown]
# ## Exercise 3 · LoRA (18 points)
#
# LoRA (Hu et al., 2021) changes a map's **weights**, by a product of two thin matrices:
#
# $$ h = W x + b + \frac{\alpha}{r}\, B A x, \qquad A: (r, \text{in}),\; B: (\text{out}, r),\; B = 0 \text{ at the start} $$
#
# There is no nonlinearity between $A$ and $B$, so after training $W + \frac{\alpha}{r} BA$ can be written where
# $W$ was: **merged**, the method costs nothing at all when it is used.
#
# ### 3a · The map
#
# *What do you expect: what happens if somebody merges, forgets, and merges again?*
#
# ★★☆ · 35 minutes · 11 points


# %% nbgrader={"grade": false, "grade_id": "lora-linear", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: lora-linear
class LoRALinear(nn.Module):
    """A frozen linear map with a trained low-rank change (equation above).

    The parameters are `linear.weight`, `linear.bias` (if it has one), `A` (r, in) and `B` (out, r). A is
    random and B zero at the start, both of the weight's dtype. Only A and B are trained.

    Args:
        linear: the map, which stays in here as `linear`, with the weights that it has.
        rank: r.
        alpha: α.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        ### BEGIN SOLUTION
        self.linear = linear.requires_grad_(False)
        self.scale = alpha / rank
        self.merged = False
        weight = linear.weight
        self.A = nn.Parameter(torch.randn(rank, weight.size(1), dtype=weight.dtype) / rank)
        self.B = nn.Parameter(torch.zeros(weight.size(0), rank, dtype=weight.dtype))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out), the same whether merged or not."""
        ### BEGIN SOLUTION
        if self.merged:
            return self.linear(x)
        return self.linear(x) + self.scale * (x @ self.A.T) @ self.B.T
        ### END SOLUTION

    def merge(self) -> None:
        """Write the change into `linear.weight`, without a gradient; does nothing when merged."""
        ### BEGIN SOLUTION
        if not self.merged:
            self.linear.weight.data += self.scale * (self.B @ self.A).detach()
            self.merged = True
        ### END SOLUTION

    def unmerge(self) -> None:
        """Take the change out again, up to rounding; does nothing when not merged."""
        ### BEGIN SOLUTION
        if self.merged:
            self.linear.weight.data -= self.scale * (self.B @ self.A).detach()
            self.merged = False
        ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: shapes</summary>
# <code>nn.Linear</code> computes x Wᵀ, so the change is x Aᵀ Bᵀ. Multiply from the left: through r numbers, not
# through an (out, in) matrix.
# </details>
# <details><summary>Hint 2: merged or not</summary>
# Let the module remember it in an attribute. Once merged, what must <code>forward</code> not add?
# </details>
# <details><summary>Hint 3: "a leaf Variable that requires grad is being used in an in-place operation"</summary>
# Write under <code>with torch.no_grad():</code>.
# </details>

# %% nbgrader={"grade": true, "grade_id": "lora-linear-check", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
# id: lora-linear-check
linear = nn.Linear(3, 2)
with torch.no_grad():
    linear.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    linear.bias.zero_()
    lora = LoRALinear(linear, rank=1, alpha=1)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    check_tensor("LoRALinear at the start", lora(x), torch.tensor([[1.0, 2.0]]))
    lora.A.copy_(torch.tensor([[0.0, 0.0, 1.0]]))
    lora.B.copy_(torch.tensor([[1.0], [10.0]]))
    expected = torch.tensor([[4.0, 32.0]])
    check_tensor("LoRALinear", lora(x), expected)
    lora.merge()
    merged = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 10.0]])
    check_tensor("the weight after merge()", lora.linear.weight.detach(), merged)
    check_tensor("LoRALinear, merged", lora(x), expected)
    lora.unmerge()
    check_tensor("LoRALinear, unmerged again", lora(x), expected)
check_value("trained numbers", trained_numbers(lora), 3 + 2)

# %% [markdown]
# ### 3b · At query and value
#
# ★★☆ · 20 minutes · 7 points


# %% nbgrader={"grade": false, "grade_id": "add-lora", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: add-lora
def add_lora(model: nn.Module, rank: int, alpha: float) -> list[nn.Module]:
    """Put a `LoRALinear` around query and value of each layer of a BERT or RoBERTa classifier.

    Afterwards the model answers as before; training moves all A and B and the head, nothing else.

    Args:
        model: a sequence classifier; it is changed in place.
        rank: r.
        alpha: α.

    Returns:
        The new maps from the first layer to the last, within a layer query before value.
    """
    ### BEGIN SOLUTION
    freeze_plm(model)
    maps = []
    for layer in layers_of(model):
        attention = layer.attention.self
        attention.query = LoRALinear(attention.query, rank, alpha)
        attention.value = LoRALinear(attention.value, rank, alpha)
        maps += [attention.query, attention.value]
    return maps
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint: putting a module in another's place</summary>
# <code>layer.attention.self.query = ...</code>: assigning is enough.
# </details>

# %% nbgrader={"grade": true, "grade_id": "add-lora-check", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
# id: add-lora-check
model = small_bert()
with torch.no_grad():
    before = logits_of(model)
    maps = add_lora(model, rank=2, alpha=4)
    check_value("number of maps", len(maps), 4)
    check_tensor("the model with new LoRA", logits_of(model), before)
check_value("trained numbers", trained_numbers(model), 4 * 2 * (8 + 8) + 27)
logits_of(model).sum().backward()
check_value("maps that a gradient reaches", [m.B.grad is not None for m in maps], [True] * 4)

# %% [markdown]
# ## Exercise 4 · Five mistakes (20 points)
#
# A small adapter library, five functions and classes. Each runs without an error, with a falling loss, and
# each has **one** mistake that makes it something else than its docstring says. Its users wrote:
#
# > "Half of what I train seems to be random, whatever I do." · "The same text, asked twice, gets two
# > answers." · "I count twice as much as your paper." · "I tried r = 4 and r = 64: the results are the same
# > to the last digit." · "The layers above expect something normed, and don't get it."
#
# They didn't say which function they meant. Mend the code, and delete the line
# `raise NotImplementedError()` that stands in front of it. The checks below the cells only tell whether
# your code still runs: finding out *whether* something is wrong is the exercise. Believe the docstrings.
#
# The next cell is part of the library, and right.


# %% nbgrader={"grade": false, "grade_id": "library", "locked": true, "schema_version": 3, "solution": false, "task": false}
# id: library
class PlainAdapter(nn.Module):
    """Δh = W2 gelu(W1 h + b1) + b2, exactly zero at the start: (..., d) -> (..., d)."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.up(nn.functional.gelu(self.down(h)))


def put_adapters(model: nn.Module, size: int) -> list[PlainAdapter]:
    """Freeze the PLM and put an adapter after each layer's FFN; returns them in order."""
    freeze_plm(model)
    adapters = []
    for layer in layers_of(model):
        dense = layer.output.dense
        dense.adapter = PlainAdapter(model.config.hidden_size, size)
        dense.register_forward_hook(lambda dense, args, h: h + dense.adapter(h))
        adapters.append(dense.adapter)
    return adapters


# %% [markdown]
# ### 4a
#
# ★★☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "hunt-trained", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: hunt-trained
def choose_trained(model: nn.Module) -> list[str]:
    """Choose what an optimizer may move in a classifier with adapters, and freeze the rest.

    Trained are the adapters that `put_adapters` has put in, and the task head.

    Args:
        model: a BERT or RoBERTa classifier with adapters, whatever it trains so far.

    Returns:
        The names of the trained parameters.
    """
    ### BEGIN SOLUTION
    plm = model.base_model_prefix + "."
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".adapter." in name or not name.startswith(plm))
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ### END SOLUTION
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "adapter" in name
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


# %% nbgrader={"grade": true, "grade_id": "hunt-trained-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: hunt-trained-check
model = small_bert()
adapters = put_adapters(model, 2)
names = choose_trained(model)
trained = [name for name, p in model.named_parameters() if p.requires_grad]
check_value("choose_trained: the names it gives are what trains", names, trained)
check_value("trained numbers in the first adapter", trained_numbers(adapters[0]), 42)

# %% [markdown]
# ### 4b
#
# ★★☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "hunt-biases", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: hunt-biases
def ffn_biases(model: nn.Module) -> dict[str, nn.Parameter]:
    """The biases of a small BitFit: those of the last map of each layer's FFN.

    Args:
        model: a BERT or RoBERTa, with or without a head.

    Returns:
        name -> bias, one per layer, from the first layer to the last; the parameters themselves,
        with their names in `model.named_parameters()`.
    """
    ### BEGIN SOLUTION
    wanted = {id(layer.output.dense.bias) for layer in layers_of(model)}
    return {name: bias for name, bias in model.named_parameters() if id(bias) in wanted}
    ### END SOLUTION
    found = {}
    for name, parameter in model.named_parameters():
        if "output.dense.bias" in name:
            found[name] = parameter
    return found


# %% nbgrader={"grade": true, "grade_id": "hunt-biases-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: hunt-biases-check
model = small_bert()
own = dict(model.named_parameters())
got = ffn_biases(model)
check_value("ffn_biases: type", type(got), dict)
check_value("ffn_biases: gives parameters of the model", all(own[n] is got[n] for n in got), True)
last = "bert.encoder.layer.1.output.dense.bias"
check_value(f"ffn_biases: has {last}", last in got, True)

# %% [markdown]
# ### 4c
#
# ★★☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "hunt-place", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: hunt-place
class AdaptedOutput(nn.Module):
    """The end of a sub-layer of BERT with an adapter in Houlsby's place.

    Without an adapter it is norm(dropout(dense(z)) + x). With h = dropout(dense(z)) it becomes
    norm(h + Δh(h) + x), as in the paper: the layer's output goes through the norm.

    Args:
        output: BERT's module, such as `layer.output`; its `dense`, `dropout` and `LayerNorm` are used.
        size: the bottleneck r.
    """

    def __init__(self, output: nn.Module, size: int):
        super().__init__()
        self.dense = output.dense
        self.dropout = output.dropout
        self.LayerNorm = output.LayerNorm
        self.adapter = PlainAdapter(output.dense.out_features, size)

    def forward(self, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
        """z (B, T, k) and x (B, T, d) -> (B, T, d)."""
        ### BEGIN SOLUTION
        h = self.dropout(self.dense(hidden_states))
        return self.LayerNorm(h + self.adapter(h) + input_tensor)
        ### END SOLUTION
        h = self.dropout(self.dense(hidden_states))
        h = self.LayerNorm(h + input_tensor)
        return h + self.adapter(h)


# %% nbgrader={"grade": true, "grade_id": "hunt-place-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: hunt-place-check
model = small_bert()
with torch.no_grad():
    before = logits_of(model)
    for layer in layers_of(model):
        layer.output = AdaptedOutput(layer.output, 2)
    check_tensor("the model with new adapters", logits_of(model), before)
logits_of(model).sum().backward()
reached = [layer.output.adapter.up.weight.grad is not None for layer in layers_of(model)]
check_value("adapters that a gradient reaches", reached, [True, True])

# %% [markdown]
# ### 4d
#
# ★★☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "hunt-dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: hunt-dropout
class DropoutAdapter(PlainAdapter):
    """A `PlainAdapter` that drops inner units by chance in training.

    Δh = W2 dropout(gelu(W1 h + b1)) + b2. An inner unit is dropped with probability `p`, and what
    stays is divided by 1 - p.

    Args:
        width, size: d and r.
        p: of dropping a unit, from 0 to below 1.
    """

    def __init__(self, width: int, size: int, p: float = 0.1):
        super().__init__(width, size)
        self.p = p

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """(..., d) -> (..., d)."""
        ### BEGIN SOLUTION
        inner = nn.functional.gelu(self.down(h))
        return self.up(nn.functional.dropout(inner, self.p, self.training))
        ### END SOLUTION
        inner = nn.functional.gelu(self.down(h))
        inner = nn.functional.dropout(inner, p=self.p)
        return self.up(inner)


# %% nbgrader={"grade": true, "grade_id": "hunt-dropout-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: hunt-dropout-check
adapter = DropoutAdapter(width=4, size=2, p=0.5)
h = torch.ones(3, 5, 4)
check_value("DropoutAdapter: shape", tuple(adapter(h).shape), (3, 5, 4))
check_value("DropoutAdapter: trained numbers", trained_numbers(adapter), 2 * 4 * 2 + 2 + 4)

# %% [markdown]
# ### 4e
#
# ★★☆ · 15 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "hunt-training", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: hunt-training
def start_training(
    model: nn.Module, size: int, rate: float
) -> tuple[torch.optim.SGD, list[nn.Module]]:
    """Make a classifier ready: adapters in it (`put_adapters`), and an optimizer that trains it.

    The optimizer's steps move the adapters and the head, and nothing else.

    Args:
        model: a BERT or RoBERTa classifier without adapters.
        size: the bottleneck r.
        rate: the learning rate.

    Returns:
        The optimizer, plain SGD, and the adapters in order.
    """
    ### BEGIN SOLUTION
    adapters = put_adapters(model, size)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    return optimizer, adapters
    ### END SOLUTION
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    adapters = put_adapters(model, size)
    return optimizer, adapters


# %% nbgrader={"grade": true, "grade_id": "hunt-training-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: hunt-training-check
model = small_bert()
optimizer, adapters = start_training(model, 2, 0.1)
check_value("start_training: number of adapters", len(adapters), 2)
losses = []
for _ in range(5):
    loss = nn.functional.cross_entropy(logits_of(model), torch.tensor([0, 2]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
check_value("start_training: the loss falls", losses[-1] < losses[0], True)

# %% [markdown]
# ## Exercise 5 · What are they worth? (16 points)
#
# Now measure. Train **at least two** of the methods Houlsby, Pfeiffer, ParallelAdapter, AdapterBias, BitFit,
# LoRA and AdaMix on one task, and compare what they score, how much they train and how long they take: 8 points
# for each of two methods. For this use the course's library, which has them all; a run is one
# command, and may be stopped and given again.
#
# | track | PLM | tasks | where |
# |---|---|---|---|
# | GPU | a real one, such as `bert-base-uncased` or `roberta-base` | `glue/sst2`, `glue/mrpc`, `glue/rte`, `superglue/boolq` ... | Colab's T4: minutes to an hour each |
# | pocket | `pocket-bert` | `pocket/sst2`, `pocket/rte`, `pocket/boolq`, `pocket/agnews` ... | any laptop: a minute each |
#
# Both count alike; keep to one. On the GPU track, in a cell or a terminal:
#
# ```
# !course run --plm roberta-base --task glue/rte --method lora --seeds 3 --output runs/lora
# !course run --plm roberta-base --task glue/rte --method houlsby --seeds 3 --output runs/houlsby
# ```
#
# On the pocket track (these are pocket numbers: a small PLM in a small world):
#
# ```
# !course run --plm pocket-bert --task pocket/rte --method lora --seeds 3 --output runs/lora
# !course run --plm pocket-bert --task pocket/rte --method houlsby --seeds 3 --output runs/houlsby
# ```
#
# `course run --help` lists methods and settings; `--set rank=4` changes a method's own. What counts is
# recomputed from the predictions in your runs: a score below the majority class is a result as well, if it
# is what came out.
#
# *What do you expect: does the method that trains most win? Does the one that trains least save time?*
#
# The next cell does the pocket track in about a minute, from Python. Change it, or leave it out and use the
# commands. (It is marked as training and is not run when your work is graded.)

# %% tags=["training"]
from course_utils.run import run
from course_utils.settings import TrainSettings

plm, task = "pocket-bert", "pocket/sst2"
for method in ["houlsby", "lora", "bitfit"]:
    run(
        plm,
        task,
        method=method,
        examples=256,
        settings=TrainSettings(steps=64, evaluate_every=32),
        output=f"runs/{method}",
        progress=False,
    )

# %% [markdown]
# Each run has left `runs/.../record.json`. Table and plots read these records, and nothing else.

# %% tags=["training"]
from pathlib import Path

from course_utils.records import read_all, table

records = read_all("runs") if Path("runs").is_dir() else []
if records:
    print(table(records))
else:
    print("There are no runs yet.")

# %% tags=["training"]
from course_utils.show import accuracy_vs_cost, accuracy_vs_parameters
from IPython.display import display

if records:
    first = records[0]
    about = {
        "metric": first.metric,
        "majority": first.majority,
        "title": f"{first.plm}, {first.task}",
    }
    display(accuracy_vs_parameters(records, **about))
    took = {f"{r.method}, seed {r.seed}": (r.seconds, r.score) for r in records}
    display(accuracy_vs_cost(took, xlabel="seconds of training", **about))

# %% [markdown]
# **Hand in** notebook and runs as one zip. `pack` says what is in it, and what seems to be missing. On Colab
# it takes the open notebook; elsewhere, save first, and give its name as `notebook="hw_adapter.ipynb"`.

# %% tags=["training"]
import sys

from course_utils.submit import pack

notebook = None if "google.colab" in sys.modules else Path("hw_adapter.ipynb")
if records and (notebook is None or notebook.is_file()):
    print(pack("hw_adapter", notebook=notebook, runs="runs"))
else:
    print("Nothing was packed: it takes hw_adapter.ipynb in this folder, and runs in ./runs.")

# %% nbgrader={"grade": true, "grade_id": "results-check", "locked": true, "points": 16, "schema_version": 3, "solution": false, "task": false}
# id: results-check
print("The runs in your zip are judged apart from the notebook: 8 points for each of two methods.")

# %% [markdown]
# ## Exercise 6 · AdaMix (bonus: up to 10 points more)
#
# AdaMix (Wang et al., 2022) trains $M$ experts where one adapter would be. Each pass in training goes
# through **one** of them, drawn at random; afterwards their **weights** are averaged, so that in use it is one
# adapter again. We share the way up, as the authors' program does: only W1 and b1 have experts.
#
# $$ \text{training: } W_2\,\mathrm{gelu}(W_1^{(j)} x + b_1^{(j)}) + b_2,\; j \text{ random} \qquad \text{afterwards: } W_2\,\mathrm{gelu}(\bar W_1 x + \bar b_1) + b_2 $$
#
# A second loss asks the experts to agree. The batch goes through twice, with two draws and two answers $p$
# and $q$: $\frac12 (\mathrm{KL}(p \| q) + \mathrm{KL}(q \| p))$.
#
# *What do you expect: is the average of the experts' outputs the output of their average?*
#
# ★★★ · 45 minutes · 10 points more


# %% nbgrader={"grade": false, "grade_id": "bonus-adamix", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: bonus-adamix
class AdaMixAdapter(nn.Module):
    """Δh of one random expert in training, of the averaged weights in evaluation (equations above).

    Its parameters are W1 (M, r, d), b1 (M, r), W2 (d, r) and b2 (d,). At the start b1, W2 and b2
    are zero, and the experts in W1 are random and differ.

    Args:
        width, size: d and r.
        experts: M.
    """

    def __init__(self, width: int, size: int, experts: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.W1 = nn.Parameter(torch.randn(experts, size, width) / width**0.5)
        self.b1 = nn.Parameter(torch.zeros(experts, size))
        self.W2 = nn.Parameter(torch.zeros(width, size))
        self.b2 = nn.Parameter(torch.zeros(width))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., d) -> (..., d). In training one expert, each as likely, serves the whole batch."""
        ### BEGIN SOLUTION
        if self.training:
            j = torch.randint(len(self.W1), ()).item()
            W1, b1 = self.W1[j], self.b1[j]
        else:
            W1, b1 = self.W1.mean(0), self.b1.mean(0)
        inner = nn.functional.gelu(x @ W1.T + b1)
        return inner @ self.W2.T + self.b2
        ### END SOLUTION


def consistency(p_logits: torch.Tensor, q_logits: torch.Tensor) -> torch.Tensor:
    """½ (KL(p ‖ q) + KL(q ‖ p)), the mean over the batch; gradients reach both.

    Args:
        p_logits, q_logits: (B, L), as large as 1000.

    Returns:
        A scalar, finite.
    """
    ### BEGIN SOLUTION
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1).mean()
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: drawing</summary>
# <code>torch.randint(M, ())</code> is one number from 0 to M - 1. <code>self.training</code> says which mode it is.
# </details>
# <details><summary>Hint 2: the loss in one line</summary>
# The two divergences add up to the sum of (p - q)(log p - log q). Take the logarithms from
# <code>log_softmax</code>.
# </details>

# %% nbgrader={"grade": true, "grade_id": "bonus-adamix-check", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
# id: bonus-adamix-check
mixture = AdaMixAdapter(width=4, size=2, experts=3)
x = torch.ones(2, 4)
shapes = {name: tuple(p.shape) for name, p in mixture.named_parameters()}
check_value(
    "AdaMixAdapter: shapes", shapes, {"W1": (3, 2, 4), "b1": (3, 2), "W2": (4, 2), "b2": (4,)}
)
with torch.no_grad():
    check_tensor("AdaMixAdapter at the start", mixture(x), torch.zeros(2, 4))
    mixture.W1.copy_(torch.tensor([-1.0, 0.0, 4.0])[:, None, None].expand(3, 2, 4))
    mixture.W2.fill_(0.5)
    mixture.eval()
    check_tensor("AdaMixAdapter, evaluation", mixture(x), torch.full((2, 4), 3.99987))  # gelu(4)
same = consistency(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]]))
check_tensor("consistency of equal answers", same.detach(), torch.tensor(0.0))

# %% [markdown]
# ## Exercise 7 · Questions (10 points)
#
# Write a few sentences each. A person reads them.
#
# ### 7a · Merging
#
# ★☆☆ · 10 minutes · 3 points
#
# LoRA can be merged into the PLM's weights. Why can't a bottleneck adapter? And name a situation in which you
# would rather *not* merge, although you could.

# %% [markdown] nbgrader={"grade": true, "grade_id": "merging", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# <!-- id: merging -->
# ### BEGIN SOLUTION
# **Rubric.** 1 point: the adapter's nonlinearity stands between W1 and W2, so Δh is not linear in x and no single
# matrix W + ΔW gives it. 1 point: LoRA's change is a matrix, (α/r)BA, of W's shape. 1 point: a situation, such as
# many tasks on one PLM in memory or in one batch, going on training, a base in 4 bits, or switching it off.
#
# *Example:* Between W1 and W2 stands gelu, so an adapter is not a linear map, and can't be added to one. LoRA's
# BA is a matrix of the shape of W. When one server answers ten tasks with one PLM, I would keep ten small LoRAs
# beside it and not ten merged PLMs.
# ### END SOLUTION

# %% [markdown]
# ### 7b · A falling loss
#
# ★★☆ · 10 minutes · 3 points
#
# With some mistakes of exercise 4 the training loss falls all the same. Choose one. Why does the loss fall,
# and which one-line test would have shown the mistake?

# %% [markdown] nbgrader={"grade": true, "grade_id": "falling-loss", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# <!-- id: falling-loss -->
# ### BEGIN SOLUTION
# **Rubric.** 1 point: names a mistake that fits (4a: the head is frozen; 4e: the optimizer does not know the
# adapters; 4c and 4d also learn). 2 points: what does learn in its place (1), and a test that fails on the mistake
# and passes on the right code (1): comparing parameters before and after a step, the count of trained numbers,
# two calls in evaluation mode, mean and variance of a layer's output. "Look at the accuracy" is no such test.
#
# *Example:* In 4e the optimizer was made before the adapters were there. The loss falls since the head learns alone.
# Test: after one step with a non-zero gradient, `adapter.up.weight` is not what it was.
# ### END SOLUTION

# %% [markdown]
# ### 7c · Your verdict
#
# ★★☆ · 20 minutes · 4 points
#
# Look at your table and plots of exercise 5. Is one method better than another, on what evidence? Relate what
# they train to what they score and to how long they take. What would you run next?

# %% [markdown] nbgrader={"grade": true, "grade_id": "verdict", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# <!-- id: verdict -->
# ### BEGIN SOLUTION
# **Rubric.** 1 point: numbers of the student's own runs, with n or intervals and the majority class. 1 point: a
# difference is judged against its noise (overlapping intervals, seeds, a paired test), not by the larger number.
# 1 point: trained parameters and seconds are told apart: training fewer numbers saves memory for the optimizer
# and storage, and little time, since the passes through the PLM stay. 1 point: a next run that would answer
# something (more seeds, other sizes of r at an equal count, more data), and pocket numbers called so.
#
# *Example (pocket-bert, pocket/sst2, n = 1000, majority 0.51):* Houlsby, LoRA and BitFit lie within two points and
# their 95 % intervals overlap, so I can't tell them apart. BitFit trains fewer numbers than Houlsby and takes nearly
# as long: each step goes through the whole PLM. Next I would run five seeds of each.
# ### END SOLUTION

# %% [markdown]
# ## Summary
#
# * An adapter, AdapterBias, BitFit and LoRA are four ways to a $\Delta h$; started at zero, each begins with the PLM as
#   it is.
# * Where a module stands decides what it can do: before the sum, after the norm, around a map.
# * A linear change can be merged; one with a nonlinearity can't.
# * A falling loss does not show that a method does what it should. Look at what moved.
#
# ## References
#
# * N. Houlsby et al. *Parameter-Efficient Transfer Learning for NLP.* ICML 2019.
# * J. Pfeiffer et al. *AdapterFusion: Non-Destructive Task Composition for Transfer Learning.* EACL 2021.
# * C.-L. Fu, Z.-C. Chen, Y.-R. Lee, H. Lee. *AdapterBias: Parameter-efficient Token-dependent Representation Shift
#   for Adapters in NLP Tasks.* Findings of NAACL 2022.
# * E. Ben Zaken, S. Ravfogel, Y. Goldberg. *BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based
#   Masked Language-models.* ACL 2022.
# * E. J. Hu et al. *LoRA: Low-Rank Adaptation of Large Language Models.* ICLR 2022.
# * Y. Wang et al. *AdaMix: Mixture-of-Adaptations for Parameter-efficient Model Tuning.* EMNLP 2022.
