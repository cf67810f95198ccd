"""HW-Prompt's checks: the instructor's version passes every draw, usual mistakes fail one."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from hw_prompt_answers import RIGHT, SLIPS, WRONG

from autograder.checks import checks_of
from autograder.judging.judge import Check, Draw, Wrong, judge
from autograder.judging.student import Student, StudentError
from autograder.sample_class import STUB, solutions, write_answer
from course_utils.errors import CourseError

SOURCE = Path(__file__).parents[3] / "assignments" / "source" / "hw_prompt" / "hw_prompt.ipynb"
CHECKS = checks_of("hw_prompt").all
POINTS = {"fill-template": 6, "label-scores": 8, "label-probabilities": 6, "soft-prompt": 7,
          "extend-batch": 6, "prompted-logits": 7, "keys-and-values": 3, "prefix": 8,
          "prefixed-logits": 5, "text-share": 4}  # fmt: skip
DRAWS = 4
NOTEBOOK = nbformat.read(SOURCE, as_version=4)
CODE = {
    cell.metadata["nbgrader"]["grade_id"]: cell.source
    for cell in NOTEBOOK.cells
    if cell.cell_type == "code" and "nbgrader" in cell.metadata
}
BEFORE = ("setup", "check-tools")


def stubbed(source: str) -> str:
    """An answer's cell as students get it."""
    lines, inside = [], False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            lines += [line[: -len(line.lstrip())] + stub for stub in STUB]
        inside = (inside or "BEGIN SOLUTION" in line) and "END SOLUTION" not in line
        if not inside and "END SOLUTION" not in line:
            lines.append(line)
    return "\n".join(lines)


def answered(exercise: str, bodies: list[str]) -> str:
    return write_answer(stubbed(CODE[exercise]), bodies)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, connect):
    """A worker with the right answers; what a test changes it puts back."""
    student = Student(connect(tmp_path_factory.mktemp("bench")), seconds=60)
    ran = student.run([(name, CODE[name]) for name in (*BEFORE, *POINTS)])
    assert not any(cell.kind for cell in ran), ran
    yield student
    student.close()


def tried(
    bench: Student, exercise: str, source: str, about: str = "", draws: int = 1
) -> tuple[str, set[str]]:
    """(what the visible check raises, checks that fail on every draw) for another answer.

    Args:
        about: only checks whose names begin so.
    """
    mine = [c for c in CHECKS if c.exercise == exercise and c.name.startswith(about)]
    (ran,) = bench.run([(exercise, source)])
    assert ran.kind == "", ran
    try:
        (visible,) = bench.run([(f"{exercise}-check", CODE[f"{exercise}-check"])])
        always = {c.name for c in mine if all(fails(bench, c, n) for n in range(draws))}
    finally:
        bench.run([(exercise, CODE[exercise])])
        bench.forget()
    return visible.kind, always


def fails(bench: Student, check: Check, number: int) -> bool:
    try:
        check.run(bench, Draw(f"{number}/{check.name}"))
    except (Wrong, StudentError):
        return True
    return False


def test_points_are_those_of_the_exercises():
    assert {name: checks_of("hw_prompt").points_of(name) for name in POINTS} == POINTS
    assert {check.exercise for check in CHECKS} == set(POINTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_the_instructors_version_passes_on_every_draw(bench, check):
    for number in range(DRAWS):
        check.run(bench, Draw(f"{number}/{check.name}"))
    bench.forget()


@pytest.mark.parametrize("exercise", POINTS)
def test_the_instructors_version_passes_the_visible_check(bench, exercise):
    (ran,) = bench.run([(f"{exercise}-check", CODE[f"{exercise}-check"])])
    assert ran.kind == "", ran


@pytest.mark.parametrize("slip", SLIPS, ids=lambda s: f"{s.cell}: {s.fails[:30]}")
def test_a_slip_fails_the_check_that_is_there_for_it(bench, slip):
    assert slip.old in CODE[slip.cell], "the mistake is made in the answer as it stands"
    source = CODE[slip.cell].replace(slip.old, slip.new)
    visible, failed = tried(bench, slip.cell, source, slip.fails, draws=2)
    assert failed
    assert ("visible" if visible else "hidden") == slip.caught


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.cell}: {wrong.slip}")
def test_a_wrong_answer_is_caught(bench, wrong):
    visible, failed = tried(bench, wrong.cell, answered(wrong.cell, wrong.bodies))
    assert failed
    assert ("visible" if visible else "hidden") == wrong.caught


@pytest.mark.parametrize(
    ("cell", "bodies"),
    [
        pytest.param(cell, bodies, id=f"{cell}-{number}")
        for cell, many in RIGHT.items()
        for number, bodies in enumerate(many)
    ],
)
def test_right_in_other_words_passes(bench, cell, bodies):
    assert tried(bench, cell, answered(cell, bodies)) == ("", set())


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_every_check_is_failed_by_some_slip(check):
    slips = [s for s in SLIPS if s.cell == check.exercise and check.name.startswith(s.fails)]
    written = {"writes both texts", "works for one text"}  # basics, which every answer has to pass
    assert slips or any(check.name.startswith(name) for name in written)


def test_every_exercise_has_what_looks_right_and_is_not():
    looks_right = {s.cell for s in SLIPS if s.caught == "hidden"}
    assert looks_right == set(RIGHT) == set(POINTS)


def test_a_stub_has_nothing_and_every_message_says_so(tmp_path, connect):
    cells = [("setup", CODE["setup"])] + [(name, stubbed(CODE[name])) for name in POINTS]
    judgement = judge(lambda: Student(connect(tmp_path), seconds=60), cells, CHECKS)
    assert judgement.earned == 0
    assert judgement.most == sum(POINTS.values())
    assert {outcome.message for outcome in judgement.outcomes} == {"not written yet"}


@pytest.mark.parametrize("exercise", POINTS)
def test_a_stub_fails_the_visible_check_as_not_written(bench, exercise):
    stubs = ["raise NotImplementedError()"] * len(solutions(NOTEBOOK)[exercise])
    visible, failed = tried(bench, exercise, answered(exercise, stubs))
    assert visible == "NotImplementedError"
    assert len(failed) == sum(check.exercise == exercise for check in CHECKS)


def test_unknown_homework():
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        checks_of("hw_promt")
