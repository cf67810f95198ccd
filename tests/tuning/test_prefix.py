"""Prefixes against numpy, real words in the same place, peft, and themselves without a cache."""

from __future__ import annotations

import copy
from dataclasses import replace

import by_hand
import numpy as np
import peft
import pytest
import safetensors.torch
import small_plms
import small_tasks as small
import small_tokenizers
import torch
import transformers

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel
from course_utils.settings import TrainSettings
from course_utils.training import train
from course_utils.tuning import PrefixTuning, PTuningV2, attach, finished, load_tuned
from course_utils.tuning.keys_and_values import attention_blocks

DIRECT = PrefixTuning(length=4, mlp=0)
P = 4


def prefixes(tuned) -> list:
    """The placed modules in the order of the attention blocks."""
    blocks = attention_blocks(tuned.placement.sites)
    return [tuned.placement.around(block.key).prefix for _, block in blocks]


def fill(tuned, scale: float = 1.0):
    """Keys and values of the size of real ones instead of the small start."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for prefix in prefixes(tuned):
            for table in prefix.parameters():
                table.copy_(torch.randn(table.shape, generator=generator) * scale)
    return tuned


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


class Words:
    """Enough of a tokenizer: w<id> is the token <id>."""

    def __call__(self, text, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [int(word[1:]) for word in text.split() if word.startswith("w")]}


def from_words(model, mlp: int = 0, **settings):
    method = PrefixTuning(length=P, mlp=mlp, init="text", text=WORDS, **settings)
    return attach(model, method, tokenizer=Words())


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
        tuned = attach(model, method, tokenizer=Words())
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


# Caches and generation.

TEXTS = ([7, 8, 9, 10, 11], [21, 22], [31, 32, 33])


def left_padded(texts) -> dict:
    width = max(len(text) for text in texts)
    return {
        "input_ids": torch.tensor([[0] * (width - len(t)) + list(t) for t in texts]),
        "attention_mask": torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in texts]),
    }


def loud(plm: str, make_plm, **changes):
    """A PLM whose choices are far apart, with a prefix that changes them."""
    settings = {"eos_token_id": None} | changes
    settings |= {"initializer_factor": 2.0} if plm == "t5" else {"initializer_range": 0.5}
    return fill(attach(make_plm(plm, **settings), DIRECT))


def token_by_token(tuned, ids: torch.Tensor, steps: int) -> list[int]:
    """Greedy continuation of one unpadded text, everything recomputed at each step."""
    for _ in range(steps):
        logits = tuned(input_ids=ids, use_cache=False).logits
        ids = torch.cat((ids, logits[:, -1:].argmax(-1)), 1)
    return ids[0, -steps:].tolist()


@pytest.mark.parametrize("plm", ["gpt2", "llama", "mistral", "qwen2"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_equals_full_recomputation(plm, use_cache, make_plm):
    changes = {"sliding_window": 4} if plm == "mistral" else {}
    tuned = loud(plm, make_plm, **changes)
    expected = [token_by_token(tuned, torch.tensor([text]), 8) for text in TEXTS]
    settings = {"max_new_tokens": 8, "do_sample": False, "use_cache": use_cache}
    batch = left_padded(TEXTS)
    together = tuned.generate(**batch, **settings)
    assert together[:, batch["input_ids"].shape[1] :].tolist() == expected
    assert torch.equal(together[:, : batch["input_ids"].shape[1]], batch["input_ids"])
    alone = [tuned.generate(torch.tensor([t]), **settings)[0, len(t) :].tolist() for t in TEXTS]
    assert alone == expected
    assert tuned.detach().generate(**batch, **settings).tolist() != together.tolist()


@pytest.mark.parametrize("plm", ["gpt2", "llama", "t5"])
def test_beams_with_cache_equal_beams_without(plm, make_plm):
    tuned = loud(plm, make_plm)
    batch = left_padded(TEXTS)
    settings = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False}
    cached = tuned.generate(**batch, **settings)
    assert torch.equal(cached, tuned.generate(**batch, **settings, use_cache=False))


def test_generation_of_an_encoder_decoder_computes_its_memory_once(make_plm):
    """... and equals full recomputation."""
    tuned = loud("t5", make_plm)
    ids = torch.tensor([[7, 8, 9, 10], [21, 22, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    expected = []
    for text in ([7, 8, 9, 10], [21, 22]):
        written = torch.tensor([[0]])
        for _ in range(6):
            logits = tuned(input_ids=torch.tensor([text]), decoder_input_ids=written).logits
            written = torch.cat((written, logits[:, -1:].argmax(-1)), 1)
        expected.append(written[0].tolist())
    calls = []
    cross = tuned.plm.decoder.block[1].layer[1].EncDecAttention
    cross.k.register_forward_hook(lambda *_: calls.append(1))
    got = tuned.generate(input_ids=ids, attention_mask=mask, max_new_tokens=6, do_sample=False)
    assert got.tolist() == expected
    assert len(calls) == 1


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_a_cache_holds_the_text_alone_and_can_be_continued(plm, make_plm):
    """Two calls with a cache, the second with a left-padded mask, equal one call."""
    tuned = fill(attach(make_plm(plm), DIRECT))
    batch = left_padded(TEXTS)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    whole = tuned(input_ids=ids, attention_mask=mask).logits
    first = tuned(input_ids=ids[:, :3], attention_mask=mask[:, :3], use_cache=True)
    assert first.past_key_values.get_seq_length() == 3
    second = tuned(input_ids=ids[:, 3:], attention_mask=mask, past_key_values=first.past_key_values)
    torch.testing.assert_close(second.logits, whole[:, 3:])
    again = tuned(input_ids=ids, attention_mask=mask)
    assert torch.equal(again.logits, whole)


# Positions.


def test_roberta_counts_from_its_padding_and_skips_it(make_plm):
    model = make_plm("roberta-bare")
    seen = []
    model.embeddings.position_embeddings.register_forward_hook(lambda m, a, o: seen.append(a[0]))
    tuned = attach(model, DIRECT)
    ids = torch.tensor([[7, 8, 9], [7, 1, 1]])
    mask = ids.ne(1).long()
    tuned(input_ids=ids, attention_mask=mask)
    tuned(inputs_embeds=torch.zeros(1, 3, 16))
    tuned(input_ids=ids, position_ids=torch.tensor([[5, 6, 7], [5, 1, 1]]))
    assert seen[0].tolist() == [[6, 7, 8], [6, 1, 1]]
    assert seen[1].tolist() == [[6, 7, 8]]
    assert seen[2].tolist() == [[9, 10, 11], [9, 1, 1]]


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_left_padding_changes_nothing(plm, make_plm):
    tuned = fill(attach(make_plm(plm), DIRECT))
    text = torch.tensor([[9, 8, 7, 6]])
    padded, mask = torch.tensor([[0, 0, 9, 8, 7, 6]]), torch.tensor([[0, 0, 1, 1, 1, 1]])
    alone = tuned(input_ids=text, attention_mask=torch.ones_like(text)).logits
    torch.testing.assert_close(tuned(input_ids=padded, attention_mask=mask).logits[:, 2:], alone)
    torch.testing.assert_close(tuned.plm(input_ids=text).logits, alone)


@pytest.mark.parametrize(("plm", "room"), [("bert", 40), ("roberta", 38), ("gpt2", 40)])
def test_a_text_too_long_is_refused_before_any_work(plm, room, make_plm, make_batch):
    tuned = attach(make_plm(plm), PrefixTuning(length=30, mlp=0))
    assert tuned.max_length == room - 30
    tuned(**make_batch(plm, tokens=room - 30, labels=False))
    with pytest.raises(CourseError, match=f"{room - 29} tokens and a prefix of 30 do not fit"):
        tuned(**make_batch(plm, tokens=room - 29, labels=False))


def test_generation_too_long_is_refused_before_any_work(make_plm):
    tuned = attach(make_plm("gpt2"), PrefixTuning(length=30, mlp=0))
    with pytest.raises(CourseError, match="room for 10"):
        tuned.generate(torch.tensor([[7, 8, 9]]), max_new_tokens=8)


# The MLP, and what is kept of it.


@pytest.mark.parametrize("plm", ["bert", "gpt2", "llama", "t5"])
def test_the_mlp_is_thrown_away(plm, make_plm, make_batch, few_steps, output_of, tmp_path):
    model, batch = make_plm(plm), make_batch(plm)
    fresh = copy.deepcopy(model)
    method = PrefixTuning(length=3, mlp=5, dropout=0.2)
    tuned = attach(model, method)
    few_steps(tuned, batch)
    learnt, head = output_of(tuned, batch), tuned.head_count()
    tuned.save(tmp_path)
    stored = safetensors.torch.load_file(tmp_path / "adapter.safetensors")
    own = {name: t for name, t in stored.items() if ".prefix." in name}
    width = 8 if plm == "llama" else 16
    blocks = 6 if plm == "t5" else 2
    assert sorted({name.rpartition(".")[2] for name in own}) == ["keys", "values"]
    assert [tuple(t.shape) for t in own.values()] == [(3, width)] * 2 * blocks
    loaded = load_tuned(fresh, tmp_path)
    assert loaded.method == replace(method, mlp=0)
    assert loaded.count() == blocks * 2 * 3 * width + head < tuned.count()
    assert torch.equal(output_of(loaded, batch), learnt)
    done = finished(tuned)
    assert done.plm is model
    assert done.count() == loaded.count()
    assert torch.equal(output_of(done, batch), learnt)
    assert finished(done) is done


def test_finishing_keeps_the_mode_and_detaching_the_base(make_plm, make_batch, few_steps):
    model = make_plm("bert")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    tuned = attach(model, PrefixTuning(length=3, mlp=5))
    few_steps(tuned, make_batch("bert"))
    done = finished(tuned.train())
    assert done.training
    assert all(prefix.training for prefix in prefixes(done))
    assert all(torch.equal(t, before[name]) for name, t in done.detach().state_dict().items())


def test_each_kind_of_attention_shares_one_table(make_plm):
    tuned = attach(make_plm("t5"), PrefixTuning(length=3, mlp=5))
    blocks = attention_blocks(tuned.placement.sites)
    trunks = {}
    for (kind, _), prefix in zip(blocks, prefixes(tuned), strict=True):
        trunks.setdefault(kind, set()).add(prefix.trunk)
    assert [len(shared) for shared in trunks.values()] == [1, 1, 1]
    assert len(set.union(*trunks.values())) == 3


def test_starts(make_plm):
    model = make_plm("gpt2", n_embd=64, n_head=4)
    direct = attach(model, PrefixTuning(length=20, mlp=0))
    values = torch.cat([table.flatten() for p in prefixes(direct) for table in p.table()])
    assert values.std().item() == pytest.approx(0.02, rel=0.05)
    direct.detach()
    tuned = attach(model, PrefixTuning(length=20, mlp=32))
    trunk = prefixes(tuned)[0].trunk
    assert trunk.E.std().item() == pytest.approx(1, rel=0.1)
    assert trunk.linear.weight.abs().max().item() == pytest.approx(64**-0.5, rel=0.05)


# Training.


def test_dropout_is_drawn_for_each_row_and_only_in_training(make_plm):
    tuned = attach(make_plm("bert-bare"), PrefixTuning(length=P, mlp=0, dropout=0.5))
    prefix = prefixes(fill(tuned))[0]
    keys = torch.zeros(3, 4, 2, 4)  # (B, h, T, d_h)
    whole = prefix(keys, keys)[0]
    assert whole.shape == (3, 4, P + 2, 4)
    assert torch.equal(whole[0], whole[1])
    prefix.train()
    dropped = prefix(keys, keys)[0]
    assert not torch.equal(dropped[0], dropped[1])
    front = dropped[:, :, :P]
    torch.testing.assert_close(front[front != 0], 2 * whole[:, :, :P][front != 0])
    assert 0.2 < (front == 0).float().mean() < 0.8
    assert (dropped[:, :, P:] == 0).all()


def test_a_task_is_learnt_by_the_trainer():
    """On a PLM that knows nothing, whose head alone gets two thirds right."""
    tuned = attach(small.bert(dropout=0.0), PrefixTuning(length=4, mlp=8))
    assert tuned.max_length == 28
    result = train(
        tuned,
        small.sentiment(256),
        tokenizer=small.tokenizer(),
        settings=TrainSettings(learning_rate=0.1, epochs=15),
        progress=False,
    )
    assert result.dev_score > 0.8
    frozen = tuned.plm.bert.embeddings.word_embeddings.weight
    assert torch.equal(frozen, small.bert(dropout=0.0).bert.embeddings.word_embeddings.weight)


def test_what_training_writes_on_the_way_has_the_mlp(tmp_path):
    task, tokenizer = small.sentiment(), small.tokenizer()

    def run():
        tuned = attach(small.bert(dropout=0.0), PrefixTuning(length=4, mlp=8))
        settings = TrainSettings(learning_rate=1e-2, epochs=3)
        train(tuned, task, tokenizer=tokenizer, settings=settings, output=tmp_path, progress=False)
        return tuned

    tuned, again = run(), run()  # the second finds a finished run and loads it
    names = [name for name in tuned.trained_names() if "prefix" in name]
    assert any("trunk" in name for name in names)
    for name in names:
        assert torch.equal(again.plm.get_parameter(name), tuned.plm.get_parameter(name))


@pytest.mark.parametrize("plm", ["bert", "gpt2"])
def test_behind_a_prompt_in_words(plm):
    tokenizer = getattr(small_tokenizers, plm)()
    model = getattr(small_plms, plm)(tokenizer)
    words = {"negative": "bad", "positive": "great"}
    rows = [{"text": "a dull film", "label": 0}, {"text": "great joy from start", "label": 1}]
    template = "{text} it was {mask}"
    before = PromptModel(model, tokenizer, template, words)
    room, plain = before.max_length, before.predict(rows).scores
    tuned = fill(attach(model, DIRECT))
    prompted = PromptModel(tuned, tokenizer, template, words)
    assert prompted.max_length == room - P
    together = prompted.predict(rows).scores
    alone = torch.cat([prompted.predict([row], batch_size=1).scores for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together - plain).abs().max() > 1e-3
    batch = prompted.collator()([prompted.encode(row) for row in rows])
    prompted(**batch).loss.backward()
    moved = {name for name, p in prompted.named_parameters() if p.grad is not None}
    assert len(moved) == 4
    assert all(".prefix." in name for name in moved)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "whole number from 1"),
        ({"mlp": -1}, "0 is no MLP"),
        ({"dropout": 1.0}, "probability"),
        ({"init": "texts"}, "Did you mean 'text'"),
        ({"init": "text"}, "needs the text"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        PrefixTuning(**settings)


def test_bad_plms_and_texts(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="leaves no room"):
        attach(model, PrefixTuning(length=40))
    with pytest.raises(CourseError, match="needs the tokenizer"):
        attach(model, PrefixTuning(init="text", text="w7"))
    with pytest.raises(CourseError, match="no token"):
        attach(model, PrefixTuning(init="text", text="!"), tokenizer=Words())
    model.config._attn_implementation = "flex_attention"
    with pytest.raises(CourseError, match="attn_implementation='sdpa'"):
        attach(model, PrefixTuning())
    assert not hasattr(model, "tuned_with")
    assert not any("prefix" in name for name, _ in model.named_modules())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("config", "model", "reason"),
    [
        (transformers.DistilBertConfig, transformers.DistilBertModel, "ignores given keys"),
        (transformers.DebertaV2Config, transformers.DebertaV2Model, "DeBERTa"),
    ],
)
@pytest.mark.parametrize("method", [PrefixTuning(), PTuningV2()])
def test_plms_whose_attention_takes_no_prefix(config, model, reason, method):
    with torch.device("meta"):
        plm = model(config(num_hidden_layers=1) if "Deb" in reason else config(n_layers=1))
    with pytest.raises(CourseError, match=reason):
        attach(plm, method)


def test_what_can_not_work_is_said(make_plm):
    tuned = attach(make_plm("gpt2"), DIRECT)
    with pytest.raises(CourseError, match="static one has no room"):
        tuned.generate(
            **left_padded(TEXTS), max_new_tokens=4, cache_implementation="static", do_sample=False
        )
    with pytest.raises(CourseError, match="PrefixTuning can't be merged"):
        tuned.merge()
