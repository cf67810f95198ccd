"""QLoRA against numpy, against LoRA on rounded weights, and what it stores."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from by_hand import bert, gpt2, weights_of
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.plm.architectures import ROLES
from course_utils.settings import LEARNING_RATES, default_learning_rate
from course_utils.tuning import LoRA, QLoRA, attach, load_tuned
from course_utils.tuning.nf4 import NF4, bits_per_weight
from course_utils.tuning.qlora import FourBitConv1D, FourBitLinear, memory

NONE = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def randomise(tuned) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, module in tuned.placement.at_sites():
            for parameter in (module.A, module.B):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(0.3 * noise)


def rounded(weight: torch.Tensor, block: int = 64) -> np.ndarray:
    """Ŵ with constants of 32 bits, by the definition."""
    book = np.array(  # arXiv:2305.14314, appendix E, to 7 places
        [-1, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0,
         0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1]
    )  # fmt: skip
    parts = weight.double().numpy().reshape(-1, block)
    c = np.abs(parts).max(1, keepdims=True)
    nearest = np.abs(book[None, None] - (parts / c)[..., None]).argmin(-1)
    return (c * book[nearest]).reshape(weight.shape)


def rounded_copy(model: nn.Module, **settings) -> nn.Module:
    """An ordinary model with Ŵ for the weight of each map of its layers."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for site in sites(model).at(*ROLES):
            if site.columns is None or site.role == "query":  # a fused map once
                weight = site.module.weight
                weight.copy_(NF4(weight.detach(), **settings).weight())
    return model


@pytest.fixture
def bare(make_plm):
    """bare("bert" | "gpt2"): without a head, in float64, with weights large enough to show."""

    def make(kind: str):
        model = make_plm("bert-bare" if kind == "bert" else "gpt2", initializer_range=0.3)
        if kind == "gpt2":
            model = model.transformer
            model.newly_initialised = frozenset()
        return model.double()

    return make


def in_numpy(kind: str, model: nn.Module, tuned, ids, mask, nudge=None) -> np.ndarray:
    """The last hidden states from the original weights and LoRA's A and B alone.

    `nudge` is (number of the LoRA, place in its A, amount).
    """
    w = weights_of(model)
    for name in list(w):
        layer = name.startswith(("encoder.layer.", "h."))
        if layer and w[name].ndim == 2:
            w[name] = rounded(torch.from_numpy(w[name]))
    for i, (site, update) in enumerate(tuned.placement.at_sites()):
        A, B = update.A.detach().numpy().copy(), update.B.detach().numpy()
        if nudge is not None and nudge[0] == i:
            A[nudge[1]] += nudge[2]
        change = 5 / 2 * B @ A  # α / r
        weight = w[f"{site.path}.weight"]
        if kind == "bert":
            weight += change
        elif site.columns is None:
            weight += change.T
        else:
            weight[:, slice(*site.columns)] += change.T
    return bert(w, ids, mask) if kind == "bert" else gpt2(w, ids)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_forward_and_gradients_equal_numpy(kind, bare, make_batch):
    model, batch = bare(kind), make_batch("bert-bare")
    original = copy.deepcopy(model)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    real = mask.astype(bool)
    tuned = attach(model, QLoRA(rank=2, alpha=5, double=False))
    randomise(tuned)
    got = tuned(**batch).last_hidden_state
    expected = in_numpy(kind, original, tuned, ids, mask)
    np.testing.assert_allclose(got.detach().numpy()[real], expected[real], rtol=1e-4, atol=1e-5)
    plain = original(**batch).last_hidden_state
    assert (got - plain).abs().max() > 0.1

    direction = torch.randn(got.shape, dtype=torch.float64) * batch["attention_mask"][..., None]
    (got * direction).sum().backward()
    for number, place in ((0, (0, 3)), (2, (1, 7))):
        sums = [
            (in_numpy(kind, original, tuned, ids, mask, (number, place, step)) * direction.numpy())
            for step in (1e-5, -1e-5)
        ]
        gradient = tuned.placement.at_sites()[number][1].A.grad[place]
        by_difference = (sums[0] - sums[1]).sum() / 2e-5
        assert gradient == pytest.approx(by_difference, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("plm", ["bert", "gpt2", "llama", "t5-gated"])
def test_is_lora_on_the_rounded_plm(plm, make_plm, make_batch):
    """Same answers, and same gradients of everything that is trained."""
    model, batch = make_plm(plm), make_batch(plm)
    theirs = attach(rounded_copy(model), LoRA(rank=2, sites=ROLES))
    ours = attach(model, QLoRA(rank=2))
    torch.testing.assert_close(ours(**batch).logits, theirs(**batch).logits)  # at the start
    randomise(ours)
    randomise(theirs)
    outputs = [tuned(**batch) for tuned in (ours, theirs)]
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, rtol=1e-4, atol=1e-5)
    for output in outputs:
        output.loss.backward()
    for name in ours.trained_names():
        gradients = [tuned.plm.get_parameter(name).grad for tuned in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)
    assert {p.grad is None for n, p in model.named_parameters() if n not in ours.trained_names()} \
        == {True}  # fmt: skip


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_the_gradient_reaches_the_input(kind, make_plm):
    model = make_plm("bert" if kind is nn.Linear else "gpt2").double()
    attach(model, QLoRA(rank=2))
    site = sites(model).layers[0].ffn_in
    assert type(site.module) is (FourBitLinear if kind is nn.Linear else FourBitConv1D)
    x = torch.randn(2, 3, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(site.module, (x,))


def test_the_backward_pass_keeps_no_weight(make_plm, make_batch):
    """What is kept for it in full precision is activations: less than with LoRA by the maps."""
    batch = make_batch("bert", rows=1, tokens=2)

    def kept(method) -> set[tuple[int, ...]]:
        tuned = attach(make_plm("bert", hidden_size=64, intermediate_size=80), method)
        shapes = []
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(t) or t, id)
        with hooks:
            tuned(**batch)
        return {tuple(t.shape) for t in shapes if t.is_floating_point()}

    maps = {(64, 64), (64, 80), (80, 64)}
    assert kept(LoRA(rank=2, sites=ROLES)) & maps
    pooler = {(64, 64)}  # is no map of a layer
    assert kept(QLoRA(rank=2)) & maps <= pooler


