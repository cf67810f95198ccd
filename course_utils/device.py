"""Where a model runs: its device, the precision of its arithmetic, the memory it took."""

from __future__ import annotations

import contextlib
import sys

import torch
from torch import nn

from course_utils.errors import CourseError

PRECISIONS = ("auto", "float32", "float16", "bfloat16")


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter."""
    return next(model.parameters()).device


def choose_precision(device: torch.device, asked: str = "auto") -> str:
    """ "auto": bfloat16 on GPUs that have it (sm_80 on), float16 on others, float32 on a CPU."""
    if asked not in PRECISIONS:
        raise CourseError(f"precision {asked!r}: expected one of {', '.join(PRECISIONS)}.")
    if asked != "auto":
        return asked
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if has_bfloat16(device) else "float16"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device itself multiplies bfloat16.

    Elsewhere torch emulates it: right, but on a processor ten times slower than float32. A torch
    that can't tell what its processor can do (before 2.10 or so) counts as one without.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    able = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """16-bit arithmetic where the precision asks for it; parameters stay as they are."""
    chosen = choose_precision(device, precision)
    if chosen == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, chosen))


def reset_peak_memory() -> None:
    """From here on `peak_memory` counts anew (on a GPU)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: torch.device) -> float:
    """Peak in MB: of this GPU's tensors, or of the whole process on a CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
