"""HW-Prompt's notebook: its layout, its points, and what its cells show."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from autograder.checks import checks_of
from autograder.paired import source_folder
from autograder.policy import read_policy
from autograder.sample_class import STUB, WRITTEN_STUB, solutions
from course_utils.plm import pocket
from course_utils.submit import asked_by

CHECKS = checks_of("hw_prompt")
EXERCISES = list(dict.fromkeys(check.exercise for check in CHECKS.all))
WRITTEN = ("written-depth", "written-zeros", "written-above", "written-runs")


@pytest.fixture(scope="module")
def graded(original) -> dict:
    """grade_id -> cell."""
    return {c.metadata["nbgrader"]["grade_id"]: c for c in original.cells
            if "nbgrader" in c.metadata}  # fmt: skip


def flags(cell) -> tuple[bool, bool, bool]:
    meta = cell.metadata["nbgrader"]
    return meta["grade"], meta["solution"], meta["locked"]


def test_one_answer_and_one_check_for_each_exercise(graded):
    others = {"setup", "check-tools", "results-check", *WRITTEN}
    assert set(graded) - others == {n for e in EXERCISES for n in (e, f"{e}-check")}
    for exercise in EXERCISES:
        assert flags(graded[exercise]) == (False, True, False)
        assert flags(graded[f"{exercise}-check"]) == (True, False, True)


def test_check_cells_carry_the_points_of_the_judges_checks(graded):
    for exercise in EXERCISES:
        points = graded[f"{exercise}-check"].metadata["nbgrader"]["points"]
        assert points == CHECKS.points_of(exercise)


def test_results_are_worth_what_the_policy_says(graded):
    policy = read_policy(source_folder("hw_prompt").parents[1] / "policy.toml")
    most = sum(r.points * r.most for r in policy.results if r.assignment == "hw_prompt")
    assert graded["results-check"].metadata["nbgrader"]["points"] == most == 24
    assert flags(graded["results-check"]) == (True, False, True)


def test_written_answers_are_for_a_person_and_have_a_rubric(graded):
    for name in WRITTEN:
        cell = graded[name]
        assert cell.cell_type == "markdown"
        assert flags(cell) == (True, True, False)
        lines = cell.source.splitlines()
        assert lines[0] == f"<!-- id: {name} -->"
        assert "BEGIN SOLUTION" in lines[1]
        assert "END SOLUTION" in lines[-1]
        assert "*Rubric.*" in cell.source
        given = re.findall(r"\b(\d) (?:point )?for\b", cell.source.split("*Rubric.*")[1])
        each = 2 if "each of the two" in cell.source or "each of two" in cell.source else 1
        told = sum(map(int, given)) + (each - 1)
        assert told == cell.metadata["nbgrader"]["points"] == 4


def test_points_are_those_the_students_are_told(original, graded):
    points = [c.metadata["nbgrader"]["points"] for n, c in graded.items() if n not in WRITTEN
              and c.metadata["nbgrader"]["grade"]]  # fmt: skip
    points.append(sum(graded[name].metadata["nbgrader"]["points"] for name in WRITTEN))
    told = [
        int(row[1])
        for row in re.finditer(r"^\|.*\| (\d+) \|$", original.cells[0].source, flags=re.M)
    ]
    assert told == points
    assert sum(points) == 100
    text = "\n".join(c.source for c in original.cells if c.cell_type == "markdown")
    assert sum(map(int, re.findall(r"^## Exercise .*\((\d+) points\)", text, re.M))) == 100
    for heading in re.findall(r"^### (?:[1-3][a-d]|5[a-d]) .*", text, re.M):
        assert re.search(r"[★☆]{3} · \d+ minutes · \d+ points", text[text.index(heading) :]), (
            heading
        )


def test_the_cells_tried_by_default_count(original):
    """The runs of the training cell are of tasks and methods that the homework asks for."""
    (cell,) = [c for c in original.cells if c.source.startswith("from course_utils.tuning import")]
    space: dict = {}
    exec(cell.source, space)
    asked = asked_by("hw_prompt")
    tasks = {task for task, *_ in space["SETTINGS"]}
    assert tasks <= set(asked.tracks["pocket"])
    assert len(tasks) >= asked.at_least_tasks
    assert {type(method).__name__ for _, method, *_ in space["SETTINGS"]} <= set(asked.methods)


def test_results_check_counts_runs(graded, tmp_path):
    """None: not done yet. Two tasks: said. Three: fine, and what is above is named."""
    from course_utils.recipes import recipes
    from course_utils.records import RunRecord

    source = graded["results-check"].source

    def said() -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(source, "results-check", "exec"), {"RUNS": str(tmp_path)})
        return out.getvalue()

    def write(number: int, plm: str, task: str, score: float) -> None:
        RunRecord(
            plm=plm, task=task, method="PTuningV2", metric="accuracy", score=score, n=10
        ).write(tmp_path / str(number) / "record.json")

    with pytest.raises(NotImplementedError, match="got 0"):
        said()
    known = [r for r in recipes() if r.plm.endswith("roberta-large")][:3]
    for number, recipe in enumerate(known[:2]):
        write(number, recipe.plm, recipe.task, 0.1)
    write(7, "pocket-bert-base", "pocket/ner", 0.9)  # the other track
    with pytest.raises(AssertionError, match="expected runs on 3 tasks of one track, got 2"):
        said()
    write(2, known[2].plm, known[2].task, known[2].result / 100 + 0.001)
    assert "3 of 3" in (text := said())
    assert f"above the released result: {known[2].task} with" in text


@pytest.mark.skipif(
    not (Path(pocket.__file__).parent / "weights" / "pocket-bert-base").is_dir(),
    reason="the pocket models are not in this checkout",
)
def test_from_top_to_bottom_with_the_pocket_model(original, tmp_path, monkeypatch):
    """Cells outside the checks run too, and show what the text around them says.

    Exercise 4's runs are made with the smallest model, on few examples.
    """
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in original.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, cell.id, "exec"), space)
                if "SETTINGS" in space and space["PLM"] == "pocket-bert-base":
                    space["PLM"] = "pocket-bert-tiny"
                    space["SETTINGS"] = [
                        (task, method, rate, 1, 16) for task, method, rate, *_ in space["SETTINGS"]
                    ]
    text = printed.getvalue()
    prompt, prefix = text.split("numbers were trained, ")[0], text
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", prefix)]
    assert losses[3] < 0.7 * losses[0], "the training reviews are soon learnt"
    assert losses[7] < 0.7 * losses[4], "by a prefix, too"
    assert prompt.count("positive") >= 8
    shown = [float(number) for number in re.findall(r"^([0-9.]+) positive", text, re.M)]
    assert len(shown) == 12
    delicious, stale, _, lovely = shown[:4]
    assert min(delicious, lovely) > stale, "what the prompt of words shows"
    trained, kept = re.search(r"([\d,]+) numbers were trained, ([\d,]+) are kept", text).groups()
    assert int(kept.replace(",", "")) == 2 * 4 * 8 * 128 < int(trained.replace(",", ""))
    assert "the scores differ by 0.00000" in text
    assert "tasks with a run: 3 of 3" in text
    for length_shares in space["shares"].values():
        assert length_shares[0] == pytest.approx(1)
        assert list(length_shares.values()) == sorted(length_shares.values(), reverse=True)
    short, long = space["shares"].values()
    assert short[10] < long[10], "a long text keeps more"


def test_stubs_stand_where_answers_go(original, graded):
    assert set(solutions(original)) == {*EXERCISES, *WRITTEN}
    assert STUB[1] == "raise NotImplementedError()"
    assert WRITTEN_STUB == "YOUR ANSWER HERE"
