"""A safetensors file as an outsider reads it: names, shapes and types, and every number finite.

The format is an 8-byte length, a JSON header and the tensors' bytes without gaps. The library takes
files with doubled names or odd types; here they are refused.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from course_utils.errors import CourseError

TYPES = {"F32": 4, "F16": 2, "BF16": 2}
MOST_HEADER = 1_000_000
MOST_TENSORS = 5_000


@dataclass(frozen=True)
class Entry:
    """One tensor of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def header(data: bytes) -> dict[str, Entry]:
    """Name -> entry of a safetensors file.

    Raises:
        CourseError: a header that is none, a doubled name, an odd type, negative sizes, gaps or
            overlaps, bytes that belong to nothing.
    """
    if len(data) < 8:
        raise CourseError("the adapter is no safetensors file: it is shorter than its header.")
    (size,) = struct.unpack("<Q", data[:8])
    if not 2 <= size <= min(MOST_HEADER, len(data) - 8):
        raise CourseError(f"the adapter is no safetensors file: a header of {size} bytes.")
    entries = _parsed(data[8 : 8 + size])
    entries.pop("__metadata__", None)
    if len(entries) > MOST_TENSORS:
        raise CourseError(f"the adapter holds {len(entries)} tensors.")
    found = {name: _entry(name, about) for name, about in entries.items()}
    place = 0
    for name, entry in sorted(found.items(), key=lambda item: item[1].start):
        if entry.start != place:
            raise CourseError(f"the adapter's tensor {name!r} begins at the wrong place.")
        place = entry.end
    if place != len(data) - 8 - size:
        raise CourseError("the adapter holds bytes that belong to no tensor.")
    return found


def finite(data: bytes) -> bool:
    """Whether every number of the file is one."""
    from safetensors.torch import load

    return all(bool(tensor.isfinite().all()) for tensor in load(data).values())


def _parsed(raw: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as broken:
        raise CourseError(f"the adapter's header is broken: {broken}.") from broken
    if not isinstance(found, dict):
        raise CourseError("the adapter's header is no JSON object.")
    return found


def _entry(name: str, about: Any) -> Entry:
    fields = set(about) if isinstance(about, dict) else set()
    if fields != {"dtype", "shape", "data_offsets"}:
        raise CourseError(f"the adapter's tensor {name!r} is not described as one.")
    dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    if dtype not in TYPES:
        raise CourseError(
            f"the adapter's tensor {name!r} is of type {dtype!r}; expected one of "
            f"{', '.join(TYPES)}."
        )
    whole = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [-1]
    if len(offsets) != 2 or any(type(n) is not int or n < 0 for n in whole):
        raise CourseError(f"the adapter's tensor {name!r} has no proper shape or place.")
    entry = Entry(dtype, tuple(shape), *offsets)
    if entry.end - entry.start != entry.count * TYPES[dtype]:
        raise CourseError(f"the adapter's tensor {name!r} has another size than its shape says.")
    return entry
