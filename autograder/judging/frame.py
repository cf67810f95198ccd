"""How a message is framed, and how a conversation ends: the part of the wire that needs no torch.

Whoever starts workers imports this alone, so that a sandbox can be on its way while the rest is
still being imported.
"""

from __future__ import annotations

import struct
from typing import Protocol

from course_utils.errors import CourseError

MOST_PAGE = 1_000_000
MOST_TENSORS = 64_000_000
HEAD = struct.Struct("<IQ")


class WireError(CourseError):
    """A message that breaks the rules of the wire."""


class Lost(CourseError):
    """The worker can't be spoken to any more.

    Attributes:
        why: a status of a submission: "timeout", "crashed", "out_of_memory", "output_limit" ...
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class Connection(Protocol):
    """Two directions to a worker; see `processes.py` for one."""

    def ask(self, message: bytes, seconds: float) -> tuple[bytes, bytes]:
        """Sends a message and gives the answer's page and tensors.

        Raises:
            Lost: no answer in time, or nobody there any more.
        """
        ...

    def close(self) -> None: ...


def lengths(head: bytes) -> tuple[int, int]:
    """(page, tensors) in bytes, from a message's first `HEAD.size` bytes.

    Raises:
        WireError: more than is allowed.
    """
    page, tensors = HEAD.unpack(head)
    if page > MOST_PAGE or tensors > MOST_TENSORS:
        raise WireError(f"a message of {page + tensors:,} bytes; at most {MOST_TENSORS:,}.")
    return page, tensors
