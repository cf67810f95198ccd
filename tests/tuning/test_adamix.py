"""AdaMix: routing, averaging and the second loss, against numpy and against the single methods."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import small_tasks
import torch
import transformers as hf
from by_hand import bert, relu, weights_of
from safetensors.torch import load_file

from course_utils.errors import CourseError
from course_utils.model_facts import method_of
from course_utils.settings import TrainSettings
from course_utils.training import train
from course_utils.tuning import (
    AdaMix,
    BitFit,
    Houlsby,
    LoRA,
    ParallelAdapter,
    Pfeiffer,
    attach,
    finished,
    load_tuned,
    method_named,
)
from course_utils.tuning.adamix import Mixture, disagreement

NONE = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
BESIDE = "encoder.layer.{}.output.LayerNorm.adapter.experts"


def randomise(tuned) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in tuned.trainable_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise)


@pytest.fixture
def make_bare(make_plm):
    """A BERT without a head or dropout, in float64, with weights large enough to show."""
    return lambda: make_plm("bert-bare", initializer_range=0.3, **NONE).double()


def in_numpy(w: dict, ids, mask, choose) -> np.ndarray:
    """Last hidden states of a BERT with Pfeiffer's adapters; choose(layer, half, stack) -> one."""

    def end(i, h, z, u, x, norm):
        def part(half, kind):
            return choose(i, half, w[f"{BESIDE.format(i)}.{half}.{kind}"])

        inner = relu(norm(h + x) @ part("down", "weight").T + part("down", "bias"))
        h = h + inner @ part("up", "weight").T + part("up", "bias")
        return norm(h + x)

    return bert(w, ids, mask, end=end)


@pytest.mark.parametrize("share", ["up", "down", "none"])
def test_in_eval_mode_the_average_equals_numpy(share, make_bare, make_batch):
    model, batch = make_bare(), make_batch("bert-bare")
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    tuned = attach(model, AdaMix(of=Pfeiffer(bottleneck=3), experts=3, share=share))
    randomise(tuned)
    w = weights_of(model)
    lengths = {half: len(w[f"{BESIDE.format(0)}.{half}.weight"]) for half in ("down", "up")}
    assert lengths == {"down": 1 if share == "down" else 3, "up": 1 if share == "up" else 3}
    got = tuned(**batch).last_hidden_state.detach().numpy()
    expected = in_numpy(w, ids, mask, lambda layer, half, stack: stack.mean(0))
    real = mask.astype(bool)
    np.testing.assert_allclose(got[real], expected[real], rtol=1e-7, atol=1e-9)


def test_in_training_one_expert_of_each_half_and_layer_equals_numpy(make_bare, make_batch):
    """Who was drawn is seen from the gradients; output and gradients are theirs."""
    model, batch = make_bare(), make_batch("bert-bare", rows=1, tokens=4)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    tuned = attach(model, AdaMix(of=Pfeiffer(bottleneck=3), share="none")).train()
    randomise(tuned)
    direction = torch.randn(1, 4, 16, dtype=torch.float64)
    torch.manual_seed(1)
    got = tuned(**batch).last_hidden_state
    (got * direction).sum().backward()
    drawn = {}
    for layer in (0, 1):
        for half in ("down", "up"):
            gradient = model.get_parameter(f"{BESIDE.format(layer)}.{half}.weight").grad
            ((chosen,),) = gradient.flatten(1).any(1).nonzero(as_tuple=True)  # exactly one
            drawn[layer, half] = chosen.item()
    assert len(set(drawn.values())) > 1  # not one draw for all

    def forward(w):
        return in_numpy(w, ids, mask, lambda layer, half, stack: stack[drawn[layer, half]])

    w = weights_of(model)
    np.testing.assert_allclose(got.detach().numpy(), forward(w), rtol=1e-7, atol=1e-9)
    for half, inside in (("down", (1, 5)), ("up", (4, 2))):
        name = f"{BESIDE.format(0)}.{half}.weight"
        place = (drawn[0, half], *inside)
        sums = []
        for step in (1e-6, -1e-6):
            w[name][place] += step
            sums.append((forward(w) * direction.numpy()).sum())
            w[name][place] -= step
        gradient = model.get_parameter(name).grad[place]
        assert gradient == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-4, abs=1e-6)


