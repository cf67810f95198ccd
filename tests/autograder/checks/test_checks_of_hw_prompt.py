"""HW-Prompt's checks: the instructor's version passes every draw, usual mistakes fail one."""

from __future__ import annotations

import pytest
from hw_prompt_alternatives import ALTERNATIVES
from hw_prompt_right import RIGHT
from hw_prompt_slips import SLIPS
from hw_prompt_wrong import WRONG
from tried_answers import Bench, as_given, code, draws, judged_stub

from autograder.checks import checks_of
from autograder.judging.judge import Draw
from autograder.judging.student import Student
from autograder.sample_class import write_answer
from course_utils.errors import CourseError

CHECKS = checks_of("hw_prompt").all
POINTS = {"fill-template": 6, "label-scores": 8, "label-probabilities": 6, "soft-prompt": 7,
          "extend-batch": 6, "prompted-logits": 7, "keys-and-values": 3, "prefix": 8,
          "prefixed-logits": 5, "text-share": 4}  # fmt: skip
DRAWS = draws(4)
CODE = code("hw_prompt")


def answered(exercise: str, bodies: list[str]) -> str:
    return write_answer(as_given(CODE[exercise]), bodies)


OTHERS = {name: [*(answered(name, bodies) for bodies in RIGHT[name]), *ALTERNATIVES[name]]
          for name in RIGHT}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory, connect):
    student = Student(connect(tmp_path_factory.mktemp("bench")), seconds=60)
    yield Bench("hw_prompt", student)
    student.close()


def always(failed: dict[str, list[bool]]) -> list[str]:
    """The checks that fail on every draw."""
    return [name for name, each in failed.items() if all(each)]


def test_points_are_those_of_the_exercises():
    assert {name: checks_of("hw_prompt").points_of(name) for name in POINTS} == POINTS
    assert {check.exercise for check in CHECKS} == set(POINTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_the_instructors_version_passes_on_every_draw(bench, check):
    for number in range(DRAWS):
        check.run(bench.student, Draw(f"{number}/{check.name}"))
        bench.student.forget()


@pytest.mark.parametrize("exercise", POINTS)
def test_the_instructors_version_passes_the_visible_check(bench, exercise):
    (ran,) = bench.student.run([(f"{exercise}-check", CODE[f"{exercise}-check"])])
    assert ran.kind == "", ran


@pytest.mark.parametrize("slip", SLIPS, ids=lambda s: f"{s.cell}: {s.fails[:30]}")
def test_a_slip_fails_the_check_that_is_there_for_it(bench, slip):
    assert slip.old in CODE[slip.cell], "the mistake is made in the answer as it stands"
    source = CODE[slip.cell].replace(slip.old, slip.new)
    visible, failed = bench.tried(slip.cell, source, slip.fails, draws=max(2, DRAWS // 2))
    assert failed
    assert always(failed) == list(failed), "right by chance"
    assert ("visible" if visible.kind else "hidden") == slip.caught


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.cell}: {wrong.slip}")
def test_a_wrong_answer_is_caught(bench, wrong):
    visible, failed = bench.tried(wrong.cell, answered(wrong.cell, wrong.bodies))
    assert always(failed)
    assert ("visible" if visible.kind else "hidden") == wrong.caught


@pytest.mark.parametrize(
    ("exercise", "source"),
    [pytest.param(name, source, id=f"{name}-{number}")
     for name, many in OTHERS.items() for number, source in enumerate(many)],
)  # fmt: skip
def test_right_in_other_words_passes(bench, exercise, source):
    visible, failed = bench.tried(exercise, source, draws=DRAWS)
    assert visible.error == ""
    assert not [name for name, each in failed.items() if any(each)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_every_check_is_failed_by_some_slip(check):
    slips = [s for s in SLIPS if s.cell == check.exercise and check.name.startswith(s.fails)]
    written = {"writes both texts", "works for one text"}  # basics, which every answer has to pass
    assert slips or any(check.name.startswith(name) for name in written)


def test_every_exercise_has_what_looks_right_and_is_not():
    looks_right = {s.cell for s in SLIPS if s.caught == "hidden"}
    assert looks_right == set(RIGHT) == set(ALTERNATIVES) == set(POINTS)


def test_a_stub_has_nothing_and_every_message_says_so(tmp_path, connect):
    judgement = judged_stub("hw_prompt", lambda: Student(connect(tmp_path), seconds=60))
    assert judgement.earned == 0
    assert judgement.most == sum(POINTS.values())
    assert {outcome.message for outcome in judgement.outcomes} == {"not written yet"}


@pytest.mark.parametrize("exercise", POINTS)
def test_a_stub_fails_the_visible_check_as_not_written(bench, exercise):
    visible, failed = bench.tried(exercise, as_given(CODE[exercise]))
    assert visible.kind == "NotImplementedError"
    assert len(always(failed)) == sum(check.exercise == exercise for check in CHECKS)


def test_unknown_homework():
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        checks_of("hw_promt")
