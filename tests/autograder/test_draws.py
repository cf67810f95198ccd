"""What the checks draw: the same for the same work, something else for any other."""

from __future__ import annotations

import shutil

import pytest
import tiny_homework as tiny

from autograder.grade import grade_class

QUOTES = "raise ValueError(x)"  # the feedback then quotes what was drawn


@pytest.fixture
def drawn(course_dir, hand_in, workers):
    """drawn(student, answer, ...) -> what the checks of `half` drew, as the feedback shows it."""

    def found(student: str, answer: str = QUOTES, course=course_dir, **options) -> str:
        folder = hand_in(student, **{**tiny.SOLUTIONS, "half": answer})
        (result,) = grade_class(
            "tiny", course, folder, [student], workers=workers, progress=False, **options
        )
        (check,) = [c for c in result.checks if c.exercise == "half"]
        assert check.message.startswith("raises ValueError: ")
        return check.message.partition(": ")[2]

    return found


def test_the_same_work_is_asked_the_same(drawn):
    first = drawn("ann")
    assert drawn("ann", regrade=True) == first
    assert drawn("ben") == first


def test_what_was_learned_is_of_no_use_in_the_next_try(drawn):
    """Of four changed comments, none leads to the first draw of 999 numbers but by rare chance."""
    asked = [drawn("ann", f"{QUOTES}  # try {number}") for number in range(5)]
    assert asked[0] not in asked[1:]


def test_another_course_draws_something_else(drawn, course_dir, tmp_path):
    other = shutil.copytree(course_dir, tmp_path / "other")
    (seed,) = [path for path in other.rglob("*") if path.name.endswith("seed")]
    seed.chmod(0o600)
    seed.write_text("0" * 32)
    assert drawn("ann", course=other) != drawn("ann")
