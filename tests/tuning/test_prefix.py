"""Prefixes against the equation in numpy, real words in the same place, and peft."""

from __future__ import annotations

import copy

import by_hand
import numpy as np
import peft
import pytest
import torch
from filled_prefixes import DIRECT, P, fill, prefixes
from small_tokenizers import NumberedWords

from course_utils.tuning import PrefixTuning, attach
from course_utils.tuning.keys_and_values import attention_blocks


def outputs(output) -> torch.Tensor:
    return output.logits if "logits" in output else output.last_hidden_state


# Against the equation, in numpy.


def in_numpy(tuned) -> list:
    return [
        tuple(table.detach().double().numpy() for table in prefix.table())
        for prefix in prefixes(tuned)
    ]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("plm", ["bert-bare", "gpt2"])
@pytest.mark.parametrize("zero", [False, True])
def test_equals_the_equation(plm, attention, zero, make_plm, make_batch):
    model, batch = make_plm(plm).double(), make_batch(plm, labels=False)
    model.set_attn_implementation(attention)
    weights = by_hand.weights_of(model.base_model)
    tuned = fill(attach(model, DIRECT), scale=0.0 if zero else 1.0)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
    if plm == "gpt2":
        expected = by_hand.gpt2(weights, ids, prefix=in_numpy(tuned))
        got = model.transformer(**batch, position_ids=None).last_hidden_state
    else:
        expected = by_hand.bert(weights, ids, mask, prefix=in_numpy(tuned))
        got = tuned(**batch).last_hidden_state
    real = mask.astype(bool)
    np.testing.assert_allclose(got.detach().numpy()[real], expected[real], atol=1e-10)


@pytest.mark.parametrize("plm", ["bert-lm", "gpt2", "llama", "t5"])
def test_a_prefix_of_zeros_is_not_no_prefix(plm, make_plm, make_batch, output_of):
    """exp(q·0) = 1: each of the P places takes weight from the text and gives nothing for it."""
    model, batch = make_plm(plm, initializer_range=0.5), make_batch(plm, labels=False)
    if plm == "t5":
        before = output_of(model, batch)
    else:
        places = torch.arange(P, P + 7).expand(3, -1)  # so that no difference is due to these
        before = output_of(model, batch | {"position_ids": places})
    after = output_of(fill(attach(model, DIRECT), scale=0.0), batch)
    assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize("plm", ["bert-tagger", "bert-choice", "roberta", "gpt2", "t5-tagger"])
def test_outputs_are_those_of_the_given_tokens(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm)
    bare = model(**batch, output_hidden_states=True)
    tuned = fill(attach(model, DIRECT))
    output = tuned(**batch, output_hidden_states=True)
    assert output.logits.shape == bare.logits.shape
    assert [h.shape for h in output.hidden_states] == [h.shape for h in bare.hidden_states]
    assert (output.logits - bare.logits).abs().max() > 1e-4
    output.loss.backward()
    tables = [table for prefix in prefixes(tuned) for table in prefix.parameters()]
    assert all(table.grad.any() for table in tables)


def test_attention_weights_have_the_prefix_first_and_sum_to_one(make_plm):
    model = make_plm("gpt2")
    model.set_attn_implementation("eager")
    tuned = fill(attach(model, DIRECT))
    maps = tuned(input_ids=torch.tensor([[7, 8, 9]]), output_attentions=True).attentions
    assert len(maps) == 2
    for weights in maps:
        assert weights.shape == (1, 4, 3, P + 3)
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 4, 3))
        assert (weights[..., :P] > 0).all()
        assert torch.equal(weights[0, 0, 0, P:] > 0, torch.tensor([True, False, False]))


# Against words in the same place.

WORDS = "w11 w12 w13 w14"
IDS = torch.tensor([11, 12, 13, 14])


def from_words(model, mlp: int = 0, **settings):
    method = PrefixTuning(length=P, mlp=mlp, init="text", text=WORDS, **settings)
    return attach(model, method, tokenizer=NumberedWords())


