"""Code books and blocks: by hand, against the library's own NF4, and as the playground shows it."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.show.four_bits import (
    BOOKS,
    block_playground,
    code_book_chart,
    read_back,
    relative_error,
    uniform_book,
)
from course_utils.tuning.nf4 import NF4, code_book


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_a_block_by_hand():
    book = torch.tensor([-1.0, 0.0, 0.5, 1.0])
    weights = torch.tensor([4.0, -3.0, 1.5, 0.5, -0.2, 0.1, 0.0, 0.04])
    back = read_back(weights, book, 4)
    assert back.tolist() == pytest.approx([4.0, -4.0, 2.0, 0.0, -0.2, 0.1, 0.0, 0.0])


def test_nf4_is_the_librarys():
    weights = normal(6, 128)
    stored = NF4(weights, block=64, double=False).weight()
    assert torch.equal(read_back(weights, code_book(), 64), stored)


def test_the_even_book_is_that_of_int4():
    assert (uniform_book() * 7).round().tolist() == list(range(-7, 8))


def test_normal_weights_lose_less_with_nf4_and_with_small_blocks():
    weights = normal(64, 256)
    errors = {(n, b): relative_error(weights, BOOKS[n](), b) for n in BOOKS for b in (64, 4096)}
    assert errors["NF4", 64] < errors["int4, evenly spaced", 64]
    assert all(errors[name, 64] < errors[name, 4096] for name in BOOKS)


def test_zeros_stay_zeros():
    assert read_back(torch.zeros(8), code_book(), 4).tolist() == [0.0] * 8


@pytest.mark.parametrize("block", [0, 3])
def test_a_block_that_does_not_fit(block):
    with pytest.raises(CourseError, match="evenly"):
        read_back(torch.ones(8), code_book(), block)


def test_every_value_of_every_book_is_drawn():
    chart = code_book_chart(normal(1000).clamp(-1, 1), {n: b() for n, b in BOOKS.items()}, "books")
    lines = chart.axes[1].lines
    assert [len(line.get_xdata()) for line in lines] == [16, 15]
    assert {t.get_text() for t in chart.axes[1].texts} == set(BOOKS)
    with pytest.raises(CourseError, match="nothing to draw"):
        code_book_chart(normal(10), {})


def test_an_outlier_spoils_the_others_and_a_small_block_protects_them():
    shown = block_playground(normal(256))

    def off():
        return int(shown.page.text.split(" by ")[1].rstrip("%"))

    shown.knobs["outlier"].value = 1
    calm = off()
    shown.knobs["outlier"].value = 30
    spoilt = off()
    shown.knobs["block"].value = 16
    assert calm < off() < spoilt


@pytest.mark.parametrize("weights", [torch.ones(64), torch.ones(300), torch.ones(4, 64)])
def test_too_few_weights_to_play_with(weights):
    with pytest.raises(CourseError, match="at least 256"):
        block_playground(weights)
