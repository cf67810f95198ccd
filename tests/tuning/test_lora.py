"""LoRA against peft and against the equation worked out by hand."""

from __future__ import annotations

import copy

import peft
import pytest
import torch

from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.tuning import LoRA, attach

TARGETS = {  # peft's names for our places query, value, ffn_out
    "bert": ["query", "value", "output.dense"],
    "roberta": ["query", "value"],
    "llama": ["q_proj", "v_proj"],
    "t5": ["q", "v"],
    "t5-gated": ["q", "v"],
}


def randomise(tuned) -> None:
    """Give B values too, so that the comparison is not of zeros."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, module in tuned.placement.at_sites():
            module.A.copy_(torch.randn(module.A.shape, generator=generator) * 0.3)
            module.B.copy_(torch.randn(module.B.shape, generator=generator) * 0.3)


def gradients(model, batch) -> torch.Tensor:
    output = model(**batch)
    output.loss.backward()
    return output.logits


@pytest.mark.parametrize("plm", ["roberta", "llama", "t5", "t5-gated"])
def test_equals_peft(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm)
    settings = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=TARGETS[plm], init_lora_weights=False
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, LoRA(rank=3, alpha=5))
    randomise(ours)
    layers = {
        name: module
        for name, module in theirs.base_model.model.named_modules()
        if hasattr(module, "lora_A") and len(module.lora_A)
    }
    assert len(layers) == len(ours.placement.at_sites())
    for site, update in ours.placement.at_sites():
        layers[site.path].lora_A["default"].weight.data.copy_(update.A)
        layers[site.path].lora_B["default"].weight.data.copy_(update.B)
    torch.testing.assert_close(gradients(ours, batch), gradients(theirs, batch))
    for site, update in ours.placement.at_sites():
        peers = layers[site.path]
        torch.testing.assert_close(update.A.grad, peers.lora_A["default"].weight.grad)
        torch.testing.assert_close(update.B.grad, peers.lora_B["default"].weight.grad)


def test_all_places_of_bert_equal_peft(make_plm, make_batch):
    roles = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    model, batch = make_plm("bert"), make_batch("bert")
    paths = [site.path for site in sites(model).at(*roles)]
    settings = peft.LoraConfig(r=2, lora_alpha=8, target_modules=paths, init_lora_weights=False)
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, LoRA(rank=2, alpha=8, sites=roles))
    randomise(ours)
    for site, update in ours.placement.at_sites():
        layer = theirs.base_model.model.get_submodule(site.path)
        layer.lora_A["default"].weight.data.copy_(update.A)
        layer.lora_B["default"].weight.data.copy_(update.B)
    torch.testing.assert_close(gradients(ours, batch), gradients(theirs, batch))


def test_embeddings_equal_peft(make_plm, make_batch):
    model, batch = make_plm("bert"), make_batch("bert")
    settings = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["word_embeddings"])
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, LoRA(rank=2, alpha=8, sites="embeddings"))
    randomise(ours)
    ((_, update),) = ours.placement.at_sites()
    layer = theirs.base_model.model.bert.embeddings.word_embeddings
    layer.lora_embedding_A["default"].data.copy_(update.A)
    layer.lora_embedding_B["default"].data.copy_(update.B)
    torch.testing.assert_close(gradients(ours, batch), gradients(theirs, batch))
    torch.testing.assert_close(update.A.grad, layer.lora_embedding_A["default"].grad)
    torch.testing.assert_close(update.B.grad, layer.lora_embedding_B["default"].grad)


def test_thirds_of_gpt2s_fused_map_equal_one_blockwise_peft_lora(make_plm, make_batch):
    """Three rank-2 changes of the thirds are one rank-6 change of the whole, B block-diagonal."""
    model, batch = make_plm("gpt2"), make_batch("gpt2")
    settings = peft.LoraConfig(
        r=6, lora_alpha=24, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, LoRA(rank=2, alpha=8, sites=("query", "key", "value")))
    randomise(ours)
    for layer in ours.placement.sites:
        updates = [
            getattr(layer.query.module, f"lora_{role}") for role in ("query", "key", "value")
        ]
        peers = theirs.base_model.model.get_submodule(layer.query.path)
        peers.lora_A["default"].weight.data.copy_(torch.cat([u.A for u in updates]))
        peers.lora_B["default"].weight.data.copy_(torch.block_diag(*[u.B for u in updates]))
    torch.testing.assert_close(gradients(ours, batch), gradients(theirs, batch))


def test_gpt2_query_and_value_leave_the_key_alone(make_plm):
    model = make_plm("gpt2")
    fused = model.transformer.h[0].attn.c_attn
    x = torch.randn(2, 3, 16)
    before = fused(x)
    tuned = attach(model, LoRA(rank=2))
    randomise(tuned)
    change = fused(x) - before
    assert torch.equal(change[..., 16:32], torch.zeros(2, 3, 16))
    for update, part in (
        (fused.lora_query, change[..., :16]),
        (fused.lora_value, change[..., 32:]),
    ):
        by_hand = 16 / 2 * x @ update.A.T @ update.B.T
        torch.testing.assert_close(part, by_hand, rtol=1e-4, atol=1e-5)


def test_the_equation_by_hand(make_plm):
    model = make_plm("bert")
    query = model.bert.encoder.layer[1].attention.self.query
    attach(model, LoRA(rank=1, alpha=3))
    with torch.no_grad():
        query.weight.zero_()
        query.bias.fill_(1.0)
        query.lora.A.zero_()
        query.lora.A[0, 4] = 2.0  # reads x[4]
        query.lora.B.zero_()
        query.lora.B[7, 0] = 5.0  # writes h[7]
    x = torch.zeros(1, 16)
    x[0, 4] = 10.0
    expected = torch.ones(1, 16)
    expected[0, 7] += 3 / 1 * 5.0 * 2.0 * 10.0  # alpha / r · B A x = 300
    assert torch.equal(query(x), expected)


def test_dropout_only_in_training_and_only_on_the_update(make_plm, make_batch):
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model, batch = make_plm("bert", **none), make_batch("bert")
    tuned = attach(model, LoRA(rank=2, dropout=0.5))
    randomise(tuned)
    first, second = tuned(**batch).logits, tuned(**batch).logits
    assert torch.equal(first, second)
    tuned.train()
    assert not torch.equal(tuned(**batch).logits, tuned(**batch).logits)
    with torch.no_grad():
        for _, update in tuned.placement.at_sites():
            update.B.zero_()
    assert torch.equal(tuned(**batch).logits, tuned(**batch).logits)


def test_merging_tied_embeddings_is_refused_and_changes_nothing(make_plm):
    model = make_plm("gpt2")
    tuned = attach(model, LoRA(rank=2, sites=("query", "embeddings")))
    randomise(tuned)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(CourseError, match="shares its weight with lm_head"):
        tuned.merge()
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in before.items())


def test_untied_embeddings_merge(make_plm, make_batch, output_of):
    model, batch = make_plm("roberta"), make_batch("roberta")
    tuned = attach(model, LoRA(rank=2, sites="embeddings"))
    randomise(tuned)
    apart = output_of(tuned, batch)
    torch.testing.assert_close(output_of(tuned.merge(), batch), apart, rtol=1e-4, atol=1e-5)


def test_after_a_merge_another_method_can_build_on_it(make_plm, make_batch, few_steps, output_of):
    model, batch = make_plm("bert"), make_batch("bert")
    first = attach(model, LoRA(rank=2))
    few_steps(first, batch)
    merged = output_of(first.merge(), batch)
    second = attach(model, LoRA(rank=2), seed=5)
    assert torch.equal(output_of(second, batch), merged)
    with pytest.raises(CourseError, match="another method is attached"):
        first.unmerge()
    second.detach()
    first.detach()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank"),
        ({"rank": 2.5}, "rank"),
        ({"alpha": 0}, "alpha"),
        ({"dropout": 1.0}, "dropout"),
        ({"sites": ()}, "at least one"),
        ({"sites": ("query", "query")}, "twice"),
        ({"sites": ("querry",)}, "Did you mean 'query'"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        LoRA(**settings)


def test_a_rank_above_the_map_is_refused_before_anything_is_placed(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="no change of it has a higher rank than 16"):
        attach(model, LoRA(rank=17))
    assert not hasattr(model, "tuned_with")
    assert all(p.requires_grad for p in model.parameters())
