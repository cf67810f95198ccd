"""JSON and safetensors from somebody who is not trusted, read as the formats are written down.

The usual readers take more: of a key that stands twice the last one counts, NaN is a number, and a
header may describe bytes that are not there. Here all of that is a ValueError, whose text says what
is wrong and ends no sentence: whoever reads knows what it was, and says so before it.

A worker reads with this in its sandbox, so nothing but the standard library is imported.

Source: RFC 8259; the safetensors format (an 8-byte length, a JSON header, the tensors' bytes
without gaps).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTHS: dict[str, int] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of a number, by the format's name of its type."""
MOST_HEADER = 1_000_000  # bytes
MOST_AXES = 8
MOST_NUMBERS = 2**40  # in a tensor, an axis of length 0 taken as 1: nothing overflows


@dataclass(frozen=True)
class Entry:
    """One tensor of a safetensors header; `start` and `end` count from the header's end."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def strict_json(data: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no UTF-8, no JSON, a key that stands twice, NaN or an infinity (1e999 is
            one when read), or lists in lists deeper than Python reads.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_refused,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("lists or objects in each other without end") from None


def safetensors_entries(data: bytes, widths: Mapping[str, int] = WIDTHS) -> dict[str, Entry]:
    """Name -> entry of a safetensors file; the tensors themselves are not looked at.

    Args:
        widths: the types that are taken, with their bytes per number.

    Raises:
        ValueError: a header that is none, a name that stands twice, another type, a size that is
            none, gaps or overlaps, more bytes than the tensors' or fewer.
    """
    if len(data) < 8:
        raise ValueError("it is cut off before its header")
    (size,) = struct.unpack("<Q", data[:8])
    if not 2 <= size <= min(MOST_HEADER, len(data) - 8):
        raise ValueError(f"it has no proper header ({size:,} bytes of {len(data) - 8:,})")
    header = strict_json(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("it has no proper header (no JSON object)")
    _check_metadata(header.pop("__metadata__", {}))
    found = {name: _entry(name, about, widths) for name, about in header.items()}
    _check_places(found, len(data) - 8 - size)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or any(type(v) is not str for v in metadata.values()):
        raise ValueError("its metadata are not texts by name")


def _entry(name: str, about: Any, widths: Mapping[str, int]) -> Entry:
    tensor = f"tensor {name[:100]!r}"
    if not isinstance(about, dict) or about.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{tensor} is not described as one")
    dtype, shape, place = about["dtype"], about["shape"], about["data_offsets"]
    if not isinstance(dtype, str) or dtype not in widths:
        raise ValueError(f"{tensor} is of type {str(dtype)[:20]!r}; expected {', '.join(widths)}")
    if not (_whole(shape) and _whole(place) and len(place) == 2 and len(shape) <= MOST_AXES):
        raise ValueError(f"{tensor} has no proper shape or place")
    if math.prod(max(axis, 1) for axis in shape) > MOST_NUMBERS:
        raise ValueError(f"{tensor} has a shape of too many numbers")
    start, end = place
    if end - start != math.prod(shape) * widths[dtype]:
        raise ValueError(f"{tensor} has another size than its shape says")
    return Entry(dtype, tuple(shape), start, end)


def _whole(numbers: Any) -> bool:
    """Whether it is a list of whole numbers from 0 on; true and false are none."""
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _check_places(entries: Mapping[str, Entry], size: int) -> None:
    """Each tensor begins where the one before it ends, and the last ends with the file."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != at:
            raise ValueError(f"tensor {name[:100]!r} overlaps another or leaves a gap before it")
        at = entry.end
    if at != size:
        raise ValueError(f"its tensors take {at:,} bytes, but {size:,} are there")
