"""A homework's whole way by the README's commands: handed out, handed in, given back.

bundle -> a student's machine: unpacked, offline, the kit itself not in sight -> runs -> pack ->
the LMS's download -> grade -> feedback -> export. Three students:

    ada   everything right, and real runs, one of them above the released result
    eve   a mistake, ada's runs, and right answers copied from the task as her predictions
    sam   the notebook as it was handed out
"""

from __future__ import annotations

import csv
import html
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from made_once import made_once
from typer.testing import CliRunner

from autograder.bundle import FOLDER
from autograder.checks import checks_of
from autograder.course_folder import open_course
from autograder.exercises import check_in_words
from autograder.paired import source_folder
from autograder.results import load_result
from autograder.sample_class import Student, submission
from autograder.sandbox.trying import why_not
from course_utils.cli import app

ROOT = Path(__file__).parents[2]
HOMEWORKS = ("hw_prompt", "hw_adapter")
SCRIPT = "<script>alert(4711)</script>"
SLIP = {"label-scores": [f"raise ValueError({SCRIPT!r})"]}
ROSTER = """student_id,first_name,last_name,email,group,canvas_id
ada,Ada,"Almeida, de",ada@example.org,1,101
eve,Eve,Evers,eve@example.org,1,102
sam,Sam,Sol,sam@example.org,2,103
nil,Nil,Nobody,nil@example.org,2,104
"""
#: what a student does in the unpacked bundle, with the library that is in it
AT_HOME = """
import json
import shutil
import sys
from pathlib import Path

import course_utils
from course_utils.cli import app
from course_utils.submit import pack
from course_utils.tasks import load_task

assert Path(course_utils.__file__).parent == Path.cwd() / "course_utils", course_utils.__file__

def course(text):
    app(text.split(), standalone_mode=False)

SHORT = "--set length=4 --examples 16 --epochs 1"
course("run --plm pocket-bert-base --task pocket/wic --method soft-prompt --prompt 0"
       " --set length=2 --examples 320 --epochs 1 --learning-rate 0.01 --output ada/runs/wic")
course(f"run --plm pocket-bert-tiny --task pocket/copa --method p-tuning-v2 {SHORT}"
       " --output ada/runs/copa")
course(f"run --plm pocket-bert-tiny --task pocket/boolq --method prefix-tuning {SHORT}"
       " --output ada/runs/boolq")
for method in ("lora", "bitfit"):
    course(f"run --plm pocket-bert-tiny --task pocket/rte --method {method} --examples 16"
           f" --epochs 1 --output ada/adapters/{method}")

shutil.copytree("ada/runs", "eve/runs")  # and the answers that everybody can look up
(seed,) = Path("eve/runs/wic").glob("seed-*")
gold = load_task("pocket/wic")
rows = [{"id": i, "prediction": y} for i, y in zip(gold.ids("test"), gold.gold("test"))]
(seed / "predictions.jsonl").write_text("\\n".join(map(json.dumps, rows)))
record = json.loads((seed / "record.json").read_text()) | {"score": 1.0}
(seed / "record.json").write_text(json.dumps(record))

for student, homework, runs in (("ada", "hw_prompt", "runs"), ("ada", "hw_adapter", "adapters"),
                                ("eve", "hw_prompt", "runs")):
    packed = pack(homework, notebook=f"{student}/{homework}.ipynb", runs=f"{student}/{runs}",
                  output=f"{student}/{homework}.zip")
    print(packed)
    assert packed.complete, packed.missing
"""


def course(*arguments: str | Path) -> str:
    """A command, as the command line runs it, and what it prints."""
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def offline(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Python on a student's machine: no network, and nothing of the kit but what was handed out."""
    command = [sys.executable, "-c", script]
    if not why_not("bubblewrap"):
        own = Path(sys.prefix)
        nothing = ["--tmpfs", ROOT] + (["--ro-bind", own, own] if ROOT in own.parents else [])
        command = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", *nothing,
                   "--bind", folder, folder, "--chdir", folder, *command]  # fmt: skip
    known = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=known, capture_output=True, text=True
    )


def write_at_home(home: Path) -> None:
    """The notebooks that ada and eve save, from those in the bundle."""
    for student, homework, answers in (
        ("ada", "hw_prompt", {}), ("ada", "hw_adapter", {}), ("eve", "hw_prompt", SLIP),
    ):  # fmt: skip
        released = nbformat.read(home / "homework" / f"{homework}.ipynb", as_version=4)
        original = nbformat.read(source_folder(homework) / f"{homework}.ipynb", as_version=4)
        about = Student(student, "", "graded", [], starts_from="solution", answers=answers)
        place = home / student / f"{homework}.ipynb"
        place.parent.mkdir(exist_ok=True)
        place.write_text(submission(about, released, original), "utf-8")


