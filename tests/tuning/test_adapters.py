"""Houlsby, Pfeiffer, parallel and AdapterBias against numpy, and against their papers' sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as hf
from by_hand import bert, gelu, gpt2, relu, weights_of

from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.tuning import AdapterBias, Houlsby, ParallelAdapter, Pfeiffer, attach

METHODS = {
    "houlsby": Houlsby(bottleneck=3),
    "pfeiffer": Pfeiffer(bottleneck=3),
    "parallel": ParallelAdapter(bottleneck=3, scale=1.5),
    "adapter-bias": AdapterBias(),
    "adapter-bias-output": AdapterBias(reads="output", start="ones"),
    "adapter-bias-shared": AdapterBias(shared=True),
}
PLACES = {  # where each method's module hangs, in a BertModel and a GPT2Model
    "bert": {
        "houlsby": "encoder.layer.{}.output.dropout.adapter",
        "houlsby-attention": "encoder.layer.{}.attention.output.dropout.adapter",
        "pfeiffer": "encoder.layer.{}.output.LayerNorm.adapter",
        "parallel": "encoder.layer.{}.output.adapter",
        "adapter-bias": "encoder.layer.{}.output.adapter_bias",
        "adapter-bias-output": "encoder.layer.{}.output.dropout.adapter_bias",
        "adapter-bias-shared": "encoder.layer.{}.output.adapter_bias",
    },
    "gpt2": {
        "houlsby": "h.{}.mlp.dropout.adapter",
        "houlsby-attention": "h.{}.attn.resid_dropout.adapter",
        "pfeiffer": "h.{}.adapter",
        "parallel": "h.{}.mlp.adapter",
        "adapter-bias": "h.{}.mlp.c_proj.adapter_bias",
        "adapter-bias-output": "h.{}.mlp.dropout.adapter_bias",
        "adapter-bias-shared": "h.{}.mlp.c_proj.adapter_bias",
    },
}


@pytest.fixture
def make_bare(make_plm):
    """make_bare("bert" | "gpt2"): without a head, in float64, with weights large enough to show."""

    def make(kind: str):
        if kind == "bert":
            return make_plm("bert-bare", initializer_range=0.3).double()
        model = make_plm("gpt2", initializer_range=0.3).transformer
        model.newly_initialised = frozenset()
        return model.double()

    return make


def randomise(tuned) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in tuned.trainable_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise)


def by_hand(kind: str, method: str, w: dict, ids, mask) -> np.ndarray:
    """Last hidden states, worked out with the papers' equations."""

    def adapter(i, x, place=method, activation=relu):
        name = PLACES[kind][place].format(i)
        inner = activation(x @ w[f"{name}.down.weight"].T + w[f"{name}.down.bias"])
        return inner @ w[f"{name}.up.weight"].T + w[f"{name}.up.bias"]

    def shift(i, z):
        name = PLACES[kind][method].format(i)
        return (z @ w[f"{name}.alpha.weight"].T + w[f"{name}.alpha.bias"]) * w[f"{name}.v"]

    def end(i, h, z, u, x, norm):
        if method == "houlsby":
            h = h + adapter(i, h, activation=gelu)
        elif method == "pfeiffer":  # reads the sum, its residual is h alone
            s = h + x
            h = h + adapter(i, s if norm is None else norm(s))
        elif method == "parallel":
            h = h + 1.5 * adapter(i, u)
        else:
            h = h + shift(i, h if method == "adapter-bias-output" else z)
        return h + x if norm is None else norm(h + x)

    def after_attention(i, a):
        if method != "houlsby":
            return a
        return a + adapter(i, a, place="houlsby-attention", activation=gelu)

    if kind == "bert":
        return bert(w, ids, mask, after_attention=after_attention, end=end)
    return gpt2(w, ids, after_attention=after_attention, end=end)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_the_numpy_plm_is_the_plm(kind, make_bare, make_batch):
    model, batch = make_bare(kind), make_batch("bert-bare")
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    real = mask.astype(bool)
    w = weights_of(model)
    expected = bert(w, ids, mask) if kind == "bert" else gpt2(w, ids)
    got = model(**batch).last_hidden_state.detach().numpy()
    np.testing.assert_allclose(got[real], expected[real], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("method", METHODS)
def test_equals_numpy(kind, method, make_bare, make_batch):
    model, batch = make_bare(kind), make_batch("bert-bare")
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    real = mask.astype(bool)
    before = model(**batch).last_hidden_state.detach().numpy()
    tuned = attach(model, METHODS[method])
    randomise(tuned)
    got = tuned(**batch).last_hidden_state.detach().numpy()
    expected = by_hand(kind, method, weights_of(model), ids, mask)
    np.testing.assert_allclose(got[real], expected[real], rtol=1e-7, atol=1e-9)
    assert np.abs(got - before)[real].max() > 0.1


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("method", METHODS)
def test_gradients_equal_differences_of_numpy(kind, method, make_bare, make_batch):
    model, batch = make_bare(kind), make_batch("bert-bare", rows=1, tokens=4)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    tuned = attach(model, METHODS[method])
    randomise(tuned)
    direction = torch.randn(1, 4, 16, dtype=torch.float64)
    (tuned(**batch).last_hidden_state * direction).sum().backward()
    name = PLACES[kind][method].format(0)
    w = weights_of(model)
    part = "alpha.weight" if method.startswith("adapter-bias") else "down.weight"
    gradient = model.get_parameter(f"{name}.{part}").grad.numpy()
    for place in ((0, 0), (0, 5), (0, 11)):
        sums = []
        for step in (1e-6, -1e-6):
            w[f"{name}.{part}"][place] += step
            if method == "adapter-bias-shared":  # numpy holds a copy per layer
                other = PLACES[kind][method].format(1)
                w[f"{other}.{part}"][place] = w[f"{name}.{part}"][place]
            sums.append((by_hand(kind, method, w, ids, mask) * direction.numpy()).sum())
            w[f"{name}.{part}"][place] -= step
            if method == "adapter-bias-shared":
                w[f"{other}.{part}"][place] -= step
        assert gradient[place] == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-4, abs=1e-6)


