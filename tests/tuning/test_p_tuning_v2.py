"""P-tuning v2: where it starts, its dropout, and the sizes of its published settings."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
)

from course_utils.errors import CourseError
from course_utils.tuning import PrefixTuning, PTuningV2, attach, finished

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
# Prefix lengths of the authors' settings, and what they come to: 24 layers × 2 × P × 1024.
PUBLISHED = {
    "bert-large": (
        BertConfig(**LARGE),
        BertForSequenceClassification,
        BertForTokenClassification,
        {16: 786_432, 20: 983_040, 40: 1_966_080, 128: 6_291_456},
    ),
    "roberta-large": (
        RobertaConfig(**LARGE, vocab_size=50265, max_position_embeddings=514),
        RobertaForSequenceClassification,
        RobertaForTokenClassification,
        {
            8: 393_216,
            11: 540_672,
            48: 2_359_296,
            64: 3_145_728,
            128: 6_291_456,
            144: 7_077_888,
            224: 11_010_048,
        },
    ),
}


@pytest.mark.parametrize("plm", PUBLISHED)
def test_sizes_of_the_published_prefixes(plm):
    config, classifier, tagger, sizes = PUBLISHED[plm]
    for model_class in (classifier, tagger):
        with torch.device("meta"):
            model = model_class(config)
        for length, size in sizes.items():
            assert PTuningV2(length=length).count(model) == size


def test_size_with_the_authors_mlp():
    """WiC on BERT-large, P = 20: E, the layer to 512, and the layer to 24 keys and values."""
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(**LARGE))
    method = PTuningV2(length=20, mlp=512)
    parts = 20 * 1024 + (1024 + 1) * 512 + (512 + 1) * 24 * 2 * 1024
    assert method.count(model) == parts == 25_760_256
    tuned = attach(model, PTuningV2(length=20))
    assert tuned.count() == 983_040 + 2 * 1024 + 2
    assert "24 attention blocks × 2·20·1,024 = 983,040; task head 2,050" in tuned.formula()
    assert tuned.max_length == 512 - 20


def parameters(tuned) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in tuned.plm.named_parameters() if ".prefix." in n}


@pytest.mark.parametrize("mlp", [0, 64])
def test_start_is_berts_own(mlp, make_plm):
    model = make_plm("bert", hidden_size=64, max_position_embeddings=80)
    tuned = attach(model, PTuningV2(length=50, mlp=mlp))
    for name, tensor in parameters(tuned).items():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.1), name
            assert abs(tensor.mean().item()) < 2e-3


def test_defaults_are_the_authors():
    assert PTuningV2().settings() == {"length": 20, "mlp": 0, "dropout": 0.1}


@pytest.mark.parametrize("mlp", [0, 8])
def test_dropout_falls_on_keys_and_values_of_each_example(mlp, make_plm):
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    tuned = attach(make_plm("bert-bare", **none), PTuningV2(length=8, mlp=mlp, dropout=0.5))
    with torch.no_grad():
        for parameter in parameters(tuned).values():
            parameter.mul_(50)
    ids = torch.tensor([[7, 8, 9]]).expand(2, -1)
    one, other = tuned.train()(input_ids=ids).last_hidden_state
    assert (one - other).abs().max() > 1e-3
    one, other = tuned.eval()(input_ids=ids).last_hidden_state
    assert torch.equal(one, other)


def test_it_is_prefix_tuning_without_mlp_and_dropout(make_plm, make_batch, output_of):
    batch = make_batch("bert")
    deep = attach(make_plm("bert"), PTuningV2(length=4, dropout=0.0))
    prefix = attach(make_plm("bert"), PrefixTuning(length=4, mlp=0), seed=7)
    assert parameters(deep).keys() == parameters(prefix).keys()
    for name, tensor in parameters(prefix).items():
        tensor.copy_(parameters(deep)[name])
    assert torch.equal(output_of(deep, batch), output_of(prefix, batch))


def test_its_mlp_is_thrown_away_too(make_plm, make_batch, output_of):
    tuned = attach(make_plm("bert"), PTuningV2(length=4, mlp=8))
    before = output_of(tuned, make_batch("bert"))
    done = finished(tuned)
    assert done.method == PTuningV2(length=4)
    assert torch.equal(output_of(done, make_batch("bert")), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 1.5}, r"PTuningV2\(length=1.5\)"),
        ({"mlp": -1}, "0 is no MLP"),
        ({"dropout": -0.1}, "probability"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        PTuningV2(**settings)
