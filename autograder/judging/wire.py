"""Messages between judge and worker: a JSON page and the tensors it speaks of.

    4 bytes   length of the page          8 bytes   length of the tensors
    page      UTF-8 JSON                  tensors   a safetensors file, or nothing

Values in a page are JSON's, but for four kinds that have a mark:

    {"$": "tensor", "n": 3}               the tensor named "3"
    {"$": "tuple", "of": [...]}           a tuple
    {"$": "dict", "of": [[k, v], ...]}    a dict (keys: text, whole numbers, truth values)
    {"$": "object", "n": 2, "is": "..."}  something that stays at the worker, by its number
    {"$": "number", "is": "nan"}          a float that JSON does not have

Reading believes nothing: sizes, nesting, types of keys, names of tensors, their types and places
are checked, and only tensors that the page speaks of may come along.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from autograder.judging.frame import HEAD, MOST_PAGE, MOST_TENSORS, WireError
from autograder.strict import safetensors_entries, strict_json

MOST_DEPTH = 12
MOST_VALUES = 100_000
TYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.uint8, torch.bool,
)  # fmt: skip


@dataclass(frozen=True)
class Remote:
    """Something that stays at the worker: its number there, and the name of its class."""

    number: int
    is_a: str = ""


class _Writer:
    def __init__(self, remote: Callable[[Any], Remote | None]) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.remote = remote
        self.count = 0

    def value(self, value: Any, depth: int = 0) -> Any:
        self.count += 1
        if depth > MOST_DEPTH or self.count > MOST_VALUES:
            raise WireError("a value is too deep or too large to be sent.")
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            if math.isfinite(value):
                return value
            return {"$": "number", "is": str(value)}
        if kind in (torch.Tensor, torch.nn.Parameter):
            return self.tensor(value)
        if kind is list:
            return [self.value(v, depth + 1) for v in value]
        if kind is tuple:
            return {"$": "tuple", "of": [self.value(v, depth + 1) for v in value]}
        if kind is dict:
            pairs = [[self.key(k), self.value(v, depth + 1)] for k, v in value.items()]
            return {"$": "dict", "of": pairs}
        found = value if kind is Remote else self.remote(value)
        if found is None:
            raise WireError(f"a {kind.__name__} can't be sent.")
        return {"$": "object", "n": found.number, "is": found.is_a[:100]}

    def key(self, key: Any) -> Any:
        if type(key) not in (str, int, bool):
            raise WireError(
                f"a dict's key is a {type(key).__name__}; text or a number can be sent."
            )
        return key

    def tensor(self, value: torch.Tensor) -> Any:
        if value.dtype not in TYPES or value.is_sparse or value.is_quantized:
            raise WireError(f"a tensor of {value.dtype} can't be sent.")
        name = str(len(self.tensors))
        # a copy of its own: views of one storage may not share a file
        self.tensors[name] = value.detach().cpu().contiguous().clone()
        return {"$": "tensor", "n": int(name)}


def encode(value: Any, remote: Callable[[Any], Remote | None] = lambda _: None) -> bytes:
    """A message.

    Args:
        remote: for what can't be sent itself: its number, or None if it has none.

    Raises:
        WireError: a value of another kind, too deep, or too large.
    """
    writer = _Writer(remote)
    page = json.dumps(writer.value(value), ensure_ascii=False).encode("utf-8", "surrogatepass")
    tensors = save(writer.tensors) if writer.tensors else b""
    if len(page) > MOST_PAGE or len(tensors) > MOST_TENSORS:
        raise WireError(f"a message of {len(page) + len(tensors):,} bytes is too large to be sent.")
    return HEAD.pack(len(page), len(tensors)) + page + tensors


def decode(page: bytes, tensors: bytes, known: Callable[[Remote], Any] = lambda r: r) -> Any:
    """The value of a message.

    Args:
        known: what stands for an object that stayed on the other side.

    Raises:
        WireError: anything that `encode` does not write.
    """
    try:
        raw = strict_json(page)
    except ValueError as broken:
        raise WireError(f"a message is no JSON: {broken}.") from broken
    reader = _Reader(_tensors(tensors), known)
    value = reader.value(raw)
    if reader.unused:
        raise WireError("a message brings tensors that it does not speak of.")
    return value


class _Reader:
    def __init__(self, tensors: dict[str, torch.Tensor], known: Callable[[Remote], Any]) -> None:
        self.tensors, self.known, self.unused = tensors, known, set(tensors)
        self.count = 0

    def value(self, raw: Any, depth: int = 0) -> Any:
        self.count += 1
        if depth > 2 * MOST_DEPTH or self.count > 2 * MOST_VALUES:
            raise WireError("a message is too deep or too large.")
        if isinstance(raw, list):
            return [self.value(v, depth + 1) for v in raw]
        if not isinstance(raw, dict):
            return raw
        kind, fields = raw.get("$"), raw.keys() - {"$"}
        if kind == "tensor" and fields == {"n"} and type(raw["n"]) is int:
            name = str(raw["n"])
            if name not in self.tensors:
                raise WireError(f"a message speaks of tensor {name}, which it does not bring.")
            self.unused.discard(name)
            return self.tensors[name]
        if kind == "tuple" and fields == {"of"} and isinstance(raw["of"], list):
            return tuple(self.value(v, depth + 1) for v in raw["of"])
        if kind == "dict" and fields == {"of"} and isinstance(raw["of"], list):
            return self.dict(raw["of"], depth)
        if kind == "number" and fields == {"is"} and raw["is"] in ("nan", "inf", "-inf"):
            return float(raw["is"])
        known = kind == "object" and fields == {"n", "is"} and type(raw["n"]) is int
        if known and isinstance(raw["is"], str) and len(raw["is"]) <= 100:
            return self.known(Remote(raw["n"], raw["is"]))
        raise WireError(f"a message holds an object of no known kind ({str(kind)[:20]!r}).")

    def dict(self, pairs: list[Any], depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise WireError("a message's dict is none.")
            key, value = pair
            if type(key) not in (str, int, bool) or key in found:
                raise WireError("a message's dict has a key that is none, or one twice.")
            found[key] = self.value(value, depth + 1)
        return found


def _tensors(data: bytes) -> dict[str, torch.Tensor]:
    """The tensors of a message, their header checked before the library reads it."""
    if not data:
        return {}
    try:
        safetensors_entries(data)
        return load(data)
    except (ValueError, SafetensorError) as broken:
        raise WireError(f"a message's tensors: {broken}.") from broken