def watched(module, seen: dict, name: str) -> None:
    """Keep the last input and output of a module, after whatever hooks it has by now."""
    module.register_forward_pre_hook(lambda m, args: seen.update({f"{name} in": args[0]}))
    module.register_forward_hook(lambda m, args, out: seen.update({f"{name} out": out}))


IN_LAYER = {  # the same, within a layer of a Llama and of a T5 decoder
    "llama": {
        "houlsby": "mlp.down_proj.adapter",
        "pfeiffer": "adapter",
        "parallel": "mlp.adapter",
        "adapter-bias": "mlp.down_proj.adapter_bias",
        "adapter-bias-output": "mlp.down_proj.adapter_bias",
        "adapter-bias-shared": "mlp.down_proj.adapter_bias",
    },
    "t5": {
        "houlsby": "layer.2.dropout.adapter",
        "pfeiffer": "adapter",
        "parallel": "layer.2.DenseReluDense.adapter",
        "adapter-bias": "layer.2.DenseReluDense.wo.adapter_bias",
        "adapter-bias-output": "layer.2.dropout.adapter_bias",
        "adapter-bias-shared": "layer.2.DenseReluDense.wo.adapter_bias",
    },
}
GATES = {"llama": "silu", "t5-gated": "gelu_new"}


@pytest.mark.parametrize("plm", ["llama", "t5", "t5-gated"])
@pytest.mark.parametrize("method", METHODS)
def test_the_ffn_of_models_with_rms_norms(plm, method, make_plm, make_batch):
    """The last layer's second half from its weights: x + W2 σ(W1 norm(x)) + Δh."""
    model, batch = make_plm(plm).double(), make_batch(plm, labels=False)
    tuned = attach(model, METHODS[method])
    randomise(tuned)
    layer = sites(model).layers[-1]
    norm = layer.norms[-1]
    seen: dict = {}
    watched(norm, seen, "norm")
    watched(layer.module, seen, "layer")
    with torch.no_grad():
        tuned(**batch)
        x = seen["norm in"]
        u = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * norm.weight
        z = u @ layer.ffn_in.module.weight.T
        if layer.ffn_gate is None:
            z = torch.relu(z)
        else:
            z = hf.activations.ACT2FN[GATES[plm]](u @ layer.ffn_gate.module.weight.T) * z
        h = z @ layer.ffn_out.module.weight.T
        place = IN_LAYER[plm.split("-")[0]][method]
        module = layer.module.get_submodule(place)
        expected = x + h + change(method, module, h=h, z=z, u=u, x=x)
    got = seen["layer out"][0] if isinstance(seen["layer out"], tuple) else seen["layer out"]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)  # norms are in float32
    assert (got - x - h).abs().max() > 1e-2


