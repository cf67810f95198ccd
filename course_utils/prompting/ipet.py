"""iPET: models teach each other with ever larger sets (Schick & Schütze 2021, section 3.4).

For every model, a random share of the other models (a quarter) labels the unlabelled pool; from
what they agree on, new examples are drawn so that the label proportions of the original set are
kept, each with a chance proportional to how sure they are. The next model learns from the original
and the drawn examples together.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.prompting.distillation import weighted_mean


def teachers_of(model: int, models: int, share: float, seed: int) -> list[int]:
    """Which of the other models teach `model`: a random share of them, one at least."""
    if models < 2:
        raise CourseError("iPET needs two models or more to teach each other: add a pattern.")
    others = [i for i in range(models) if i != model]
    count = min(len(others), max(1, round(len(others) * share)))
    return sorted(random.Random(f"{seed}/{model}").sample(others, count))


def new_per_label(labels: Sequence[int], n_labels: int, growth: int, generation: int) -> list[int]:
    """How many examples of each label to add in a generation (1, 2, ...).

    The set of a generation has growth**generation times the original examples of every label.
    """
    counts = Counter(labels)
    return [counts[label] * (growth**generation - 1) for label in range(n_labels)]


def draw_examples(
    logits: Sequence[Tensor], weights: Sequence[float], wanted: Sequence[int], seed: int
) -> list[tuple[int, int]]:
    """Rows of the unlabelled pool with the labels the teachers give them.

    Args:
        logits: per teacher (n, n_labels) answers over the pool.
        weights: per teacher.
        wanted: per label, how many rows.

    Returns:
        (row, label) pairs, label by label. A label is drawn among the rows where it is the
        teachers' best, without putting back, with a chance proportional to its probability; if
        they are too few, the surest other rows follow. No row is given twice, so a small pool
        gives fewer than wanted.
    """
    probabilities = weighted_mean(logits, weights).softmax(dim=-1)  # (n, n_labels)
    best = probabilities.argmax(dim=-1)
    generator = torch.Generator().manual_seed(seed)
    taken: set[int] = set()
    chosen: list[tuple[int, int]] = []
    short: list[tuple[int, int]] = []
    for label, count in enumerate(wanted):
        rows = (best == label).nonzero()[:, 0]
        take = min(count, len(rows))
        if take:
            chance = probabilities[rows, label]
            drawn = rows[torch.multinomial(chance, take, generator=generator)].tolist()
            chosen += [(row, label) for row in drawn]
            taken.update(drawn)
        if take < count:
            short.append((label, count - take))
    for label, count in short:
        order = probabilities[:, label].argsort(descending=True).tolist()
        left = [row for row in order if row not in taken][:count]
        chosen += [(row, label) for row in left]
        taken.update(left)
    return sorted(chosen, key=lambda pair: pair[1])
