"""The warm host: forks that know nothing of one another, and nothing left when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from autograder.judging.frame import Lost
from autograder.judging.host import WarmHost
from autograder.judging.student import Student
from course_utils.errors import CourseError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks of torch on Linux only")


@pytest.fixture(scope="module")
def host():
    with WarmHost() as made:
        yield made


def opened(host, folder, **options):
    return Student(host.connect(folder, **options), seconds=20)


def test_two_workers_share_nothing(host, tmp_path):
    one, other = opened(host, tmp_path), opened(host, tmp_path)
    source = "import torch\ntorch.left = 1\ndef has(): return hasattr(torch, 'left')"
    one.run([("a", source)])
    other.run([("a", "import torch\ndef has(): return hasattr(torch, 'left')")])
    assert (one.call("has"), other.call("has")) == (True, False)
    one.close()
    other.close()


def test_a_fork_can_compute(host, tmp_path):
    """A parent that had ever used a second thread would leave its forks hanging here."""
    student = opened(host, tmp_path)
    source = "import torch\ndef go():\n    a = torch.randn(400, 400)\n    return (a @ a).shape[0]"
    student.run([("a", source)])
    assert student.call("go") == 400
    student.close()


def test_it_runs_in_its_folder_with_its_environment(host, tmp_path):
    student = opened(host, tmp_path, environment={"ONLY": "this"})
    (ran,) = student.run([("a", "import os; print(os.getcwd(), os.environ['ONLY'])")])
    assert ran.said == f"{tmp_path} this\n"
    student.close()


def test_secrets_of_our_environment_do_not_get_there(host, tmp_path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    with WarmHost() as another:
        student = opened(another, tmp_path)
        (ran,) = student.run([("a", "import os; print(sorted(os.environ))")])
        student.close()
    assert "A_TOKEN" not in ran.said


def test_closing_ends_the_worker_and_its_children(host, tmp_path):
    student = opened(host, tmp_path)
    source = "import subprocess\nchild = subprocess.Popen(['sleep', '300'])\nprint(child.pid)"
    (ran,) = student.run([("a", source)])
    pid = student.connection.pid
    student.close()
    until = time.monotonic() + 5
    while psutil.pid_exists(int(ran.said)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert not psutil.pid_exists(int(ran.said))


def test_a_worker_that_kills_its_group_does_not_reach_the_host(host, tmp_path):
    student = opened(host, tmp_path)
    with pytest.raises(Lost):
        student.run([("a", "import os; os.kill(0, 9)")])
    again = opened(host, tmp_path)
    assert again.run([("a", "1")])[0].error == ""
    again.close()


def test_nothing_is_left_of_it(tmp_path):
    with WarmHost() as made:
        student = opened(made, tmp_path)
        pids, folder = (made.process.pid, student.connection.pid), made.folder
    assert not folder.exists()
    time.sleep(0.2)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(CourseError, match="does not fork any more"):
        made.connect(tmp_path)


def test_it_ends_when_its_owner_was_killed(tmp_path):
    code = (
        "from autograder.judging.host import WarmHost; import time\n"
        "host = WarmHost(); print(host.process.pid, host.folder, flush=True); time.sleep(300)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    number, folder = owner.stdout.readline().split()
    pid = int(number)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert not Path(folder).exists()


def test_connections_leave_no_open_files(host, tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        student = opened(host, tmp_path)
        student.run([("a", "1")])
        student.close()
    assert len(os.listdir("/proc/self/fd")) == before
