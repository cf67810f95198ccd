"""Self-checks of notebook 00."""

from __future__ import annotations

from course_utils.show.exercises.verdict import expect, self_check


@self_check
def check_lora_count(count) -> str:
    """`count(layers, width, rank, places)`: LoRA's trained numbers in square weights."""
    for layers, width, rank, places in ((4, 128, 8, 2), (12, 768, 8, 2), (24, 1024, 4, 6)):
        given, expected = count(layers, width, rank, places), layers * places * 2 * width * rank
        if given is None:
            raise NotImplementedError
        expect(
            given == expected,
            f"With {layers} layers, width {width}, rank {rank} and {places} places per layer your "
            f"function gives {given}. Each place has two matrices, A ({rank} x {width}) and "
            f"B ({width} x {rank}): how many numbers are in both?",
        )
    return "Linear in rank, width and depth; a full weight would be quadratic in the width."


@self_check
def check_share(share, trained: int, total: int) -> str:
    """The share of parameters that is trained, in per cent."""
    expected = 100 * trained / total
    expect(
        abs(share - expected) <= 0.05 * expected,
        f"{share} was given. Of {total:,} parameters {trained:,} are trained; what is that in "
        "per cent?",
    )
    return f"{expected:.2f} %: the rest is shared by every task."