def download(path: Path, files: dict[str, Path]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.write(file, name)
    return path


def make(root: Path) -> None:
    course("bundle", "--output", root / "kit.zip")
    with zipfile.ZipFile(root / "kit.zip") as archive:
        archive.extractall(root / "home")
    home = root / "home" / FOLDER
    write_at_home(home)
    done = offline(home, AT_HOME)
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "packed.txt").write_text(done.stdout, "utf-8")
    (root / "roster.csv").write_text(ROSTER, "utf-8")
    folder, as_released = root / "course", home / "homework"
    prompt = download(root / "prompt.zip", {
        "almeidadeada_101_9001_hw_prompt.zip": home / "ada" / "hw_prompt.zip",
        "everseve_102_9002_hw_prompt-1.zip": home / "eve" / "hw_prompt.zip",
        "solsam_LATE_103_9003_hw_prompt.ipynb": as_released / "hw_prompt.ipynb",
    })  # fmt: skip
    adapter = download(root / "adapter.zip", {
        "almeidadeada_101_9004_hw_adapter.zip": home / "ada" / "hw_adapter.zip",
        "solsam_103_9005_hw_adapter.ipynb": as_released / "hw_adapter.ipynb",
    })  # fmt: skip
    where = ("--course-dir", folder)
    given = ("--roster", root / "roster.csv", "--submissions")
    course("grade", "hw_prompt", *where, *given, prompt)
    shutil.copytree(folder / "results", root / "before-replay")
    printed = course("grade", "hw_prompt", *where, "--submissions", prompt, "--replay", "all")
    (root / "replayed.txt").write_text(printed, "utf-8")
    course("grade", "hw_adapter", *where, "--submissions", adapter, "--replay", "sample")
    for homework in HOMEWORKS:
        course("feedback", homework, *where)
        course("export", homework, *where)
        shutil.copyfile(folder / "grades.csv", root / f"{homework}-grades.csv")
    for lms in ("canvas", "moodle"):
        course("export", "hw_prompt", "--for", lms, *where)
        course("export", "--for", lms, *where)


@pytest.fixture(scope="module")
def way(tmp_path_factory) -> SimpleNamespace:
    """The folder with all of it, and who got what."""
    root = made_once(tmp_path_factory, "end-to-end", make)
    opened = open_course(root / "course")
    results = {
        (homework, student): load_result(opened, homework, student)
        for homework in HOMEWORKS for student in ("ada", "eve", "sam", "nil")
    }  # fmt: skip
    return SimpleNamespace(root=root, course=opened, results=results)


def before_replay(way, student: str) -> dict:
    path = way.root / "before-replay" / "hw_prompt" / f"{student}.json"
    return json.loads(path.read_text("utf-8"))


def points(checks, exercise: str) -> float:
    return sum(check.points for check in checks if check.exercise == exercise)


@pytest.mark.long
def test_pack_says_what_it_packed(way):
    said = (way.root / "packed.txt").read_text("utf-8")
    assert said.count("Nothing is missing") == 3
    assert "a notebook and 3 runs" in said
    assert "a notebook and 2 runs" in said


@pytest.mark.parametrize(("homework", "runs"), [("hw_prompt", 24), ("hw_adapter", 16)])
def test_right_answers_and_real_runs_earn_all_that_needs_no_person(way, homework, runs):
    result, due = way.results[homework, "ada"], checks_of(homework).all
    assert (result.status, result.findings) == ("graded", ())
    assert [(c.exercise, c.name, c.points) for c in result.checks if c.exercise != "results"] == [
        (c.exercise, c.name, c.points) for c in due
    ]
    assert points(result.checks, "results") == runs
    assert result.score == sum(c.points for c in due) + runs


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_what_was_handed_out_earns_nothing_and_only_that_is_said(way, homework):
    result = way.results[homework, "sam"]
    assert (result.status, result.score) == ("graded", 0)
    written = [c for c in result.checks if c.exercise != "results"]
    assert {(c.points, c.message) for c in written} == {(0, "not written yet")}
    assert {said["kind"] for said in result.said.values() if said["kind"]} <= {
        "NotImplementedError"
    }


def test_a_mistake_costs_its_checks_and_no_other(way):
    result = way.results["hw_prompt", "eve"]
    lost = {c.exercise for c in result.checks if c.points < c.max_points}
    assert lost == {"label-scores", "results"}
    assert all(SCRIPT in c.message for c in result.of("label-scores"))