def change(method, module, *, h, z, u, x):
    """Δh, from the parameters of the module that was placed."""
    if method.startswith("adapter-bias"):
        read = h if method == "adapter-bias-output" else z
        return (read @ module.alpha.weight.T + module.alpha.bias) * module.v
    read = {"houlsby": h, "pfeiffer": h + x, "parallel": u}[method]
    inner = read @ module.down.weight.T + module.down.bias
    inner = torch.nn.functional.gelu(inner) if method == "houlsby" else torch.relu(inner)
    scale = 1.5 if method == "parallel" else 1.0
    return scale * (inner @ module.up.weight.T + module.up.bias)


@pytest.mark.parametrize("plm", ["bert", "gpt2", "llama", "t5"])
def test_houlsby_changes_every_sub_layer_before_its_addition(plm, make_plm, make_batch):
    model, batch = make_plm(plm).double(), make_batch(plm, labels=False)
    found = sites(model)
    tuned = attach(model, Houlsby(bottleneck=3))
    randomise(tuned)
    seen: dict = {}
    ends = []
    for layer in found:
        for block in (layer.attention, layer.cross) if layer.cross else (layer.attention,):
            ends.append((block.end, block.attention_output.module))
        ends.append((layer.ffn_end, layer.ffn_out.module))
    for i, (end, _) in enumerate(ends):
        watched(end, seen, str(i))
    with torch.no_grad():
        tuned(**batch)
        for i, (end, linear) in enumerate(ends):
            given = seen[f"{i} in"]
            h = given if isinstance(end, torch.nn.Dropout) else given @ linear.weight.T
            expected = h + change("houlsby", end.adapter, h=h, z=None, u=None, x=0)
            torch.testing.assert_close(seen[f"{i} out"], expected)
    assert len(ends) == (10 if plm == "t5" else 4)


@pytest.mark.parametrize("plm", ["gpt2", "llama", "t5"])
def test_recorded_hidden_states_are_the_changed_ones(plm, make_plm, make_batch):
    """Also when transformers' recording hooks were there first."""
    model, batch = make_plm(plm), make_batch(plm, labels=False)
    before = model(**batch, output_hidden_states=True)
    tuned = attach(model, Pfeiffer(bottleneck=3))
    randomise(tuned)
    first = sites(model).layers[0].module
    seen: dict = {}
    watched(first, seen, "layer")
    after = tuned(**batch, output_hidden_states=True)
    name = "encoder_hidden_states" if plm == "t5" else "hidden_states"
    got = seen["layer out"][0] if isinstance(seen["layer out"], tuple) else seen["layer out"]
    assert torch.equal(after[name][1], got)
    assert torch.equal(after[name][0], before[name][0])
    assert not torch.equal(after[name][1], before[name][1])


def test_houlsby_starts_near_the_plm_and_pfeiffer_does_not(make_plm, make_batch, output_of):
    def distance(method):
        model, batch = make_plm("bert-bare", initializer_range=0.3), make_batch("bert-bare")
        before = output_of(model, batch)
        return (output_of(attach(model, method), batch) - before).abs().max().item()

    assert 0 < distance(Houlsby(bottleneck=8)) < 3e-4 < distance(Pfeiffer(bottleneck=8))
    assert distance(Houlsby(bottleneck=8, init="zero")) == 0
    assert distance(Pfeiffer(bottleneck=8, init="zero")) == 0


def test_start_values(make_plm):
    def parts(method):
        model = make_plm("bert-bare", hidden_size=64)
        return attach(model, method).placement.model.encoder.layer[0].output

    near = parts(Houlsby(bottleneck=60)).dropout.adapter
    for linear in (near.down, near.up):
        assert 0.0008 < linear.weight.std() < 0.001
        assert linear.weight.abs().max() <= 0.002
        assert not linear.bias.any()
    normal = parts(Pfeiffer(bottleneck=60)).LayerNorm.adapter
    assert normal.down.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert normal.up.weight.std().item() == pytest.approx(0.02, rel=0.1)
    zero = parts(ParallelAdapter(bottleneck=60)).adapter
    assert not zero.up.weight.any()
    assert zero.down.weight.abs().max().item() == pytest.approx(1 / 8, rel=0.01)  # 1 / √d


