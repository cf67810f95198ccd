"""nbgrader's formgrader in a real browser, on a class that was graded here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

browser = pytest.importorskip("browser", reason="websocket-client is not installed")

from autograder.course_folder import open_course  # noqa: E402
from autograder.results import load_results  # noqa: E402

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium here")
EXTENSIONS = {"nbgrader.server_extensions.formgrader": True}
TOKEN = "of-the-test"


@pytest.fixture(scope="module")
def course(tiny_class, tmp_path_factory):
    return open_course(shutil.copytree(tiny_class / "course", tmp_path_factory.mktemp("fg") / "c"))


@pytest.fixture(scope="module")
def server(course):
    """The address of a Jupyter server in the course folder, as a TA starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyter", "server", "--allow-root", "--no-browser",
        f"--port={port}", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.jpserver_extensions={EXTENSIONS}",
    ]  # fmt: skip
    log = (course.root / "server.log").open("w")
    home = course.root / "home"  # no settings of whoever runs the tests
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home)}
    process = subprocess.Popen(command, cwd=course.root, stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status?token={TOKEN}").close()
                break
            except OSError:
                assert time.monotonic() < deadline, (course.root / "server.log").read_text()
                time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="module")
def page(server):
    with browser.Page() as opened:
        opened.open(f"{server}/formgrader/?token={TOKEN}")
        yield opened


@pytest.mark.long
def test_a_ta_looks_gives_points_and_writes_feedback(server, page, course):
    page.open(f"{server}/formgrader/manage_submissions/tiny")
    page.wait("document.querySelectorAll('td.score').length >= 8 && "
              "document.body.innerText.includes('syntax')")  # fmt: skip
    shown = page.run(
        "Object.fromEntries([...document.querySelectorAll('tbody tr')].map(r => "
        "[r.querySelector('.student-id').innerText, r.querySelector('.score').innerText]))"
    )
    for result in load_results(course, "tiny"):
        if result.status != "missing":
            assert float(shown[result.student].split("/")[0]) == result.score, result.student

    with course.gradebook() as gradebook:
        submission = gradebook.find_submission_notebook("tiny", "tiny", "syntax")
        page.open(f"{server}/formgrader/submissions/{submission.id}")
    # a field has a placeholder when the page's own script has taken it over
    page.wait("document.querySelectorAll('input.score[placeholder]').length === 2")
    text = page.text()
    assert "✗ 0/1  halves any number: the cell raises SyntaxError" in text
    assert "✓ 2/2  doubles any number" in text
    page.run(
        "(() => { const one = [...document.querySelectorAll('input.score')].at(-1); "
        "one.value = '0.5'; one.dispatchEvent(new Event('change', {bubbles: true})); return 1 })()"
    )
    deadline = time.monotonic() + 30
    scores = {}
    while scores.get("syntax") != 3.5:
        assert time.monotonic() < deadline, scores
        time.sleep(0.2)
        scores = {result.student: result.score for result in load_results(course, "tiny")}

    page.open(f"{server}/formgrader/manage_submissions/tiny")
    page.wait("document.body.innerText.includes('syntax')")
    page.run(
        "[...document.querySelectorAll('tbody tr')].find(r => r.querySelector('.student-id')"
        ".innerText === 'syntax').querySelector('.generate-feedback a').click()"
    )
    page.wait("document.body.innerText.includes('Successfully generated feedback')")
    feedback = course.step("feedback", "tiny", "syntax") / "tiny.html"
    assert "halves any number" in feedback.read_text("utf-8")