def test_all_maps_of_the_layers_and_nothing_else_are_stored(make_plm):
    for plm, per_layer in (("bert", 6), ("gpt2", 4), ("llama-classifier", 7)):
        model = make_plm(plm)
        names = dict(model.named_parameters())
        tuned = attach(model, QLoRA(rank=2, sites="value"))
        stored = {name for name, module in model.named_modules() if isinstance(module, NF4)}
        gone = set(names) - set(dict(model.named_parameters()))
        assert len(stored) == 2 * per_layer
        assert gone == {name.removesuffix("nf4") + "weight" for name in stored}
        assert all(names[name].ndim == 2 for name in gone)
        assert len(tuned.placement.at_sites()) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory(dtype, make_plm):
    model = make_plm("bert", hidden_size=128, intermediate_size=512).to(dtype)
    before = sum(p.nbytes for p in model.parameters())
    assert str(memory(model)).startswith("nothing in 4 bits")
    tuned = attach(model, QLoRA(rank=2))
    weights = 2 * (4 * 128 * 128 + 2 * 128 * 512)
    found = memory(tuned)
    assert found.weights == weights
    assert found.before == weights * dtype.itemsize
    # formula, and per map 4 bytes of mean and up to 255 constants' share of a last scale
    assert 0 <= found.stored - weights * bits_per_weight() / 8 <= 12 * (4 + 4)
    lora = 4 * tuned.method.count(model)  # in 32 bits
    assert found.others == before - found.before + lora
    assert f"{weights:,} weights in " in str(found)
    assert found.stored < found.before / (7 if dtype == torch.float32 else 3.5)


def test_originals_come_back_in_the_models_type(make_plm):
    model = make_plm("gpt2")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    order = [name for name, _ in model.named_parameters()]
    tuned = attach(model, QLoRA(rank=2))
    tuned.half()
    model = tuned.detach()
    assert [name for name, _ in model.named_parameters()] == order
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name].half()), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_originals_wait_on_the_cpu(make_plm, make_batch):
    model = make_plm("bert", hidden_size=256, intermediate_size=1024)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    model.to("cuda")
    full = torch.cuda.memory_allocated()
    tuned = attach(model, QLoRA(rank=2))
    assert torch.cuda.memory_allocated() < full - memory(tuned).before + 2 * memory(tuned).stored
    batch = {name: value.to("cuda") for name, value in make_batch("bert").items()}
    tuned(**batch).loss.backward()
    model = tuned.detach()
    for name, tensor in model.state_dict().items():
        assert tensor.is_cuda
        assert torch.equal(tensor.cpu(), before[name]), name