def test_ones_are_taken_out_again_by_a_layer_norm_and_not_by_an_rms_norm(make_plm):
    batch = {"input_ids": torch.tensor([[7, 8, 9]])}
    method = AdapterBias(start="ones")
    for plm, felt in (("bert-bare", False), ("gpt2", False), ("llama", True)):
        model = make_plm(plm, initializer_range=0.3).double()
        before = model(**batch)[0]
        change = (attach(model, method)(**batch)[0] - before).abs().max()
        assert (change > 1e-2) == felt
        assert (change < 1e-8) != felt


def test_dropout_is_between_the_two_maps_and_only_in_training(make_plm, make_batch):
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    batch = make_batch("bert")
    tuned = attach(make_plm("bert", **none), Pfeiffer(bottleneck=8, dropout=0.5))
    assert torch.equal(tuned(**batch).logits, tuned(**batch).logits)
    tuned.train()
    assert not torch.equal(tuned(**batch).logits, tuned(**batch).logits)
    with torch.no_grad():
        for layer in tuned.plm.bert.encoder.layer:
            layer.output.LayerNorm.adapter.up.weight.zero_()
    assert torch.equal(tuned(**batch).logits, tuned(**batch).logits)


def test_adapter_bias_is_not_dropped_out_in_bert(make_plm):
    """In training the shift is whole where the FFN's output is dropped, as in the paper's code."""
    model = make_plm("bert-bare", hidden_dropout_prob=0.9, attention_probs_dropout_prob=0.0)
    tuned = attach(model, AdapterBias())
    layer = model.encoder.layer[0].output.train()
    z, x = torch.randn(1, 4, 32), torch.randn(1, 4, 16)
    with torch.no_grad():
        layer.dense.weight.zero_()
        layer.dense.bias.zero_()
        layer.adapter_bias.v.normal_()
        shift = layer.adapter_bias.alpha(z) * layer.adapter_bias.v
        expected = torch.nn.functional.layer_norm(x + shift, (16,), eps=1e-12)
    torch.testing.assert_close(layer(z, x), expected)
    assert tuned.method == AdapterBias()


def test_the_shared_alpha_is_one_and_saved_once(make_plm, tmp_path):
    from safetensors.torch import load_file

    tuned = attach(make_plm("bert-bare", num_hidden_layers=3), AdapterBias(shared=True))
    assert len({id(m.alpha) for m in tuned.plm.modules() if hasattr(m, "alpha")}) == 1
    tensors = load_file(tuned.save(tmp_path) / "adapter.safetensors")
    assert sum("alpha.weight" in name for name in tensors) == 1
    assert sum(name.endswith(".v") for name in tensors) == 3
    first = tuned.summary().splitlines()[0].split()
    assert int(first[1].replace(",", "")) == tuned.total() + 3 * 16 + 32 + 1


NORMS = {
    "bert": {
        "all": {"embeddings.LayerNorm"}
        | {f"encoder.layer.{i}.output.LayerNorm" for i in (0, 1)}
        | {f"encoder.layer.{i}.attention.output.LayerNorm" for i in (0, 1)},
        "on the way": {"embeddings.LayerNorm"}
        | {f"encoder.layer.{i}.output.LayerNorm" for i in (0, 1)},
    },
    "gpt2": {
        "all": {"ln_f", "h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2"},
        "on the way": {"h.0.ln_1", "h.1.ln_1", "ln_f"},
    },
    "llama": {
        "all": {"norm"}
        | {f"layers.{i}.{p}_layernorm" for i in (0, 1) for p in ("input", "post_attention")},
        "on the way": {"layers.0.input_layernorm", "layers.1.input_layernorm", "norm"},
    },
    "t5-encoder": {
        "all": {"encoder.final_layer_norm"}
        | {f"encoder.block.{i}.layer.{j}.layer_norm" for i in (0, 1) for j in (0, 1)},
        "on the way": {"encoder.final_layer_norm"}
        | {f"encoder.block.{i}.layer.0.layer_norm" for i in (0, 1)},
    },
}  # fmt: skip


