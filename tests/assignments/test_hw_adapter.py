"""HW-Adapter as a notebook: points, cells, what students get, and a run from top to bottom."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest

from autograder.checks import checks_of
from autograder.paired import assignments_folder, source_folder
from autograder.release import hidden_lines, release
from course_utils.plm import pocket

SHIPPED = os.environ.get("COURSE_NOTEBOOKS", "small") == "shipped"
WRITTEN = {"merging": 3, "falling-loss": 3, "verdict": 4}


@pytest.fixture(scope="module")
def original():
    return nbformat.read(source_folder("hw_adapter") / "hw_adapter.ipynb", as_version=4)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    path = release("hw_adapter", tmp_path_factory.mktemp("course"), run=False)
    return nbformat.read(path, as_version=4)


def graded(notebook) -> dict[str, dict]:
    """grade_id -> nbgrader's metadata."""
    found = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    return {meta["grade_id"]: meta for meta in found}


def test_points_add_up_and_are_those_the_students_are_told(original):
    metas = graded(original)
    points = {name: meta["points"] for name, meta in metas.items() if meta["grade"]}
    assert sum(points.values()) == 100
    assert {name: points[name] for name in WRITTEN} == WRITTEN
    told = []
    for line in original.cells[0].source.splitlines():
        columns = [column.strip() for column in line.strip("|").split("|")]
        if len(columns) == 5 and columns[4].isdigit():
            told.append(int(columns[4]))
    assert told == list(points.values())


def test_results_are_worth_what_the_policy_says(original):
    policy = tomllib.loads((assignments_folder() / "policy.toml").read_text("utf-8"))
    earned = [r for r in policy["results"] if r["assignment"] == "hw_adapter"]
    assert graded(original)["results-check"]["points"] == sum(
        r["points"] * r["most"] for r in earned
    )


def test_each_answer_has_its_check_with_the_points_of_the_hidden_ones(original):
    checks, metas = checks_of("hw_adapter"), graded(original)
    answers = [name for name, meta in metas.items() if meta["solution"] and not meta["grade"]]
    assert set(answers) == {check.exercise for check in checks.all}
    for name in answers:
        check = metas[f"{name}-check"]
        assert (check["grade"], check["locked"], check["solution"]) == (True, True, False)
        bonus = name.startswith("bonus-")
        assert check["points"] == (0 if bonus else checks.points_of(name))
    assert sum(checks.points_of(name) for name in answers if name.startswith("bonus-")) == 10
    assert not any("HIDDEN TESTS" in cell.source for cell in original.cells)


def test_students_get_no_answers_and_no_rubric(original, released):
    text = "\n".join(cell.source for cell in released.cells)
    assert "Rubric" not in text
    assert "SOLUTION" not in text
    assert len(hidden_lines(original)) > 80
    assert not hidden_lines(original) & set(map(str.strip, text.splitlines()))


def test_unwritten_answers_raise_only_not_implemented(released):
    space: dict[str, object] = {}
    raised = {}
    for cell in released.cells:
        if cell.cell_type == "code" and "training" not in cell.metadata.get("tags", []):
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    exec(compile(cell.source, cell.id, "exec"), space)
                except Exception as error:
                    name = cell.metadata["nbgrader"]["grade_id"]
                    raised[name] = type(error).__name__
    exercises = {check.exercise for check in checks_of("hw_adapter").all}
    assert raised == {f"{name}-check": "NotImplementedError" for name in exercises}


def test_what_is_to_be_mended_stands_in_the_released_cell(released):
    for cell in released.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.startswith("hunt-") and not name.endswith("-check"):
            _, below = cell.source.split("raise NotImplementedError()\n")
            assert "return " in below


@pytest.mark.skipif(
    not (Path(pocket.__file__).parent / "weights" / "pocket-bert-base").is_dir(),
    reason="the pocket models are not in this checkout",
)
def test_from_top_to_bottom(original, tmp_path, monkeypatch):
    """Trains, draws, and packs a zip that lacks nothing; with few steps unless shipped ones."""
    monkeypatch.chdir(tmp_path)
    nbformat.write(original, "hw_adapter.ipynb")
    printed, space, drawn = io.StringIO(), {}, []
    monkeypatch.setattr("IPython.display.display", drawn.append)
    with contextlib.redirect_stdout(printed):
        for cell in original.cells:
            if cell.cell_type == "code":
                source = cell.source
                if not SHIPPED:
                    source = source.replace("steps=64, evaluate_every=32", "steps=4")
                    source = source.replace("examples=256", "examples=32")
                exec(compile(source, cell.id, "exec"), space)
    assert {record.method for record in space["records"]} == {"BitFit", "Houlsby", "LoRA"}
    assert len(drawn) == 2
    for chart, axis in zip(drawn, ("trained parameters", "seconds of training"), strict=True):
        assert f"accuracy against {axis}" in chart.alt
        assert all(method in chart.alt for method in ("BitFit", "Houlsby", "LoRA"))
    assert "Nothing is missing of what can be checked here." in printed.getvalue()
    with zipfile.ZipFile("hw_adapter.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert len(manifest["runs"]) == 3