def test_merging_gives_an_ordinary_model_of_rounded_weights(make_plm):
    model = make_plm("gpt2")
    plain = rounded_copy(model)
    tuned = attach(model, QLoRA(rank=2, alpha=2, sites=("query", "value")))
    randomise(tuned)
    merged = tuned.merge()
    assert not any(isinstance(module, (NF4, FourBitConv1D)) for module in merged.modules())
    attention, mlp = merged.transformer.h[0].attn, merged.transformer.h[0].mlp
    expected = plain.transformer.h[0].attn.c_attn.weight.detach().clone()
    for (_, update), start in zip(tuned.placement.at_sites()[:2], (0, 32), strict=True):
        expected[:, start : start + 16] += (update.B @ update.A).detach().T
    torch.testing.assert_close(attention.c_attn.weight.detach(), expected)
    torch.testing.assert_close(mlp.c_fc.weight, plain.transformer.h[0].mlp.c_fc.weight)
    tuned.unmerge()
    assert type(merged.transformer.h[0].attn.c_attn) is FourBitConv1D


def test_a_merge_that_fails_leaves_everything_stored(make_plm, make_batch, output_of):
    model, batch = make_plm("gpt2"), make_batch("gpt2")
    tuned = attach(model, QLoRA(rank=2, sites=("value", "embeddings")))
    randomise(tuned)
    before = output_of(tuned, batch)
    with pytest.raises(CourseError, match="shares its weight with lm_head"):
        tuned.merge()
    assert torch.equal(output_of(tuned, batch), before)
    assert type(model.transformer.h[1].mlp.c_fc) is FourBitConv1D


def test_what_is_saved_is_the_lora(make_plm, make_batch, output_of, tmp_path):
    tuned = attach(make_plm("bert"), QLoRA(rank=2, block=32))
    randomise(tuned)
    tensors = load_file(tuned.save(tmp_path) / "adapter.safetensors")
    assert set(tensors) == set(tuned.trained_names())
    assert sum(t.numel() for t in tensors.values()) == tuned.count() == 896 + 34
    loaded = load_tuned(make_plm("bert"), tmp_path)
    assert loaded.method == QLoRA(rank=2, block=32)
    batch = make_batch("bert")
    assert torch.equal(output_of(loaded, batch), output_of(tuned, batch))


def test_the_tree_shows_what_is_stored(make_plm):
    tuned = attach(make_plm("gpt2"), QLoRA(rank=2))
    lines = tuned.summary().splitlines()
    assert int(lines[0].split()[1].replace(",", "")) == tuned.total() + tuned.method.count(
        tuned.plm
    )
    assert sum("Conv1D 16→48, in 4 bits" in line for line in lines) == 1


def test_budget_and_learning_rate_of_a_large_model_without_its_memory():
    import transformers as hf

    config = hf.LlamaConfig(vocab_size=32000)  # 7B
    with torch.device("meta"):
        model = hf.LlamaForCausalLM(config)
    tuned = attach(model, QLoRA(rank=64))
    assert tuned.total() == 6_738_415_616
    assert tuned.count() == 159_907_840
    found = memory(tuned)
    assert found.weights == 6_476_005_376
    assert 8 * found.stored / found.weights == pytest.approx(bits_per_weight(), abs=1e-4)
    assert default_learning_rate(tuned) == LEARNING_RATES["QLoRA"][-1] == 2e-4
    assert all(p.is_meta for p in tuned.detach().parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, r"QLoRA\(rank=0\)"),
        ({"sites": "querry"}, "QLoRA site"),
        ({"block": 0}, "even number"),
        ({"block": 63}, "even number"),
        ({"block": 64.0}, "even number"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        QLoRA(**settings)


def test_a_plm_that_is_quantised_already_is_refused(make_plm):
    class Linear8bit(nn.Linear):
        pass

    model = make_plm("bert")
    model.bert.encoder.layer[1].output.dense.__class__ = Linear8bit
    with pytest.raises(CourseError, match=r"layer.1.output.dense in 4 bits: it is a Linear8bit"):
        attach(model, QLoRA(rank=2))
    assert not hasattr(model, "tuned_with")
