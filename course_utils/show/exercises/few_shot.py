"""Self-checks of notebook 03."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_draw(draw) -> str:
    """`draw(query, pool, n_labels, rng)`: one example of each label, never the query."""
    pool = [{"text": f"text {n}", "label": n % 3} for n in (5, 1, 3, 0, 8, 2, 4, 7, 6)]
    query = dict(pool[3])
    seen = set()
    for seed in range(60):
        shown = list(open_if_none(draw(query, list(pool), 3, random.Random(seed))))
        labels = [row["label"] for row in shown]
        expect(len(shown) == 3, f"3 labels, so 3 demonstrations; you give {len(shown)}.")
        expect(
            sorted(labels) == [0, 1, 2],
            f"One of each label; yours have the labels {labels}.",
        )
        expect(labels == [0, 1, 2], f"In label order, 0 1 2; yours come in the order {labels}.")
        expect(
            query["text"] not in [row["text"] for row in shown],
            "The query itself was drawn, with its answer. Training on that teaches copying; leave "
            "out every row with the query's text.",
        )
        seen.add(tuple(row["text"] for row in shown))
    expect(
        len(seen) > 6,
        f"In 60 draws with different seeds there were only {len(seen)} different ones: draw at "
        "random with rng.choice, among all other examples of the label.",
    )
    return "With the query in the pool, training would only teach to copy."


@self_check
def check_most_similar(most_similar) -> str:
    """`most_similar(query, vectors, share)`: row numbers, best first, by cosine."""
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(10, 6, generator=generator) * torch.arange(1, 11).unsqueeze(1)
    query = torch.randn(6, generator=generator)
    likeness = F.cosine_similarity(vectors, query[None])
    for share, count in ((0.5, 5), (0.3, 3), (0.01, 1)):
        given = list(map(int, open_if_none(most_similar(query, vectors, share))))
        right = likeness.argsort(descending=True)[:count].tolist()
        if given == right:
            continue
        by_product = (vectors @ query).argsort(descending=True)[:count].tolist()
        expect(
            given != by_product,
            "You compare by the plain dot product, in which long vectors win. The cosine divides "
            "by both lengths.",
        )
        expect(
            given != likeness.argsort()[:count].tolist(),
            "These are the least similar: sort in descending order.",
        )
        expect(
            len(given) == count,
            f"A share of {share} of 10 rows is {count} (one at least); you give {len(given)}.",
        )
        expect(given != right[::-1], "The right rows, but the most similar should come first.")
        expect(False, f"For a share of {share} rows {right} are right; you give {given}.")
    return "Length says little about meaning; direction does, a bit."


@self_check
def check_candidate_words(candidate_words) -> str:
    """`candidate_words(logits, labels, n_labels, k)`: per label k word ids, likeliest first."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(12, 9, generator=generator)
    labels = torch.tensor([0, 1, 2] * 4)
    given = [
        [int(i) for i in row] for row in open_if_none(candidate_words(logits.clone(), labels, 3, 2))
    ]
    right = [logits[labels == n].mean(0).topk(2).indices.tolist() for n in range(3)]
    shape = (len(given), {len(row) for row in given})
    expect(shape == (3, {2}), "3 labels and k = 2: three rows of two word ids each.")
    overall = logits.mean(0).topk(2).indices.tolist()
    expect(
        given != [overall] * 3,
        "Every label has the same words: take the mean over the rows of one label at a time.",
    )
    likeliest = [logits[labels == n].max(0).values.topk(2).indices.tolist() for n in range(3)]
    expect(
        given == right or given != likeliest,
        "You take the highest logit in any one example. One odd example decides then: take the "
        "mean over the label's examples.",
    )
    expect(
        [sorted(row) for row in given] != [sorted(row) for row in right] or given == right,
        "The right words, but the likeliest should come first.",
    )
    expect(given == right, f"Expected {right}, got {given}.")
    return "The words the PLM itself would use. Whether they tell labels apart is tested next."


@self_check
def check_combinations(combinations, k: int, n_labels: int) -> str:
    """How many ways to give each label one of k candidates."""
    expect(
        combinations != k * n_labels,
        f"{k * n_labels} is how many candidates there are. A combination takes one per label.",
    )
    expect(
        combinations == k**n_labels,
        f"{combinations} was given. For each of the {k} words of the first label there are {k} of "
        "the second, and so on.",
    )
    return f"{k**n_labels:,}: cheap to score, since the logits are worked out once for all of them."
