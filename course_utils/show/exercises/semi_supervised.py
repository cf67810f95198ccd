"""Self-checks of notebook 04."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from course_utils.prompting import PromptModel, Template
from course_utils.show.exercises.verdict import expect, open_if_none, self_check
from course_utils.tasks.task import Task


@self_check
def check_soft_targets(soft_targets) -> str:
    """`soft_targets(logits, weights, temperature)`: logits (teachers, n, n_labels)."""
    logits = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0)) * 3
    for weights, temperature in (([0.9, 0.5, 0.2], 2.0), ([1.0, 1.0, 0.0], 1.0)):
        w = torch.tensor(weights)
        given = torch.as_tensor(
            open_if_none(soft_targets(logits.clone(), w.clone(), temperature))
        ).float()
        mean = (logits * (w / w.sum()).view(-1, 1, 1)).sum(0)
        right = (mean / temperature).softmax(-1)
        expect(
            given.shape == (4, 2),
            f"4 texts and 2 labels: shape (4, 2) expected, got {tuple(given.shape)}.",
        )
        if given.allclose(right, atol=1e-4):
            continue
        total = (logits * w.view(-1, 1, 1)).sum(0)
        voted = (logits.softmax(-1) * (w / w.sum()).view(-1, 1, 1)).sum(0)
        wrong = {
            "The temperature is missing: divide the mean logits by it before the softmax.": (
                mean.softmax(-1)
            ),
            "All teachers count alike here: weigh them.": (
                (logits.mean(0) / temperature).softmax(-1)
            ),
            "The weights must be divided by their sum; else the sum of weights acts as a "
            "temperature.": (total / temperature).softmax(-1),
            "You average probabilities; PET averages the logits.": voted,
        }
        for advice, other in wrong.items():
            expect(not given.allclose(other, atol=1e-4), advice)
        expect(False, f"Expected {_short(right[0])} for the first text, got {_short(given[0])}.")
    return "A pattern the PLM never understood has a small weight, and so a small voice."


@self_check
def check_distillation(loss) -> str:
    """`loss(student, teacher, temperature)`: both (n, n_labels) logits."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(5, 3, generator=generator) * 2 for _ in range(2))
    for t in (1.0, 2.0):
        log_p = (student / t).log_softmax(-1)
        log_q = (teacher / t).log_softmax(-1)
        right = (log_q.exp() * (log_q - log_p)).sum(-1).mean().item() * t * t
        given = float(open_if_none(loss(student.clone(), teacher.clone(), t)))
        if abs(given - right) < 1e-4:
            continue
        back = F.kl_div(log_q, log_p.exp(), reduction="batchmean").item() * t * t
        cross = -(log_q.exp() * log_p).sum(-1).mean().item() * t * t
        wrong = {
            "T² is missing: without it the gradients shrink as the temperature grows.": (
                right / (t * t)
            ),
            "The other way round: the teacher's distribution is what the student's is measured "
            "against, KL(teacher || student).": back,
            "This averages over labels too: sum over the labels, then the mean over the texts "
            '(F.kl_div calls it reduction="batchmean").': right / 3,
            "This is the cross-entropy. It trains alike, but KL is 0 when the student agrees; "
            "subtract the teacher's entropy.": cross,
        }
        for advice, other in wrong.items():
            expect(abs(given - other) > 1e-4, advice)
        expect(False, f"At temperature {t:g} expected {right:.4f}, got {given:.4f}.")
    return "A student that agrees with its teachers has loss 0, and T² keeps the gradients' size."


@self_check
def check_set_sizes(sizes) -> str:
    """`sizes(examples, growth, generations)`: training examples of each generation of iPET."""
    for examples, growth, generations in ((10, 5, 3), (32, 2, 4), (7, 3, 1)):
        given = list(open_if_none(sizes(examples, growth, generations)))
        right = [examples * growth**g for g in range(generations)]
        expect(
            len(given) == generations,
            f"{generations} generations, {len(given)} sizes.",
        )
        expect(
            given[0] == examples,
            "The first generation learns from the labelled examples alone: nobody has labelled "
            "more yet.",
        )
        added = [examples + growth * examples * g for g in range(generations)]
        expect(
            given == right or given != added,
            "This grows by the same amount each time; it should be multiplied each time.",
        )
        expect(given == right, f"Expected {right} for {generations} generations, got {given}.")
    return (
        "Three generations with growth 5 ask for 25 times the labelled set: is your pool as large?"
    )


@self_check
def check_pattern_weight(
    weight: float,
    template: str,
    model,
    tokenizer,
    words: Mapping[str, str | Sequence[str]],
    task: Task,
) -> str:
    """The weight PET gives to a pattern of the student's own that makes no sense.

    Args:
        model, tokenizer: a masked PLM that was not trained further.
        words: label -> words, as the student used them.
        task: its "train" holds the few labelled examples.
    """
    expect(template is not ..., "Write a pattern first: replace the ... after `nonsense`.")
    pattern = Template(template)
    expect(bool(pattern.fields), "A pattern without the example's text: put its field in as well.")
    asked = PromptModel(model, tokenizer, pattern, words, labels=task.labels)
    rows = task.split("train")
    right = asked.predict(rows).accuracy(rows["label"])
    expect(
        abs(weight - right) < 1e-6,
        f"{weight} was given. The weight is the accuracy on the *training* set with the PLM as it "
        "is *before* any training: make a PromptModel of a fresh PLM, and ask it.",
    )
    side = "above" if right > task.chance else "not above"
    return f"{right:.3f}, {side} chance ({task.chance:.2f}). How much does such a voice count?"


def _short(values: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in values.flatten().tolist()]
