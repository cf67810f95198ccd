"""A machine that can't run the sandbox is told so; nothing weaker is chosen silently."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from autograder.judging.student import Student
from autograder.sandbox import enclosure, layers
from autograder.sandbox.limits import Limits
from autograder.sandbox.opening import WITHOUT, open_sandbox
from autograder.sandbox.trying import why_not
from course_utils.errors import CourseError

linux = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")


def program(folder, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@linux
def test_without_bubblewrap_the_refusal_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError) as refused:
        open_sandbox("bubblewrap")
    for words in (
        "not installed",
        "apt install bubblewrap",
        "docker",
        "--no-sandbox",
        "your rights",
    ):
        assert words in str(refused.value)


@linux
def test_a_bubblewrap_that_the_kernel_refuses_is_no_sandbox(tmp_path, monkeypatch):
    """As on an Ubuntu where only some programs may make user namespaces."""
    program(tmp_path, "bwrap", "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match="uid map: Permission denied.*apparmor_restrict"):
        open_sandbox("bubblewrap")


@linux
def test_a_layer_that_is_missing_inside_is_named(monkeypatch):
    """Bubblewrap starts, but in there the kernel has no more namespaces: no worker without."""
    if why_not("bubblewrap"):
        pytest.skip(f"no sandbox on this machine: {why_not('bubblewrap')}")
    plain = enclosure.command

    def without_a_layer(hidden, *python):
        code = (
            "import errno, runpy\n"
            "from autograder.sandbox import kernel\n"
            "plain = kernel.call\n"
            "def call(name, *given):\n"
            "    if name == 'unshare': raise OSError(errno.ENOSPC, 'No space left on device')\n"
            "    return plain(name, *given)\n"
            "kernel.call = call\n"
            "runpy.run_module('autograder.sandbox.layers', run_name='__main__')\n"
        )
        return plain(hidden, "-c", code)

    monkeypatch.setattr(enclosure, "command", without_a_layer)
    assert "a user namespace in the sandbox (No space left" in why_not("bubblewrap")


def test_a_layer_names_itself():
    with (
        pytest.raises(layers.LayerMissing, match=r"Landlock \(Function not implemented\)"),
        layers.layer("Landlock"),
    ):
        raise OSError(38, "Function not implemented")


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(CourseError, match="bubblewrap, docker, podman, none"):
        open_sandbox("jail")


def test_what_no_sandbox_means_is_said():
    assert "rights of whoever grades" in WITHOUT
    assert why_not("none") is None


@linux
def test_no_sandbox_still_has_a_folder_each_and_bounds_output():
    with open_sandbox("none", Limits(output_bytes=1000)) as sandbox:
        students = [Student(sandbox.connect()) for _ in range(2)]
        for student in students:
            (ran,) = student.run([("a", "import os; open('x', 'x'); print(os.getcwd())")])
            assert ran.error == ""
        places = [s.connection.scratch for s in students]
        assert places[0] != places[1]
        with pytest.raises(CourseError) as lost:
            students[0].run([("a", "print('x' * 2000)")])
        assert lost.value.why == "output_limit"
        students[1].close()
        assert not any(place.exists() for place in places)
        process = sandbox._host.process
    assert not psutil.pid_exists(process.pid)


# ---------------------------------------------------------------- what is bound


def bound(command: list[str], option: str) -> list[str]:
    return [command[n + 1] for n, part in enumerate(command) if part == option]


@linux
def test_nothing_of_ours_is_bound_but_what_a_worker_needs():
    seen = bound(enclosure.command((), "-V"), "--ro-bind")
    package = Path(enclosure.autograder.__file__).parent
    ours = {str(Path(p).relative_to(package)) for p in seen if Path(p).is_relative_to(package)}
    judging = {f"judging/{name}.py" for name in ("__init__", "worker", "wire", "frame", "plms")}
    others = {"__init__.py", "strict.py"}
    assert {name for name in ours if not name.startswith("sandbox/")} == judging | others
    assert "/" not in seen
    assert not any(
        place.rstrip("/") in ("/home", "/root", "/srv", "/etc", "/var") for place in seen
    )


@linux
def test_secrets_inside_of_what_is_bound_are_covered(tmp_path, monkeypatch):
    """A package that is installed beside torch, or a course folder below Python's."""
    packages = tmp_path / "python" / "site-packages"
    for name in ("autograder/checks", "course/gradebook"):
        (packages / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    monkeypatch.setattr(enclosure.autograder, "__file__", str(packages / "autograder/__init__.py"))
    hidden = packages / "course" / "gradebook"
    line = enclosure.command([hidden, tmp_path / "elsewhere"], "-V")
    covered = [place for place in bound(line, "--tmpfs") if place != "/tmp"]
    assert covered == sorted(map(str, (packages / "autograder", packages / "course", hidden)))
