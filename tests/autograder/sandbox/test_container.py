"""Docker and podman as far as the command line; the worker behind it is a real one."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from autograder.judging.frame import Lost
from autograder.judging.student import Student
from autograder.sandbox import enclosure, engine
from autograder.sandbox.limits import Limits
from autograder.sandbox.opening import open_sandbox
from course_utils.errors import CourseError

LIMITS = Limits(memory_bytes=10**9, processes=50, output_bytes=5000, run_seconds=100)


def option(line: list[str], name: str) -> list[str]:
    return [line[n + 1] for n, part in enumerate(line) if part == name]


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_the_command_line_leaves_nothing_open(kind):
    line = engine.command(kind, LIMITS, "image", "name", {"A": "b"})
    assert line[:2] == [kind, "run"]
    assert {"--rm", "--interactive", "--read-only"} <= set(line)
    for name, value in {
        "--network": "none",
        "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges",
        "--user": "65534:65534",
        "--memory": "1000000000",
        "--memory-swap": "1000000000",
        "--pids-limit": "50",
        "--pull": "never",
        "--log-driver": "none",
        "--ipc": "private",
    }.items():
        assert option(line, name) == [value]
    assert not {"--volume", "-v", "--mount", "--privileged", "--device", "--env-file"} & set(line)
    assert not [part for part in line if ".sock" in part]
    given = option(line, "--env")
    for proxy in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        assert f"{proxy}=" in given
    assert option(line, "--tmpfs")[0].startswith("/tmp:rw,nosuid,nodev,size=")
    assert "A=b" in option(line, "--env")
    assert line[line.index("image") :] == [
        "image", "timeout", "--signal", "KILL", "160",
        "python", "-m", "autograder.judging.worker", "0", "1", "5000", "5000000",
    ]  # fmt: skip


FAKE = """\
#!{python}
import os, signal, subprocess, sys
log, given = {folder!r}, sys.argv[1:]
with open(log + "/log", "a") as file:
    file.write(given[0] + "\\n")
if given[0] == "run":
    name = given[given.index("--name") + 1]
    worker = subprocess.Popen([{python!r}, *given[given.index("python") + 1:]])
    with open(log + "/" + name, "w") as file:
        file.write(str(worker.pid))
    status = worker.wait()
    sys.exit(status if status >= 0 else 128 - status)
if given[0] == "info":
    print(os.environ.get("HOLDS", "true:memory true:pids"))
if given[0] == "kill":
    os.kill(int(open(log + "/" + given[1]).read()), signal.SIGKILL)
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """An engine that runs the container's command without a container."""
    path = tmp_path / "docker"
    path.write_text(textwrap.dedent(FAKE).format(python=sys.executable, folder=str(tmp_path)))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_worker_speaks_over_standard_input_and_output(docker):
    """What the student prints, by whatever way, does not get between the answers."""
    with open_sandbox("docker", LIMITS) as sandbox:
        student = Student(sandbox.connect(), seconds=60)
        source = "import os, sys\nos.write(1, b'x')\nsys.__stdout__.write('x')\nprint('said')"
        (ran,) = student.run([("a", source)], 60)
        assert (ran.said, ran.error) == ("said\n", "")
        student.run([("b", "def double(x): return 2 * x")])
        assert student.call("double", 21) == 42
        (worker,) = [p for p in docker.iterdir() if p.name.startswith("worker-")]
        pid = int(worker.read_text())
        with pytest.raises(Lost) as lost:
            student.run([("c", "print('x' * 6000)")])
        assert lost.value.why == "output_limit"
        assert not psutil.pid_exists(pid)


def test_a_container_that_hangs_is_killed_by_its_name(docker):
    with open_sandbox("docker", LIMITS) as sandbox:
        student = Student(sandbox.connect())
        with pytest.raises(Lost) as lost:
            student.run([("a", "while True: pass")], 1)
    assert lost.value.why == "timeout"
    assert (docker / "log").read_text().split() == ["image", "info", "run", "kill"]
    (worker,) = [p for p in docker.iterdir() if p.name.startswith("worker-")]
    assert not psutil.pid_exists(int(worker.read_text()))


def test_an_engine_without_the_image_says_how_to_build_it(docker):
    (docker / "docker").write_text("#!/bin/sh\necho 'no such image' >&2\nexit 1\n")
    with pytest.raises(CourseError, match="no such image.*docker build -t peft-course-worker"):
        open_sandbox("docker")


@pytest.mark.parametrize("answer", ["false:memory true:pids", "true:pids", "", "memory"])
def test_an_engine_that_can_not_limit_memory_is_refused(docker, monkeypatch, answer):
    monkeypatch.setenv("HOLDS", answer)
    with pytest.raises(CourseError, match="docker can't limit memory"):
        open_sandbox("docker")


def test_podman_names_its_control_groups(docker, monkeypatch):
    (docker / "docker").rename(docker / "podman")
    monkeypatch.setenv("HOLDS", "cpuset cpu io memory pids")
    assert engine.why_not("podman") is None
    monkeypatch.setenv("HOLDS", "cpu memory")
    assert "can't limit pids" in engine.why_not("podman")


def test_an_engine_that_starts_nothing_is_not_the_students_fault(docker, monkeypatch):
    text = (docker / "docker").read_text()
    line = 'if given[0] == "run": sys.stderr.write("no room" + " " * 10**6); sys.exit(125)\n'
    (docker / "docker").write_text(text.replace('if given[0] == "run":\n', f"{line}if False:\n"))
    with (
        open_sandbox("docker") as sandbox,
        pytest.raises(CourseError, match="docker did not start a worker. It said: no room"),
    ):
        sandbox.connect()


def test_a_missing_engine_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match="podman is not installed"):
        open_sandbox("podman")


def test_the_image_holds_of_ours_what_a_worker_needs():
    """The files that bubblewrap binds, but for those of the sandbox itself."""
    text = Path(engine.__file__).with_name("Dockerfile").read_text("utf-8").replace("\\\n", " ")
    copied = {
        name
        for line in text.splitlines()
        if line.startswith("COPY autograder/")
        for name in line.split()[1:-1]
    }
    assert copied == {name for name in enclosure.OURS if "/sandbox/" not in name}
