"""A student's work behind the wire: called, differentiated, and ended when it does not answer."""

from __future__ import annotations

import os
import time

import psutil
import pytest
import torch
from torch import nn

from autograder.judging.frame import Lost
from autograder.judging.plms import small_plm
from autograder.judging.processes import ProcessConnection
from autograder.judging.student import Student, StudentError
from autograder.judging.wire import Remote

WORK = """
import torch
from torch import nn

def double(x):
    print("said something")
    return 2 * x

def refuse():
    raise ValueError("no")

class Scale(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(size))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, h):
        return self.factors * h

def words(model, ids):
    return model.get_input_embeddings()(ids)
"""


@pytest.fixture(scope="module")
def student(tmp_path_factory, connect):
    made = Student(connect(tmp_path_factory.mktemp("work")))
    (ran,) = made.run([("work", WORK)])
    assert ran.error == ""
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path, connect):
    made = Student(connect(tmp_path), seconds=20)
    yield made
    made.close()


def test_functions_are_called(student):
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(student.call("double", x), 2 * x)
    assert student.has("double")
    assert not student.has("triple")


def test_an_exception_is_the_students_and_has_its_class(student):
    with pytest.raises(StudentError) as caught:
        student.call("refuse")
    assert (caught.value.kind, caught.value.message) == ("ValueError", "no")
    with pytest.raises(StudentError, match="KeyError"):
        student.call("unwritten")


def test_objects_stay_there_and_are_called(student):
    scale = student.make("Scale", 3)
    assert isinstance(scale, Remote)
    h = torch.randn(2, 3)
    assert torch.equal(student.method(scale, "__call__", h), h)
    student.put(scale, {"factors": torch.tensor([1.0, 2.0, 3.0])})
    assert torch.equal(student.method(scale, "forward", h), h * torch.tensor([1.0, 2.0, 3.0]))
    values = student.parameters(scale)
    assert [(name, trained) for name, (_, trained) in values.items()] == [
        ("factors", True), ("frozen", False),
    ]  # fmt: skip
    assert student.get(scale, "factors.shape") is not None


def test_gradients_are_those_of_the_maths(student):
    scale = student.make("Scale", 3)
    h, weights = torch.randn(2, 3), torch.randn(2, 3)
    found = student.gradients(scale, "__call__", [h], weights, inputs=[0], parameters=scale)
    torch.testing.assert_close(found["factors"], (weights * h).sum(0))
    torch.testing.assert_close(found["input 0"], weights)
    assert "frozen" not in found
    assert torch.equal(found["output"], h)


def test_both_sides_make_the_same_plm(student):
    ids = torch.tensor([[5, 6, 7]])
    for family in ("bert", "gpt2"):
        here = small_plm(family, {"hidden_size": 8}, seed=3)
        there = student.plm(family, {"hidden_size": 8}, seed=3)
        assert torch.equal(student.call("words", there, ids), here.get_input_embeddings()(ids))


def test_cells_that_raise_do_not_stop_the_next(fresh):
    first, second, third = fresh.run(
        [("a", "x = 1 / 0"), ("b", "def (:"), ("c", "print('here'); y = 3\ndef get(): return y")]
    )
    assert (first.kind, first.error) == ("ZeroDivisionError", "division by zero")
    assert second.kind == "SyntaxError"
    assert (third.error, third.said) == ("", "here\n")
    assert fresh.call("get") == 3


def test_leaving_is_an_error_and_not_the_end(fresh):
    (ran,) = fresh.run([("a", "raise SystemExit(3)")])
    assert ran.kind == "SystemExit"
    assert fresh.run([("b", "1")])[0].error == ""


def test_what_a_cell_defines_is_found_by_pickle(fresh):
    """As in Jupyter, where a cell's names are those of __main__."""
    source = "import pickle\nclass Own: pass\nprint(type(pickle.loads(pickle.dumps(Own()))) is Own)"
    assert fresh.run([("a", source)])[0].said == "True\n"


