"""A homework packed: what goes in, what is said to be missing, and nothing else."""

from __future__ import annotations

import hashlib
import json
import sys
import types
import zipfile

import nbformat
import pytest

from course_utils import submit
from course_utils.errors import CourseError
from course_utils.records import RunRecord, write_json
from course_utils.submit import asked_by, pack

RELEASED = 0.866  # RTE, RoBERTa-large


def notebook_at(path, source="answer = 1"):
    cell = nbformat.v4.new_code_cell(source)
    cell.metadata["nbgrader"] = {"grade_id": "soft_prompt", "solution": True, "grade": False}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def run_at(
    folder,
    task,
    score=0.9,
    *,
    seed=11,
    method="PTuningV2",
    plm="roberta-large",
    n=4,
    split="dev",
):
    """A run as `course run` leaves it."""
    RunRecord(
        plm=plm,
        task=task,
        method=method,
        metric="accuracy",
        score=score,
        n=n,
        split=split,
        seed=seed,
    ).write(folder / "record.json")
    rows = [json.dumps({"id": i, "prediction": 0, "label": 0}) for i in range(n)]
    (folder / "predictions.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "adapter").mkdir()
    write_json(folder / "adapter" / "method.json", {"name": "p-tuning-v2"})
    (folder / "adapter" / "adapter.safetensors").write_bytes(b"tensors")
    (folder / "run.json").write_text("{}")
    (folder / "notes.txt").write_text("private")
    return folder


@pytest.fixture
def homework(tmp_path):
    for task in ("superglue/rte", "superglue/wic", "superglue/wsc"):
        run_at(tmp_path / "runs" / task.replace("/", "-") / "seed-11", task)
    return tmp_path


def packed(folder, homework="hw_prompt", **options):
    given = {"notebook": notebook_at(folder / "hw.ipynb"), "runs": folder / "runs"}
    return pack(homework, output=folder / "hw.zip", **given | options)


def test_a_complete_homework(homework):
    found = packed(homework)
    assert found.complete, found.missing
    with zipfile.ZipFile(found.path) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
        assert json.loads(archive.read("notebook.ipynb"))["cells"]
        for name, entry in manifest["files"].items():
            data = archive.read(name)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
    place = "runs/superglue-rte-PTuningV2-seed-11"
    assert {f"{place}/record.json", f"{place}/predictions.jsonl", f"{place}/adapter/method.json",
            f"{place}/adapter/adapter.safetensors"} <= names  # fmt: skip
    assert not any("notes" in name or "run.json" in name for name in names)
    assert names == manifest["files"].keys() | {"manifest.json"}
    assert manifest["homework"] == "hw_prompt"
    assert "Nothing is missing" in str(found)


def test_too_few_tasks_are_said_and_packed_all_the_same(tmp_path):
    run_at(tmp_path / "runs" / "a", "superglue/rte")
    found = packed(tmp_path)
    assert not found.complete
    assert "at least 3 tasks; here are 1 (superglue/rte). Open are superglue/boolq" in str(found)
    assert found.path.is_file()


def test_none_above_the_published_result(tmp_path):
    for task in ("superglue/rte", "superglue/wic", "superglue/wsc"):
        run_at(tmp_path / "runs" / task[10:], task, score=0.5)
    assert any("above the published result" in sentence for sentence in packed(tmp_path).missing)


def test_another_method_does_not_count(tmp_path):
    for task in ("superglue/rte", "superglue/wic", "superglue/wsc"):
        run_at(tmp_path / "runs" / task[10:], task, method="LoRA")
    assert any("here are 0 (none)" in sentence for sentence in packed(tmp_path).missing)


def test_tracks_are_not_mixed(tmp_path):
    for task in ("superglue/rte", "pocket/wic", "pocket/copa"):
        run_at(tmp_path / "runs" / task.replace("/", "-"), task)
    assert "here are 2 (pocket/copa, pocket/wic)" in str(packed(tmp_path))


def pocket_runs(folder, score, split="test", plm="pocket-bert-base"):
    for task in ("pocket/boolq", "pocket/wic", "pocket/copa"):
        run_at(folder / "runs" / task.replace("/", "-"), task, score, plm=plm, split=split)
    return packed(folder)


def test_above_is_asked_on_the_pocket_track_too(tmp_path):
    from course_utils.recipes import released

    found = pocket_runs(tmp_path, 0.6)
    wic = released("pocket/wic", "pocket-bert-base").result
    assert f"pocket/wic {wic:.1f} (pocket-bert-base, test)" in str(found)
    assert len(found.missing) == 1
    assert pocket_runs(tmp_path / "above", 0.99).complete


@pytest.mark.parametrize("other", [{"split": "dev"}, {"plm": "pocket-bert-large"}])
def test_above_means_the_same_plm_and_split(tmp_path, other):
    assert "No run is above" in str(pocket_runs(tmp_path, 0.99, **other))


def test_of_two_tracks_the_complete_one_is_told_of(tmp_path):
    """Three tasks on both; only one of them has a run above the published result."""
    pocket_runs(tmp_path, 0.99)
    for task in ("superglue/rte", "superglue/wic", "superglue/wsc"):
        run_at(tmp_path / "runs" / task.replace("/", "-"), task, score=0.5)
    assert packed(tmp_path).complete


def test_two_adapters_for_the_other_homework(tmp_path):
    run_at(tmp_path / "runs" / "a", "glue/sst2", method="Houlsby")
    found = packed(tmp_path, "hw_adapter")
    assert "at least 2 of the methods" in str(found)
    assert "here are Houlsby" in str(found)
    run_at(tmp_path / "runs" / "b", "glue/sst2", method="LoRA")
    assert packed(tmp_path, "hw_adapter").complete


def test_what_is_not_written_yet(homework):
    empty = notebook_at(homework / "empty.ipynb", "raise NotImplementedError")
    assert "Not written yet: soft_prompt." in packed(homework, notebook=empty).missing


def test_a_notebook_of_something_else(homework):
    other = homework / "other.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), other)
    assert any("is it the right file?" in s for s in packed(homework, notebook=other).missing)


def test_predictions_that_do_not_fit_the_record(homework):
    path = homework / "runs" / "superglue-rte" / "seed-11" / "predictions.jsonl"
    path.write_text(path.read_text().split("\n", 1)[1])
    assert any("3 predictions, but its record speaks of 4" in s for s in packed(homework).missing)


def test_an_adapter_that_is_not_there(homework):
    (homework / "runs" / "superglue-rte" / "seed-11" / "adapter" / "method.json").unlink()
    assert any("method.json is not there" in s for s in packed(homework).missing)


def test_the_same_setting_twice_keeps_both(homework):
    run_at(homework / "runs" / "again", "superglue/rte", 0.7)
    with zipfile.ZipFile(packed(homework).path) as archive:
        records = [n for n in archive.namelist() if n.endswith("record.json") and "rte" in n]
    assert len(records) == 2


def test_too_large_leaves_the_old_zip(homework):
    found = packed(homework)
    before = found.path.read_bytes()
    with pytest.raises(CourseError, match="more than the .* allowed. The largest files are"):
        packed(homework, limit=1000)
    assert found.path.read_bytes() == before
    assert [p.name for p in homework.glob(".hw.zip*")] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"homework": "hw_promt"}, "Did you mean 'hw_prompt'"),
        ({"notebook": "none.ipynb"}, "there is no notebook none.ipynb"),
        ({"notebook": None}, "give notebook=FILE"),
        ({"runs": "nowhere"}, "there is no folder of runs nowhere"),
    ],
)
def test_bad_input(homework, options, says):
    with pytest.raises(CourseError, match=says):
        packed(homework, **options)


