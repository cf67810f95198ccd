"""`course demo` from end to end, in a small setting, and what it does when a step fails."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from made_once import made_once
from rich.console import Console

from course_utils import demo
from course_utils.errors import CourseError


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    """The quick demo, run once as a user runs it: (what it said, output folder)."""

    def make(folder):
        done = subprocess.run(
            [sys.executable, "-m", "course_utils.cli", "demo", "--quick"],
            cwd=folder,
            env={**os.environ, "COLUMNS": "120"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "said.txt").write_text(done.stdout, encoding="utf-8")

    folder = made_once(tmp_path_factory, "demo", make)
    return (folder / "said.txt").read_text(encoding="utf-8"), folder / "demo-output"


@pytest.mark.long
def test_every_step_goes_well(shown):
    said, output = shown
    assert "failed" not in said
    assert not (output / "errors.log").exists()
    for number in range(1, len(demo.STEPS) + 1):
        assert f"{number}/{len(demo.STEPS)}" in said


def test_the_chart_is_a_picture(shown):
    chart = shown[1] / "accuracy-against-parameters.png"
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert chart.stat().st_size > 10_000


def test_every_run_left_a_record_about_the_test_split(shown):
    from course_utils.records import read_all

    records = read_all(shown[1] / "records")
    assert {r.method for r in records} >= {"LoRA", "SoftPrompt", "FullFineTuning"}
    assert {r.split for r in records} == {"test"}
    trained = {r.method: r.trainable for r in records}
    assert trained["SoftPrompt"] < trained["LoRA"] < trained["FullFineTuning"]


def test_the_control_is_marked_as_such(shown):
    """No record of random weights may be taken for one of the pre-trained model."""
    for path in (shown[1] / "records").glob("*.json"):
        control = json.loads(path.read_text(encoding="utf-8"))["notes"].get("pretrained") is False
        assert control == ("no-pre-training" in path.name)


def test_the_class_has_grades_and_pages(shown):
    course = shown[1] / "course"
    with (course / "grades.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(float(row["max_score"]) > 0 for row in rows)
    assert len(list((course / "feedback").glob("*/hw_prompt/summary.html"))) == 2


def test_it_ends_with_paths_that_exist_and_what_to_do_next(shown):
    said, output = shown
    paths = [word for word in said.split() if word.startswith("demo-output")]
    assert len(paths) >= 5
    assert all((output.parent / path).exists() for path in paths)
    assert "make lab" in said


def test_a_failing_step_is_reported_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(_):
        raise RuntimeError("no luck")

    def refused(_):
        raise CourseError("nothing there: put something there.")

    ran = []
    steps = (("Breaks", broken), ("Is refused", refused), ("Works", ran.append))
    monkeypatch.setattr(demo, "STEPS", steps)
    console = Console(file=io.StringIO(), width=200)
    assert not demo.run_demo(tmp_path / "out", console=console)
    text = console.file.getvalue()
    assert "RuntimeError: no luck" in text
    assert "put something there" in text
    assert "Failed: Breaks, Is refused" in text
    assert len(ran) == 1
    assert "Traceback" not in text
    assert "RuntimeError: no luck" in (tmp_path / "out" / "errors.log").read_text()


def test_an_output_that_is_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(CourseError, match="is a file"):
        demo.run_demo(tmp_path / "out")


def test_a_folder_with_somebody_elses_files_is_left_alone(tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "thesis.txt").touch()
    with pytest.raises(CourseError, match="not empty"):
        demo.run_demo(tmp_path)
    assert (tmp_path / "course" / "thesis.txt").exists()


def test_a_second_demo_replaces_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "STEPS", ())
    quiet = Console(file=io.StringIO())
    assert demo.run_demo(tmp_path / "out", console=quiet)
    (tmp_path / "out" / "old.png").touch()
    assert demo.run_demo(tmp_path / "out", console=quiet)
    assert not (tmp_path / "out" / "old.png").exists()
