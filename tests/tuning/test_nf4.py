"""NF4 against the published code book, against numpy, and against the paper's bits per weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from course_utils.tuning import nf4
from course_utils.tuning.nf4 import NF4, bits_per_weight, code_book

PUBLISHED = [  # arXiv:2305.14314, appendix E
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]


def weights(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.02


def by_hand(weight: torch.Tensor, block: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """(code numbers, read weights) by the definition, block after block."""
    flat, book = weight.double().numpy().ravel(), np.array(PUBLISHED)
    numbers, read = [], []
    for start in range(0, len(flat), block):
        part = flat[start : start + block]
        c = np.abs(part).max()
        nearest = np.abs(book[None] - (part / c)[:, None]).argmin(1)
        numbers.extend(nearest)
        read.extend(c * book[nearest])
    return np.array(numbers), np.array(read).reshape(weight.shape)


def test_the_code_book_is_the_published_one():
    book = code_book()
    assert book.shape == (16,)
    assert book.dtype == torch.float32
    np.testing.assert_allclose(book.numpy(), PUBLISHED, atol=5e-7)
    assert (book[0], book[7], book[15]) == (-1, 0, 1)


@pytest.mark.parametrize("shape", [(64, 96), (16, 24), (5, 7), (1, 64), (3,)])
def test_the_bytes_and_what_is_read_from_them(shape):
    weight = weights(*shape)
    stored = NF4(weight, double=False)
    numbers, read = by_hand(weight)
    first, second = stored.packed.numpy() >> 4, stored.packed.numpy() & 15
    unpacked = np.stack((first, second), 1).ravel()
    assert np.array_equal(unpacked[: len(numbers)], numbers)
    assert (unpacked[len(numbers) :] == 7).all()  # what fills the last block is 0
    assert stored.weight().shape == weight.shape
    np.testing.assert_allclose(stored.weight().numpy(), read, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("block", [2, 32, 64, 128])
def test_other_block_sizes(block):
    weight = weights(32, 32)
    stored = NF4(weight, block=block, double=False)
    assert len(stored.constants) == 1024 / block
    np.testing.assert_allclose(stored.weight().numpy(), by_hand(weight, block)[1], rtol=1e-5)


def test_the_largest_weight_of_a_block_and_zeros_are_exact():
    weight = weights(64, 64)
    weight[5] = 0.0
    read = NF4(weight, double=False).weight()
    blocks, largest = read.view(-1, 64), weight.view(-1, 64).abs().argmax(1, keepdim=True)
    assert torch.equal(blocks.gather(1, largest), weight.view(-1, 64).gather(1, largest))
    assert torch.equal(read[5], torch.zeros(64))
    double = NF4(weight).weight()
    assert torch.equal(double[5], torch.zeros(64))
    assert torch.isfinite(double).all()


def test_an_outlier_spoils_its_block_only():
    weight = weights(8, 64)
    spoilt = weight.clone()
    spoilt[3, 10] = 50.0
    before, after = (NF4(w, double=False).weight() for w in (weight, spoilt))
    assert torch.equal(before[[0, 1, 2, 4, 5, 6, 7]], after[[0, 1, 2, 4, 5, 6, 7]])
    assert after[3].count_nonzero() == 1


def test_reading_is_exact_for_weights_that_are_in_the_book():
    weight = code_book().repeat(4)[torch.randperm(64)] * 0.37
    assert torch.allclose(NF4(weight, double=False).weight(), weight, rtol=0, atol=1e-7)
    read = NF4(weights(64, 64), double=False).weight()
    assert torch.equal(NF4(read, double=False).weight(), read)


def eight_bit_floats() -> np.ndarray:
    """The finite values of float8 e4m3fn: (1 + m/8) 2^(e-7), and m/8 2^-6 for e = 0."""
    positive = [
        m / 8 * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7)
        for e in range(16)
        for m in range(8)
        if (e, m) != (15, 7)
    ]
    return np.array(sorted({*positive, *(-v for v in positive)}))


@pytest.mark.parametrize("many", [1, 255, 256, 700])
def test_the_constants_in_eight_bits(many):
    constants = weights(many).abs() + 0.05
    stored, scales, mean = nf4.quantise_constants(constants)
    assert (stored.dtype, len(stored)) == (torch.uint8, many)
    assert scales.shape == (-(-many // 256),)
    values, floats = constants.double().numpy(), eight_bit_floats()
    assert floats.max() == 448
    expected = []
    for start in range(0, many, 256):
        part = values[start : start + 256] - values.mean()
        scale = max(np.abs(part).max(), 1e-30) / 448
        nearest = np.abs(floats[None] - (part / scale)[:, None]).argmin(1)
        expected.extend(floats[nearest] * scale + values.mean())
    read = nf4.read_constants(stored, scales, mean)
    # a quotient within float32's rounding of halfway may go to either side: 1/16 of a distance
    near = np.isclose(read.numpy(), expected, rtol=1e-5)
    assert near.mean() > 0.99
    np.testing.assert_allclose(read, constants, atol=1.001 * float(scales.max()) * 448 / 16)


def test_double_quantisation_costs_little_accuracy():
    weight = weights(512, 512)
    once, twice = ((NF4(weight, double=d).weight() - weight).norm() for d in (False, True))
    assert once / weight.norm() == pytest.approx(0.092, abs=0.003)
    assert twice / once == pytest.approx(1, abs=0.01)


def test_bits_per_weight_are_the_papers():
    assert bits_per_weight(64, double=False) - 4 == 0.5
    assert round(bits_per_weight(64) - 4, 3) == 0.127
    assert bits_per_weight() == 4 + 8 / 64 + 32 / (64 * 256) == 4.126953125
    for double in (False, True):
        stored = NF4(weights(256, 1024), double=double)
        mean = 32 if double else 0
        n = 256 * 1024
        assert 8 * stored.stored_bytes() == n * bits_per_weight(double=double) + mean
    assert "4.127 bits each" in repr(stored)


def test_a_change_of_the_plms_type_changes_what_is_read_not_what_is_stored():
    stored = NF4(weights(16, 64))
    before = {name: buffer.clone() for name, buffer in stored.named_buffers()}
    exact = stored.weight()
    assert exact.dtype == torch.float32
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.float32):
        stored.to(dtype)
        assert stored.weight().dtype == dtype
        assert torch.equal(stored.weight(), exact.to(dtype))
        for name, buffer in stored.named_buffers():
            assert torch.equal(buffer, before[name])
            assert buffer.dtype == before[name].dtype
    assert stored.weight(torch.float16).dtype == torch.float16


def test_reading_first_without_gradients_does_no_harm_later():
    nf4._pairs.cache_clear()
    stored = NF4(weights(4, 32))
    with torch.inference_mode():
        stored.weight()
    x = torch.ones(2, 32, requires_grad=True)
    (x @ stored.weight().T).sum().backward()
    torch.testing.assert_close(x.grad[0], stored.weight().sum(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_stores_the_same_bytes():
    weight = weights(128, 128)
    here, there = NF4(weight), NF4(weight.cuda())
    for name, buffer in here.named_buffers():
        torch.testing.assert_close(there.get_buffer(name).cpu(), buffer)
    moved = here.to("cuda")
    torch.testing.assert_close(moved.weight(), there.weight())


@pytest.mark.parametrize("block", [64, 128])
def test_equals_bitsandbytes(block):
    """The authors' library, where it is installed; its 8-bit constants have another code book."""
    theirs = pytest.importorskip("bitsandbytes").functional
    weight = weights(96, 128)
    packed, state = theirs.quantize_4bit(weight, quant_type="nf4", blocksize=block)
    ours = NF4(weight, block=block, double=False)
    assert torch.equal(ours.packed, packed.flatten())
    assert torch.equal(ours.constants, state.absmax)
    torch.testing.assert_close(ours.weight(), theirs.dequantize_4bit(packed, state))
    packed, state = theirs.quantize_4bit(
        weight, quant_type="nf4", blocksize=block, compress_statistics=True
    )
    assert torch.equal(ours.packed, packed.flatten())
    read = theirs.dequantize_4bit(packed, state)
    torch.testing.assert_close(NF4(weight, block=block).weight(), read, rtol=0.02, atol=1e-5)