def test_files_that_are_no_notebooks(homework):
    (homework / "odd.ipynb").write_text("[]")
    with pytest.raises(CourseError, match="it has no cells"):
        packed(homework, notebook=homework / "odd.ipynb")
    (homework / "odd.ipynb").write_text("{")
    with pytest.raises(CourseError, match="is no notebook"):
        packed(homework, notebook=homework / "odd.ipynb")


def test_no_run_at_all(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(CourseError, match="there is no run below"):
        packed(tmp_path)


def test_a_broken_record_names_its_file(homework):
    path = homework / "runs" / "superglue-rte" / "seed-11" / "record.json"
    path.write_text("{")
    with pytest.raises(CourseError, match="record.json: broken JSON"):
        packed(homework)


def test_on_colab_the_open_notebook_is_taken(homework, monkeypatch):
    document = json.loads(notebook_at(homework / "hw.ipynb").read_text())
    answers = types.SimpleNamespace(blocking_request=lambda *a, **k: {"ipynb": document})
    colab = types.ModuleType("google.colab")
    colab._message = answers
    google = types.ModuleType("google")
    google.colab = colab
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert packed(homework, notebook=None).complete
    answers.blocking_request = lambda *a, **k: None
    with pytest.raises(CourseError, match="File > Download"):
        packed(homework, notebook=None)


@pytest.mark.parametrize("homework", ["hw_prompt", "hw_adapter"])
def test_what_is_asked_for_exists(homework):
    from course_utils import tuning
    from course_utils.tasks import TASKS

    asked = asked_by(homework)
    assert all(issubclass(getattr(tuning, name), tuning.Method) for name in asked.methods)
    assert all(task in TASKS for tasks in asked.tracks.values() for task in tasks)
    assert submit.LIMIT > 10**6