@pytest.mark.parametrize("plm", NORMS)
def test_which_norms_are_trained(plm, make_plm):
    def norms(method):
        tuned = attach(make_plm(plm), method)
        prefix = tuned.plm.base_model_prefix + "."
        own = set(tuned.trained_names()) - set(tuned.placement.added_names())
        names = {n.removeprefix(prefix) for n in own if not n.startswith("classifier")}
        return {name.rpartition(".")[0] for name in names}

    assert norms(Houlsby(bottleneck=2)) == NORMS[plm]["all"]
    assert norms(AdapterBias()) == NORMS[plm]["on the way"]
    assert norms(Pfeiffer(bottleneck=2, norms=True)) == NORMS[plm]["all"]
    for method in (
        Pfeiffer(bottleneck=2),
        ParallelAdapter(bottleneck=2),
        Houlsby(bottleneck=2, norms=False),
        AdapterBias(norms=False),
    ):
        assert norms(method) == set()


@pytest.fixture(scope="module")
def large():
    """BERT-large and BERT-base, RoBERTa-large on the meta device: shapes without memory."""
    with torch.device("meta"):
        size = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
        size["intermediate_size"] = 4096
        return {
            "bert-base": hf.BertModel(hf.BertConfig()),
            "bert-large": hf.BertModel(hf.BertConfig(**size)),
            "roberta-large": hf.RobertaModel(hf.RobertaConfig(**size)),
        }


def test_published_sizes(large):
    # AdapterBias, BERT-large: 24 (1024 + 4096 + 1), and 25 LayerNorms
    assert AdapterBias(norms=False).count(large["bert-large"]) == 122_904
    assert AdapterBias().count(large["bert-large"]) == 122_904 + 51_200 == 174_104
    # the tables' 6.0M and 3.0M on RoBERTa-large are 6 · 2²⁰ and 3 · 2²⁰ weights, biases left out
    adapters = 48 * (64 + 1024)
    houlsby = Houlsby(bottleneck=64, norms=False)
    assert houlsby.count(large["roberta-large"]) - adapters == 6 * 2**20
    assert Houlsby(norms=False).count(large["roberta-large"]) == houlsby.count(
        large["roberta-large"]
    )
    pfeiffer = Pfeiffer().count(large["roberta-large"])
    assert pfeiffer - adapters // 2 == 3 * 2**20
    # the adapters library's own counts for BERT-base: 894,528 and twice that
    assert Pfeiffer().count(large["bert-base"]) == 894_528
    assert Houlsby(norms=False).count(large["bert-base"]) == 1_789_056
    assert ParallelAdapter(reduction=2).count(large["bert-base"]) == 7_091_712


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Houlsby(bottleneck=-1), "bottleneck"),
        (lambda: Houlsby(bottleneck=2.5), "bottleneck"),
        (lambda: Pfeiffer(reduction=0), "reduction"),
        (lambda: Pfeiffer(activation="rellu"), "Did you mean 'relu'"),
        (lambda: Houlsby(init="nearidentity"), "Did you mean 'near-identity'"),
        (lambda: Pfeiffer(dropout=1.0), "dropout"),
        (lambda: ParallelAdapter(scale=0), "scale"),
        (lambda: ParallelAdapter(bottleneck=-1), "bottleneck"),
        (lambda: AdapterBias(reads="outputs"), "Did you mean 'output'"),
        (lambda: AdapterBias(start="one"), "Did you mean 'ones'"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(CourseError, match=message):
        make()


def test_a_reduction_that_leaves_nothing_is_refused_before_anything_is_placed(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="leaves nothing of this PLM's width 16"):
        attach(model, Houlsby(reduction=17))
    assert not hasattr(model, "tuned_with")
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("method", ["houlsby", "pfeiffer", "parallel", "adapter-bias"])
def test_adapters_can_not_be_merged(method, make_plm, make_batch, output_of):
    model, batch = make_plm("bert"), make_batch("bert")
    tuned = attach(model, METHODS[method])
    before = output_of(tuned, batch)
    with pytest.raises(CourseError, match="can't be merged"):
        tuned.merge()
    assert torch.equal(output_of(tuned, batch), before)
