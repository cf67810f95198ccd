"""Self-checks of notebook 12."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_entropy(entropy) -> str:
    """`entropy(logits)`: (B, labels) -> (B,), in nats, finite for any logits."""
    logits = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, -1.0], [0.5, 0.4, 0.0]])
    given = torch.as_tensor(open_if_none(entropy(logits.clone())))
    log_p = logits.log_softmax(-1)
    right = -(log_p.exp() * log_p).sum(-1)
    expect(
        given.shape == right.shape,
        f"One number for each text, shape {tuple(right.shape)}; yours is {tuple(given.shape)}. Sum "
        "over the labels.",
    )
    expect(
        not _near(given, -right),
        "The sign: log p is below 0, and an entropy is not. There is a minus in front of the sum.",
    )
    expect(
        not _near(given, right / math.log(2)),
        "These are bits. Nats use the natural logarithm, and so do the thresholds here.",
    )
    expect(not _near(given, right / 3), "That is the mean over the labels; the entropy is the sum.")
    expect(
        _near(given, right),
        f"For logits of [0, 0, 0] it is log 3 = {math.log(3):.3f}; for the three texts "
        f"{_told(right)}, you give {_told(given)}.",
    )
    far = torch.as_tensor(entropy(torch.tensor([[200.0, -200.0, 0.0], [100.0, -100.0, 90.0]])))
    expect(
        bool(torch.isfinite(far).all()),
        "Right, but not for logits of ±200: a probability becomes 0 there, its logarithm minus "
        "infinity, and the product of both is not a number. log_softmax is never infinite.",
    )
    expect(_near(far[:1], torch.zeros(1)), "A text that is sure has entropy 0; yours has not.")
    return "A comparison with NaN is never true, so a text with NaN would never leave early."


@self_check
def check_student_loss(student_loss) -> str:
    """`student_loss(student, teacher, labels, T, alpha)`: a scalar."""
    draw = torch.Generator().manual_seed(3)
    student, teacher = (2 * torch.randn(5, 3, generator=draw) for _ in range(2))
    labels = torch.tensor([0, 2, 1, 1, 0])
    for T, alpha in ((1.0, 1.0), (3.0, 1.0), (2.0, 0.0), (2.0, 0.3)):
        given = torch.as_tensor(
            open_if_none(student_loss(student.clone(), teacher.clone(), labels, T, alpha))
        )
        expect(
            given.ndim == 0, f"A loss is one number; yours has shape {tuple(given.shape)}. Take "
            "the mean over the texts."
        )  # fmt: skip
        soft = _kl(teacher, student, T)
        hard = F.cross_entropy(student, labels)
        right = alpha * T * T * soft + (1 - alpha) * hard
        wrong = {
            "T² is missing: without it the teacher counts less the higher the temperature.": (
                alpha * soft + (1 - alpha) * hard
            ),
            "Divide both, the teacher's logits and the student's, by T.": (
                alpha * T * T * _kl(teacher, student * T, T) + (1 - alpha) * hard
            ),
            "The KL is the wrong way round: the expectation is over the teacher's answers.": (
                alpha * T * T * _kl(student, teacher, T) + (1 - alpha) * hard
            ),
            "That is a mean over texts and labels (kl_div's reduction='mean'); 'batchmean' "
            "divides by the number of texts only.": alpha * T * T * soft / 3 + (1 - alpha) * hard,
            "alpha is the weight of the teacher, 1 - alpha that of the labels.": (
                (1 - alpha) * T * T * soft + alpha * hard
            ),
            "Labels are learnt at temperature 1.": (
                alpha * T * T * soft + (1 - alpha) * F.cross_entropy(student / T, labels)
            ),
            "A cross-entropy with the teacher's answers has the right gradients, but it is not 0 "
            "when the student answers like the teacher: subtract the teacher's entropy (the KL).": (
                alpha * T * T * (soft + _entropy(teacher / T)) + (1 - alpha) * hard
            ),
        }
        for advice, other in wrong.items():
            expect(not _near(given, other) or _near(right, other), advice)
        expect(
            _near(given, right),
            f"For T={T:g}, α={alpha:g}: {right.item():.4f} is right, you give {given.item():.4f}.",
        )
    return "The kit's `distil` uses this loss; PET distils its patterns with it, too, at T = 2."


@self_check
def check_magnitude_mask(magnitude_mask) -> str:
    """`magnitude_mask(weight, share)`: booleans, True where a weight stays."""
    draw = torch.Generator().manual_seed(4)
    weights = {
        "a matrix of normal numbers": torch.randn(4, 6, generator=draw),
        "a matrix with many equal numbers": torch.tensor([[1.0, -1.0, 1.0], [1.0, 2.0, -1.0]]),
    }
    for what, weight in weights.items():
        for share in (0.0, 0.5, 0.9):
            before = weight.clone()
            mask = torch.as_tensor(open_if_none(magnitude_mask(before, share)))
            about = f"For {what} and share {share:g}: "
            expect(
                mask.shape == weight.shape,
                about + f"a mask of shape {tuple(weight.shape)}; yours is {tuple(mask.shape)}.",
            )
            expect(
                torch.equal(before, weight),
                "The weights themselves were changed. Return a mask and leave them alone.",
            )
            mask = mask.bool()
            drop = int(share * weight.numel())
            expect(
                int(mask.sum()) != drop or 2 * drop == weight.numel(),
                about + "it is the other way round: True where a weight stays.",
            )
            gone = int((~mask).sum())
            equal = " A threshold can't tell equal numbers apart." if "equal" in what else ""
            expect(gone == drop, about + f"{drop} weights go, in your mask {gone}.{equal}")
            if drop:
                expect(
                    weight[~mask].abs().max() <= weight[mask].abs().min(),
                    about + "a weight that goes is larger than one that stays. Compare absolute "
                    "values: -2 is a large weight.",
                )
    return "An exact count matters when you compare methods at the same share."


@self_check
def check_leaves_at(leaves_at) -> str:
    """`leaves_at(answers, patience)`: the layer at which each text leaves."""
    answers = torch.tensor(
        [[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 1, 0, 1, 0, 1],
         [2, 2, 1, 1, 1, 1]]
    )  # fmt: skip
    wanted = {1: [2, 3, 2, 6, 2], 2: [3, 6, 6, 6, 5], 5: [6, 6, 6, 6, 6]}
    for patience, right in wanted.items():
        given = [int(layer) for layer in open_if_none(leaves_at(answers.clone(), patience))]
        expect(len(given) == len(right), f"{len(right)} texts, so {len(right)} layers.")
        expect(
            given != [layer - 1 for layer in right],
            "One too few everywhere: layers are counted from 1, and three exits that agree "
            "(patience 2) are those of layers 1, 2 and 3.",
        )
        expect(
            not (patience == 2 and given == [3, 5, 4, 6, 4]),
            "That is still the buggy version: agreements are counted, but not in a row. After a "
            "disagreement the count begins anew.",
        )
        for number, (one, other) in enumerate(zip(given, right, strict=True)):
            expect(
                one == other,
                f"Patience {patience}, exits that say {answers[number].tolist()}: it leaves at "
                f"layer {other}, you say {one}.",
            )
    return "Patience needs no probabilities: it also works for regression, with a tolerance."


def _kl(teacher: torch.Tensor, student: torch.Tensor, T: float) -> torch.Tensor:
    """KL(teacher ‖ student) at a temperature, the mean over texts."""
    log_t, log_s = (teacher / T).log_softmax(-1), (student / T).log_softmax(-1)
    return (log_t.exp() * (log_t - log_s)).sum(-1).mean()


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1).mean()


def _near(given: torch.Tensor, other: torch.Tensor) -> bool:
    return given.double().allclose(other.double(), atol=1e-4)


def _told(values: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
