"""An adapter's safetensors file as an outsider reads it: names, shapes, types, every number finite.

Only the types that adapters are kept in are taken. `autograder.strict` says what else is refused.
"""

from __future__ import annotations

from autograder.strict import WIDTHS, Entry, safetensors_entries
from course_utils.errors import CourseError

TYPES = ("F32", "F16", "BF16")
MOST_TENSORS = 5_000


def header(data: bytes) -> dict[str, Entry]:
    """Name -> entry of a safetensors file.

    Raises:
        CourseError: one that is broken, holds another type than TYPES, or too many tensors.
    """
    try:
        found = safetensors_entries(data, {name: WIDTHS[name] for name in TYPES})
    except ValueError as broken:
        raise CourseError(f"adapter.safetensors: {broken}.") from broken
    if len(found) > MOST_TENSORS:
        raise CourseError(
            f"adapter.safetensors: it holds {len(found):,} tensors; at most {MOST_TENSORS:,}."
        )
    return found


def finite(data: bytes) -> bool:
    """Whether every number of the file is one.

    Raises:
        CourseError: a file that the library does not read, such as one with names that are no text.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
    except SafetensorError as broken:
        raise CourseError(f"adapter.safetensors: {broken}.") from broken
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values())
