"""Tensors between a student's processes go through a pipe, by value.

torch passes the file of a shared memory from process to process, over a socket with a name. A
worker has no such sockets: a DataLoader with workers would wait for its first batch for ever.
"""

from __future__ import annotations

import ctypes
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing  # registers its own way, which is put aside here


def send_by_value() -> None:
    """From now on, in this process and those it forks."""
    ForkingPickler.register(torch.UntypedStorage, _reduced)


def _reduced(storage: torch.UntypedStorage) -> tuple[Any, ...]:
    if storage.device.type != "cpu":
        raise RuntimeError(f"a tensor on {storage.device} can't be sent to another process.")
    return _rebuilt, (ctypes.string_at(storage.data_ptr(), storage.nbytes()),)


def _rebuilt(data: bytes) -> torch.UntypedStorage:
    if not data:
        return torch.UntypedStorage(0)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).untyped_storage()
