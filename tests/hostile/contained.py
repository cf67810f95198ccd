"""An attack is a cell of a student's; what it did is looked at from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from autograder.judging.frame import Lost
from autograder.judging.student import Student
from autograder.sandbox.limits import Limits

LIMITS = Limits(
    cell_seconds=10,
    call_seconds=10,
    run_seconds=60,
    memory_bytes=300_000_000,
    processes=24,
    open_files=128,
    file_bytes=10_000_000,
    scratch_bytes=30_000_000,
    output_bytes=200_000,
    total_output_bytes=400_000,
    reply_bytes=5_000_000,
)


@dataclass(frozen=True)
class After:
    """What a cell came to: "ran", what it raised, or how the worker was lost; what it printed."""

    status: str
    said: str = ""
    message: str = ""


def run(student: Student, source: str, seconds: float = 10) -> After:
    try:
        (ran,) = student.run([("attack", source)], seconds)
    except Lost as lost:
        return After(lost.why, message=str(lost))
    return After(ran.kind or "ran", ran.said, ran.error)


def attack(sandbox, source: str, seconds: float = 10, limits: Limits = LIMITS) -> After:
    """Runs an attack at a worker of its own; afterwards nothing of it may be left."""
    student = Student(sandbox.connect(limits=limits), seconds=seconds)
    try:
        return run(student, source, seconds)
    finally:
        student.close()
        assert left(sandbox) == 0, "processes of the attack are left"
        assert well(sandbox), "the next student does not get a working worker"


def well(sandbox) -> bool:
    """Whether a new worker does what it should."""
    student = Student(sandbox.connect(), seconds=10)
    source = (
        "import json, os, sys, torch\n"
        "open('mine', 'w').write('x')\n"
        "def go(): return [float(torch.ones(3).sum()), os.listdir('.'), os.listdir('/dev/shm')]\n"
    )
    try:
        return run(student, source).status == "ran" and student.call("go") == [3.0, ["mine"], []]
    finally:
        student.close()


def left(sandbox) -> int:
    """Processes in the sandbox beside bwrap (two) and the warm process."""
    until = time.monotonic() + 3
    while True:
        number = len(psutil.Process(sandbox.process.pid).children(recursive=True)) - 2
        if number == 0 or time.monotonic() > until:
            return number
        time.sleep(0.01)
