"""Self-checks of notebook 10."""

from __future__ import annotations

import math

import torch

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_prefix_sizes(prefix_sizes) -> str:
    """`prefix_sizes(P, L, d, k)`: numbers kept, and numbers trained with an MLP of width k."""
    for P, L, d, k in ((20, 24, 1024, 512), (10, 6, 160, 64)):
        given = tuple(open_if_none(prefix_sizes(P, L, d, k)))
        expect(len(given) == 2, f"Two numbers: kept and trained. You give {len(given)}.")
        kept, trained = given
        right = 2 * P * L * d
        about = f"For P={P}, L={L}, d={d}, k={k}: "
        expect(
            kept != P * L * d,
            about + "half of what is kept. Each place has a key and a value.",
        )
        expect(
            kept != P * d and kept != 2 * P * d,
            about + "that is one layer's. A prefix stands in every layer.",
        )
        expect(kept == right, about + f"{right:,} numbers are kept; you give {kept:,}.")
        embedding, first, last = P * d, (d + 1) * k, (k + 1) * 2 * L * d
        expect(
            trained != P * d + d * k + k * 2 * L * d,
            about + "nearly: both layers of the MLP have a bias, k and 2·L·d numbers more.",
        )
        expect(
            trained != first + last,
            about + "the MLP alone. Its input is trained, too: a table of P vectors of size d.",
        )
        expect(
            trained == embedding + first + last,
            about + f"{embedding + first + last:,} numbers are trained; you give {trained:,}. "
            "A table P × d, a layer d → k, a layer k → 2·L·d, each layer with its bias.",
        )
    return "983,040 numbers for BERT-large and P = 20: that many P-tuning v2 keeps, and trains."


@self_check
def check_attend(attend) -> str:
    """`attend(q, K, V, P_k, P_v)`: one head over prefix and text."""
    draw = torch.Generator().manual_seed(1)
    for tokens, places, size in ((5, 3, 4), (1, 2, 8)):
        q, K, V = (torch.randn(tokens, size, generator=draw) for _ in range(3))
        P_k, P_v = (torch.randn(places, size, generator=draw) for _ in range(2))
        given = torch.as_tensor(open_if_none(attend(q, K, V, P_k, P_v)))
        keys, values = torch.cat((P_k, K)), torch.cat((P_v, V))
        right = (q @ keys.T / math.sqrt(size)).softmax(-1) @ values
        expect(
            given.shape == right.shape,
            f"{tokens} tokens of size {size} go in and come out; yours has shape "
            f"{tuple(given.shape)}. The prefix is looked at, it does not look.",
        )
        text = (q @ K.T / math.sqrt(size)).softmax(-1) @ V
        prefix = (q @ P_k.T / math.sqrt(size)).softmax(-1) @ P_v
        wrong = {
            "That is the text alone: put P_k in front of K and P_v in front of V.": text,
            "You forgot to divide by the square root of d_h.": (q @ keys.T).softmax(-1) @ values,
            "You attend to prefix and text apart and add the two. One softmax goes over both, so "
            "that they share the weight.": text + prefix,
            "You take the mean of the two attentions. λ differs from token to token; one softmax "
            "over both finds it.": (text + prefix) / 2,
            "Softmax over the last dimension: each token's weights sum to 1.": (
                (q @ keys.T / math.sqrt(size)).softmax(0) @ values
            ),
        }
        for advice, other in wrong.items():
            expect(not given.allclose(other, atol=1e-5) or right.allclose(other), advice)
        expect(given.allclose(right, atol=1e-5), "Not the equation above; compare step by step.")
    return "This is all that prefix tuning changes in a PLM."


@self_check
def check_zero_factor(zero_factor) -> str:
    """`zero_factor(scores, P)`: by what a prefix of zeros multiplies a head's output."""
    for scores in (
        torch.tensor([0.0, 0.0, 0.0]),
        torch.tensor([2.0, -1.0, 0.5, 3.0]),
        torch.tensor([-6.0, -7.0]),
    ):
        for P in (1, 8):
            given = float(torch.as_tensor(open_if_none(zero_factor(scores.clone(), P))))
            Z, T = scores.exp().sum().item(), len(scores)
            right = Z / (Z + P)
            about = f"For scores {[round(s, 1) for s in scores.tolist()]} and P={P}: "
            expect(
                _near(right, P / (Z + P)) or not _near(given, P / (Z + P)),
                about + "that is λ, the share of the prefix. The output keeps 1 - λ.",
            )
            expect(
                _near(right, T / (T + P)) or not _near(given, T / (T + P)),
                about + "this counts places. A text token counts with exp of its score; only the "
                "zeros count exp(0) = 1.",
            )
            expect(
                given != 1.0,
                about + "nothing changes, you say. But exp(0) is 1, not 0: each place of zeros "
                "takes part in the softmax.",
            )
            expect(
                _near(given, right),
                about + f"{right:.4f} is right, you give {given:.4f}. The sum under the fraction "
                "has T terms exp(score) and P terms exp(0).",
            )
    large = float(torch.as_tensor(zero_factor(torch.tensor([200.0, 199.0]), 8)))
    expect(
        _near(large, 1.0),
        "Right for small scores, but exp(200) is too large for a float. In "
        "sigmoid(logsumexp(scores) - log P) nothing overflows.",
    )
    return "Heads that are sure (large scores) hardly notice zeros; undecided ones shrink."


@self_check
def check_read_each(read_each) -> str:
    """`read_each(model, prefix, texts)`: logits after each text, the prefix in front of each."""
    from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 20, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2}
    settings = GPT2Config(**sizes, bos_token_id=0, eos_token_id=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings.initializer_range = 0.5
        model = GPT2LMHeadModel(settings).eval()
        prefix = [tuple(torch.randn(1, 2, 3, 8) for _ in range(2)) for _ in range(2)]
        texts = [torch.randint(20, (1, tokens)) for tokens in (4, 4, 2)]

    def filled() -> DynamicCache:
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(prefix):
            cache.update(keys.clone(), values.clone(), layer)
        return cache

    with torch.no_grad():
        right = [model(input_ids=ids, past_key_values=filled()).logits[0, -1] for ids in texts]
        bare = [model(input_ids=ids).logits[0, -1] for ids in texts]
        kept = filled()
        grown = [model(input_ids=ids, past_key_values=kept).logits[0, -1] for ids in texts]
        given = list(open_if_none(read_each(model, prefix, texts)))
    expect(len(given) == len(texts), f"{len(texts)} texts, so as many rows of logits.")
    given = [torch.as_tensor(row).flatten() for row in given]
    expect(
        all(row.shape == right[0].shape for row in given),
        f"The logits after the last token, {tuple(right[0].shape)}, for each text.",
    )
    expect(
        not all(a.allclose(b, atol=1e-4) for a, b in zip(given, bare, strict=True)),
        "No prefix in sight: give the model the filled cache as past_key_values.",
    )
    expect(
        not all(a.allclose(b, atol=1e-4) for a, b in zip(given, grown, strict=True)),
        "The first text is right; the second also sees the first. A cache grows with every call: "
        "fill a new one for each text.",
    )
    expect(
        all(a.allclose(b, atol=1e-4) for a, b in zip(given, right, strict=True)),
        "Not the logits of each text behind the prefix. For each text: an empty DynamicCache, one "
        "update per layer, one call, the logits of the last token.",
    )
    return "A cache is written to by whoever gets it. The kit keeps none: see keys_and_values.py."


def _near(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=1e-4)
