"""BitFit and TopLayers: methods that add nothing and train a part of the PLM."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from course_utils.errors import CourseError
from course_utils.tuning import BitFit, TopLayers, attach

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
HEAD = {"classifier.weight", "classifier.bias"}
OF_LAYER = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


def trained(model, method) -> set[str]:
    return set(attach(model, method).trained_names())


def in_layers(*parts: str) -> set[str]:
    return {f"bert.encoder.layer.{i}.{part}.bias" for i in (0, 1) for part in parts}


def test_all_biases_of_bert(make_plm):
    others = {"bert.embeddings.LayerNorm.bias", "bert.pooler.dense.bias"}
    assert trained(make_plm("bert"), BitFit()) == in_layers(*OF_LAYER) | others | HEAD


@pytest.mark.parametrize(
    ("part", "paths"),
    [
        ("query", ["attention.self.query"]),
        ("attention_output", ["attention.output.dense"]),
        ("ffn_in", ["intermediate.dense"]),
        ("ffn_out", ["output.dense"]),
    ],
)
def test_chosen_biases(part, paths, make_plm):
    """ "output.dense" is the FFN's, and not attention's too, whose name ends alike."""
    assert trained(make_plm("bert"), BitFit(parts=(part,))) == in_layers(*paths) | HEAD


def test_norms_and_pooler(make_plm):
    norms = in_layers("attention.output.LayerNorm", "output.LayerNorm")
    assert trained(make_plm("bert"), BitFit(parts=("norms", "pooler"))) == (
        norms | HEAD | {"bert.embeddings.LayerNorm.bias", "bert.pooler.dense.bias"}
    )


def test_a_language_models_head_has_biases_too(make_plm):
    own = trained(make_plm("bert-lm"), BitFit(parts="lm_head"))
    transform = {f"cls.predictions.transform.{p}.bias" for p in ("dense", "LayerNorm")}
    assert own == transform | {"cls.predictions.bias"}
    assert own < trained(make_plm("bert-lm"), BitFit())


@pytest.mark.parametrize("plm", ["llama", "llama-classifier", "t5", "t5-gated", "t5-encoder"])
def test_models_without_biases_are_refused(plm, make_plm):
    """T5's relative_attention_bias is a table of scores, not a bias of a map."""
    model = make_plm(plm)
    with pytest.raises(CourseError, match="has no biases, neither in its maps nor in its norms"):
        attach(model, BitFit())
    assert not hasattr(model, "tuned_with")


def test_a_new_heads_bias_does_not_make_biases_of_the_plm(make_plm):
    with pytest.raises(CourseError, match="T5ForTokenClassification has no biases"):
        attach(make_plm("t5-tagger"), BitFit())


def test_a_part_that_is_not_there(make_plm):
    with pytest.raises(CourseError, match="'pooler' has no biases of its own"):
        attach(make_plm("roberta"), BitFit(parts=("query", "pooler")))
    with pytest.raises(CourseError, match="'lm_head' has no biases of its own"):
        attach(make_plm("gpt2"), BitFit(parts=("lm_head",)))


def test_gpt2s_fused_bias_is_trained_whole_or_not(make_plm):
    with pytest.raises(CourseError, match="share one bias in GPT2LMHeadModel"):
        attach(make_plm("gpt2"), BitFit(parts=("query", "value")))
    own = trained(make_plm("gpt2"), BitFit(parts=("query", "key", "value")))
    assert own == {f"transformer.h.{i}.attn.c_attn.bias" for i in (0, 1)}


def test_bitfit_of_an_architecture_without_described_sites():
    config = hf.DistilBertConfig(vocab_size=50, dim=16, n_heads=2, n_layers=1, hidden_dim=32)
    model = hf.DistilBertForSequenceClassification(config)
    inside = {name for name, _ in model.named_parameters() if name.startswith("distilbert.")}
    tuned = attach(model, BitFit())
    assert inside & set(tuned.trained_names()) == {n for n in inside if n.endswith("bias")}
    # attention's four maps, the FFN's two, the layer's two norms and the embeddings' one
    assert tuned.count() - tuned.head_count() == 4 * 16 + 32 + 16 + 3 * 16
    with pytest.raises(CourseError, match="'distilbert'"):
        attach(tuned.detach(), BitFit(parts=("query",)))