def test_lora_experts_by_hand(make_plm):
    model = make_plm("bert")
    query = model.bert.encoder.layer[1].attention.self.query
    tuned = attach(model, AdaMix(of=LoRA(rank=2, alpha=6), experts=3))
    randomise(tuned)
    x = torch.randn(4, 16)
    A, B = query.lora.experts.A, query.lora.experts.B
    assert (A.shape, B.shape) == ((3, 2, 16), (1, 16, 2))
    plain = x @ query.weight.T + query.bias
    change = 6 / 2 * x @ A.mean(0).T @ B.mean(0).T
    torch.testing.assert_close(query(x), plain + change)
    tuned.train()
    possible = [plain + 6 / 2 * x @ A[j].T @ B[0].T for j in range(3)]
    torch.manual_seed(0)
    met = set()
    for _ in range(30):
        out = query(x)
        (which,) = [j for j, h in enumerate(possible) if torch.allclose(out, h, atol=1e-5)]
        met.add(which)
    assert met == {0, 1, 2}


def test_halves_are_drawn_independently_and_evenly(make_plm):
    tuned = attach(make_plm("bert"), AdaMix(of=Pfeiffer(bottleneck=2), experts=3, share="none"))
    mixture = tuned.placement.modules()[0].train()
    with torch.no_grad():
        for half in ("down", "up"):
            bias = mixture.experts.get_parameter(f"{half}.bias")
            bias.copy_(torch.arange(3.0)[:, None].expand_as(bias))  # expert j says j
    torch.manual_seed(0)
    n = 1800
    draws = [mixture.one_draw() for _ in range(n)]
    pairs = Counter((d["down.bias"][0].item(), d["up.bias"][0].item()) for d in draws)
    assert len(pairs) == 9
    for count in pairs.values():  # 200 each, within 4 standard deviations
        assert abs(count - n / 9) < 4 * (n * 1 / 9 * 8 / 9) ** 0.5


@pytest.mark.parametrize("of", [Houlsby(bottleneck=3), ParallelAdapter(bottleneck=3), LoRA(rank=2)])
def test_experts_start_differently_and_all_get_gradients(of, make_plm, make_batch):
    tuned = attach(make_plm("bert"), AdaMix(of=of, share="none"))
    mixture = tuned.placement.modules()[-1]
    first = next(mixture.experts.parameters())  # W1 or A
    assert len(first) == 4
    for i in range(4):
        for j in range(i):
            assert not torch.equal(first[i], first[j])
    tuned.train()(**make_batch("bert")).loss.backward()
    for parameter in tuned.trainable_parameters():  # zeros for who was not drawn, as DDP wants
        assert parameter.grad is not None


def logits_in_numpy(tensor: torch.Tensor) -> np.ndarray:
    z = tensor.detach().double().numpy()
    return z - np.log(np.exp(z).sum(-1, keepdims=True))  # log probabilities


def kl(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    return (np.exp(log_p) * (log_p - log_q)).sum(-1)


@pytest.mark.parametrize(
    "plm", ["bert", "bert-choice", "bert-tagger", "bert-lm", "gpt2", "gpt2-classifier", "t5"]
)
def test_the_loss_by_hand(plm, make_plm, make_batch):
    """Two passes, the cross-entropy of the first, and how far apart the answers are, over the
    answers that have a label."""
    none = {"bert": NONE, "t5": {"dropout_rate": 0.0}}.get(plm.split("-")[0], {})
    if plm.startswith("gpt2"):
        none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    loud = {"initializer_factor" if plm == "t5" else "initializer_range": 0.3}
    batch = make_batch(plm)
    method = AdaMix(of=Pfeiffer(bottleneck=3), consistency=0.7)
    tuned = attach(make_plm(plm, **none | loud), method).train()
    randomise(tuned)
    torch.manual_seed(5)
    first, second = tuned(**batch), tuned(**batch)
    p, q = logits_in_numpy(first.logits), logits_in_numpy(second.logits)
    labels = batch["labels"].numpy()
    if plm == "gpt2":
        p, q, labels = p[:, :-1], q[:, :-1], labels[:, 1:]
    known = labels != -100
    cross_entropy = -np.take_along_axis(p[known], labels[known][:, None], 1).mean()
    apart = 0.5 * (kl(p, q) + kl(q, p))[known].mean()
    torch.manual_seed(5)
    loss = method.training_output(tuned, batch).loss
    assert apart > 1e-4
    assert loss.item() == pytest.approx(cross_entropy + 0.7 * apart, rel=1e-4)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in tuned.trainable_parameters())


