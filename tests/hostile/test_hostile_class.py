"""A class of attackers, graded two at a time beside honest students: everybody gets what is due.

What a worker contains is proved one by one in the files beside this; here the same goes through
the whole grader, with what exists only there: points, the gradebook, intake, feedback.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import socket
import sqlite3
import tempfile
import zipfile
from pathlib import Path

import hostile_submissions as hostile
import nbformat
import psutil
import pytest
from made_once import made_once

from autograder.course_folder import open_course
from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.release import release
from autograder.sandbox.limits import Limits
from autograder.workers import Workers

LIMITS = Limits(
    cell_seconds=4,
    call_seconds=2,
    memory_bytes=300_000_000,
    processes=24,
    file_bytes=20_000_000,
    scratch_bytes=40_000_000,
    output_bytes=200_000,
    total_output_bytes=500_000,
    reply_bytes=5_000_000,
)
MAX = hostile.ALL


@pytest.fixture(scope="session")
def workers(sandbox):
    """Of the warm process that all attacks share; another only where this class ended it."""
    with Workers("bubblewrap", LIMITS) as opened:
        opened._sandbox = sandbox
        yield opened
        assert opened._sandbox is sandbox, "an attack ended the warm process"
        opened._sandbox = None  # whose it is closes it


@pytest.fixture(scope="session")
def released(tmp_path_factory) -> Path:
    """A course folder in which "forge" is released, to be copied."""

    def make(root: Path) -> None:
        place = root / "assignments" / "source" / "forge" / "forge.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(hostile.notebook(), place)
        (root / "assignments" / "checks").mkdir()
        (root / "assignments" / "checks" / "forge.py").write_text(hostile.CHECKS, "utf-8")
        release("forge", root / "released", assignments_dir=root / "assignments", run=False)

    return made_once(tmp_path_factory, "forge", make) / "released"


@pytest.fixture(scope="session")
def new_course(released):
    """new_course(name) -> a course folder in which "forge" is released.

    Not in /tmp, of which every worker has its own, and open to all: only the sandbox guards it.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o777)

        def made(name: str) -> Path:
            course = shutil.copytree(released, root / name)
            course.chmod(0o777)
            (course / "gradebook.db").chmod(0o666)
            return course

        yield made


@pytest.fixture(scope="session")
def stub(released) -> dict:
    return json.loads((released / "release" / "forge" / "forge.ipynb").read_text("utf-8"))


def write(folder: Path, made: dict, name: str = "forge.ipynb") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(made), "utf-8")
    return folder


def honest(stub: dict) -> dict:
    return hostile.written(stub, hostile.Attack("honest", "graded", MAX, hostile.HONEST))


