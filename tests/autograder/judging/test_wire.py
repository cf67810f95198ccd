"""What passes between judge and worker: every value comes back, every forgery is refused."""

from __future__ import annotations

import json
import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judging.frame import HEAD, MOST_PAGE, WireError, lengths
from autograder.judging.wire import Remote, decode, encode


def back(value, **options):
    message = encode(value, **options)
    page, tensors = lengths(message[: HEAD.size])
    body = message[HEAD.size :]
    assert len(body) == page + tensors
    return decode(body[:page], body[page:])


keys = st.one_of(st.text(max_size=5), st.integers(-5, 5))
# a library in the same test process may flush subnormal numbers to zero
floats = st.floats(allow_nan=False, allow_subnormal=False)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), floats, st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=20,
)


@given(values)
def test_plain_values_come_back_with_their_types(value):
    found = back(value)
    assert found == value
    assert repr(found) == repr(value), "1 and True, lists and tuples stay apart"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64,
                                   torch.int64, torch.int32, torch.bool, torch.uint8])  # fmt: skip
def test_tensors_come_back_bit_for_bit(dtype):
    tensor = torch.arange(-3, 9).view(3, 4).to(dtype)
    found = back({"a": [tensor, tensor[:, ::2]], "empty": torch.zeros(0, 3)})
    assert torch.equal(found["a"][0], tensor)
    assert torch.equal(found["a"][1], tensor[:, ::2])
    assert found["a"][0].dtype == dtype
    assert found["empty"].shape == (0, 3)


def test_numbers_that_json_does_not_have():
    nan, inf = back([math.nan, math.inf])
    assert math.isnan(nan)
    assert inf == math.inf


def test_a_parameter_is_a_tensor_on_the_other_side():
    found = back(torch.nn.Parameter(torch.ones(2)))
    assert type(found) is torch.Tensor
    assert not found.requires_grad


def test_objects_stay_where_they_are():
    found = back([object()], remote=lambda value: Remote(7, "builtins.object"))
    assert found == [Remote(7, "builtins.object")]


class Odd(torch.Tensor):
    """A subclass that would answer for itself."""


class Text(str):
    pass


@pytest.mark.parametrize("value", [Odd([1.0]), Text("a"), {(1, 2): 3}, 1j, b"a", {1, 2}])
def test_what_is_of_no_known_type_is_not_sent_as_one(value):
    with pytest.raises(WireError):
        encode(value)


def test_too_deep_too_many_too_large():
    deep = []
    for _ in range(50):
        deep = [deep]
    for value in (deep, list(range(200_000)), "x" * (MOST_PAGE + 1), torch.zeros(20_000_000)):
        with pytest.raises(WireError, match="too"):
            encode(value)


def test_a_head_that_promises_too_much():
    with pytest.raises(WireError, match="at most"):
        lengths(HEAD.pack(2**31, 0))
    with pytest.raises(WireError, match="at most"):
        lengths(HEAD.pack(10, 2**40))


def tensors(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
PAGE = json.dumps({"$": "tensor", "n": 0}).encode()


@pytest.mark.parametrize(
    ("page", "data", "says"),
    [
        (b"{", b"", "no JSON"),
        (b'{"$": "dict", "$": "tuple"}', b"", "no JSON"),
        (b"NaN", b"", "no JSON"),
        (b"\xff", b"", "no JSON"),
        (b"[" * 5000, b"", "no JSON"),
        (b'{"$": "code", "of": "import os"}', b"", "no known kind"),
        (b'{"a": 1}', b"", "no known kind"),
        (b'{"$": "tensor", "n": true}', b"", "no known kind"),
        (b'{"$": "object", "n": 1, "is": 5}', b"", "no known kind"),
        (b'{"$": "number", "is": "1e9"}', b"", "no known kind"),
        (b'{"$": "dict", "of": [[[1], 2]]}', b"", "key that is none"),
        (b'{"$": "dict", "of": [["a", 1], ["a", 2]]}', b"", "or one twice"),
        (b'{"$": "dict", "of": [1]}', b"", "dict is none"),
        (PAGE, b"", "which it does not bring"),
        (b"1", tensors({"0": ONE}, b"abcd"), "does not speak of"),
        (PAGE, b"1234", "cut off"),
        (PAGE, tensors(b"[]"), "no proper header"),
        (PAGE, tensors(b'{"0": {}, "0": {}}'), "stands twice"),
        (PAGE, tensors({"0": ONE | {"dtype": "F8_E4M3"}}, b"abcd"), "is of type 'F8_E4M3'"),
        (PAGE, tensors({"0": ONE | {"shape": [-1]}}, b"abcd"), "no proper shape"),
        (PAGE, tensors({"0": ONE | {"shape": [True]}}, b"abcd"), "no proper shape"),
        (PAGE, tensors({"0": ONE | {"shape": [2]}}, b"abcd"), "another size"),
        (PAGE, tensors({"0": ONE, "1": ONE}, b"abcd"), "overlap"),
        (PAGE, tensors({"0": ONE}, b"abcdef"), "take 4 bytes, but 6 are there"),
        (PAGE, tensors({"0": ONE | {"more": 1}}, b"abcd"), "not described"),
        (PAGE, tensors({"0": ONE, "__metadata__": 5}, b"abcd"), "metadata"),
        (PAGE, tensors({"\ud800": ONE}, b"abcd"), "invalid JSON in header"),
    ],
)
def test_forged_messages(page, data, says):
    with pytest.raises(WireError, match=says):
        decode(page, data)
