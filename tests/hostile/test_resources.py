"""Processes, memory, disk, output and time: what a student's code can use up."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from contained import LIMITS, attack, left, run, well

from autograder.judging.frame import Lost
from autograder.judging.processes import Pipes
from autograder.judging.student import Student, StudentError
from autograder.sandbox.trying import why_not

# ---------------------------------------------------------------- processes

PROCESSES = {
    "a fork bomb": "import os\nwhile True: os.fork()",
    "a fork bomb that survives errors": (
        "import os\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: pass\n"
        "    except OSError: pass\n"
    ),
    "threads without end": (
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(100,)).start()"
    ),
}


@pytest.mark.parametrize("what", PROCESSES)
def test_processes_are_limited(sandbox, what):
    student = Student(sandbox.connect(), seconds=10)
    before = len(psutil.pids())
    after = run(student, PROCESSES[what], 0.6)
    during = len(psutil.pids()) - before
    student.close()
    assert after.status in ("timeout", "crashed", "BlockingIOError", "RuntimeError")
    assert during < LIMITS.processes + 20
    assert left(sandbox) == 0
    assert well(sandbox)


def test_the_number_of_processes_is_the_limit_itself(sandbox):
    after = attack(
        sandbox,
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 200:\n"
        "        if os.fork() == 0: time.sleep(100)\n"
        "        made += 1\n"
        "except BlockingIOError: pass\n"
        "print(made)\n",
    )
    assert 10 < int(after.said) < LIMITS.processes


SURVIVORS = {
    "a child": "import subprocess; subprocess.Popen(['sleep', '300'])",
    "a session": "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)",
    "a daemon": (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        import signal\n"
        "        for n in range(1, 65):\n"
        "            try: signal.signal(n, signal.SIG_IGN)\n"
        "            except (OSError, ValueError): pass\n"
        "        time.sleep(300)\n"
        "    os._exit(0)\n"
    ),
    "finish, then start more": (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    while True:\n"
        "        time.sleep(0.02)\n"
        "        if os.fork(): os._exit(0)\n"
    ),
    "a thread": (
        "import subprocess, threading, time\n"
        "def later():\n"
        "    while True: time.sleep(0.1); subprocess.Popen(['sleep', '300'])\n"
        "threading.Thread(target=later, daemon=True).start()\n"
    ),
    "at the exit": "import atexit, os, time; atexit.register(time.sleep, 300)",
}


@pytest.mark.parametrize("what", SURVIVORS)
def test_nothing_survives_its_worker(sandbox, what):
    assert attack(sandbox, SURVIVORS[what]).status == "ran"


@pytest.mark.long
def test_the_end_of_a_grader_is_the_end_of_all():
    """Killed without a chance to clean up, with a student's child running."""
    code = (  # a cell is sent as bytes: the grader's own torch is not needed here
        "import json, time\n"
        "from autograder.judging.frame import HEAD\n"
        "from autograder.sandbox.opening import open_sandbox\n"
        "sandbox = open_sandbox('bubblewrap')\n"
        'cell = \'import subprocess; subprocess.Popen(["sleep", "300"])\'\n'
        "given = {'$': 'dict', 'of': [['source', cell], ['name', 'attack']]}\n"
        "page = {'$': 'dict', 'of': [['op', 'run'], ['turn', 1], ['with', given]]}\n"
        "page = json.dumps(page).encode()\n"
        "sandbox.connect().ask(HEAD.pack(len(page), 0) + page, 60)\n"
        "print(sandbox.process.pid, flush=True); time.sleep(300)\n"
    )
    if reason := why_not("bubblewrap"):
        pytest.skip(f"no sandbox on this machine: {reason}")
    grader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    outer = psutil.Process(int(grader.stdout.readline()))
    everybody = [outer, *outer.children(recursive=True)]
    assert len(everybody) >= 6  # bwrap twice, the warm process, a keeper, a worker, its child
    grader.kill()
    grader.wait()
    grader.stdout.close()
    _, alive = psutil.wait_procs(everybody, timeout=10)
    assert not alive


