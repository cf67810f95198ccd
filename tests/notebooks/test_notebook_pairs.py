"""Texts and notebooks are in step, without outputs, with ids that stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from course_utils.colab import setup_cell

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TEXTS = sorted((NOTEBOOKS / "src").glob("*.py"))


def test_every_notebook_has_a_text_and_every_text_a_notebook():
    assert [path.stem for path in TEXTS] == sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb"))
    assert TEXTS


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
class TestEach:
    def test_in_step(self, builder, text):
        assert builder.in_step(text, NOTEBOOKS / f"{text.stem}.ipynb"), "run notebooks/build.py"

    def test_no_outputs_and_unique_ids(self, text):
        notebook = nbformat.read(NOTEBOOKS / f"{text.stem}.ipynb", as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
        assert notebook.metadata.kernelspec.name == "python3"

    def test_the_way_back_gives_the_same_text(self, builder, text):
        notebook = nbformat.read(NOTEBOOKS / f"{text.stem}.ipynb", as_version=4)
        assert builder.text_of(notebook) == text.read_text(encoding="utf-8")

    def test_the_set_up_cell_is_the_shared_one(self, builder, text):
        notebook = builder.notebook_of(text)
        first = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
        kit = first.split('KIT = "')[1].split('"')[0]
        assert first.strip() == setup_cell(kit).strip()


class TestBuilding:
    @pytest.fixture
    def folder(self, builder, tmp_path, monkeypatch):
        """A copy of the course's notebooks that a test may edit."""
        shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
        monkeypatch.setattr(builder, "HERE", tmp_path / "notebooks")
        monkeypatch.setattr(builder, "SOURCES", tmp_path / "notebooks" / "src")
        return tmp_path / "notebooks"

    def test_a_text_that_went_ahead_is_noticed_and_built(self, builder, folder, capsys):
        text = folder / "src" / "00_tour.py"
        text.write_text(text.read_text(encoding="utf-8") + "\n# %%\nprint(1)\n", encoding="utf-8")
        assert builder.main(["--check", "00"]) == 1
        assert "OUT OF STEP" in capsys.readouterr().out
        assert builder.main(["00"]) == 0
        assert builder.main(["--check", "00"]) == 0

    def test_one_new_cell_changes_one_id(self, builder, folder):
        text = folder / "src" / "00_tour.py"
        before = [cell.id for cell in builder.notebook_of(text).cells]
        lines = text.read_text(encoding="utf-8").split("# %% [markdown]\n")
        lines.insert(3, "# A new paragraph.\n\n")
        text.write_text("# %% [markdown]\n".join(lines), encoding="utf-8")
        after = [cell.id for cell in builder.notebook_of(text).cells]
        assert len(set(after) - set(before)) == 1
        assert [name for name in after if name in before] == before

    def test_an_edit_made_in_jupyter_is_taken_back_without_its_outputs(self, builder, folder):
        path = folder / "00_tour.ipynb"
        notebook = nbformat.read(path, as_version=4)
        cell = nbformat.v4.new_code_cell("print('added')", execution_count=7)
        cell.outputs = [nbformat.v4.new_output("stream", text="added\n")]
        notebook.cells.append(cell)
        nbformat.write(notebook, path)
        assert builder.main(["--take-back", "00"]) == 0
        assert "print('added')" in (folder / "src" / "00_tour.py").read_text(encoding="utf-8")
        assert "added\\n" not in path.read_text(encoding="utf-8")
        assert builder.main(["--check", "00"]) == 0

    def test_a_name_that_is_not_there(self, builder):
        with pytest.raises(SystemExit, match="99"):
            builder.main(["99"])
