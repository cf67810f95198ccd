"""Release: what students get holds no answers, and whoever runs it meets one kind of error."""

from __future__ import annotations

import nbformat
import pytest
import tiny_homework as tiny

from autograder.release import hidden_lines, leaks, release
from course_utils.errors import CourseError


def test_solutions_and_hidden_tests_are_gone(assignments, course_dir):
    path = release("tiny", course_dir, assignments_dir=assignments)
    text = path.read_text("utf-8")
    assert path == course_dir / "release" / "tiny" / "tiny.ipynb"
    for secret in ("the secret way", "by halves", "2468", "BEGIN"):
        assert secret not in text
    assert text.count("raise NotImplementedError()") == 2


def test_releasing_again_takes_the_new_version(assignments, course_dir):
    changed = tiny.notebook(setup="import cmath")
    nbformat.write(changed, assignments / "source" / "tiny" / "tiny.ipynb")
    path = release("tiny", course_dir, assignments_dir=assignments, run=False)
    assert "import cmath" in path.read_text("utf-8")


def test_stub_that_raises_something_else_is_not_released(course_dir, tmp_path):
    broken = tiny.write_assignment(
        tmp_path / "broken", tiny.notebook(setup="import nowhere_at_all")
    )
    with pytest.raises(CourseError, match="ModuleNotFoundError"):
        release("tiny", course_dir, assignments_dir=broken)
    assert not list((course_dir / "release").rglob("*.ipynb"))


def test_notebook_that_nbgrader_refuses_is_explained(course_dir, tmp_path):
    original = tiny.notebook()
    original.cells[2].source = original.cells[2].source.replace("    ### END SOLUTION", "")
    broken = tiny.write_assignment(tmp_path / "broken", original)
    with pytest.raises(CourseError, match="no end solution"):
        release("tiny", course_dir, assignments_dir=broken)


def test_a_line_left_in_is_found(released):
    original = tiny.notebook()
    original.cells[-1].source += (
        "\n### BEGIN HIDDEN TESTS\n"
        "assert double(1234) == 2468, 'double: wrong for large numbers'\n"
        "### END HIDDEN TESTS"
    )
    assert hidden_lines(original) == {
        "return x + x  # the secret way",
        "return x / 2  # by halves",
        "assert double(1234) == 2468, 'double: wrong for large numbers'",
    }
    assert leaks(original, released) == []
    released.cells[0].source += "\nreturn x + x  # the secret way"
    assert leaks(original, released) == [
        "cell 0 still has the line 'return x + x  # the secret way'"
    ]


@pytest.mark.long
def test_paired_text_stays_with_the_instructor(hw_prompt_class):
    course = hw_prompt_class / "course"
    assert [path.name for path in (course / "release" / "hw_prompt").iterdir()] == [
        "hw_prompt.ipynb"
    ]
    assert not list(course.rglob("hw_prompt.py"))


def test_unknown_assignment(assignments, course_dir):
    with pytest.raises(CourseError, match="Did you mean 'tiny'"):
        release("tinny", course_dir, assignments_dir=assignments)
