"""A class judged by a real Dask cluster on loopback: a scheduler and three worker processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import nbformat
import pytest
import tiny_homework as tiny

from autograder.cluster import fingerprint
from autograder.grade import grade_class
from course_utils.errors import CourseError

pytest.importorskip("distributed", reason="Dask is not installed")
STUDENTS = 6


class Cluster:
    """The processes of a cluster, as `dask scheduler` and `dask worker` start them."""

    def __init__(self, folder) -> None:
        self.folder, self.processes = folder, []
        self.workers: list[subprocess.Popen] = []
        place = folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", place)
        deadline = time.monotonic() + 120
        while not place.is_file():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.2)
        self.file = place

    def start(self, *arguments, **environment) -> subprocess.Popen:
        program = f"distributed.cli.dask_{arguments[0]}"
        process = subprocess.Popen(
            [sys.executable, "-m", program, *map(str, arguments[1:])],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, **environment) -> subprocess.Popen:
        made = self.start(
            "worker", "--scheduler-file", self.file, "--nthreads", "1", "--no-nanny",
            "--no-dashboard", "--memory-limit", "0", **environment,
        )  # fmt: skip
        self.workers.append(made)
        return made

    @property
    def address(self) -> str:
        import json

        return json.loads(self.file.read_text())["address"]

    def wait_for(self, number: int) -> None:
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=120)
            deadline = time.monotonic() + 60
            while len(client.nthreads()) != number:
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def close(self) -> None:
        for process in self.processes:
            process.kill()  # asked to end, they would wait for one another
        for process in self.processes:
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler; its workers are the test's to start."""
    (tmp_path / "cluster").mkdir()
    made = Cluster(tmp_path / "cluster")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def folder(tmp_path, released):
    for number in range(STUDENTS):
        answers = {"half": tiny.SOLUTIONS["half"]} | ({"double": "return 4"} if number % 2 else {})
        if number == 2:
            answers["half"] = "import time\n    time.sleep(3)\n    return x / 2"
        if number == 3:
            answers["half"] = "raise ValueError(x)"  # its feedback shows what was drawn
        notebook = tiny.answered(nbformat.from_dict(released), answers)
        place = tmp_path / "in" / f"s{number}" / "tiny.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    return tmp_path / "in"


@pytest.fixture
def here(tiny_course, tmp_path, folder, workers):
    """What the same class gets on this machine alone."""
    course = shutil.copytree(tiny_course / "course", tmp_path / "here")
    found = grade_class("tiny", course, folder, workers=workers, progress=False)
    return {r.student: (r.status, r.score, r.checks) for r in found}


def spread(course_dir, folder, cluster):
    found = grade_class("tiny", course_dir, folder, scheduler=cluster.address, progress=False)
    return {r.student: (r.status, r.score, r.checks) for r in found}


@pytest.mark.long
def test_the_same_scores_as_on_one_machine_also_when_a_worker_dies(
    course_dir, folder, cluster, here, tiny_course, tmp_path
):
    for _ in range(3):
        cluster.worker()
    cluster.wait_for(3)
    assert spread(course_dir, folder, cluster) == here
    other = shutil.copytree(tiny_course / "course", tmp_path / "other")
    killed = threading.Timer(1.0, os.kill, (cluster.workers[0].pid, signal.SIGKILL))
    killed.start()
    assert spread(other, folder, cluster) == here
    killed.join()
    assert cluster.workers[0].wait(20) == -signal.SIGKILL


@pytest.mark.long
def test_a_worker_of_another_version_is_refused(course_dir, folder, cluster, tmp_path):
    """One of two, whose copy of the kit differs by one check."""
    import autograder
    import course_utils

    copy = tmp_path / "older"
    for package in (autograder, course_utils):
        home = os.path.dirname(package.__file__)
        shutil.copytree(
            home, copy / os.path.basename(home),
            ignore=shutil.ignore_patterns("weights", "__pycache__"),
        )  # fmt: skip
    with (copy / "autograder" / "checks" / "__init__.py").open("a") as file:
        file.write("\n# older\n")
    cluster.worker()
    cluster.worker(PYTHONPATH=str(copy))
    cluster.wait_for(2)
    with pytest.raises(CourseError, match="workers with another version of the kit") as caught:
        spread(course_dir, folder, cluster)
    assert fingerprint() in str(caught.value)
    assert not list((course_dir / "results").rglob("*.json"))


def test_nobody_there(course_dir, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.cluster.CONNECT_SECONDS", 2)
    with pytest.raises(CourseError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        grade_class("tiny", course_dir, folder, scheduler="tcp://127.0.0.1:9", progress=False)
