"""IA3 against peft, and merged."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
import transformers as hf

from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.tuning import IA3, attach


def randomise(tuned) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in tuned.plm.named_parameters():
            if name.endswith("factors"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def factors(site) -> torch.nn.Parameter:
    name = "ia3" if site.columns is None else f"ia3_{site.role}"
    return getattr(site.module, name).factors


@pytest.mark.parametrize("plm", ["bert", "roberta", "llama", "t5", "t5-gated", "gpt2"])
def test_equals_peft(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm)
    found = sites(model)
    inputs = [site.path for site in found.at("ffn_out")]
    outputs = list(dict.fromkeys(site.path for site in found.at("key", "value")))
    settings = peft.IA3Config(
        target_modules=inputs + outputs,
        feedforward_modules=inputs,
        fan_in_fan_out=plm == "gpt2",
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, IA3())
    randomise(ours)
    vectors = {
        path: theirs.base_model.model.get_submodule(path).ia3_l["default"]
        for path in inputs + outputs
    }
    scaled = ours.placement.sites.at("key", "value", "ffn_out")
    for site in scaled:
        part = slice(None) if site.columns is None else slice(*site.columns)
        vectors[site.path].data.view(-1)[part] = factors(site).data
    outputs_ours, outputs_theirs = ours(**batch), theirs(**batch)
    torch.testing.assert_close(outputs_ours.logits, outputs_theirs.logits)
    outputs_ours.loss.backward()
    outputs_theirs.loss.backward()
    for site in scaled:
        part = slice(None) if site.columns is None else slice(*site.columns)
        torch.testing.assert_close(factors(site).grad, vectors[site.path].grad.view(-1)[part])


def test_the_equation_by_hand(make_plm):
    model = make_plm("bert")
    layer = model.bert.encoder.layer[1]
    key, out = layer.attention.self.key, layer.output.dense
    x, z = torch.randn(2, 3, 16), torch.randn(2, 3, 32)
    plain_key, plain_out = key(x), out.weight
    attach(model, IA3())
    with torch.no_grad():
        key.ia3.factors.copy_(torch.arange(16.0))
        out.ia3.factors.copy_(torch.arange(32.0))
    torch.testing.assert_close(key(x), torch.arange(16.0) * plain_key)
    torch.testing.assert_close(out(z), (torch.arange(32.0) * z) @ plain_out.T + out.bias)


def test_gpt2s_query_is_left_alone(make_plm):
    model = make_plm("gpt2")
    fused = model.transformer.h[0].attn.c_attn
    x = torch.randn(2, 3, 16)
    before = fused(x)
    tuned = attach(model, IA3())
    randomise(tuned)
    after = fused(x)
    assert torch.equal(after[..., :16], before[..., :16])
    torch.testing.assert_close(after[..., 16:32], fused.ia3_key.factors * before[..., 16:32])
    torch.testing.assert_close(after[..., 32:], fused.ia3_value.factors * before[..., 32:])


@pytest.mark.parametrize("sites_", [("key",), ("value",), ("ffn",), ("key", "value", "ffn")])
@pytest.mark.parametrize("plm", ["bert", "gpt2"])
def test_merging_changes_biases_too_and_goes_back(sites_, plm, make_plm, make_batch, output_of):
    model, batch = make_plm(plm).double(), make_batch(plm)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    tuned = attach(model, IA3(sites=sites_))
    randomise(tuned)
    apart = output_of(tuned, batch)
    torch.testing.assert_close(output_of(tuned.merge(), batch), apart)
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert any(name.endswith("bias") for name in moved) == (sites_ != ("ffn",))
    assert torch.equal(output_of(tuned.unmerge(), batch), apart)
    tuned.merge()
    tuned.detach()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_sizes_of_large_models():
    size = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    with torch.device("meta"):
        roberta = hf.RobertaModel(hf.RobertaConfig(**size, intermediate_size=4096))
        t5 = hf.T5ForConditionalGeneration(hf.T5Config(d_model=1024, d_ff=4096, num_layers=24))
    assert IA3().count(roberta) == 24 * (1024 + 1024 + 4096) == 147_456
    d = 8 * 64  # heads times their width
    assert IA3().count(t5) == 24 * (2 * d + 4096) + 24 * (4 * d + 4096)  # paper, sect. 3.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sites": ()}, "at least one"),
        ({"sites": ("key", "key")}, "twice"),
        ({"sites": ("values",)}, "Did you mean 'value'"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        IA3(**settings)