# ---------------------------------------------------------------- memory and disk

MEMORY = {
    "at once": ("x = bytearray(10 ** 12)", "out_of_memory"),
    "a tensor": ("import torch\nx = torch.zeros(10 ** 11)", "out_of_memory"),
    "a list that grows": ("x = []\nwhile True: x.append(bytes(10 ** 6))", "out_of_memory"),
    "tensors that grow": (
        "import torch\nx = []\nwhile True: x.append(torch.ones(10 ** 6))", "out_of_memory"),
    "however it is caught": (
        "x = []\n"
        "while True:\n"
        "    try: x.append(bytearray(10 ** 6))\n"
        "    except MemoryError: pass\n", "timeout"),
    "shared by nobody": (
        "import mmap, os\nm = []\n"
        "while True:\n"
        "    m.append(mmap.mmap(-1, 10 ** 7)); m[-1].write(b'x' * 10 ** 7)\n", "out_of_memory"),
    "by recursion": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\n"
        "def f(x): return f([x]) + 1\nf(0)\n", ""),
    "a string of one cell": ("'x' * 10 ** 11", "out_of_memory"),
}  # fmt: skip


@pytest.mark.parametrize("how", MEMORY)
def test_memory_is_limited(sandbox, how):
    source, status = MEMORY[how]
    limits = dataclasses.replace(LIMITS, memory_bytes=100_000_000)  # less takes less time to fill
    after = attack(sandbox, source, 1 if status == "timeout" else 20, limits)
    assert after.status in ((status,) if status else ("crashed", "RecursionError", "SystemError"))


MANY_CHILDREN = """
import os, time
for _ in range(15):
    if os.fork() == 0:
        x = b"x" * 200_000_000
        time.sleep(100)
time.sleep(100)
"""


def test_memory_taken_by_many_processes_is_seen_in_time(sandbox):
    """Fifteen children of 200 MB each would be 3 GB; all are ended before that."""
    student = Student(sandbox.connect(), seconds=10)
    outer = psutil.Process(sandbox.process.pid)
    warm = max(child.memory_info().rss for child in outer.children(recursive=True))
    done, sums = threading.Event(), []

    def watch() -> None:
        while not done.wait(0.03):
            extra = 0
            for process in outer.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    extra += max(0, process.memory_info().rss - warm)
            sums.append(extra)

    watcher = threading.Thread(target=watch)
    watcher.start()
    after = run(student, MANY_CHILDREN, 30)
    done.set()
    watcher.join()
    student.close()
    assert after.status == "out_of_memory"
    assert max(sums) < 2_000_000_000
    assert left(sandbox) == 0
    assert well(sandbox)


BY_MANY = {
    "memory that they share": (
        "import mmap, os, time\n"
        "for _ in range(15):\n"
        "    if os.fork() == 0:\n"
        "        m = mmap.mmap(-1, 10 ** 8); m.write(b'x' * 10 ** 8)\n"
        "        time.sleep(100)\n"
        "time.sleep(100)\n"),
    "one after the other, each its parent's end": (
        "import os, time\n"
        "while True:\n"
        "    x = bytearray(b'x' * 10 ** 8)\n"
        "    if os.fork(): time.sleep(100)\n"
        "    x = None\n"),
    "unreadable to their keeper": (
        "import ctypes, os, time\n"
        "for _ in range(15):\n"
        "    if os.fork() == 0:\n"
        "        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
        "        x = b'x' * 10 ** 8\n"
        "        time.sleep(100)\n"
        "time.sleep(100)\n"),
}  # fmt: skip


@pytest.mark.parametrize("how", BY_MANY)
def test_processes_share_one_limit_of_memory(sandbox, how):
    assert attack(sandbox, BY_MANY[how], seconds=20).status == "out_of_memory"