def lost(student, source, seconds=5.0):
    with pytest.raises(Lost) as caught:
        student.run([("a", source)], seconds=seconds)
    assert not psutil.pid_exists(student.connection.pid), "the worker is gone"
    return caught.value.why


def test_a_process_that_ends_itself(fresh):
    assert lost(fresh, "import os; os._exit(0)") == "crashed"


def test_a_cell_without_end(fresh):
    start = time.monotonic()
    assert lost(fresh, "while True: pass", seconds=3) == "timeout"
    assert time.monotonic() - start < 8


def test_children_end_with_it(fresh):
    source = "import subprocess, sys\nchild = subprocess.Popen(['sleep', '300'])\nwhile True: pass"
    pid = fresh.connection.pid
    children = []

    def watch():
        children.extend(psutil.Process(pid).children())

    import threading

    timer = threading.Timer(2, watch)
    timer.start()
    assert lost(fresh, source, seconds=4) == "timeout"
    timer.join()
    assert children
    time.sleep(0.2)
    assert all(not c.is_running() or c.status() == psutil.STATUS_ZOMBIE for c in children)


def test_nothing_of_ours_is_open_in_it(fresh, tmp_path):
    (ran,) = fresh.run([("a", "import os; print(sorted(os.listdir('/proc/self/fd')))")])
    assert ran.error == ""
    count = len(eval(ran.said))
    assert count <= 3 + 2 + 1, "standard streams, two pipes, and the listing itself"


FORGERIES = {
    "an answer nobody asked for": (
        "def answer(self, request): return {'turn': 99, 'value': 1, 'said': ''}\n"
        "from autograder.judging import worker as w\nw.Worker.answer = answer"
    ),
    "an answer of another form": (
        "from autograder.judging import worker as w\nw.Worker.answer = lambda self, request: [1, 2]"
    ),
    "value and error at once": (
        "from autograder.judging import worker as w\n"
        "w.Worker.answer = lambda self, r: {'turn': r['turn'], 'value': 1, 'said': '',\n"
        "    'error': {'class': 'A', 'message': 'b'}}"
    ),
    "rubbish on the wire": ("import os, sys\nos.write(int(sys.argv[2]), b'\\xff' * 64)"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_worker_that_was_changed_is_lost_not_believed(fresh, name):
    def speak():
        fresh.run([("a", FORGERIES[name])])
        fresh.call("len", [1])

    with pytest.raises(Lost) as caught:
        speak()
    assert caught.value.why == "crashed"


def test_a_tensor_with_a_mind_of_its_own_arrives_as_an_object(fresh):
    source = (
        "import torch\n"
        "class Right(torch.Tensor):\n"
        "    def __eq__(self, other): return True\n"
        "def answer(): return torch.zeros(2).as_subclass(Right)\n"
    )
    fresh.run([("a", source)])
    assert isinstance(fresh.call("answer"), Remote)


def test_output_without_end_is_cut(fresh):
    (ran,) = fresh.run([("a", "print('x' * 100_000)")])
    assert len(ran.said) <= 10_000


def test_an_answer_that_is_too_large_is_the_students_error(fresh):
    fresh.run([("a", "import torch\ndef big(): return torch.zeros(20_000_000)")])
    with pytest.raises(StudentError, match="too large to be sent"):
        fresh.call("big")
    fresh.run([("b", "def small(): return 1")])
    assert fresh.call("small") == 1


def test_the_environment_is_the_given_one(tmp_path):
    given = {"PATH": os.environ["PATH"], "ONLY": "this"}
    made = Student(ProcessConnection(tmp_path, given))
    try:
        (ran,) = made.run([("a", "import os; print(os.environ.get('ONLY'), 'HOME' in os.environ)")])
    finally:
        made.close()
    assert ran.said == "this False\n"


def test_a_judge_that_compares_finds_the_difference(student):
    """What a check is: the same on both sides, compared by value."""

    class Reference(nn.Module):
        def forward(self, h):
            return 3 * h

    h = torch.randn(2, 3)
    assert not torch.allclose(student.call("double", h), Reference()(h))