class Graded:
    """A class that has been graded: its course folder, the results, and the harm done meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.course = folder / "course"
        self.results = pickle.loads((folder / "results").read_bytes())
        self.harm = json.loads((folder / "harm").read_text())


def grade_once(folder: Path, course: Path, work: Path, workers, listener, **options) -> None:
    """Grades, and writes into a folder what all test processes look at."""
    results = grade_class("forge", course, work, workers=workers, progress=False, **options)
    marks = ("/var/tmp/hostile-mark", "/hostile-mark", course / "new")
    commands = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    harm = {
        "calls": calls(listener),
        "written": [str(path) for path in marks if os.path.exists(path)],
        "running": [command for command in commands if command == "sleep 4711"],
    }
    shutil.copytree(course, folder / "course", symlinks=True)
    (folder / "harm").write_text(json.dumps(harm))
    (folder / "results").write_bytes(pickle.dumps({r.student: r for r in results}))


def calls(listener: socket.socket) -> int:
    """How many have called a service of the machine."""
    listener.settimeout(0.1)
    number = 0
    with contextlib.suppress(TimeoutError):
        while True:
            listener.accept()
            number += 1
    return number


@pytest.fixture(scope="session")
def graded(request, new_course, stub, tmp_path_factory) -> Graded:
    def make(root: Path) -> None:
        course, place = new_course("course"), root / "in"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            known = f"PATH_OF_GRADEBOOK = {str(course / 'gradebook.db')!r}\n"
            port = str(listener.getsockname()[1])
            for student, attack in hostile.CLASS.items():
                made = hostile.written(stub, attack)
                if attack.first:
                    source = made["cells"][0]["source"].replace("PORT_OF_LISTENER", port)
                    made["cells"][0]["source"] = known + source if "PATH_OF" in source else source
                name = "forge (1).ipynb" if student == "stock-renamed" else "forge.ipynb"
                write(place / student, made, name)
            for student in hostile.HONEST_ONES:
                write(place / student, honest(stub))
            workers = request.getfixturevalue("workers")
            grade_once(root, course, place, workers, listener, jobs=2)

    return Graded(made_once(tmp_path_factory, "hostile-class", make))


FIRST, *OTHERS = hostile.CLASS


@pytest.mark.parametrize("student", [pytest.param(FIRST, marks=pytest.mark.long), *OTHERS])
def test_everybody_gets_what_is_due(graded, student):
    attack, result = hostile.CLASS[student], graded.results[student]
    statuses = (attack.status,) if isinstance(attack.status, str) else attack.status
    assert result.status in statuses, (result.status, result.reason, result.checks)
    assert (result.score, result.max_score) == (attack.score, MAX), result.checks
    for text in result.said.values():
        assert not any(mark in text["text"] for mark in ("FOUND", "WROTE", "4711"))


@pytest.mark.parametrize("student", hostile.HONEST_ONES)
def test_the_honest_lose_nothing(graded, student):
    result = graded.results[student]
    assert (result.status, result.score, result.needs_person) == ("graded", MAX, False), result


def test_the_gradebook_holds_just_the_results(graded):
    with sqlite3.connect(graded.course / "gradebook.db") as db:
        given = db.execute("select count(*) from grade where manual_score is not null")
        assert given.fetchone() == (0,)
    with open_course(graded.course).gradebook() as gradebook:
        scores = {s.student_id: s.score for s in gradebook.assignment_submissions("forge")}
        cells = {
            grade.name for s in gradebook.assignment_submissions("forge")
            for notebook in s.notebooks for grade in notebook.grades
        }  # fmt: skip
        assert gradebook.find_assignment("forge").max_score == MAX
    assert scores == {s: r.score for s, r in graded.results.items()}
    assert cells == {"scale-check", "gate-check", "count-check"}


def test_nothing_is_written_or_left_running_or_called(graded):
    assert graded.harm == {"calls": 0, "written": [], "running": []}


def test_feedback_shows_nothing_hidden_and_runs_nothing(graded):
    for page in feedback("forge", graded.course, ["html-everywhere", "controls", "forks"]):
        for path in page.parent.glob("*.html"):
            text = path.read_text("utf-8")
            assert hostile.HTML not in text
            assert "hidden-in-the-checks" not in text
            assert "\x1b" not in text
            assert "\0" not in text


def test_afterwards_a_new_class_is_graded_as_ever(graded, new_course, stub, workers, tmp_path):
    write(tmp_path / "next", honest(stub))
    (result,) = grade_class("forge", new_course("next"), tmp_path, workers=workers, progress=False)
    assert (result.status, result.score) == ("graded", MAX)


# ---------------------------------------------------------------- folders, files, downloads

SECRET = "hidden-in-a-file-of-the-instructor-4711"
BOMB = b"0" * 50_000_000


def _bytes(content: bytes, name: str = "forge.ipynb"):
    return lambda folder, made: (folder / name).write_bytes(content)


def _link(target: str, name: str, beside: bool = False):
    def hand_in(folder: Path, made: dict) -> None:
        if beside:
            write(folder, made)
        (folder / name).symlink_to(target.format(folder=folder))

    return hand_in


def _beside(name: str, content: bytes):
    def hand_in(folder: Path, made: dict) -> None:
        write(folder, made)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return hand_in


def _zip(*entries: tuple[str, bytes], link: bool = False):
    def hand_in(folder: Path, made: dict) -> None:
        with zipfile.ZipFile(folder / "work.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o120777 if link else 0o100644) << 16
                archive.writestr(entry, content or json.dumps(made).encode())

    return hand_in


def _fifo(name: str):
    def hand_in(folder: Path, made: dict) -> None:
        write(folder, made)
        os.mkfifo(folder / name)

    return hand_in


def _folder(name: str):
    def hand_in(folder: Path, made: dict) -> None:
        write(folder, made)
        (folder / name).mkdir()

    return hand_in


#: student -> (what is handed in, status, score)
FOLDERS = {
    "not-json": (_bytes(b"{'no': json"), "student_error", 0),
    "not-text": (_bytes(b"\xff\x00\x93"), "student_error", 0),
    "another-json": (_bytes(b'{"cells": {}}'), "student_error", 0),
    "empty": (_bytes(b""), "student_error", 0),
    "deep": (_bytes(b"[" * 10**6), "student_error", 0),
    "a-number": (_bytes(b"1" * 10**5), "student_error", 0),
    "utf-16": (lambda f, nb: (f / "forge.ipynb").write_text(json.dumps(nb), "utf-16"),
               "graded", MAX),
    "too-large": (_bytes(b" " * 21_000_000), "student_error", 0),
    "a-program": (_bytes(b"print(1)", "forge.py"), "student_error", 0),
    "nothing": (lambda f, nb: None, "missing", 0),
    "subfolder": (lambda f, nb: write(f / "a" / "b c", nb, "Forge final.ipynb"), "graded", MAX),
    "two": (lambda f, nb: [write(f, nb, name) for name in ("1.ipynb", "2.ipynb")],
            "student_error", 0),
    "link-to-the-solution": (_link("{folder}/../../secret.ipynb", "forge.ipynb"),
                             "student_error", 0),
    "link-to-notes": (_link("{folder}/../../secret.ipynb", "collected.txt", True), "graded", MAX),
    "link-without-end": (_link("{folder}", "again", True), "graded", MAX),
    "notes-no-text": (_beside("collected.txt", b"\xff\xfe\xfd"), "graded", MAX),
    "notes-huge": (_beside("collected.txt", b"x\n" * 10**6), "graded", MAX),
    "named-oddly": (lambda f, nb: (f / os.fsdecode(b"\xff\x1b[31m.txt")).write_text("x"),
                    "student_error", 0),
    "fifo": (_fifo("runs.zip"), "graded", MAX),
    "folder-named-zip": (_folder("runs.zip"), "graded", MAX),
    "folder-named-notebook": (_folder("x.ipynb"), "graded", MAX),
    "no-zip": (_bytes(b"PK nothing", "work.zip"), "student_error", 0),
    "zip": (_zip(("notebook.ipynb", b"")), "graded", MAX),
    "zip-bomb": (_zip(("notebook.ipynb", BOMB)), "student_error", 0),
    "zip-link": (_zip(("notebook.ipynb", b"/etc/passwd"), link=True), "student_error", 0),
    "zip-out": (_zip(("notebook.ipynb", b""), ("../../escaped.txt", b"x"),
                     ("/var/tmp/hostile-mark", b"x")), "graded", MAX),
    "zip-of-many": (_zip(*((f"{n}", b"x") for n in range(500))), "student_error", 0),
    "timestamp-no-time": (_beside("timestamp.txt", b"yesterday, honestly"), "graded", MAX),
    "timestamp-no-text": (_beside("timestamp.txt", b"\xff\xff"), "graded", MAX),
    "a*": (write, "infra_error", 0),
    "[ab]": (write, "infra_error", 0),
    "-rf": (write, "graded", MAX),
    "ann b": (write, "graded", MAX),
    "Zoë": (write, "graded", MAX),
    "<b>x": (write, "graded", MAX),
    "new\nline": (write, "infra_error", 0),
    "\x1b[31mred": (write, "infra_error", 0),
    "a+b@c.de": (write, "graded", MAX),
    "last": (write, "graded", MAX),
}  # fmt: skip


@pytest.fixture(scope="session")
def folders(request, new_course, stub, tmp_path_factory) -> Graded:
    def make(root: Path) -> None:
        secret = json.dumps(honest(stub)).replace("scale", SECRET)
        (root / "secret.ipynb").write_text(secret, "utf-8")
        for student, (hand_in, _, _) in FOLDERS.items():
            (root / "in" / student).mkdir(parents=True)
            hand_in(root / "in" / student, honest(stub))
        before = sorted(p.name for p in root.iterdir())
        course, workers = new_course("course-of-folders"), request.getfixturevalue("workers")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            grade_once(root, course, root / "in", workers, listener)
        made = {"course", "harm", "results"}
        assert sorted(p.name for p in root.iterdir() if p.name not in made) == before

    return Graded(made_once(tmp_path_factory, "hostile-folders", make))


@pytest.mark.parametrize("student", FOLDERS)
def test_whatever_lies_in_a_folder_costs_its_owner_only(folders, student):
    _, status, score = FOLDERS[student]
    result = folders.results[student]
    assert (result.status, result.score) == (status, score), (result.reason, result.notes)
    text = " ".join((result.reason, *result.notes))
    assert SECRET not in text
    assert len(text) < 10_000
    text.encode("utf-8")


def test_folders_do_no_harm(folders):
    assert folders.harm == {"calls": 0, "written": [], "running": []}


def test_feedback_for_odd_folders(folders):
    for page in feedback("forge", folders.course, ["named-oddly", "link-to-notes", "<b>x"]):
        text = page.read_text("utf-8")
        assert SECRET not in text
        assert "<b>x" not in text
        assert "\x1b" not in text


def test_links_in_the_course_folder_lead_nowhere(new_course, stub, workers, tmp_path):
    """What nbgrader collected lies where the grader writes, and nbgrader copies all of it."""
    course = new_course("links")
    (tmp_path / "secret").write_text(SECRET, "utf-8")
    place = write(course / "submitted" / "eve" / "forge", honest(stub))
    for name, target in {
        "forge.part": tmp_path / "written",
        "forge.as-submitted": tmp_path / "copied",
        "gift.txt": tmp_path / "secret",
    }.items():
        (place / name).symlink_to(target)
    (result,) = grade_class("forge", course, workers=workers, progress=False)
    assert (result.status, result.score) == ("graded", MAX)
    feedback("forge", course)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret"]
    for step in ("autograded", "feedback"):
        assert not list((course / step / "eve").rglob("gift.txt"))


def test_a_time_forged_in_a_download_does_not_count(new_course, stub, workers, tmp_path):
    """Moodle's folders hold what a student handed in; only the LMS knows when."""
    course = new_course("moodle")
    name = "Eve Attacker_4711_assignsubmission_file"
    folder = write(tmp_path / "in" / name, honest(stub))
    (folder / "timestamp.txt").write_text("1999-01-01 00:00:00 UTC", "utf-8")
    (folder / "collected.txt").write_text("as good as on time", "utf-8")
    (result,) = grade_class("forge", course, tmp_path / "in", workers=workers, progress=False)
    assert (result.status, result.score) == ("graded", MAX)
    assert "as good as on time" not in result.notes
    assert not list(course.glob("submitted/*/forge/timestamp.txt"))
