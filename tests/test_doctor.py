"""`course doctor` says what is true, also of a broken machine, and never raises."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from packaging.requirements import Requirement

from course_utils import doctor

CPU = {"version": "2.13.0", "cuda": None, "hip": None, "threads": 2, "gpus": [], "mps": False}
T4 = {"name": "Tesla T4", "memory_gb": 14.7, "bf16": False}


def states(findings) -> dict[str, str]:
    return {f.area: f.state for f in findings}


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10), "missing"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "missing")],
)
def test_python(version, state):
    finding = doctor.check_python(version)
    assert finding.state == state
    assert bool(finding.advice) == (state == "missing")


def test_installed_package_in_range_is_ok():
    assert doctor.check_package(Requirement("packaging>=20")).state == "ok"


def test_installed_package_out_of_range_is_named_with_the_range():
    finding = doctor.check_package(Requirement("packaging<2,>=1"))
    assert finding.state == "attention"
    assert "<2" in finding.text
    assert "pip install 'packaging" in finding.advice


@pytest.mark.parametrize(("needed", "state"), [(True, "missing"), (False, "attention")])
def test_absent_package_matters_only_where_needed(needed, state):
    finding = doctor.check_package(Requirement("a-package-nobody-has>=1"), needed)
    assert finding.state == state
    assert finding.text == "not installed"


def test_requirements_include_an_extra_only_when_asked():
    assert "torch" in doctor.requirements()
    assert "nbgrader" not in doctor.requirements()
    assert "nbgrader" in doctor.requirements(["homework"])


def test_torch_on_this_machine_is_found_working():
    answer = doctor.probe_torch()
    assert doctor.check_torch(answer).state == "ok"
    assert answer["version"] in doctor.check_torch(answer).text


def test_a_python_that_is_not_there_is_an_answer_not_a_crash(tmp_path):
    finding = doctor.check_torch(doctor.probe_torch(str(tmp_path / "python")))
    assert finding.state == "missing"
    assert finding.advice


@pytest.mark.parametrize(
    ("answer", "driver", "state", "says"),
    [
        (CPU, False, "attention", "none"),
        (CPU, True, "attention", "CPU-only build"),
        ({**CPU, "cuda": "12.8", "gpus": [T4]}, True, "ok", "Tesla T4, 15 GB, fp16"),
        ({**CPU, "cuda": "12.8", "gpus": [T4, T4, T4]}, True, "ok", "and 2 more"),
        ({**CPU, "mps": True}, False, "ok", "Apple"),
        ({"error": "no"}, False, "attention", "unknown"),
    ],
)
def test_gpu(answer, driver, state, says):
    finding = doctor.check_gpu(answer, driver)
    assert finding.state == state
    assert says in finding.text


# --- the Hub, played by a server of our own ------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """A local server; set `.status` before a request. Its address is `.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):  # the name http.server wants
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "state"), [(200, "ok"), (401, "ok"), (404, "ok"), (503, "attention")]
)
def test_hub_that_answers(hub, status, state):
    hub.status = status
    assert doctor.check_hub(environment={"HF_ENDPOINT": hub.url}).state == state


def test_hub_that_refuses(hub):
    port = hub.server_port
    hub.shutdown()
    hub.server_close()
    finding = doctor.check_hub(environment={"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    assert finding.state == "attention"
    assert "not reachable" in finding.text
    assert "work without it" in finding.advice


def test_hub_that_hangs(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        finding = doctor.check_hub(0.5, {"HF_ENDPOINT": endpoint})
    assert finding.state == "attention"


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variables_are_named_and_nothing_is_asked(hub, variable):
    finding = doctor.check_hub(environment={variable: "1", "HF_ENDPOINT": hub.url})
    assert finding.state == "attention"
    assert variable in finding.text


# --- sandbox, room, weights ----------------------------------------------------------------


def test_sandbox_prefers_bubblewrap_and_falls_back():
    assert "bubblewrap" in doctor.check_sandbox(lambda kind: None).text
    assert "without a control group" in doctor.check_sandbox(lambda kind: None).text
    found = doctor.check_sandbox(lambda kind: None if kind == "podman" else "broken")
    assert (found.state, found.text) == ("ok", "podman works")


def test_without_a_sandbox_every_reason_is_told():
    nothing = doctor.check_sandbox(lambda kind: f"{kind} is broken")
    assert nothing.state == "attention"
    assert nothing.text == "bubblewrap is broken; docker is broken; podman is broken"
    assert "bubblewrap" in nothing.advice


@pytest.mark.parametrize(
    ("disk", "memory", "expected"),
    [(50, 8, ["ok", "ok"]), (0.5, 8, ["attention", "ok"]), (50, 1, ["ok", "attention"])],
)
def test_room(disk, memory, expected):
    assert [f.state for f in doctor.check_room(disk, memory)] == expected


def test_pocket_weights_are_listed_or_missed(tmp_path):
    assert doctor.check_pocket(tmp_path).state == "missing"
    (tmp_path / "pocket-bert-tiny").mkdir()
    (tmp_path / "pocket-bert-tiny" / "model.safetensors").touch()
    assert doctor.check_pocket(tmp_path).text == "pocket-bert-tiny"


# --- the whole report, in a process of its own ---------------------------------------------


def report(**environment: str) -> tuple[int, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "course_utils.cli", "doctor", "--json"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_this_machine_works():
    status, found = report()
    assert (status, found["works"]) == (0, True), found


def test_a_torch_that_does_not_import_is_reported_and_fails(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libfoo.so.1: gone')")
    status, found = report(PYTHONPATH=str(tmp_path))
    torch = next(f for f in found["findings"] if f["area"] == "torch")
    assert status == 1
    assert torch["state"] == "missing"
    assert "libfoo.so.1: gone" in torch["text"]


def test_a_torch_that_crashes_the_process_is_reported(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import os; os.abort()")
    status, found = report(PYTHONPATH=str(tmp_path))
    assert status == 1
    assert not found["works"]


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        (["ok", "ok"], "Ready."),
        (["ok", "attention"], "optional"),
        (["ok", "attention", "missing"], "missing: area2."),
    ],
)
def test_verdict(kinds, says):
    findings = [doctor.Finding(f"area{i}", kind, "") for i, kind in enumerate(kinds)]
    assert says in doctor.verdict(findings)
    assert doctor.works(findings) == ("missing" not in kinds)
