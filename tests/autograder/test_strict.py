"""JSON and safetensors read strictly: what libraries write, and not what they forgive."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from autograder.strict import WIDTHS, Entry, safetensors_entries, strict_json


def file(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def one(**changes):
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes


@pytest.mark.parametrize("value", [None, True, 1.5, "é", [], {"a": [{"a": 1}]}, 10**30])
def test_json_comes_back(value):
    assert strict_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "Expecting value"),
        (b"\xff", "utf-8"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "a key stands twice"),
        (b"[NaN]", "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"[-1e999]", "-1e999 is too large a number"),
        (b"9" * 5000, "digits"),
        (b"[" * 100_000, "without end"),
    ],
)
def test_what_is_no_json(text, says):
    with pytest.raises(ValueError, match=says):
        strict_json(text)


def test_what_the_library_writes_is_taken():
    types = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "I32": torch.int32,
        "BF16": torch.bfloat16,
        "I64": torch.int64,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
    tensors = {name: torch.zeros(2, 3, dtype=dtype) for name, dtype in types.items()}
    tensors |= {"none": torch.zeros(0, 5), "scalar": torch.tensor(1.0)}
    found = safetensors_entries(save(tensors, {"written": "by the library"}))
    assert types.keys() == WIDTHS.keys()
    assert {name: entry.shape for name, entry in found.items()} == {
        name: tuple(tensor.shape) for name, tensor in tensors.items()
    }
    assert all(found[name].dtype == name for name in types)


def test_entries_by_hand_in_any_order():
    header = {
        "b": one(data_offsets=[4, 8]),
        "a": one(),
        "none": one(shape=[0], data_offsets=[0, 0]),
    }
    assert safetensors_entries(file(header, b"12345678")) == {
        "b": Entry("F32", (1,), 4, 8),
        "a": Entry("F32", (1,), 0, 4),
        "none": Entry("F32", (0,), 0, 0),
    }


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"1234567", "cut off"),
        (struct.pack("<Q", 10**9) + b"{}", "no proper header"),
        (struct.pack("<Q", 1) + b"{}", "no proper header"),
        (file([]), "no JSON object"),
        (file(b'{"a": {}, "a": {}}'), "a key stands twice"),
        (file({"a": one(), "__metadata__": {"b": 1}}, b"1234"), "metadata"),
        (file({"a": one(more=1)}, b"1234"), "not described"),
        (file({"a": 1}), "not described"),
        (file({"a": one(dtype="F8_E4M3")}, b"1"), "of type 'F8_E4M3'; expected F64"),
        (file({"a": one(dtype=["F32"])}, b"1234"), "of type"),
        (file({"a": one(shape=[True])}, b"1234"), "no proper shape"),
        (file({"a": one(shape=[1.0])}, b"1234"), "no proper shape"),
        (file({"a": one(shape=[-1])}, b"1234"), "no proper shape"),
        (file({"a": one(shape=1)}, b"1234"), "no proper shape"),
        (file({"a": one(shape=[1] * 9)}, b"1234"), "no proper shape"),
        (file({"a": one(data_offsets=[0, 4, 8])}, b"1234"), "no proper shape or place"),
        (file({"a": one(data_offsets=[4, 0])}, b"1234"), "another size"),
        (file({"a": one(shape=[2])}, b"1234"), "another size"),
        (file({"a": one(shape=[2**40, 2**40, 0], data_offsets=[0, 0])}), "too many numbers"),
        (file({"a": one(), "b": one()}, b"1234"), "overlaps another"),
        (file({"a": one(data_offsets=[4, 8])}, b"12345678"), "leaves a gap"),
        (file({"a": one()}, b"12345"), "take 4 bytes, but [35] are there"),
        (file({"a": one()}, b"123"), "take 4 bytes, but [35] are there"),
    ],
)
def test_what_is_no_safetensors_file(data, says):
    with pytest.raises(ValueError, match=says):
        safetensors_entries(data)


def test_a_reader_may_take_fewer_types():
    data = save({"a": torch.zeros(1, dtype=torch.int64)})
    assert safetensors_entries(data)
    with pytest.raises(ValueError, match="of type 'I64'; expected F32"):
        safetensors_entries(data, {"F32": 4})


def test_a_sandbox_can_import_it():
    """Nothing but the standard library, and of the autograder only itself."""
    code = "import sys, autograder.strict; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in ran.stdout.split() if name.startswith(("autograder", "course_utils"))}
    assert ours == {"autograder", "autograder.strict"}
    assert not {"torch", "numpy", "safetensors"} & set(ran.stdout.split())
