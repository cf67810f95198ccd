"""Self-checks of notebook 13."""

from __future__ import annotations

import math
from statistics import fmean, pstdev, stdev

from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_count(count) -> str:
    """`count(d, L, r)`: numbers that LoRA on query and value, and Pfeiffer adapters, train."""
    for d, L, r in ((1024, 24, 8), (768, 12, 64)):
        given = tuple(open_if_none(count(d, L, r)))
        expect(len(given) == 2, f"Two numbers: LoRA and Pfeiffer. You give {len(given)}.")
        lora, pfeiffer = given
        about = f"For d={d}, L={L}, r={r}: "
        right = 2 * L * 2 * d * r
        expect(
            lora != right // 2,
            about + "half of LoRA. Two maps in each layer, and two matrices for each map.",
        )
        expect(
            lora != 2 * L * (2 * d * r + r + d),
            about + "LoRA's matrices have no biases; an adapter's have.",
        )
        expect(lora == right, about + f"LoRA trains {right:,}; you give {lora:,}.")
        expect(
            pfeiffer != 2 * L * (2 * d * r + r + d),
            about + "that is Houlsby: two adapters in a layer. Pfeiffer has one.",
        )
        expect(
            pfeiffer != L * 2 * d * r,
            about + "nearly: the map down has a bias of r numbers, the map up one of d.",
        )
        right = L * (2 * d * r + r + d)
        expect(pfeiffer == right, about + f"Pfeiffer trains {right:,}; you give {pfeiffer:,}.")
    return "786,432 for LoRA on RoBERTa-large at rank 8: the 0.8M of the papers' tables."


@self_check
def check_largest_rank(largest_rank) -> str:
    """`largest_rank(limit, plm_bytes, tasks, d, L)`: a whole number, 0 if nothing fits."""
    cases = (
        (16e9, 1.42e9, 1000, 1024, 24),
        (2e9, 1.42e9, 100, 1024, 24),
        (5e8, 4.4e8, 10, 768, 12),
    )
    for limit, plm, tasks, d, L in cases:
        one = 4 * 2 * L * 2 * d  # bytes of rank 1
        right = int((limit - plm) // (tasks * one))
        given = open_if_none(largest_rank(limit, plm, tasks, d, L))
        about = f"{limit / 1e9:g} GB, a PLM of {plm / 1e9:g} GB, {tasks} tasks, d={d}, L={L}: "
        expect(
            given != int((limit - plm) // (tasks * one / 4)) or right == given,
            about + "you counted numbers; each takes 4 bytes in float32.",
        )
        expect(
            given != int(limit // (tasks * one)) or right == given,
            about + "the PLM itself must fit, too.",
        )
        expect(
            given != int((limit - plm) // one) or right == given,
            about + "that is for one task; all of them must fit.",
        )
        expect(float(given).is_integer(), about + f"a rank is a whole number; you give {given}.")
        expect(given == right, about + f"rank {right} is the largest; you give {given}.")
    given = largest_rank(1e9, 1.42e9, 10, 1024, 24)
    expect(given == 0, f"If the PLM alone does not fit, no rank does: 0. You give {given}.")
    return "A budget, turned round: not what does it cost, but what may it cost."


@self_check
def check_paired(paired) -> str:
    """`paired(ours, theirs, t)`: (mean, low, high) of the differences."""
    ours, theirs, t = [0.842, 0.861, 0.829, 0.853], [0.835, 0.849, 0.830, 0.841], 3.182
    given = tuple(float(value) for value in open_if_none(paired(list(ours), list(theirs), t)))
    expect(len(given) == 3, f"Three numbers: mean, low, high. You give {len(given)}.")
    gains = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean, n = fmean(gains), len(gains)

    def around(spread: float) -> tuple[float, float, float]:
        half = t * spread / math.sqrt(n)
        return mean, mean - half, mean + half

    right = around(stdev(gains))
    expect(
        not _near(given, tuple(-value for value in (right[0], right[2], right[1]))),
        "The other way round: ours minus theirs.",
    )
    expect(_near(given[:1], right[:1]), f"The mean is {mean:+.5f}; you give {given[0]:+.5f}.")
    wrong = {
        "Divide by n - 1 in the standard deviation: it is a sample.": around(pstdev(gains)),
        "Divide by the square root of n: the mean of n is surer than one of them.": around(
            stdev(gains) * math.sqrt(n)
        ),
        "That is the interval of unpaired scores, which is wider. Take differences first.": around(
            math.sqrt(stdev(ours) ** 2 + stdev(theirs) ** 2)
        ),
    }
    for advice, other in wrong.items():
        expect(not _near(given, other), advice)
    expect(
        _near(given, right),
        f"({', '.join(f'{v:+.5f}' for v in right)}) is right, you give "
        f"({', '.join(f'{v:+.5f}' for v in given)}).",
    )
    return "Zero is inside here: with four seeds, this difference is not shown."


def _near(given: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(given, other, strict=True))