@pytest.mark.parametrize("mlp", [0, 9])
@pytest.mark.parametrize("plm", ["gpt2", "gpt2-classifier", "llama", "mistral", "qwen2"])
def test_activations_of_words_are_those_words_to_a_causal_plm(plm, mlp, make_plm, make_batch):
    """Masks, positions (learnt and rotary) and grouped heads are all as for real tokens."""
    model, batch = make_plm(plm).double(), make_batch(plm, labels=False)
    front = IDS.expand(3, -1)
    longer = {
        "input_ids": torch.cat((front, batch["input_ids"]), 1),
        "attention_mask": torch.cat((torch.ones_like(front), batch["attention_mask"]), 1),
    }
    expected = model(**longer).logits
    got = from_words(model.train(), mlp).eval()(**batch).logits
    assert model.training is False
    if plm == "gpt2-classifier":
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    else:
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(got[real], expected[:, P:][real], rtol=1e-5, atol=1e-6)


def test_of_a_short_text_the_words_repeat_and_a_long_one_is_cut(make_plm):
    model = make_plm("gpt2")
    starts = []
    for length, text in ((5, "w11 w12 w13"), (5, "w11 w12 w13 w11 w12 w13 w14")):
        method = PrefixTuning(length=length, mlp=0, init="text", text=text)
        tuned = attach(model, method, tokenizer=NumberedWords())
        starts.append([table.detach().clone() for table in prefixes(tuned)[0].table()])
        tuned.detach()
    assert torch.equal(starts[0][0], starts[1][0])
    assert starts[0][0].shape == (5, 16)


# Every attention block of T5, alone.


def t5_bias(table: np.ndarray, tokens: int, *, causal: bool) -> np.ndarray:
    """(1, h, T, P+T): the bias by distance, the prefix before the text; exact below 8 places."""
    distance = np.arange(P + tokens)[None, :] - np.arange(P, P + tokens)[:, None]
    bucket = np.maximum(-distance, 0) if causal else np.abs(distance) + 16 * (distance > 0)
    return table[bucket].transpose(2, 0, 1)[None]


def t5_attention(host, prefix, states, memory, bias, visible) -> np.ndarray:
    """What an attention block makes of `states` (B, T, d), from its weights alone."""
    w = by_hand.weights_of(host)
    heads = lambda t: t.reshape(*t.shape[:2], 4, -1).transpose(0, 2, 1, 3)  # noqa: E731
    q, k, v = states @ w["q.weight"].T, memory @ w["k.weight"].T, memory @ w["v.weight"].T
    k, v, seen = by_hand.in_front(prefix, k, v, visible)
    scores = heads(q) @ heads(k).transpose(0, 1, 3, 2) + bias  # T5 does not scale
    out = by_hand.softmax(np.where(seen, scores, -1e30)) @ heads(v)
    return out.transpose(0, 2, 1, 3).reshape(*states.shape) @ w["o.weight"].T


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_attention_of_t5_equals_the_equation(attention, make_plm):
    model = make_plm("t5").double()
    for stack in (model, model.encoder, model.decoder):
        stack.set_attn_implementation(attention)
    tuned = fill(attach(model, DIRECT))
    seen = {}

    def listen(host, args, kwargs, output):
        seen[host] = (args[0], kwargs.get("key_value_states"), output[0])

    blocks = attention_blocks(tuned.placement.sites)
    hosts = [tuned.placement.around(block.key) for _, block in blocks]
    for host in hosts:
        host.register_forward_hook(listen, with_kwargs=True)
    ids, mask = torch.tensor([[7, 8, 9, 10], [21, 22, 0, 0]]), torch.tensor([[1] * 4, [1, 1, 0, 0]])
    target = torch.tensor([[0, 31, 32], [0, 33, 34]])
    tuned(input_ids=ids, attention_mask=mask, decoder_input_ids=target)
    assert [kind for kind, _ in blocks] == ["encoder"] * 2 + ["decoder", "cross"] * 2
    text, causal = mask.numpy()[:, None, None].astype(bool), np.tril(np.ones((3, 3), bool))
    for (kind, _), host, prefix in zip(blocks, hosts, in_numpy(tuned), strict=True):
        states, memory, got = (None if t is None else t.detach().numpy() for t in seen[host])
        first = model.get_submodule("decoder" if kind == "decoder" else "encoder").block[0]
        table = first.layer[0].SelfAttention.relative_attention_bias.weight.detach().numpy()
        if kind == "cross":
            bias, visible = 0.0, np.repeat(text, 3, axis=2)
        else:
            memory, visible = states, text if kind == "encoder" else causal[None, None]
            bias = t5_bias(table, states.shape[1], causal=kind == "decoder")
        expected = t5_attention(host, prefix, states, memory, bias, visible)
        np.testing.assert_allclose(got, expected, atol=1e-6)  # older T5: softmax in float32


