"""Self-checks of notebook 11."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_prepend(prepend) -> str:
    """`prepend(prompt, embeds, mask)`: vectors in front of a batch, and its mask."""
    draw = torch.Generator().manual_seed(1)
    prompt = torch.randn(3, 4, generator=draw)
    embeds = torch.randn(2, 5, 4, generator=draw)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    given = open_if_none(prepend(prompt.clone(), embeds.clone(), mask.clone()))
    expect(
        isinstance(given, tuple | list) and len(given) == 2,
        "Two things come back: the longer embeddings and the longer mask.",
    )
    longer, seen = (torch.as_tensor(one) for one in given)
    expect(
        longer.shape == (2, 8, 4),
        f"Embeddings of shape (2, 8, 4): 3 vectors before 5 tokens in each of 2 rows; yours have "
        f"{tuple(longer.shape)}.",
    )
    expect(
        not torch.equal(longer[:, :5], embeds),
        "The prompt stands behind the text. It belongs in front.",
    )
    expect(
        torch.equal(longer[0, :3], prompt) and torch.equal(longer[1, :3], prompt),
        "Every row gets the same prompt, in front; yours differ from it.",
    )
    expect(torch.equal(longer[:, 3:], embeds), "The text behind the prompt has changed.")
    expect(
        seen.shape == (2, 8),
        f"The mask grows, too: (2, 8), and yours is {tuple(seen.shape)}. Without it the PLM would "
        "take the last tokens for padding, or refuse.",
    )
    expect(
        bool((seen[:, :3] == 1).all()),
        "The prompt must be seen: ones in front of the mask, in rows with padding as well.",
    )
    expect(torch.equal(seen[:, 3:].long(), mask), "What was padding before is padding still.")
    return "This is all of prompt tuning's forward pass. The rest is gradient descent."


@self_check
def check_nearest(nearest) -> str:
    """`nearest(vectors, table)`: for each vector the row of the table with the largest cosine."""
    table = torch.tensor([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.2], [0.6, 0.7]])
    vectors = torch.tensor([[0.1, 0.09], [0.2, 0.02], [-9.0, 1.0]])
    given = torch.as_tensor(open_if_none(nearest(vectors.clone(), table.clone())))
    cosine = F.normalize(vectors, dim=-1) @ F.normalize(table, dim=-1).T
    right = cosine.argmax(-1)
    expect(
        given.shape == right.shape,
        f"One number for each vector, shape (3,); yours has {tuple(given.shape)}.",
    )
    given = given.long()
    wrong = {
        "That is the largest dot product: long rows win. A cosine divides by both lengths.": (
            (vectors @ table.T).argmax(-1)
        ),
        "That is the smallest distance, which depends on lengths. A prompt's vectors may be much "
        "longer than words.": torch.cdist(vectors, table).argmin(-1),
        "These are the farthest: argmax, not argmin.": cosine.argmin(-1),
    }
    for advice, other in wrong.items():
        expect(not torch.equal(given, other) or torch.equal(other, right), advice)
    expect(
        torch.equal(given, right), f"Rows {right.tolist()} are right, you give {given.tolist()}."
    )
    return "Two lines, and the beginning of much over-interpretation."


@self_check
def check_sizes(sizes) -> str:
    """`sizes(P, d, L)`: numbers of a soft prompt, and of a prefix of the same length."""
    for P, d, L in ((20, 1024, 24), (100, 4096, 32)):
        given = tuple(open_if_none(sizes(P, d, L)))
        expect(len(given) == 2, f"Two numbers: soft prompt and prefix. You give {len(given)}.")
        soft, prefix = given
        about = f"For P={P}, d={d}, L={L}: "
        expect(
            soft != P * d * L,
            about + "a soft prompt stands before the first layer only, not in every layer.",
        )
        expect(soft == P * d, about + f"{P * d:,} numbers in a soft prompt; you give {soft:,}.")
        expect(
            prefix != P * d * L,
            about + "half of a prefix: each layer has a key and a value for each place.",
        )
        expect(
            prefix == 2 * P * d * L,
            about + f"{2 * P * d * L:,} numbers in a prefix; you give {prefix:,}.",
        )
    return "20,480 numbers for BERT-large: 80 kB, and 48 times less than the prefix."


@self_check
def check_at_the_gap(at_the_gap) -> str:
    """`at_the_gap(model, prompt, ids, gap)`: the logits at the gap, with a prompt in front."""
    from transformers import BertConfig, BertForMaskedLM

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=20, intermediate_size=32, **shape, initializer_range=0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForMaskedLM(config).eval()
        prompt = 0.5 * torch.randn(3, 16)
        ids = torch.randint(20, (2, 6))
    gap = torch.tensor([4, 2])
    rows, words = torch.arange(2), model.get_input_embeddings()
    with torch.no_grad():
        lookup = torch.cat((prompt.expand(2, -1, -1), words(ids)), 1)
        logits = model(inputs_embeds=lookup).logits
        right, bare = logits[rows, gap + 3], model(input_ids=ids).logits[rows, gap]
        twice = torch.cat((prompt.expand(2, -1, -1), model.bert.embeddings(ids)), 1)
        embedded = model(inputs_embeds=twice).logits
        given = torch.as_tensor(open_if_none(at_the_gap(model, prompt, ids, gap)))
    expect(
        given.shape == right.shape,
        f"The logits at one place in each row, {tuple(right.shape)}; yours are "
        f"{tuple(given.shape)}.",
    )
    wrong = {
        "You read at the old place. With P vectors in front, the gap has moved by P.": (
            logits[rows, gap]
        ),
        "Embedded twice: use the table of words (get_input_embeddings), not the module that also "
        "adds positions and the norm.": embedded[rows, gap + 3],
        "Embedded twice, and read at the old place.": embedded[rows, gap],
        "No prompt in sight: give the PLM inputs_embeds, the prompt and then the words.": bare,
    }
    for advice, other in wrong.items():
        expect(not given.allclose(other, atol=1e-5), advice)
    expect(
        given.allclose(right, atol=1e-5),
        "Not the logits at the gap behind the prompt. Look up the words, put the prompt in front "
        "of every row, call the model with inputs_embeds, read at gap + P.",
    )
    return "The kit cuts the prompt off again, so that no one else has to count."
