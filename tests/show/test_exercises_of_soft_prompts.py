"""Notebook 11: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from course_utils.show.exercises import soft_prompts as exercises


def prepend(prompt, embeds, mask, *, behind=False, longer_mask=True, seen=1):
    rows = prompt.expand(len(embeds), -1, -1)
    pair = (embeds, rows) if behind else (rows, embeds)
    front = seen * mask.new_ones(len(mask), len(prompt))
    return torch.cat(pair, 1), torch.cat((front, mask), 1) if longer_mask else mask


def nearest(vectors, table):
    return (F.normalize(vectors, dim=-1) @ F.normalize(table, dim=-1).T).argmax(-1)


def at_the_gap(model, prompt, ids, gap, *, moved=True, twice=False, use=True):
    words = model.bert.embeddings(ids) if twice else model.get_input_embeddings()(ids)
    if not use:
        return model(inputs_embeds=words).logits[torch.arange(len(ids)), gap]
    longer = torch.cat((prompt.expand(len(ids), -1, -1), words), 1)
    place = gap + len(prompt) if moved else gap
    return model(inputs_embeds=longer).logits[torch.arange(len(ids)), place]


CHECKS = {
    exercises.check_prepend: (
        prepend,
        {
            "belongs in front": lambda *a: prepend(*a, behind=True),
            "mask grows, too": lambda *a: prepend(*a, longer_mask=False),
            "must be seen": lambda *a: prepend(*a, seen=0),
            "Two things come back": lambda *a: prepend(*a)[0],
            "Every row gets the same prompt": lambda p, e, m: prepend(torch.zeros_like(p), e, m),
        },
    ),
    exercises.check_nearest: (
        nearest,
        {
            "largest dot product": lambda v, t: (v @ t.T).argmax(-1),
            "smallest distance": lambda v, t: torch.cdist(v, t).argmin(-1),
            "farthest": lambda v, t: (F.normalize(v, dim=-1) @ F.normalize(t, dim=-1).T).argmin(-1),
            "One number for each vector": lambda v, t: v @ t.T,
        },
    ),
    exercises.check_sizes: (
        lambda P, d, L: (P * d, 2 * P * d * L),
        {
            "before the first layer only": lambda P, d, L: (P * d * L, 2 * P * d * L),
            "half of a prefix": lambda P, d, L: (P * d, P * d * L),
            "in a prefix; you give": lambda P, d, L: (P * d, 2 * P * d),
        },
    ),
    exercises.check_at_the_gap: (
        at_the_gap,
        {
            "read at the old place. With": lambda *a: at_the_gap(*a, moved=False),
            "Embedded twice: use": lambda *a: at_the_gap(*a, twice=True),
            "and read at the old place": lambda *a: at_the_gap(*a, twice=True, moved=False),
            "No prompt in sight": lambda *a: at_the_gap(*a, use=False),
        },
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_solution_is_right(check):
    verdict = check(CHECKS[check][0])
    assert verdict.state == "right", verdict


@pytest.mark.parametrize(
    ("check", "advice", "wrong"),
    [(check, advice, f) for check, (_, wrongs) in CHECKS.items() for advice, f in wrongs.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_typical_mistake_is_told_apart(check, advice, wrong):
    verdict = check(wrong)
    assert verdict.state == "not yet"
    assert re.search(advice, verdict.text), verdict.text


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_not_written_is_open(check):
    def empty(*arguments):
        raise NotImplementedError

    assert check(empty).state == "open"
    assert check(lambda *arguments: None).state == "open"
