"""Intake: repaired where that is certain, said always, never an exception."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
import tiny_homework as tiny

from autograder.intake import MAX_BYTES, take_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "student").mkdir()
    return tmp_path / "student"


@pytest.fixture
def handed(released):
    """A copy of the released notebook with both answers, to be spoiled."""
    copy = nbformat.from_dict(json.loads(json.dumps(released)))
    return tiny.answered(copy, tiny.SOLUTIONS)


def write(folder: Path, notebook: dict, name: str = "tiny.ipynb") -> None:
    (folder / name).write_text(json.dumps(notebook), "utf-8")


def ids(notebook) -> list[str]:
    return [c.metadata["nbgrader"]["grade_id"] for c in notebook.cells if "nbgrader" in c.metadata]


WHOLE = ["setup", "double", "double-check", "half", "half-check"]


def test_an_honest_notebook_goes_through_unchanged(folder, handed, released):
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert intake.notes == ()
    assert [c.source for c in intake.notebook.cells] == [c.source for c in handed.cells]
    assert [c.metadata for c in intake.notebook.cells] == [c.metadata for c in handed.cells]


def test_renamed_and_in_a_subfolder(folder, handed, released):
    (folder / "work").mkdir()
    write(folder / "work", handed, "tiny (1).ipynb")
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert "'tiny (1).ipynb' was taken for 'tiny.ipynb'" in intake.notes


def test_of_several_notebooks_the_right_name_counts(folder, handed, released):
    write(folder, handed)
    write(folder, {"cells": []}, "scratch.ipynb")
    assert ids(take_in(folder, "tiny.ipynb", released).notebook) == WHOLE


def test_several_wrong_names_need_a_person(folder, handed, released):
    write(folder, handed, "a.ipynb")
    write(folder, handed, "b.ipynb")
    intake = take_in(folder, "tiny.ipynb", released)
    assert intake.notebook is None
    assert "2 notebooks (a.ipynb, b.ipynb)" in intake.reason


def test_of_copied_cells_the_last_counts(folder, handed, released):
    copy = nbformat.from_dict(json.loads(json.dumps(handed.cells[2])))
    copy.source = "# id: double\ndef double(x):\n    return 7"
    handed.cells.insert(3, copy)
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    counting = [c for c in intake.notebook.cells if "nbgrader" in c.metadata]
    assert counting[1].source == copy.source
    assert any("more than once" in note for note in intake.notes)


def test_lost_metadata_is_known_by_the_first_line(folder, handed, released):
    for cell in handed.cells:
        cell.metadata = {}
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert [c.metadata for c in intake.notebook.cells] == [
        {"nbgrader": c.metadata["nbgrader"]} if "nbgrader" in c.metadata else {}
        for c in released.cells
    ]


def test_deleted_tests_come_back_in_their_places(folder, handed, released):
    handed.cells = [c for c in handed.cells if not c.source.startswith("# id: double-")]
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert intake.notes == ("cell 'double-check' was deleted; put back",)


def test_deleted_answer_is_said(folder, handed, released):
    del handed.cells[2]
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert "answer cells not found: double; a person should look" in intake.notes


def test_points_a_student_gave_himself_do_not_stay(folder, handed, released):
    handed.cells[3].metadata["nbgrader"]["points"] = 100
    handed.cells[4].metadata["nbgrader"].update(grade=False, locked=False)
    write(folder, handed)
    cells = take_in(folder, "tiny.ipynb", released).notebook.cells
    assert [c.metadata for c in cells] == [c.metadata for c in released.cells]


def test_metadata_of_cells_that_are_not_ours_goes(folder, handed, released):
    meta = dict(handed.cells[3].metadata["nbgrader"], grade_id="mine", points=50)
    extra = nbformat.v4.new_code_cell("1", metadata={"nbgrader": meta})
    handed.cells.append(extra)
    write(folder, handed)
    assert ids(take_in(folder, "tiny.ipynb", released).notebook) == WHOLE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{'not': JSON", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00 not utf-8 \x80", "not text in UTF-8"),
        (b"[1, 2]", "not a notebook"),
        (b'{"worksheets": [{"cells": [7]}], "nbformat": 3}', "can't be converted"),
        (b'{"metadata": {}, "worksheets": [], "nbformat": 3, "nbformat_minor": 0}', "none of the"),
        (b'{"cells": [3]}', "cell 0 is not a notebook cell"),
        (b'{"cells": [{"cell_type": "slide"}]}', "cell 0 is not a notebook cell"),
        (b'{"cells": [], "metadata": 3}', "none of the homework's cells"),
        (b"[" * 100_000, "can't be read"),
    ],
)
def test_what_is_no_notebook_is_a_reason(folder, released, content, reason):
    (folder / "tiny.ipynb").write_bytes(content)
    intake = take_in(folder, "tiny.ipynb", released)
    assert intake.notebook is None
    assert intake.found
    assert reason in intake.reason


def test_a_huge_file_is_not_read(folder, released):
    with (folder / "tiny.ipynb").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "MB" in take_in(folder, "tiny.ipynb", released).reason


@pytest.mark.parametrize(
    ("files", "found"), [([], False), (["timestamp.txt"], False), (["essay.pdf"], True)]
)
def test_nothing_handed_in_is_not_the_same_as_no_notebook(folder, released, files, found):
    for name in files:
        (folder / name).write_text("x", "utf-8")
    intake = take_in(folder, "tiny.ipynb", released)
    assert intake.notebook is None
    assert intake.found is found


def test_links_are_not_followed(folder, handed, released, tmp_path):
    write(tmp_path, handed, "elsewhere.ipynb")
    (folder / "tiny.ipynb").symlink_to(tmp_path / "elsewhere.ipynb")
    assert take_in(folder, "tiny.ipynb", released).notebook is None


def test_colab_shape(folder, handed, released):
    for number, cell in enumerate(handed.cells):
        del cell["id"]
        cell.metadata["id"] = f"x{number}"
    handed.update(nbformat_minor=0)
    handed.metadata["colab"] = {"provenance": []}
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert intake.notes == ()
    nbformat.validate(intake.notebook)


def test_strange_metadata_is_left_behind(folder, handed, released):
    handed.metadata["language_info"] = {"name": 7, "pygments_lexer": ["no"]}
    handed.metadata["widgets"] = {"state": None}
    for cell in handed.cells:
        cell.metadata |= {"tags": "training", "collapsed": None, "name": 3, "jupyter": []}
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert intake.notebook.metadata == released.metadata
    assert [c.metadata for c in intake.notebook.cells] == [c.metadata for c in released.cells]


def spoil(handed, grade_id: str, **changes) -> None:
    """Change a cell as an editor might: metadata gone, another text, another type."""
    cell = next(
        c for c in handed.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    )
    for name, value in changes.items():
        cell[name] = value


def test_an_answer_without_any_name_is_found_by_what_it_defines(folder, handed, released):
    text = "def double(x):\n    return x + x"
    spoil(handed, "double", metadata={}, source=text)
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    (note,) = intake.notes
    assert "taken for 'double' (" in note
    assert intake.doubt


def test_a_note_of_ones_own_is_not_taken_for_an_answer(folder, handed, released):
    spoil(handed, "double", metadata={}, source="# my shopping list: milk, bread, cheese, olives")
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert "answer cells not found: double; a person should look" in intake.notes
    assert intake.doubt


def test_an_answer_in_a_text_cell_is_code_again(folder, handed, released):
    spoil(handed, "half", cell_type="markdown")
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert "cell 'half' was a markdown cell; made code again" in intake.notes
    assert ids(intake.notebook) == WHOLE
    assert not intake.doubt


def test_a_locked_cell_that_was_changed_is_the_instructors_again(folder, handed, released):
    spoil(handed, "setup", source="# id: setup\nraise SystemExit")
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert "locked cell 'setup' was changed; the original counts" in intake.notes
    assert intake.notebook.cells[1].source == released.cells[1].source


def test_a_locked_cell_without_metadata_and_first_line_is_known_by_its_text(
    folder, handed, released
):
    for notebook in (handed, released):
        spoil(notebook, "setup", source="import math")
    spoil(handed, "setup", metadata={})
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert "cell 'setup' had lost its metadata; known by its text" in intake.notes


def test_an_answer_split_in_two_runs_as_a_whole(folder, handed, released):
    spoil(handed, "half", source="# id: half\nby = 2")
    handed.cells.insert(5, nbformat.v4.new_code_cell("def half(x):\n    return x / by"))
    write(folder, handed)
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert intake.notebook.cells[5].source.startswith("def half")


def test_repairing_what_was_repaired_changes_nothing(folder, handed, released):
    spoil(handed, "double", metadata={}, source="def double(x):\n    return x + x")
    spoil(handed, "half", cell_type="markdown")
    handed.cells = [c for c in handed.cells if not c.source.startswith("# id: half-check")]
    write(folder, handed)
    once = take_in(folder, "tiny.ipynb", released).notebook
    write(folder, once)
    again = take_in(folder, "tiny.ipynb", released)
    assert again.notes == ()
    for one, other in zip(again.notebook.cells, once.cells, strict=True):
        assert (one.source, one.metadata) == (other.source, other.metadata)


def test_format_3_and_utf_16_are_converted(folder, handed, released):
    old = nbformat.convert(handed, 3)
    (folder / "tiny.ipynb").write_bytes(json.dumps(old).encode("utf-16"))
    intake = take_in(folder, "tiny.ipynb", released)
    assert ids(intake.notebook) == WHOLE
    assert intake.notes[:2] == (
        "the notebook is text in UTF-16; converted", "the notebook is of format 3; converted"
    )  # fmt: skip


def test_too_many_files_and_cells(folder, handed, released, monkeypatch):
    monkeypatch.setattr("autograder.intake.MOST_CELLS", 5)
    write(folder, handed)
    assert "cells, more than 5" in take_in(folder, "tiny.ipynb", released).reason
    monkeypatch.setattr("autograder.intake.MOST_FILES", 3)
    for number in range(4):
        (folder / f"{number}.txt").write_text("x")
    assert "more than 3 files" in take_in(folder, "tiny.ipynb", released).reason