def test_gradients_of_the_disagreement_by_hand():
    """d/dz of ½ Σ (p - q)(log p - log q) for p = softmax(z): ½ p (l - p·l) + ½ (p - q), where
    l = log p - log q."""
    z, y = (torch.randn(3, 4, dtype=torch.float32, requires_grad=True) for _ in range(2))
    disagreement(z, y).backward()
    log_p, log_q = logits_in_numpy(z), logits_in_numpy(y)
    p, q = np.exp(log_p), np.exp(log_q)
    for tensor, a, b, apart in ((z, p, q, log_p - log_q), (y, q, p, log_q - log_p)):
        expected = 0.5 * a * (apart - (a * apart).sum(-1, keepdims=True)) + 0.5 * (a - b)
        np.testing.assert_allclose(tensor.grad.numpy(), expected / 3, rtol=1e-4, atol=1e-6)


def test_one_pass_where_there_is_nothing_to_agree_on(make_plm, make_batch):
    batch = make_batch("bert")
    for method, more, mode in (
        (AdaMix(of=Pfeiffer(bottleneck=3), consistency=0), {}, True),
        (AdaMix(of=Pfeiffer(bottleneck=3)), {"num_labels": 1}, True),  # a regression
        (AdaMix(of=Pfeiffer(bottleneck=3)), {}, False),
    ):
        tuned = attach(make_plm("bert", **NONE, **more), method).train(mode)
        passes = []
        tuned.register_forward_hook(lambda *_, passes=passes: passes.append(1))
        labels = batch["labels"].float() if more else batch["labels"]
        torch.manual_seed(2)
        loss = method.training_output(tuned, batch | {"labels": labels}).loss
        assert len(passes) == 1
        torch.manual_seed(2)
        assert torch.equal(loss, tuned(**batch | {"labels": labels}).loss)


@pytest.mark.parametrize("prompted", [False, True])
def test_train_trains_on_that_loss(prompted):
    """Also through a prompt, whose answers are label words. The first step's loss, by weight of
    the second term; dev is scored by the average."""
    task, tokenizer = small_tasks.sentiment(32), small_tasks.tokenizer()
    prompt = ("{sentence} it was {mask} .", dict(zip(task.labels, ("bad", "good"), strict=True)))
    settings = TrainSettings(steps=1, batch_size=8, learning_rate=1e-3)
    losses, passes = {}, {}
    for weight in (0, 1, 3):
        model = small_tasks.bert("lm" if prompted else "classifier", dropout=0.0)
        tuned = attach(model, AdaMix(of=Pfeiffer(bottleneck=3), consistency=weight))
        randomise(tuned)
        modes = []
        tuned.register_forward_hook(lambda m, *_, modes=modes: modes.append(m.training))
        result = train(
            tuned,
            task,
            tokenizer=tokenizer,
            prompt=prompt if prompted else None,
            settings=settings,
            progress=False,
        )
        losses[weight], passes[weight] = result.history[0]["loss"], sum(modes)
        assert modes.count(False) >= 1
    assert passes == {0: 1, 1: 2, 3: 2}
    assert losses[1] > losses[0] + 1e-3
    assert losses[3] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-3)