# Against peft.

PEFT = [
    (*case, mlp)
    for mlp in (0, 9)
    for case in (
        ("bert-bare", "FEATURE_EXTRACTION", {}),
        ("roberta-bare", "FEATURE_EXTRACTION", {}),
        ("gpt2", "CAUSAL_LM", {}),
        ("llama", "CAUSAL_LM", {"num_key_value_heads": 4 if mlp else 2}),  # of 4 for queries
    )
]


def counterparts(tuned, encoder) -> list:
    """(our parameter, peft's, which part of it); peft keeps all layers in one table."""
    whole, pairs = slice(None), []
    for i, prefix in enumerate(prefixes(tuned)):
        w = prefix.table()[0].shape[1]
        if encoder.prefix_projection:
            rows, last = slice(2 * i * w, 2 * (i + 1) * w), encoder.transform[2]
            pairs += [(prefix.linear.weight, last.weight, rows)]
            pairs += [(prefix.linear.bias, last.bias, rows)]
        else:
            table, start = encoder.embedding.weight, 2 * i * w
            pairs += [(prefix.keys, table, (whole, slice(start, start + w)))]
            pairs += [(prefix.values, table, (whole, slice(start + w, start + 2 * w)))]
    if encoder.prefix_projection:
        trunk, first = prefixes(tuned)[0].trunk, encoder.transform[0]
        pairs += [(trunk.E, encoder.embedding.weight, whole)]
        pairs += [(trunk.linear.weight, first.weight, whole)]
        pairs += [(trunk.linear.bias, first.bias, whole)]
    return pairs


@pytest.mark.parametrize(("plm", "task", "changes", "mlp"), PEFT)
def test_equals_peft(plm, task, changes, mlp, make_plm, make_batch):
    """Forward and gradients. Where peft differs: it starts from a standard normal, has no dropout,
    makes E as wide as the keys even where those are fewer heads (ours is as wide as the PLM, like
    the paper's), takes RoBERTa's padding for text, and gives T5 a prefix in the decoder's
    self-attention only."""
    model, batch = make_plm(plm, **changes), make_batch(plm, labels=False)
    if plm == "roberta-bare":
        batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
        batch["input_ids"] = batch["input_ids"].clamp(min=5)
    settings = peft.PrefixTuningConfig(
        task_type=task,
        num_virtual_tokens=P,
        prefix_projection=bool(mlp),
        encoder_hidden_size=mlp or None,
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    encoder = theirs.prompt_encoder["default"]
    ours = attach(model, PrefixTuning(length=P, mlp=mlp))
    pairs = counterparts(ours, encoder)
    with torch.no_grad():
        for mine, other, part in pairs:
            mine.copy_(other[part])
    expected, got = outputs(theirs(**batch)), outputs(ours(**batch))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(0))
    (expected * weights).sum().backward()
    (got * weights).sum().backward()
    for mine, other, part in pairs:
        torch.testing.assert_close(mine.grad, other.grad[part], rtol=1e-3, atol=1e-5)
