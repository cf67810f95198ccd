"""The instructor's versions: text and notebook in step, and fit for nbgrader."""

from __future__ import annotations

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from autograder import paired
from course_utils.errors import CourseError

PAIRS = paired.pairs()


@pytest.mark.parametrize(("text", "notebook"), PAIRS, ids=lambda path: path.name)
def test_text_and_notebook_are_in_step(text, notebook):
    assert paired.in_step(text, notebook), "run: make notebooks"


def test_a_changed_text_is_noticed_and_built(tmp_path):
    folder = tmp_path / "source" / "hw"
    folder.mkdir(parents=True)
    text, notebook = folder / "hw.py", folder / "hw.ipynb"
    text.write_text(PAIRS[0][0].read_text("utf-8"), "utf-8")
    assert paired.build_all(tmp_path) == [notebook]
    assert paired.build_all(tmp_path) == []
    text.write_text(text.read_text("utf-8").replace("mean", "meen"), "utf-8")
    assert not paired.in_step(text, notebook)
    assert paired.build_all(tmp_path) == [notebook]
    assert paired.in_step(text, notebook)


@pytest.mark.parametrize(("text", "notebook"), PAIRS, ids=lambda path: path.name)
def test_metadata_is_nbgraders_schema_3(text, notebook):
    loaded = nbformat.read(notebook, as_version=4)
    nbformat.validate(loaded)
    MetadataValidator().validate_nb(loaded)
    graded = [cell for cell in loaded.cells if "nbgrader" in cell.metadata]
    assert len(graded) > 10
    for cell in graded:
        meta = cell.metadata["nbgrader"]
        assert meta["schema_version"] == 3
        first = cell.source.split("\n", 1)[0]
        assert cell.cell_type == "markdown" or first == f"# id: {meta['grade_id']}"


@pytest.mark.parametrize(("text", "notebook"), PAIRS, ids=lambda path: path.name)
def test_no_outputs_are_committed(text, notebook):
    for cell in nbformat.read(notebook, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_unknown_assignment_names_the_nearest():
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        paired.source_folder("hw_promt")


def test_folder_without_instructors_versions_is_explained(tmp_path):
    with pytest.raises(CourseError, match="clone the repository"):
        paired.assignment_names(tmp_path)
