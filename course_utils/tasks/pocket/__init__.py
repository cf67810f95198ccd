"""The pocket twins of the course's tasks, generated from the pocket world with fixed seeds."""

from __future__ import annotations

from course_utils.errors import unknown_name
from course_utils.tasks.pocket.twins import TWINS
from course_utils.tasks.task import Task


def build_task(name: str, seed: int = 0) -> Task:
    """The pocket task of that short name ("rte", "ner", ...).

    Args:
        name: a key of TWINS.
        seed: of the draw; 0 is the one every number of the course is about.

    Raises:
        CourseError: an unknown name.
    """
    if name not in TWINS:
        raise unknown_name("pocket task", name, TWINS)
    from course_utils.tasks.pocket.build import build

    return build(name, TWINS[name], seed)
