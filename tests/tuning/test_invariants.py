"""What every method promises on every architecture."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from every_method import (
    EVERYWHERE,
    METHODS,
    PLACED,
    PLMS,
    all_cases,
    cases,
    with_noise,
)

from course_utils.plm import head_parameters
from course_utils.tuning import (
    IA3,
    AdaMix,
    Houlsby,
    LoRA,
    QLoRA,
    SoftPrompt,
    attach,
    load_tuned,
)


def snapshot(model) -> dict:
    """Everything detach must restore, in a form that compares exactly."""
    return {
        "tensors": {name: t.clone() for name, t in model.state_dict().items()},
        "modules": {name: id(module) for name, module in model.named_modules()},
        "parameters": {name: id(p) for name, p in model.named_parameters()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()),
        "attributes": set(vars(model)),
    }


def assert_same_snapshot(before: dict, after: dict) -> None:
    assert before["tensors"].keys() == after["tensors"].keys()
    for name, tensor in before["tensors"].items():
        assert torch.equal(tensor, after["tensors"][name]), name
    for part in before.keys() - {"tensors"}:
        assert before[part] == after[part], part


EXACT_AT_THE_START = (
    "lora",
    "lora-everywhere",
    "houlsby-zero",
    "parallel",
    "adamix-lora",
    "adapter-bias",
    "bitfit",
    "ia3",
    "top-layers",
    "full",
)


@pytest.mark.parametrize(("plm", "method"), cases(PLMS, EXACT_AT_THE_START))
def test_identity_at_the_start(plm, method, make_plm, make_batch, output_of):
    model, batch = make_plm(plm), make_batch(plm)
    before = output_of(model, batch)
    methods = METHODS | {"houlsby-zero": Houlsby(reduction=4, init="zero")}
    assert torch.equal(before, output_of(attach(model, methods[method]), batch))


@pytest.mark.parametrize("plm", PLMS)
def test_near_identity_at_the_start(plm, make_plm, make_batch, output_of):
    model, batch = make_plm(plm), make_batch(plm)
    before = output_of(model, batch)
    after = output_of(attach(model, METHODS["houlsby"]), batch)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


@all_cases
def test_only_own_parameters_move(plm, method, make_plm, make_batch, few_steps):
    model = make_plm(plm)
    head = head_parameters(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    tuned = attach(model, METHODS[method])
    added = {n: p.detach().clone() for n, p in model.named_parameters() if n not in before}
    few_steps(tuned, make_batch(plm))
    moved = {
        name for name, p in model.named_parameters() if not torch.equal(p, (before | added)[name])
    }
    allowed = set(added) | head | tuned.placement.trained
    # a bias that all choices share has no gradient: softmax over them takes it out
    assert head - ({"classifier.bias"} if plm == "bert-choice" else set()) <= moved
    if method == "full":
        assert {n for n in before if "embed" in n or "wte" in n or "shared" in n} & moved
    else:
        assert moved <= allowed
        own = allowed - head
        assert len(moved & own) >= len(own) / 2


@all_cases
def test_detach_gives_back_the_exact_model(plm, method, make_plm, make_batch, few_steps):
    model = make_plm(plm).train()
    next(model.parameters()).requires_grad_(False)
    model.base_model.eval()
    before = snapshot(model)
    tuned = attach(model, METHODS[method])
    few_steps(tuned, make_batch(plm))
    assert tuned.detach() is model
    assert_same_snapshot(before, snapshot(model))


@all_cases
def test_saved_and_loaded_into_a_fresh_plm(
    plm, method, make_plm, make_batch, few_steps, output_of, tmp_path
):
    model, batch = make_plm(plm), make_batch(plm)
    fresh = copy.deepcopy(model)
    tuned = attach(model, METHODS[method], seed=1)
    few_steps(tuned, batch)
    learnt = output_of(tuned, batch)
    tuned.save(tmp_path)
    for name in head_parameters(fresh):  # another seed draws another head
        torch.nn.init.normal_(fresh.get_parameter(name))
    loaded = load_tuned(fresh, tmp_path)
    assert torch.equal(output_of(loaded, batch), learnt)
    kept, tensors = tuned.kept()
    assert loaded.method == kept
    assert loaded.count() == sum(tensor.numel() for tensor in tensors.values())
    assert kept == tuned.method or method in (
        "p-tuning",
        "prefix",
        "unipelt",
        "adamix",
        "adamix-lora",
    )


MERGEABLE = {
    "lora": LoRA(rank=3),
    "lora-everywhere": LoRA(rank=3, sites=EVERYWHERE[:-1]),
    "adamix-lora": AdaMix(of=LoRA(rank=3), share="none"),
    "qlora": QLoRA(rank=3),
    "qlora-few": QLoRA(rank=3, sites="value", double=False),
    "ia3": IA3(),
}


@pytest.mark.parametrize("plm", PLMS)
@pytest.mark.parametrize("method", MERGEABLE)
def test_merged_equals_unmerged(plm, method, make_plm, make_batch, few_steps, output_of):
    model, batch = make_plm(plm).double(), make_batch(plm)  # rounding can't hide a mistake
    before = snapshot(model)
    tuned = attach(model, MERGEABLE[method])
    few_steps(tuned, batch)
    apart = output_of(tuned, batch)
    merged = tuned.merge()
    assert merged is model
    assert snapshot(merged)["hooks"] == 0
    assert snapshot(merged)["modules"] == before["modules"]
    assert snapshot(merged)["requires_grad"] == before["requires_grad"]
    torch.testing.assert_close(output_of(merged, batch), apart)
    assert len(list(changed_weights(merged, before))) >= 2
    assert torch.equal(output_of(tuned.unmerge(), batch), apart)
    tuned.merge()
    tuned.detach()
    assert_same_snapshot(before, snapshot(model))


def changed_weights(model, before):
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, before["tensors"][name]):
            yield name


@all_cases
def test_count_equals_formula_and_tensors(plm, method, make_plm):
    model = make_plm(plm)
    predicted = METHODS[method].count(model)
    head = sum(model.get_parameter(name).numel() for name in head_parameters(model))
    total = sum(p.numel() for p in model.parameters())
    tuned = attach(model, METHODS[method])
    real = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert tuned.count() == real == predicted + head
    assert tuned.total() == total
    assert f"{predicted:,}" in tuned.formula()


@pytest.mark.parametrize("method", METHODS)
def test_training_learns_and_can_be_repeated(method, make_plm, make_batch, few_steps):
    def run():
        model = make_plm("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        return few_steps(attach(model, METHODS[method]), make_batch("bert"), steps=10)

    losses = run()
    assert losses[-1] < losses[0]
    assert losses == run()


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["bert", "gpt2", "llama", "t5"], [*PLACED, "bitfit", "top-layers", "full"]),
)
def test_copies_are_independent(plm, method, make_plm, make_batch, few_steps, output_of):
    model, batch = make_plm(plm), make_batch(plm)
    before = snapshot(model)
    tuned = attach(model, METHODS[method])
    few_steps(tuned, batch)
    learnt = output_of(tuned, batch)
    for other in (copy.deepcopy(tuned), pickle.loads(pickle.dumps(tuned))):
        assert torch.equal(output_of(other, batch), learnt)
        few_steps(other, batch)
        assert not torch.equal(output_of(other, batch), learnt)
        base = other.detach()
        assert not hasattr(base, "tuned_with")
        assert all(torch.equal(base.state_dict()[k], t) for k, t in before["tensors"].items())
        assert torch.equal(output_of(tuned, batch), learnt)


@pytest.mark.parametrize(
    ("plm", "method"), cases(["bert", "roberta", "gpt2", "llama", "t5"], PLACED)
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_finite_in_16_bit_with_own_parameters_in_32(plm, method, dtype, make_plm, make_batch):
    batch = make_batch(plm)
    tuned = attach(make_plm(plm).to(dtype), METHODS[method])
    loss = tuned(**batch).loss
    loss.backward()
    added = [p for name, p in tuned.plm.named_parameters() if name in tuned.placement.added_names()]
    assert torch.isfinite(loss)
    assert {p.dtype for p in added} == {torch.float32}
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in added)


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["bert", "gpt2"], ["bitfit", "top-layers"]),
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parts_of_the_plm_stay_in_its_type(plm, method, dtype, make_plm, make_batch):
    tuned = attach(make_plm(plm).to(dtype), METHODS[method])
    loss = tuned(**make_batch(plm)).loss
    loss.backward()
    assert torch.isfinite(loss)
    for parameter in tuned.trainable_parameters():
        assert parameter.dtype == dtype
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize(("plm", "method"), cases(["bert", "gpt2", "llama", "t5"], PLACED))
def test_autocast(plm, method, make_plm, make_batch):
    batch = make_batch(plm)
    tuned = attach(make_plm(plm), METHODS[method])
    exact = tuned(**batch).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = tuned(**batch).loss
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    assert all(torch.isfinite(p.grad).all() for p in tuned.trainable_parameters())


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["bert", "gpt2", "llama", "t5"], [*PLACED, "bitfit", "top-layers", "full"]),
)
def test_gradient_checkpointing_gives_the_same_gradients(plm, method, make_plm, make_batch):
    batch = make_batch(plm)
    none = {"dropout_rate": 0.0} if plm == "t5" else {}
    none |= (
        {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if plm == "bert" else {}
    )
    none |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if plm == "gpt2" else {}
    gradients = []
    for checkpointing in (False, True):
        tuned = attach(make_plm(plm, **none), METHODS[method]).train()
        if checkpointing:
            tuned.gradient_checkpointing_enable()
            assert tuned.is_gradient_checkpointing
        tuned(**batch).loss.backward()
        gradients.append([p.grad for p in tuned.trainable_parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"head-only", "unipelt"}))
def test_left_padding_is_the_same_for_every_method(method, make_plm):
    """gpt2 counts positions from the first real token whatever is attached."""
    tuned = attach(make_plm("gpt2"), METHODS[method])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    padded = tuned(input_ids=torch.tensor([[0, 0, 9, 8, 7, 6]]), attention_mask=mask).logits
    alone = tuned(input_ids=torch.tensor([[9, 8, 7, 6]])).logits
    torch.testing.assert_close(padded[:, 2:], alone)


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["gpt2", "llama"], sorted(METHODS.keys() - {"head-only"})),
)
def test_generation_with_a_cache_is_full_recomputation(plm, method, make_plm):
    """In a left-padded batch, token by token: each row as if it were alone and read anew."""
    model = make_plm(plm, initializer_range=0.5, eos_token_id=None)
    tuned = with_noise(attach(model, METHODS[method]))
    ids = torch.tensor([[0, 0, 9, 8, 7], [12, 11, 10, 9, 8]])
    mask = (ids != 0).long()
    written = tuned.generate(ids, attention_mask=mask, max_new_tokens=5, do_sample=False)
    for row, start in ((0, 2), (1, 0)):
        alone = ids[row : row + 1, start:]
        for _ in range(5):
            alone = torch.cat((alone, tuned(input_ids=alone).logits[:, -1:].argmax(-1)), 1)
        assert torch.equal(written[row, start:], alone[0])


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["t5", "t5-gated"], sorted(METHODS.keys() - {"head-only"})),
)
def test_generation_of_encoder_decoders_is_full_recomputation(plm, method, make_plm):
    model = make_plm(plm, eos_token_id=None)
    tuned = with_noise(attach(model, METHODS[method]))
    ids = torch.tensor([[9, 8, 7, 0, 0], [12, 11, 10, 9, 8]])
    mask = (ids != 0).long()
    written = tuned.generate(ids, attention_mask=mask, max_new_tokens=5, do_sample=False)
    for row, tokens in ((0, 3), (1, 5)):
        text, target = ids[row : row + 1, :tokens], torch.zeros(1, 1, dtype=torch.long)
        for _ in range(5):
            logits = tuned(input_ids=text, decoder_input_ids=target).logits
            target = torch.cat((target, logits[:, -1:].argmax(-1)), 1)
        assert torch.equal(written[row], target[0])


def test_frozen_parts_cost_no_gradient(make_plm, make_batch):
    tuned = attach(make_plm("bert"), LoRA(rank=2))
    tuned(**make_batch("bert")).loss.backward()
    own = set(tuned.trained_names())
    assert all((p.grad is not None) == (name in own) for name, p in tuned.plm.named_parameters())


def test_attaching_leaves_the_global_generator_alone(make_plm):
    model = make_plm("bert")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    attach(model, LoRA())
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_decides_the_start(make_plm):
    starts = []
    for seed in (1, 1, 2):
        tuned = attach(make_plm("bert"), LoRA(rank=2), seed=seed)
        starts.append(tuned.plm.bert.encoder.layer[0].attention.self.query.lora.A.detach())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def test_budget_of_a_large_model_without_its_memory():
    from transformers import BertConfig, BertForSequenceClassification

    large = BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    )
    with torch.device("meta"):
        model = BertForSequenceClassification(large)
    assert LoRA(rank=8).count(model) == 24 * 2 * 8 * (1024 + 1024) == 786_432
    assert SoftPrompt(length=100).count(model) == 102_400
    tuned = attach(model, LoRA(rank=8))
    assert tuned.count() == 786_432 + 2 * 1024 + 2
    assert attach(tuned.detach(), SoftPrompt(length=100)).count() == 102_400 + 2050
