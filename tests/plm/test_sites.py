"""`sites`: every site is the map it claims to be, seen from what flows through it."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from small_plms import make

from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.plm.architectures import ROLES, SUPPORTED

NAMES = (
    "bert", "bert-bare", "roberta-lm", "xlm-roberta-lm", "camembert-lm", "gpt2", "gpt2-classifier",
    "llama", "mistral", "qwen2", "t5", "t5-gated", "t5-encoder", "t5-tagger", "mt5",
)  # fmt: skip


@pytest.fixture(params=NAMES)
def model(request):
    return make(request.param)


def run(model) -> None:
    ids = torch.tensor([[7, 8, 9]])
    is_seq2seq = model.config.is_encoder_decoder and sites(model).decoder is not None
    model(input_ids=ids, **({"decoder_input_ids": ids} if is_seq2seq else {}))


def test_shapes(model):
    config, found = model.config, sites(model)
    depth = config.num_hidden_layers * (2 if found.kind == "encoder-decoder" else 1)
    inner = getattr(config, "intermediate_size", None) or getattr(config, "d_ff", None) or 64
    assert len(found) == len(list(found)) == depth
    for layer in found:
        assert layer.query.in_features == layer.query.out_features == 16
        assert layer.key.out_features == layer.value.out_features
        assert layer.attention_output.out_features == 16
        assert (layer.ffn_in.in_features, layer.ffn_in.out_features) == (16, inner)
        assert (layer.ffn_out.in_features, layer.ffn_out.out_features) == (inner, 16)
    assert found.hidden_size == 16
    assert {s.in_features for s in found.embeddings} == {50}


def test_every_site_is_a_distinct_place_at_its_path(model):
    found = sites(model)
    every = found.at(*ROLES, "embeddings")
    assert len({(s.path, s.columns) for s in every}) == len(every)
    assert all(model.get_submodule(site.path) is site.module for site in every)
    maps = {id(site.module) for site in every}
    blocks = {id(m) for layer in found for m in layer.module.modules()}
    missed = [
        name
        for name, module in model.named_modules()
        if id(module) in blocks
        and isinstance(module, (torch.nn.Linear, hf.pytorch_utils.Conv1D))
        and id(module) not in maps
    ]
    assert missed == []


def test_every_site_is_used_in_a_forward_pass(model):
    called = set()
    every = sites(model).at(*ROLES, "embeddings")
    for site in every:
        site.module.register_forward_hook(lambda m, *_: called.add(id(m)))
    run(model)
    assert called == {id(site.module) for site in every}


def test_roles_from_what_flows(model):
    """ffn_out reads act(ffn_in(x)) and attention_output's input follows the values."""
    layer = sites(model).layers[0]
    seen = {}

    def watch(name):
        def hook(module, args, output):
            seen[name] = (args[0].detach(), output.detach())

        return hook

    names = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    handles = [getattr(layer, n).module.register_forward_hook(watch(n)) for n in names]
    handles.append(layer.ffn_end.register_forward_hook(watch("ffn_end")))
    run(model)
    for handle in handles:
        handle.remove()
    assert seen["ffn_out"][0].shape[-1] == seen["ffn_in"][1].shape[-1]
    assert torch.equal(seen["ffn_end"][1], seen["ffn_out"][1])
    value = layer.value
    with torch.no_grad():  # without values there is nothing to pass on
        weight = value.module.weight
        part = slice(*value.columns) if value.columns else slice(None)
        (weight[:, part] if value.transposed else weight[part]).zero_()
        if getattr(value.module, "bias", None) is not None:
            value.module.bias[part].zero_()
    layer.attention_output.module.register_forward_hook(watch("attention_output"))
    run(model)
    assert torch.equal(seen["attention_output"][0], torch.zeros_like(seen["attention_output"][0]))


def test_the_entry_turns_ids_into_states(model):
    found = sites(model)
    shapes = []
    found.entry.register_forward_hook(lambda m, a, out: shapes.append(out[0].shape))
    run(model)
    assert shapes[0] == (1, 3, 16)


def test_positions():
    limits = {"bert": 40, "roberta": 38, "gpt2": 40, "llama": None, "t5": None}
    assert {name: sites(make(name)).max_positions for name in limits} == limits


def test_all_supported_architectures_are_tested():
    assert {make(name).config.model_type for name in NAMES} == set(SUPPORTED)


def test_a_decoder_of_an_encoder_decoder_has_two_attentions():
    found = sites(make("t5-gated"))
    encoder, decoder = found.layers[0], found.layers[-1]
    assert (encoder.stack, encoder.index) == ("encoder", 0)
    assert (decoder.stack, decoder.index) == ("decoder", 1)
    assert [s.path.split(".")[-2] for s in decoder.at("query")] == [
        "SelfAttention",
        "EncDecAttention",
    ]
    assert len(encoder.at("query")) == 1
    assert [s.path.split(".")[-1] for s in decoder.at("ffn_in")] == ["wi_1", "wi_0"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: hf.DistilBertModel(
                hf.DistilBertConfig(vocab_size=9, dim=8, n_heads=1, hidden_dim=8, n_layers=1)
            ),
            "a prefix would train and change nothing",
        ),
        (
            lambda: hf.DebertaV2Model(
                hf.DebertaV2Config(vocab_size=9, hidden_size=8, num_attention_heads=1,
                                   num_hidden_layers=1, intermediate_size=8)
            ),
            "relative position",
        ),
        (
            lambda: hf.DebertaModel(
                hf.DebertaConfig(vocab_size=9, hidden_size=8, num_attention_heads=1,
                                 num_hidden_layers=1, intermediate_size=8)
            ),
            "fused by head",
        ),
        (
            lambda: hf.AlbertModel(
                hf.AlbertConfig(vocab_size=9, embedding_size=8, hidden_size=8,
                                num_attention_heads=1, intermediate_size=8)
            ),
            "every depth",
        ),
        (
            lambda: hf.OPTModel(
                hf.OPTConfig(vocab_size=9, hidden_size=8, num_attention_heads=1, ffn_dim=8,
                             num_hidden_layers=1, word_embed_proj_dim=8)
            ),
            "not described",
        ),
        (lambda: torch.nn.Linear(2, 2), "needs a transformers model"),
    ],
)  # fmt: skip
def test_refusals_say_why(make, reason):
    with pytest.raises(CourseError, match=reason):
        sites(make())


def test_unknown_roles():
    found = sites(make("bert"))
    with pytest.raises(CourseError, match="Did you mean 'query'"):
        found.at("qeury")
    with pytest.raises(CourseError, match="Did you mean 'ffn_in'"):
        found.layers[0].at("ffn_inn")
