"""The one exception a user of the kit is meant to read, and the help it carries.

Every message says what was given, what was expected, and what to do. The command line prints
it as one paragraph without a traceback; in a notebook it is an ordinary exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CourseError(ValueError):
    """Input the kit can't use, found before any work was done."""


def unknown_name(kind: str, given: str, known: Iterable[str], hint: str = "") -> CourseError:
    """The error for a name that is not in `known`, with the nearest names first.

    Args:
        kind: what the name stands for, as a singular noun: "task", "PLM", "method".
        given: what the user wrote.
        known: the names that would have worked.
        hint: one more sentence, such as the way to use something that is not listed.
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(given).lower(), known, n=3, cutoff=0.5)
    message = f"unknown {kind} {given!r}."
    if near:
        message += f" Did you mean {' or '.join(repr(n) for n in near)}?"
    message += f" Known: {', '.join(known)}."
    return CourseError(f"{message} {hint}".strip())