def test_published_sizes_of_bitfit():
    with torch.device("meta"):
        base, large = hf.BertModel(hf.BertConfig()), hf.BertModel(hf.BertConfig(**LARGE))
    assert BitFit().count(base) == 102_912  # "0.1M"
    assert BitFit().count(large) == 272_384
    total = sum(p.numel() for p in large.parameters())
    assert f"{100 * BitFit().count(large) / total:.2f}" == "0.08"  # paper, table 1
    half = BitFit(parts=("query", "ffn_in")).count(large)
    assert half == 24 * (1024 + 4096)
    assert f"{100 * half / total:.2f}" == "0.04"  # paper, table 3


def test_bad_parts():
    with pytest.raises(CourseError, match="Did you mean 'query'"):
        BitFit(parts=("queri",))
    with pytest.raises(CourseError, match="twice"):
        BitFit(parts=("query", "query"))


@pytest.mark.parametrize(
    ("plm", "layers", "prefixes"),
    [
        ("bert", 1, ("bert.encoder.layer.1.", "bert.pooler.", "classifier.")),
        ("roberta", 2, ("roberta.encoder.layer.", "classifier.")),
        ("gpt2", 1, ("transformer.h.1.", "transformer.ln_f.")),
        ("llama", 1, ("model.layers.1.", "model.norm.")),
        ("t5", 1, ("decoder.block.1.", "decoder.final_layer_norm.")),
        ("t5", 3, ("decoder.block.", "decoder.final_layer_norm.", "encoder.block.1.",
                   "encoder.final_layer_norm.")),
        ("t5-encoder", 1, ("encoder.block.1.", "encoder.final_layer_norm.")),
    ],
)  # fmt: skip
def test_which_parts_are_on_top(plm, layers, prefixes, make_plm):
    model = make_plm(plm)
    expected = {name for name, _ in model.named_parameters() if name.startswith(prefixes)}
    assert trained(model, TopLayers(layers=layers)) == expected


def test_a_new_pooler_is_the_heads_and_counted_once(make_plm):
    model = make_plm("bert")
    pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    model.newly_initialised = frozenset(pooler | HEAD)
    for method in (TopLayers(layers=1), BitFit()):
        tuned = attach(model, method)
        assert pooler <= set(tuned.trained_names())
        assert tuned.count() == method.count(model) + tuned.head_count()
        tuned.detach()


def test_no_gradient_below_the_trained_layers(make_plm, make_batch):
    tuned = attach(make_plm("bert"), TopLayers(layers=1))
    seen = []
    layers = tuned.plm.bert.encoder.layer
    layers[1].register_forward_pre_hook(lambda m, args: seen.append(args[0].requires_grad))
    tuned(**make_batch("bert")).loss.backward()
    assert seen == [False]


def test_published_size_of_the_top_two_of_gpt2_medium():
    config = hf.GPT2Config(n_embd=1024, n_layer=24, n_head=16)
    with torch.device("meta"):
        model = hf.GPT2LMHeadModel(config)
    count = TopLayers(layers=2).count(model)
    assert count == 2 * 12_596_224 + 2048
    assert f"{count / 1e6:.2f}M" == "25.19M"


def test_more_layers_than_there_are(make_plm):
    with pytest.raises(CourseError, match="has 2 layers"):
        attach(make_plm("bert"), TopLayers(layers=3))
    with pytest.raises(CourseError, match="whole number"):
        TopLayers(layers=0)


@pytest.mark.parametrize("method", [BitFit(), TopLayers(layers=1)])
def test_merging_keeps_what_is_in_the_weights(method, make_plm, make_batch, few_steps, output_of):
    model, batch = make_plm("bert"), make_batch("bert")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    tuned = attach(model, method)
    few_steps(tuned, batch)
    learnt = output_of(tuned, batch)
    assert torch.equal(output_of(tuned.merge(), batch), learnt)
    assert all(p.requires_grad for p in model.parameters())
    tuned.detach()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