def test_where_the_machine_runs_short_a_student_goes_first(sandbox):
    """By the kernel's own order, which no student can change; the warm process stays."""
    student = Student(sandbox.connect(), seconds=10)
    after = run(
        student,
        "import os, subprocess\n"
        "try: open('/proc/self/oom_score_adj', 'w').write('-1000')\n"
        "except OSError: print('refused')\n"
        "subprocess.Popen(['sleep', '300'])\n",
    )
    everybody = psutil.Process(sandbox.process.pid).children(recursive=True)
    order = [int(Path(f"/proc/{p.pid}/oom_score_adj").read_text()) for p in everybody]
    student.close()
    assert after.said == "refused\n"
    assert [value == 1000 for value in order] == [False, False, False, True, True]


DISK = {
    "/tmp": "open('/tmp/x', 'wb')",
    "/dev/shm": "open('/dev/shm/x', 'wb')",
    "its folder": "open('x', 'wb')",
}


@pytest.mark.parametrize("where", DISK)
def test_scratch_is_limited(sandbox, where):
    source = (
        "import os\n"
        f"top = os.path.dirname({where!r} + '/') if {where!r}[0] == '/' else '.'\n"
        "written = 0\n"
        "try:\n"
        "    for n in range(1000):\n"
        "        with open(f'{top}/{n}', 'wb', buffering=0) as file:\n"
        "            for _ in range(5): written += file.write(bytes(10 ** 6))\n"
        "except OSError as full: print(full.errno)\n"
        "print(written)\n"
    )
    after = attack(sandbox, source)
    number, written = map(int, after.said.split())
    assert number == 28  # no space left
    assert 20_000_000 < written <= LIMITS.scratch_bytes


def test_a_file_is_limited(sandbox):
    after = attack(
        sandbox,
        "with open('x', 'wb', buffering=0) as f:\n    while True: f.write(bytes(10 ** 6))",
    )
    assert (after.status, after.message) == ("OSError", "[Errno 27] File too large")


def test_files_without_content_are_limited(sandbox):
    after = attack(sandbox, "for n in range(10 ** 7): open(str(n), 'w').close()", seconds=10)
    assert (after.status, "[Errno 28]" in after.message) == ("OSError", True)


def test_open_files_are_limited(sandbox):
    assert attack(sandbox, "x = []\nwhile True: x.append(open('/dev/null'))").status == "OSError"


# ---------------------------------------------------------------- output

OUTPUT = {
    "without end": ("while True: print('x' * 1000)", "output_limit"),
    "at once": ("print('x' * 10 ** 7)", "output_limit"),
    "on stderr": ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "output_limit"),
    "however it is caught": (
        "while True:\n    try: print('x' * 1000)\n    except BaseException: pass", "output_limit"),
    "to the files themselves": (
        "import os\nfor _ in range(10 ** 4): os.write(1, b'x' * 10 ** 4), os.write(2, b'x')",
        "ran"),
    "to the streams below": (
        "import sys\nfor _ in range(10 ** 4): sys.__stdout__.write('x' * 10 ** 4)", "ran"),
    "by a child": (
        "import subprocess\n"
        "subprocess.run('yes | head -c 100000000', shell=True, check=True)", "ran"),
    "held in memory": (
        "import io, sys\nsys.stdout = io.StringIO()\nwhile True: print('x' * 10 ** 6)",
        "out_of_memory"),
}  # fmt: skip


@pytest.mark.parametrize("how", OUTPUT)
def test_output_is_limited(sandbox, how):
    source, status = OUTPUT[how]
    after = attack(sandbox, source)
    assert after.status == status
    assert len(after.said) <= 10_000


def test_output_of_all_cells_is_limited(sandbox):
    student = Student(sandbox.connect())
    statuses = [run(student, "print('x' * 150_000)").status for _ in range(2)]
    statuses.append(run(student, "print('x' * 150_000)").status)
    student.close()
    assert statuses == ["ran", "ran", "output_limit"]