def test_copied_answers_pass_until_they_are_replayed(way):
    """`--replay` looks again at what is graded: at zips, and at nothing else."""
    assert before_replay(way, "eve")["findings"] == []
    (beats,) = [c for c in before_replay(way, "eve")["checks"] if "beats" in c["name"]]
    assert beats["points"] == 6
    result = way.results["hw_prompt", "eve"]
    (found,) = result.findings
    assert re.search(r"wic.*: run again, only \d+ of 1000 answers are those of the adapter", found)
    assert points(result.checks, "results") == 12  # the other two are ada's, but they are runs
    assert result.needs_person
    assert before_replay(way, "ada")["score"] == way.results["hw_prompt", "ada"].score
    judged = {s: before_replay(way, s)["seconds"] != way.results["hw_prompt", s].seconds
              for s in ("ada", "eve", "sam")}  # fmt: skip
    assert judged == {"ada": True, "eve": True, "sam": False}
    printed = (way.root / "replayed.txt").read_text("utf-8")
    assert re.search(r"eve +│ student_error", printed)
    assert "run again, only" in " ".join(printed.replace("│", " ").split())


def test_the_class_page_names_who_shares_runs(way):
    page = (way.root / "course" / "hw_prompt-class.html").read_text("utf-8")
    assert re.search(r"<b>ada, eve</b> <span[^>]*>the same adapter in ", page)
    assert "run again, only" in page


def pages_of(way, homework: str, student: str) -> dict[str, str]:
    folder = way.root / "course" / "feedback" / student / homework
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.html")}


def message(check) -> str:
    """Its first line; the summary has the check's name beside it, not in it."""
    return check.message.split("\n")[0].removeprefix(f"{check.name}: ")


@pytest.mark.parametrize(
    ("homework", "student"),
    [(h, s) for h in HOMEWORKS for s in ("ada", "eve", "sam") if (h, s) != ("hw_adapter", "eve")],
)
def test_feedback_says_every_check_and_shows_none(way, homework, student):
    pages, result = pages_of(way, homework, student), way.results[homework, student]
    assert set(pages) == {"summary.html", f"{homework}.html"}
    checks = {Path(inspect.getsourcefile(c.run)) for c in checks_of(homework).all}
    secret = {
        line.strip() for path in checks for line in path.read_text("utf-8").splitlines()
        if re.search(r"\bdraw\.|expect_\w+\(|student\.\w+\(", line)
    }  # fmt: skip
    assert len(secret) > 30
    for page in pages.values():
        assert SCRIPT not in page
        text = html.unescape(re.sub(r"<[^>]+>", "", page))
        assert not [line for line in secret if line in text]
        assert not [
            c for c in result.checks if c.name not in text and check_in_words(c) not in text
        ]
        assert not [m for c in result.checks if (m := message(c)) not in text]
        assert not [found for found in result.findings if found not in text]


def rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def test_grades_are_exported_cell_by_cell(way):
    for homework in HOMEWORKS:
        found = rows(way.root / f"{homework}-grades.csv", "student_id")
        assert found.keys() == {"ada", "eve", "sam", "nil"}
        for student in ("ada", "sam"):
            result = way.results[homework, student]
            assert float(found[student]["score"]) == result.score
            assert float(found[student]["results-check"]) == points(result.checks, "results")
        assert found["ada"]["last_name"] == "Almeida, de"
    assert way.results["hw_adapter", "nil"].status == "missing"


def test_what_canvas_and_moodle_read(way):
    scores = {key: f"{way.results[key].score:g}" for key in way.results}
    prompt = rows(way.root / "course" / "hw_prompt-canvas.csv", "SIS Login ID")
    assert prompt["ada"] == {
        "Student": "Almeida, de, Ada", "ID": "101", "SIS User ID": "", "SIS Login ID": "ada",
        "Section": "1", "hw_prompt": scores["hw_prompt", "ada"],
    }  # fmt: skip
    assert {s: row["hw_prompt"] for s, row in prompt.items()} == {
        "": "100", "ada": "84", "eve": scores["hw_prompt", "eve"], "sam": "0", "nil": "",
    }  # fmt: skip
    moodle = rows(way.root / "course" / "hw_prompt-moodle.csv", "username")
    assert moodle["eve"] == {
        "username": "eve", "idnumber": "eve", "email": "eve@example.org",
        "hw_prompt": scores["hw_prompt", "eve"],
    }  # fmt: skip
    assert moodle["nil"]["hw_prompt"] == "-"
    better = f"{max(way.results[h, 'ada'].score for h in HOMEWORKS):g}"
    counted = rows(way.root / "course" / "course-canvas.csv", "SIS Login ID")
    assert (counted["ada"]["Homework"], counted[""]["Homework"]) == (better, "100")
    assert rows(way.root / "course" / "course-moodle.csv", "username")["ada"]["Homework"] == better
