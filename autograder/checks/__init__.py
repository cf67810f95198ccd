"""The hidden checks, a package for each homework: never in students' hands or at a worker."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from autograder.judging.judge import Checks
from course_utils.errors import unknown_name

HOMEWORK = ("hw_adapter", "hw_prompt")


def checks_of(homework: str) -> Checks:
    """The checks of a homework.

    Raises:
        CourseError: there are none of that name.
    """
    if homework not in HOMEWORK:
        raise unknown_name("homework with checks", homework, HOMEWORK)
    return import_module(f"{__name__}.{homework}").check


def files_of(homework: str) -> list[Path]:
    """All files that decide what these checks say: the checks, and what they share."""
    return sorted(Path(__file__).with_name(homework).rglob("*.py"))
