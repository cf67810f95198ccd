"""Self-checks: right answers pass, typical wrong ones get advice, empty ones stay open."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from course_utils.show.exercises import pretrained_models, tour
from course_utils.show.exercises.verdict import Verdict


def corrupt(ids, mask_id, vocabulary, generator, *, share=0.15, masked=0.8, in_place=False):
    chosen = torch.rand(ids.shape, generator=generator) < share
    fate = torch.rand(ids.shape, generator=generator)
    inputs = ids if in_place else ids.clone()
    inputs[chosen & (fate < masked)] = mask_id
    strange = torch.randint(vocabulary, ids.shape, generator=generator)
    swap = chosen & (fate >= masked) & (fate < (1 + masked) / 2)
    inputs[swap] = strange[swap]
    return inputs, chosen


def loss(logits, ids):
    return F.cross_entropy(logits[:-1], ids[1:])


CASES = [
    (tour.check_lora_count, lambda n, d, r, p: 2 * n * d * r * p),
    (pretrained_models.check_next_token_loss, loss),
    (pretrained_models.check_corrupt, corrupt),
    (pretrained_models.check_training_bytes, lambda n, t: 2 * (n - t) + 16 * t),
]


@pytest.mark.parametrize(("check", "answer"), CASES)
def test_right(check, answer):
    assert check(answer).state == "right"


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("check", [check for check, _ in CASES])
@pytest.mark.parametrize("answer", [unfinished, lambda *arguments: None])
def test_open(check, answer):
    verdict = check(answer)
    assert isinstance(verdict, Verdict)
    assert verdict.state == "open"


@pytest.mark.parametrize(
    ("check", "answer", "advice"),
    [
        (tour.check_lora_count, lambda n, d, r, p: n * d * r * p, "both"),
        (tour.check_lora_count, lambda n, d: 1, "TypeError"),
        (
            pretrained_models.check_next_token_loss,
            lambda logits, ids: F.cross_entropy(logits, ids),
            "already|seen",
        ),
        (
            pretrained_models.check_next_token_loss,
            lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="sum"),
            "sum",
        ),
        (
            pretrained_models.check_corrupt,
            lambda *a: corrupt(*a, in_place=True),
            "clone",
        ),
        (pretrained_models.check_corrupt, lambda *a: corrupt(*a, share=0.3), "15 %"),
        (pretrained_models.check_corrupt, lambda *a: corrupt(*a, masked=1.0), "80 %"),
        (pretrained_models.check_training_bytes, lambda n, t: 16 * n, "frozen"),
    ],
)
def test_typical_mistakes_get_advice(check, answer, advice):
    import re

    verdict = check(answer)
    assert verdict.state == "not yet"
    assert re.search(advice, str(verdict))


def test_numbers():
    assert tour.check_share(..., 10, 1000).state == "open"
    assert tour.check_share(1.0, 10, 1000).state == "right"
    assert tour.check_share(0.01, 10, 1000).state == "not yet"
    assert tour.check_share(0.22, 2560, 1_163_185).state == "right"
    fit = pretrained_models.check_tasks_until
    assert fit(30806, 355e6, 0.8e6, 100e9).state == "right"
    assert fit(31250, 355e6, 0.8e6, 100e9).state == "not yet"
    assert fit(..., 355e6, 0.8e6, 100e9).state == "open"
