"""BERT and GPT-2 in plain numpy, float64, with a place for an adapter in every sub-layer.

Written from the papers' equations, and from the models' weights alone: nothing of torch's modules
and hooks is used, so that an adapter at a wrong place can't be wrong twice.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf


def weights_of(model) -> dict[str, np.ndarray]:
    """A copy of each, so that changing one changes no model."""
    return {name: t.detach().double().numpy().copy() for name, t in model.state_dict().items()}


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def relu(x):
    return np.maximum(x, 0)


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(centred.var(-1, keepdims=True) + eps) * weight + bias


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v, heads, visible):
    """q (B, T, d); k, v (B, S, d); visible (B or 1, 1, T or 1, S) of booleans -> (B, T, d)."""
    rows, tokens, d = q.shape
    q, k, v = (t.reshape(rows, t.shape[1], heads, -1).transpose(0, 2, 1, 3) for t in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // heads)
    out = softmax(np.where(visible, scores, -1e30)) @ v
    return out.transpose(0, 2, 1, 3).reshape(rows, tokens, d)


def in_front(prefix, k, v, visible):
    """Keys and values (B, P+T, d) with those of `prefix`, (P, d) each, first and all visible."""
    if prefix is None:
        return k, v, visible
    rows = np.ones((len(k), 1, 1))
    seen = np.ones((*visible.shape[:3], len(prefix[0])), bool)
    k, v = (np.concatenate((rows * p, t), 1) for p, t in zip(prefix, (k, v), strict=True))
    return k, v, np.concatenate((seen, visible), -1)


def same(i, h):
    """No adapter behind the attention."""
    return h


def bert(w, ids, mask, *, heads=4, eps=1e-12, after_attention=same, end=None, prefix=None):
    """Last hidden states (B, T, d) of a BertModel with state dict `w`.

    Args:
        after_attention: f(layer, h) -> h, before the addition.
        end: f(layer, h, z, u, x, norm) -> the layer's output, of the FFN's output h, its activation
            z, its input u, the residual x and the last norm.
        prefix: (keys, values) of each layer, (P, d) each; the text is then at positions P, P+1 ...
    """
    tokens, first = ids.shape[1], len(prefix[0][0]) if prefix else 0
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][first : first + tokens]
    x = x + w["embeddings.token_type_embeddings.weight"][0]

    def norm(name):
        return lambda s: layer_norm(s, w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def linear(name, t):
        return t @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = norm("embeddings.LayerNorm")(x)
    visible = mask[:, None, None, :].astype(bool)
    layers = 1 + max(int(n.split(".")[2]) for n in w if n.startswith("encoder.layer."))
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        q, k, v = (linear(f"{layer}.attention.self.{p}", x) for p in ("query", "key", "value"))
        k, v, seen = in_front(prefix[i] if prefix else None, k, v, visible)
        a = linear(f"{layer}.attention.output.dense", attention(q, k, v, heads, seen))
        x = norm(f"{layer}.attention.output.LayerNorm")(after_attention(i, a) + x)
        z = gelu(linear(f"{layer}.intermediate.dense", x))
        h = linear(f"{layer}.output.dense", z)
        last = norm(f"{layer}.output.LayerNorm")
        x = last(h + x) if end is None else end(i, h=h, z=z, u=x, x=x, norm=last)
    return x


def gpt2(w, ids, *, heads=4, eps=1e-5, after_attention=same, end=None, prefix=None):
    """Last hidden states (B, T, d), behind the last norm, of a GPT2Model with state dict `w`.

    Arguments as for `bert`; `norm` is the last norm of the model, not of the layer.
    """
    tokens, first = ids.shape[1], len(prefix[0][0]) if prefix else 0

    def norm(name):
        return lambda s: layer_norm(s, w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def conv(name, t):  # GPT-2 stores (in, out)
        return t @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][first : first + tokens]
    visible = np.tril(np.ones((tokens, tokens), bool))[None, None]
    layers = 1 + max(int(n.split(".")[1]) for n in w if n.startswith("h."))
    for i in range(layers):
        q, k, v = np.split(conv(f"h.{i}.attn.c_attn", norm(f"h.{i}.ln_1")(x)), 3, axis=-1)
        k, v, seen = in_front(prefix[i] if prefix else None, k, v, visible)
        a = conv(f"h.{i}.attn.c_proj", attention(q, k, v, heads, seen))
        x = after_attention(i, a) + x
        u = norm(f"h.{i}.ln_2")(x)
        z = gelu_tanh(conv(f"h.{i}.mlp.c_fc", u))
        h = conv(f"h.{i}.mlp.c_proj", z)
        x = h + x if end is None else end(i, h=h, z=z, u=u, x=x, norm=None)
    return norm("ln_f")(x)
