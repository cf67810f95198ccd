"""Notebook 12: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from course_utils.show.exercises import smaller_and_faster as exercises


def entropy(logits):
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def naive(logits):
    p = logits.softmax(-1)
    return -(p * p.log()).sum(-1)


def student_loss(student, teacher, labels, T, alpha, *, square=True, swap=False, shared=1):
    one, other = (teacher, student) if swap else (student, teacher)
    soft = F.kl_div((one / T).log_softmax(-1), (other / T).softmax(-1), reduction="batchmean")
    return alpha * (T * T if square else 1) * soft / shared + (1 - alpha) * F.cross_entropy(
        student, labels
    )


def magnitude_mask(weight, share):
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[: int(share * weight.numel())]] = False
    return mask.view_as(weight)


def by_threshold(weight, share):
    return weight.abs() > weight.abs().quantile(share)


def signed(weight, share):
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.flatten().argsort()[: int(share * weight.numel())]] = False
    return mask.view_as(weight)


def in_place(weight, share):
    mask = magnitude_mask(weight, share)
    weight *= mask
    return mask


def leaves_at(answers, patience, *, anew=True, first=1):
    left = []
    for said in answers.tolist():
        same, at = 0, len(said)
        for layer in range(1, len(said)):
            agrees = said[layer] == said[layer - 1]
            same = same + 1 if agrees else (0 if anew else same)
            if same >= patience:
                at = layer + 1
                break
        left.append(at + first - 1)
    return left


CHECKS = {
    exercises.check_entropy: (
        entropy,
        {
            "not for logits of ±200": naive,
            "The sign": lambda logits: -entropy(logits),
            "bits": lambda logits: entropy(logits) / 0.6931472,
            "Sum over the labels": lambda logits: -(logits.softmax(-1) * logits.log_softmax(-1)),
            "mean over the labels": lambda logits: entropy(logits) / logits.shape[-1],
        },
    ),
    exercises.check_student_loss: (
        student_loss,
        {
            "T² is missing": lambda *a: student_loss(*a, square=False),
            "wrong way round": lambda *a: student_loss(*a, swap=True),
            "mean over texts and labels": lambda *a: student_loss(*a, shared=3),
            "weight of the teacher": lambda s, t, y, T, alpha: student_loss(s, t, y, T, 1 - alpha),
            "is one number": lambda s, t, y, T, alpha: s,
            "Divide both": lambda s, t, y, T, alpha: (
                alpha
                * T**2
                * F.kl_div(s.log_softmax(-1), (t / T).softmax(-1), reduction="batchmean")
                + (1 - alpha) * F.cross_entropy(s, y)
            ),
            "subtract the teacher's entropy": lambda s, t, y, T, alpha: (
                alpha * T**2 * F.cross_entropy(s / T, (t / T).softmax(-1))
                + (1 - alpha) * F.cross_entropy(s, y)
            ),
        },
    ),
    exercises.check_magnitude_mask: (
        magnitude_mask,
        {
            "weights go": by_threshold,
            "absolute values": signed,
            "leave them alone": in_place,
            "other way round": lambda w, share: ~magnitude_mask(w, share),
        },
    ),
    exercises.check_leaves_at: (
        leaves_at,
        {
            "still the buggy version": lambda *a: leaves_at(*a, anew=False),
            "One too few": lambda *a: leaves_at(*a, first=0),
            "it leaves at": lambda answers, patience: [answers.shape[1]] * len(answers),
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


def test_a_cross_entropy_with_the_library_s_own_loss_agrees():
    """The check's equation is the one the kit distils with."""
    from course_utils.prompting.distillation import distillation_loss

    draw = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(6, 3, generator=draw) for _ in range(2))
    labels = torch.zeros(6, dtype=torch.long)
    mine = student_loss(student, teacher, labels, 2.0, 1.0)
    assert distillation_loss(student, teacher, 2.0) == pytest.approx(mine.item(), rel=1e-5)
