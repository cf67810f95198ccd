"""HW-Adapter's checks: the instructor's version passes every draw, usual mistakes fail one."""

from __future__ import annotations

import pytest
from hw_adapter_alternatives import ALTERNATIVES
from hw_adapter_mistakes import MISTAKES
from hw_adapter_right import RIGHT
from tried_answers import Bench, as_given, code, draws, judged_stub

from autograder.checks import checks_of
from autograder.judging.judge import Draw
from autograder.judging.student import Student

CHECKS = checks_of("hw_adapter").all
POINTS = {"bottleneck": 9, "add-adapters": 11, "token-shift": 4, "add-adapter-bias": 5,
          "train-biases": 7, "lora-linear": 11, "add-lora": 7, "hunt-trained": 4,
          "hunt-biases": 4, "hunt-place": 4, "hunt-dropout": 4, "hunt-training": 4,
          "bonus-adamix": 10}  # fmt: skip
DRAWS = draws(2)
OTHERS = {name: [RIGHT[name], *ALTERNATIVES[name]] for name in RIGHT}


@pytest.fixture(scope="module")
def bench(tmp_path_factory, connect):
    student = Student(connect(tmp_path_factory.mktemp("bench")), seconds=60)
    yield Bench("hw_adapter", student)
    student.close()


def test_points_are_those_of_the_exercises():
    assert {name: checks_of("hw_adapter").points_of(name) for name in POINTS} == POINTS
    assert {check.exercise for check in CHECKS} == set(POINTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_the_instructors_version_passes_on_every_draw(bench, check):
    for number in range(DRAWS):
        check.run(bench.student, Draw(f"{number}/{check.name}"))
        bench.student.forget()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.exercise}: {m.new[:30]}")
def test_usual_mistakes_fail_their_check(bench, mistake):
    right = code("hw_adapter")[mistake.exercise]
    assert mistake.old in right, "the mistake is made in the answer as it stands"
    wrong = right.replace(mistake.old, mistake.new) if mistake.old else as_given(right, "pass")
    seen, failed = bench.tried(mistake.exercise, wrong, mistake.fails, max(1, DRAWS // 2))
    assert failed
    assert all(all(each) for each in failed.values()), "right by chance"
    assert (seen.kind == "") is mistake.looks_right, seen


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_every_check_is_failed_by_some_mistake(check):
    assert any(m.exercise == check.exercise and check.name.startswith(m.fails) for m in MISTAKES)


def test_mistakes_and_right_answers_name_what_exists():
    for mistake in MISTAKES:
        assert any(
            c.exercise == mistake.exercise and c.name.startswith(mistake.fails) for c in CHECKS
        ), mistake
    assert set(RIGHT) == set(ALTERNATIVES) == set(POINTS)


@pytest.mark.parametrize(
    ("exercise", "source"),
    [pytest.param(name, source, id=f"{name}-{number}")
     for name, many in OTHERS.items() for number, source in enumerate(many)],
)  # fmt: skip
def test_right_answers_in_other_words_pass(bench, exercise, source):
    visible, failed = bench.tried(exercise, source, draws=DRAWS)
    assert visible.error == ""
    assert not [name for name, each in failed.items() if any(each)]


def test_a_stub_has_nothing_and_every_message_says_so(tmp_path, connect):
    judgement = judged_stub("hw_adapter", lambda: Student(connect(tmp_path), seconds=60))
    assert judgement.earned == 0
    assert judgement.most == sum(POINTS.values())
    assert {outcome.message for outcome in judgement.outcomes} == {"not written yet"}