@pytest.mark.parametrize("of", [Pfeiffer(bottleneck=3), Houlsby(bottleneck=2), LoRA(rank=2)])
def test_what_is_kept_is_the_single_method(
    of, make_plm, make_batch, few_steps, output_of, tmp_path
):
    model, batch = make_plm("bert"), make_batch("bert")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    single = attach(make_plm("bert"), of)
    tuned = attach(model, AdaMix(of=of))
    few_steps(tuned, batch)
    learnt = output_of(tuned, batch)
    tensors = load_file(tuned.save(tmp_path) / "adapter.safetensors")
    assert {n: t.shape for n, t in tensors.items()} == {
        name: single.plm.get_parameter(name).shape for name in single.trained_names()
    }
    loaded = load_tuned(make_plm("bert"), tmp_path)
    assert loaded.method == of
    assert torch.equal(output_of(loaded, batch), learnt)
    done = finished(tuned)
    assert (done.method, done.count()) == (of, single.count())
    assert done.count() < AdaMix(of=of).count(done.plm)
    assert torch.equal(output_of(done, batch), learnt)
    if isinstance(of, LoRA):
        torch.testing.assert_close(output_of(done.merge(), batch), learnt)
    plm = done.detach()
    assert all(torch.equal(t, before[name]) for name, t in plm.state_dict().items())


def test_merged_as_it_is_lora_is_merged_by_its_average(make_plm, make_batch, output_of):
    model, batch = make_plm("gpt2").double(), make_batch("gpt2")
    tuned = attach(model, AdaMix(of=LoRA(rank=2, alpha=2), share="none"))
    randomise(tuned)
    fused = model.transformer.h[0].attn.c_attn
    before, experts = fused.weight.detach().clone(), fused.lora_value.experts
    apart = output_of(tuned, batch)
    merged = tuned.merge()
    change = (fused.weight - before)[:, 32:].T
    torch.testing.assert_close(change, experts.B.mean(0) @ experts.A.mean(0))
    torch.testing.assert_close(output_of(merged, batch), apart)
    adapters = attach(make_plm("bert"), AdaMix(of=Pfeiffer(bottleneck=2)))
    with pytest.raises(CourseError, match="Pfeiffer can't be merged"):
        adapters.merge()


def test_published_sizes():
    with torch.device("meta"):
        model = hf.BertModel(hf.BertConfig())
    down, up = 768 * 48 + 48, 48 * 768 + 768
    assert AdaMix().count(model) == 12 * (4 * down + up) == 2_223_360
    assert AdaMix().of.count(model) == 12 * (down + up) == 894_528  # the paper's 0.9M
    assert AdaMix(of=LoRA(rank=8)).count(model) == 24 * 8 * (4 * 768 + 768)


def test_of_may_be_a_name_and_comes_back_from_plain_data(make_plm):
    assert AdaMix(of="lora") == AdaMix(of=LoRA())
    assert method_named("adamix", of="houlsby", experts=2) == AdaMix(of=Houlsby(), experts=2)
    method = AdaMix(of=LoRA(rank=4, sites=("query", "ffn_out")), share="down", experts=5)
    plain = json.loads(json.dumps(method.settings()))
    assert plain["of"]["name"] == "lora"
    assert method_named("adamix", **plain) == method
    name, values = method_of(attach(make_plm("bert"), method))
    assert (name, values) == ("AdaMix", plain)


def test_the_tree_names_the_experts(make_plm):
    tuned = attach(make_plm("bert"), AdaMix(of=Pfeiffer(bottleneck=3)))
    added = [line for line in tuned.summary().splitlines() if "◄ added" in line]
    assert len(added) == 1
    assert "4 down, 1 up of 16 → 3 → 16" in added[0]
    assert all(isinstance(module, Mixture) for module in tuned.placement.modules())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"experts": 1}, "at least 2"),
        ({"experts": 2.5}, "at least 2"),
        ({"share": "ups"}, "Did you mean 'up'"),
        ({"consistency": -1}, "not below 0"),
        ({"of": BitFit()}, "only an adapter"),
        ({"of": "lorra"}, "Did you mean 'lora'"),
        ({"of": 3}, "give a method such as"),
        ({"of": "adamix"}, "only an adapter"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        AdaMix(**settings)


def test_what_the_single_method_refuses_is_refused(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="no change of it has a higher rank than 16"):
        attach(model, AdaMix(of=LoRA(rank=17)))
    assert not hasattr(model, "tuned_with")
