"""The worker itself is a student's to change: then it is lost, and nobody else is."""

from __future__ import annotations

import pytest
from contained import attack, run, well

from autograder.judging.frame import Lost
from autograder.judging.student import Student, StudentError

# Each ends the conversation when the cell is run or, at the latest, with the next call.
ENDS = {
    "leaving": "import os; os._exit(0)",
    "leaving with a status of ours": "import os; os._exit(101)",
    "an abort": "import os; os.abort()",
    "a fault": "import ctypes; ctypes.string_at(0)",
    "a stack that overflows": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\n"
        "x = []\n"
        "for _ in range(10 ** 6): x = [x]\n"
        "repr(x)\n"
    ),
    "calls of another machine": (  # 32-bit getpid by int 0x80, past a filter of 64-bit numbers
        "import ctypes, mmap\n"
        "code = mmap.mmap(-1, 4096, prot=7)\n"
        "code.write(bytes.fromhex('b814000000cd80c3'))\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(code))\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(at)()\n"
        "import time; time.sleep(100)\n"
    ),
    "closing the pipes": "import os; os.closerange(3, 100)",
    "garbage on the pipe": "import os; os.write(4, b'x' * 1000)",
    "no JSON in the page": "import os; os.write(4, b'\\5' + bytes(11) + b'abcde')",
    "a huge head": "import os; os.write(4, b'\\xff' * 12)",
    "an answer to another question": (
        "import os\nfrom autograder.judging.wire import encode\n"
        "os.write(4, encode({'turn': 0, 'value': None, 'said': ''}))"
    ),
    "an answer that is deep": (
        "import os, struct\npage = b'[' * 900_000\n"
        "os.write(4, struct.pack('<IQ', len(page), 0) + page)"
    ),
    "an answer too many": (
        "import os\nfrom autograder.judging.wire import encode\n"
        "os.write(4, encode({'turn': 1, 'value': None, 'said': ''}))"
    ),
    "a pipe on the pipe": "import os; r, w = os.pipe(); os.dup2(w, 4)",
    "serve replaced": (
        "import autograder.judging.worker as w\n"
        "w.Worker.answer = lambda self, request: {'turn': 'x', 'value': 1, 'said': ''}\n"
    ),
    "encode replaced": (
        "import gc, types\n"
        "from autograder.judging import wire\n"
        "wire.json.dumps = lambda *a, **k: 'no json'\n"
    ),
    "the worker found": (
        "import gc\nfrom autograder.judging.worker import Worker\n"
        "for o in gc.get_objects():\n"
        "    if isinstance(o, Worker): o.answer = lambda request: 1\n"
    ),
    "frames changed": (
        "import sys\n"
        "frame = sys._getframe()\n"
        "while frame.f_back: frame = frame.f_back\n"
        "frame.f_globals.clear()\n"
        "import builtins; builtins.__dict__.clear()\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_a_worker_that_is_broken_is_lost(sandbox, how):
    student = Student(sandbox.connect(), seconds=2)
    after = run(student, ENDS[how], 5)
    if after.status not in ("crashed", "out_of_memory", "timeout"):
        with pytest.raises((Lost, StudentError)):
            student.call("has")
    student.close()
    assert well(sandbox)


GOES_ON = {
    "modules taken away": "import sys; sys.modules.clear()",
    "a recursion limit": "import sys; sys.setrecursionlimit(50)",
    "the environment": "import os; os.environ.clear(); os.environ['PATH'] = ''",
    "the folder": "import os, shutil; shutil.rmtree(os.getcwd(), ignore_errors=True)",
    "torch": "import torch; torch.equal = torch.allclose = lambda *a, **k: True",
    "json": "import json; json.loads = None",
    "the built-ins": "import builtins; builtins.isinstance = lambda *a: True; builtins.len = None",
    "an exception that lies": (
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E\n"
    ),
    "leaving by an exception": "raise SystemExit(0)",
    "an interrupt": "raise KeyboardInterrupt",
    "output closed": "import sys; sys.stdout.close(); sys.stderr.close(); print('x')",
    "tracing": "import sys; sys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: None)",
    "an audit": "import sys; sys.addaudithook(lambda *a: 1 / 0)",
    "a zero in the source": "x = 1\0",
    "collected": "import gc; gc.unfreeze(); gc.collect()",
}


@pytest.mark.parametrize("what", GOES_ON)
def test_what_a_student_changes_stays_with_the_student(sandbox, what):
    """The worker may go on or be lost; the next one knows nothing of it (see `attack`)."""
    after = attack(sandbox, GOES_ON[what])
    assert after.status in (
        "ran", "crashed", "timeout", "E", "SystemExit", "KeyboardInterrupt", "ValueError",
        "RecursionError", "TypeError", "SyntaxError", "AttributeError", "ZeroDivisionError",
        "ModuleNotFoundError", "RuntimeError", "KeyError", "ImportError",
    )  # fmt: skip


def test_a_source_that_is_no_text_costs_its_sender_only(sandbox):
    student = Student(sandbox.connect())
    after = run(student, "x = '\ud800'")
    student.close()
    assert after.status in ("ran", "crashed", "UnicodeEncodeError", "SyntaxError")
    assert well(sandbox)


def test_a_pickle_is_never_read(sandbox, tmp_path):
    """What an object's __reduce__ would do on our side does not happen: it can't be sent."""
    mark = tmp_path / "mark"
    source = (
        "import os\n"
        "class Bad:\n"
        f"    def __reduce__(self): return os.system, ('touch {mark}',)\n"
        "def go(): return Bad()\n"
    )
    student = Student(sandbox.connect())
    run(student, source)
    got = student.call("go")
    student.close()
    assert (type(got).__name__, mark.exists()) == ("Remote", False)
