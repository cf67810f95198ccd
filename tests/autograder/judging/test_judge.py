"""Checks earn their points one by one; what ends a worker costs the check at hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

from autograder.judging.judge import (
    Checks,
    Draw,
    Wrong,
    expect_refusal,
    expect_tensor,
    expect_value,
    judge,
)
from autograder.judging.plms import small_plm
from autograder.judging.student import Student, StudentError
from autograder.judging.wire import Remote
from course_utils.errors import CourseError

check = Checks()


@check("doubles a vector", points=2, exercise="double")
def _doubles(student, draw):
    x = draw.normal(draw.between(1, 5))
    expect_tensor("double", student.call("double", x), 2 * x)


@check("refuses text", points=1, exercise="double")
def _refuses(student, draw):
    expect_refusal("double of a text", lambda: student.call("double", "a"))


@check("halves a number", points=3, exercise="half")
def _halves(student, draw):
    expect_value("half", student.call("half", 3.0), 1.5)


RIGHT = {
    "double": "def double(x):\n    if type(x) is str: raise ValueError('text')\n    return 2 * x",
    "half": "def half(x):\n    return x / 2",
}


@pytest.fixture
def opened(tmp_path, connect):
    made = []

    def open_worker():
        made.append(Student(connect(tmp_path), seconds=6))
        return made[-1]

    open_worker.made = made
    return open_worker


def judged(opened, **answers):
    cells = [("setup", "import torch"), *(RIGHT | answers).items()]
    return judge(opened, cells, check.all)


def earned(judgement):
    return {o.check.name: o.earned for o in judgement.outcomes}


def test_right_work_has_all_points_at_one_worker(opened):
    judgement = judged(opened)
    assert (judgement.earned, judgement.most, judgement.status) == (6, 6, "graded")
    assert len(opened.made) == 1
    assert not any(psutil.pid_exists(s.connection.pid) for s in opened.made), "left running"


def test_each_check_counts_for_itself(opened):
    judgement = judged(opened, double="def double(x):\n    return 2 * x")
    assert earned(judgement) == {"doubles a vector": 2, "refuses text": 0, "halves a number": 3}
    assert judgement.outcomes[1].message == (
        "double of a text: expected a ValueError, but nothing was raised."
    )


def test_work_that_is_not_written_has_none_and_says_so(opened):
    stub = "def double(x): raise NotImplementedError\ndef half(x): raise NotImplementedError"
    judgement = judged(opened, **dict.fromkeys(RIGHT, stub))
    assert judgement.earned == 0
    assert [outcome.message for outcome in judgement.outcomes] == ["not written yet"] * 3


def test_a_cell_that_does_not_run_costs_its_exercise(opened):
    judgement = judged(opened, double="def double(x) return x")
    assert judgement.earned == 3
    assert judgement.status == "student_error"
    assert judgement.outcomes[0].message.startswith("the cell raises SyntaxError")


@pytest.mark.parametrize(
    ("half", "status", "message"),
    [
        ("import os\ndef half(x): os._exit(1)", "crashed", "ended the Python process"),
        ("def half(x):\n    while True: pass", "timeout", "took too long and was ended"),
    ],
)
def test_an_exercise_that_ends_the_worker_costs_itself_only(opened, half, status, message):
    order = [("half", half), ("double", RIGHT["double"])]
    judgement = judge(opened, order, [check.all[2], *check.all[:2]])
    assert earned(judgement) == {"halves a number": 0, "doubles a vector": 2, "refuses text": 1}
    assert judgement.status == status
    assert judgement.outcomes[0].message == message
    assert len(opened.made) == 2


def test_a_cell_that_ends_the_worker_is_left_out_the_next_time(opened):
    judgement = judged(opened, double="import os; os._exit(0)")
    assert judgement.earned == 3
    assert judgement.status == "crashed"
    assert "ended the Python process" in judgement.outcomes[0].message


def test_a_worker_that_can_never_be_started_ends(opened):
    cells = [(f"c{i}", "import os; os._exit(0)") for i in range(12)]
    judgement = judge(opened, cells, check.all)
    assert judgement.earned == 0
    assert judgement.outcomes[0].message == "not judged: the work could not be run."
    assert len(opened.made) <= 10


def test_what_is_drawn_follows_from_the_seed_and_the_check():
    a, b, c = Draw("1/x"), Draw("1/x"), Draw("1/y")
    assert torch.equal(a.normal(4), b.normal(4))
    assert not torch.equal(Draw("1/x").normal(4), c.normal(4))
    assert all(2 <= Draw(str(i)).between(2, 3) <= 3 for i in range(20))


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (torch.ones(3), r"shape \(2,\), got \(3,\)"),
        (torch.ones(2, dtype=torch.float64), "expected torch.float32, got torch.float64"),
        (torch.tensor([1.0, float("nan")]), "not finite"),
        (torch.tensor([1.0, 1.1]), "values are not right"),
        ([1.0, 1.0], "expected a tensor, got a list"),
        (None, "got None"),
        (Remote(3, "torch.Right"), "got a Right"),
        (True, "got a bool"),
    ],
)
def test_tensors_that_are_not_the_expected(got, says):
    with pytest.raises(Wrong, match=says):
        expect_tensor("it", got, ONE)


def test_tensors_within_the_arithmetics_error_are_right():
    expect_tensor("it", ONE + 1e-6, ONE)
    expect_tensor("it", (ONE + 0.003).half(), ONE.half())
    expect_tensor("it", torch.tensor([1, 2]), torch.tensor([1, 2]))
    with pytest.raises(Wrong):
        expect_tensor("it", torch.tensor([1, 3]), torch.tensor([1, 2]))


@pytest.mark.parametrize("got", [1, True, 1.0 + 1e-9, "1.0"])
def test_values_are_of_the_same_type(got):
    with pytest.raises(Wrong):
        expect_value("it", got, 1.0)


def test_another_exception_is_not_the_asked_one():
    def call():
        raise StudentError("TypeError", "no")

    with pytest.raises(Wrong, match="expected a ValueError, got TypeError"):
        expect_refusal("it", call)


def test_no_message_shows_a_hidden_value():
    secret = torch.tensor([123.456, 654.321])
    with pytest.raises(Wrong) as caught:
        expect_tensor("it", secret + 1, secret)
    assert "123" not in str(caught.value)
    with pytest.raises(Wrong) as caught:
        expect_value("it", "other", "the hidden word")
    assert "hidden word" not in str(caught.value)


def test_two_checks_of_one_name():
    with pytest.raises(CourseError, match="two checks named 'doubles a vector'"):
        check("doubles a vector", points=1, exercise="double")
    assert check.points_of("double") == 3


def test_threads_that_judge_side_by_side_make_the_same_plms():
    """Each comes from a generator of its own: what others draw meanwhile changes nothing."""

    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(seed)  # another thread's use of the global generator
        return [p.detach() for p in small_plm("bert", seed=seed).parameters()]

    alone = [weights(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(weights, range(12)))
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
