"""UniPELT: the whole of it worked out in numpy, its gates, and where it can't be."""

from __future__ import annotations

import by_hand
import numpy as np
import pytest
import torch
from small_plms import make

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.tuning import UniPELT, attach, load_tuned

SMALL = {"bottleneck": 3, "length": 4, "rank": 2}


def attached(method: UniPELT, plm: str = "bert-bare"):
    """Attached to a small PLM, every trained number moved away from its start."""
    tuned = attach(make(plm), method).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in tuned.trainable_parameters():
            p.add_(torch.randn(p.shape, generator=generator), alpha=0.5)
    return tuned


def numbers(module) -> list[np.ndarray]:
    return [module.weight.detach().double().numpy(), module.bias.detach().double().numpy()]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def worked_out(tuned, ids: np.ndarray) -> np.ndarray:
    """The last hidden states of one text without padding, (1, T, d), from the equations."""
    w = by_hand.weights_of(tuned.plm)
    P = tuned.method.length

    def norm(name):
        return lambda s: by_hand.layer_norm(s, w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][P : P + ids.shape[1]]
    x = norm("embeddings.LayerNorm")(x + w["embeddings.token_type_embeddings.weight"][0])
    for i, layer in enumerate(tuned.plm.encoder.layer):
        block, last = layer.attention.self, layer.output.LayerNorm
        W, b = numbers(layer.attention.self.gates.linear)
        gates = sigmoid(x @ W.T + b).mean(1)[0]  # (parts,)
        g = dict(zip(layer.attention.self.gates.parts, gates, strict=True))
        name = f"encoder.layer.{i}"

        def linear(path, t, name=name):
            return t @ w[f"{name}.{path}.weight"].T + w[f"{name}.{path}.bias"]

        def mapped(part, x=x, g=g, block=block, linear=linear):
            h = linear(f"attention.self.{part}", x)
            if "lora" in g and part != "key":
                update = getattr(block, part).lora
                A, B = (t.detach().double().numpy() for t in (update.A, update.B))
                h = h + g["lora"] * (x @ A.T) @ B.T
            return h

        keys, values = (g["prefix"] * t.detach().double().numpy() for t in block.prefix.table())
        q, k, v = (mapped(part) for part in ("query", "key", "value"))
        k, v = np.concatenate((keys[None], k), 1), np.concatenate((values[None], v), 1)
        heads = tuned.config.num_attention_heads
        seen = np.ones((1, 1, 1, k.shape[1]), bool)
        a = linear("attention.output.dense", by_hand.attention(q, k, v, heads, seen))
        u = norm(f"{name}.attention.output.LayerNorm")(a + x)
        s = linear("output.dense", by_hand.gelu(linear("intermediate.dense", u))) + u
        normed = norm(f"{name}.output.LayerNorm")
        (W1, b1), (W2, b2) = numbers(last.adapter.down), numbers(last.adapter.up)
        inner = by_hand.relu(normed(s) @ W1.T + b1)
        x = normed(s + g["adapter"] * (inner @ W2.T + b2))
    return x


@pytest.mark.parametrize("parts", ["AP", "APL"])
@pytest.mark.parametrize("mlp", [0, 6])
def test_equals_the_equations(parts, mlp):
    tuned = attached(UniPELT(parts=parts, mlp=mlp, **SMALL)).double()
    ids = torch.randint(5, 40, (1, 7), generator=torch.Generator().manual_seed(0))
    got = tuned(input_ids=ids).last_hidden_state
    np.testing.assert_allclose(got.detach().numpy(), worked_out(tuned, ids.numpy()), atol=1e-9)


@pytest.mark.parametrize("plm", ["bert-bare", "roberta-bare"])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_padding_has_no_say(plm, implementation):
    tuned = attached(UniPELT(mlp=0, **SMALL), plm)
    tuned.plm.set_attn_implementation(implementation)
    pad = 1 if plm.startswith("roberta") else 0
    ids = torch.randint(5, 40, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    batch = tuned(input_ids=ids.masked_fill(mask == 0, pad), attention_mask=mask)
    alone = tuned(input_ids=ids[1:, :5])
    torch.testing.assert_close(batch.last_hidden_state[1:, :5], alone.last_hidden_state)


def test_closed_gates_are_the_plain_plm_behind_prefixes_of_zeros():
    """With every gate at 0 adapter and LoRA do nothing, and keys and values are zeros."""
    tuned, zeros = attached(UniPELT(mlp=0, **SMALL)), attached(UniPELT(mlp=0, **SMALL))
    with torch.no_grad():
        for layer in tuned.plm.encoder.layer:
            layer.attention.self.gates.linear.bias.fill_(-1e4)
        for layer in zeros.plm.encoder.layer:
            for p in layer.attention.self.prefix.parameters():
                p.zero_()
            for part in ("query", "value"):
                getattr(layer.attention.self, part).lora.B.zero_()
            for p in layer.output.LayerNorm.adapter.parameters():
                p.zero_()
    ids = torch.arange(5, 12)[None]
    states = [one(input_ids=ids).last_hidden_state for one in (tuned, zeros)]
    torch.testing.assert_close(*states)


def test_every_gate_learns():
    tuned = attached(UniPELT(mlp=0, **SMALL))
    tuned(input_ids=torch.arange(5, 12)[None]).last_hidden_state.pow(2).sum().backward()
    for layer in tuned.plm.encoder.layer:
        gradient = layer.attention.self.gates.linear.weight.grad
        assert gradient.shape[0] == 3
        assert (gradient.abs().sum(1) > 0).all()


def test_the_count_is_that_of_the_parts_and_the_gates():
    plm, _ = load_plm("pocket-bert-tiny")
    method = UniPELT(length=5, mlp=0, rank=2, reduction=8)
    parts = sum(part.count(plm) for part in method.methods)
    assert method.count(plm) == parts + 2 * 3 * (48 + 1)
    tuned = attach(plm, method)
    assert tuned.count() - tuned.head_count() == method.count(plm)


def test_without_lora_there_is_none():
    tuned = attached(UniPELT(parts="AP", mlp=0, **SMALL))
    assert not any("lora" in name for name in tuned.trained_names())
    assert UniPELT(parts="AP").methods == UniPELT().methods[:2]


def test_what_is_kept_has_no_mlp(tmp_path):
    tuned = attached(UniPELT(mlp=6, **SMALL))
    loaded = load_tuned(make("bert-bare"), tuned.save(tmp_path)).eval()
    assert loaded.method == UniPELT(mlp=0, **SMALL)
    ids = torch.arange(5, 12)[None]
    states = [one(input_ids=ids).last_hidden_state for one in (tuned, loaded)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


@pytest.mark.parametrize("plm", ["gpt2", "llama", "t5"])
def test_a_decoder_is_refused(plm):
    with pytest.raises(CourseError, match="weighs its parts by the whole text"):
        attach(make(plm), UniPELT(**SMALL))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parts": "LAP"}, "unknown UniPELT parts 'LAP'"),
        ({"rank": 0}, "the rank is a whole number"),
        ({"length": 0}, "the length is a whole number"),
        ({"reduction": 0}, "whole number from 1"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(CourseError, match=says):
        UniPELT(**settings)
