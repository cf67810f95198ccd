"""The arithmetic of the lecture, worked out by hand, and once against a real optimizer."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.show.memory import (
    bytes_for_tasks,
    bytes_to_store,
    bytes_to_train,
    readable,
)


@pytest.mark.parametrize(
    ("kind", "size"), [("float32", 700e9), ("float16", 350e9), ("int8", 175e9), ("4-bit", 87.5e9)]
)
def test_175_billion_parameters(kind, size):
    assert bytes_to_store(175e9, kind) == size


def test_nf4_counts_the_constants_of_its_blocks():
    """256 blocks of 64 weights: four bits each, a byte per block, one scale of 32 bits."""
    assert bytes_to_store(64 * 256, "nf4") == 64 * 256 / 2 + 256 + 4


def test_adamw_keeps_sixteen_bytes_per_trained_parameter():
    full = bytes_to_train(1e9)
    assert (full.weights, full.gradients, full.optimizer) == (4e9, 4e9, 8e9)
    assert bytes_to_train(1e9, mixed=True).total == full.total == 16e9


def test_frozen_parameters_cost_only_themselves():
    memory = bytes_to_train(1000, 10, frozen_kind="float16")
    assert memory.total == 2 * 990 + 16 * 10


def test_the_sum_is_what_pytorch_allocates():
    import torch

    model = torch.nn.Linear(30, 20)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(30)).sum().backward()
    optimizer.step()
    parts = [tensor for p in model.parameters() for tensor in (p, p.grad)]
    parts += [v for state in optimizer.state.values() for v in state.values() if v.dim()]
    held = sum(tensor.numel() * tensor.element_size() for tensor in parts)
    assert bytes_to_train(30 * 20 + 20).total == held


def test_a_hundred_tasks_share_one_plm():
    assert bytes_for_tasks(100, 355e6) == 100 * 4 * 355e6
    assert bytes_for_tasks(100, 355e6, 0.8e6) == 4 * 355e6 + 100 * 4 * 0.8e6


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (12, "12 bytes"),
        (3_200, "3.2 kB"),
        (1.42e9, "1.42 GB"),
        (700e9, "700 GB"),
        (2.8e12, "2.8 TB"),
    ],
)
def test_sizes_in_words(size, text):
    assert readable(size) == text


def test_bad_input_is_named():
    with pytest.raises(CourseError, match="float32"):
        bytes_to_store(1, "float23")
    with pytest.raises(CourseError, match="-1"):
        bytes_to_train(-1)
    with pytest.raises(CourseError, match="adamw"):
        bytes_to_train(1, optimizer="adam")
