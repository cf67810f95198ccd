"""Right, not yet, or not written: what a self-check says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from course_utils.errors import CourseError
from course_utils.show.tables import NEITHER, RIGHT, WRONG, Page, message_box

_LOOKS = {"right": ("&#10004;", RIGHT), "not yet": ("&#10008;", WRONG)}


class Verdict(Page):
    """What a self-check found.

    Attributes:
        state: "right", "not yet" or "open" (nothing was written).
    """

    def __init__(self, state: str, text: str) -> None:
        self.state = state
        sign, colour = _LOOKS.get(state, ("&#9711;", NEITHER))
        super().__init__(message_box(text, colour, f"{sign} <b>{state}</b>. "), f"{state}. {text}")


class NotYet(Exception):
    """Advice for an answer that isn't right yet."""


def expect(condition: bool, advice: str) -> None:
    """Raises NotYet with the advice unless the condition holds (an assert that -O leaves in)."""
    if not condition:
        raise NotYet(advice)


def open_if_none(value: Any) -> Any:
    """The value a student's function gave; one that returns nothing yet counts as not written."""
    if value is None:
        raise NotImplementedError
    return value


def self_check(check: Callable[..., str]) -> Callable[..., Verdict]:
    """Turns a function that raises `NotYet` with advice into a check that never raises.

    The function gets the student's answer and returns one sentence of what is now known. An answer
    that is still `...`, or code that raises NotImplementedError or returns None, is "open".
    """

    @functools.wraps(check)
    def checked(answer, *more) -> Verdict:
        if answer is ...:
            return Verdict("open", "Replace the ... by your answer and run the cell again.")
        try:
            return Verdict("right", check(answer, *more))
        except NotImplementedError:
            return Verdict("open", "Replace the raise line by your code and run the cell again.")
        except (NotYet, CourseError) as advice:
            return Verdict("not yet", str(advice))
        except Exception as error:  # a student's code may raise anything; say it, don't stop
            return Verdict("not yet", f"Your code raised {type(error).__name__}: {error}")

    return checked