ODD_OUTPUT = {
    "surrogates": ("print('\\ud800 a')", "? a\n"),
    "a zero": ("print('a\\0b')", "a\0b\n"),
    "bytes that are no UTF-8": ("import os; os.write(1, b'\\xff\\xfe'); print('a')", "a\n"),
    "escapes of a terminal": ("print('\\x1b[2J')", "\x1b[2J\n"),
    "directions": ("print('\\u202e a')", "\u202e a\n"),
}


@pytest.mark.parametrize("what", ODD_OUTPUT)
def test_odd_output_arrives_as_text(sandbox, what):
    source, said = ODD_OUTPUT[what]
    after = attack(sandbox, source)
    assert (after.status, after.said) == ("ran", said)


def test_odd_messages_arrive_as_text(sandbox):
    after = attack(sandbox, "raise ValueError('\\ud800\\0' + 'x' * 10 ** 6)")
    assert (after.status, after.message[:3], len(after.message)) == ("ValueError", "?\0x", 500)


REPLIES = {
    "many tensors": "import torch\ndef go(): return [torch.zeros(10 ** 6) for _ in range(30)]",
    "much text": "def go(): return 'x' * 10 ** 7",
    "deep": "def go():\n    x = []\n    for _ in range(10 ** 5): x = [x]\n    return x",
    "in itself": "def go():\n    x = []\n    x.append(x)\n    return x",
    "many numbers": "def go(): return list(range(10 ** 6))",
    "a large number": "def go(): return 10 ** 5000",
    "no text": "def go(): return '\\ud800'",
}


@pytest.mark.parametrize("what", REPLIES)
def test_replies_are_limited(sandbox, what):
    student = Student(sandbox.connect(), seconds=10)
    run(student, REPLIES[what])
    with pytest.raises((Lost, StudentError)) as refused:
        student.call("go")
    student.close()
    assert getattr(refused.value, "why", "") in ("", "crashed")
    assert well(sandbox)


# ---------------------------------------------------------------- time

TIME = {
    "a loop": "while True: pass",
    "asleep": "import time; time.sleep(1000)",
    "deaf to signals": (
        "import signal, time\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True:\n"
        "    try: time.sleep(1000)\n"
        "    except BaseException: pass\n"
    ),
    "deaf to everything": "while True:\n    try:\n        while True: pass\n    except: pass",
    "in C": "7 ** (10 ** 9)",
    "a regular expression": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "in a lock": "import threading; x = threading.Lock(); x.acquire(); x.acquire()",
    "a pipe": "import os; r, w = os.pipe(); os.read(r, 1)",
    "stopped": "import os, time; os.kill(os.getpid(), 19); time.sleep(99)",
    "its judge's pipe": "import os; os.read(3, 1)",
}


@pytest.fixture(scope="module")
def late(sandbox) -> dict[str, str]:
    """What those who take too long came to, all at the same time."""
    students = {how: Student(sandbox.connect()) for how in TIME}
    began = time.monotonic()
    with ThreadPoolExecutor(len(TIME)) as pool:
        runs = {how: pool.submit(run, s, TIME[how], 0.5) for how, s in students.items()}
        found = {how: after.result().status for how, after in runs.items()}
    assert time.monotonic() - began < 30  # a busy machine's worth; without limits it is for ever
    assert left(sandbox) == 0
    assert well(sandbox)
    return found


@pytest.mark.parametrize("how", TIME)
def test_time_is_limited(late, how):
    assert late[how] == "timeout"


def test_the_time_of_all_cells_is_limited():
    """By the connection, whatever each call may take."""

    class Nobody(Pipes):
        def end(self) -> None:
            return

    read, theirs = os.pipe()
    other, write = os.pipe()
    pipes = Nobody(read, write, seconds=0.1)
    began = time.monotonic()
    with pytest.raises(Lost, match="too long"):
        pipes.ask(b"x", 1000)
    os.close(theirs)
    os.close(other)
    assert time.monotonic() - began < 30
