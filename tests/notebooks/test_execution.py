"""Every notebook runs from top to bottom, alone, in an empty folder, on the pocket models.

With small sizes; with those that students see where COURSE_NOTEBOOKS is "shipped", as in CI.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import pytest

TEXTS = sorted((Path(__file__).parents[2] / "notebooks" / "src").glob("*.py"))
WIDGET = "application/vnd.jupyter.widget-view+json"
RESULTS = {"14_homework_on_colab": ["hw-prompt-results"]}  # where its runs go on from
KNOBS = "Run this notebook to turn the knobs."
SHIPPED = os.environ.get("COURSE_NOTEBOOKS", "small") == "shipped"


@pytest.mark.long
@pytest.mark.usefixtures("kernels_share_cores")
@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_it_runs_and_shows_something_useful(builder, runner, text, tmp_path):
    sizes = {} if SHIPPED else runner.small_sizes().get(text.stem, {})
    done = runner.execute(runner.with_sizes(builder.notebook_of(text), sizes), tmp_path)
    outputs = [out for cell in done.cells for out in cell.get("outputs", [])]
    noise = [out.text for out in outputs if out.get("name") == "stderr"]
    assert not noise, "a warning in a lecture is a question from the audience"
    left = [path.name for path in tmp_path.iterdir()]
    assert left == RESULTS.get(text.stem, []), "files left behind"

    shown = [out.data for out in outputs if out.output_type in ("display_data", "execute_result")]
    assert any("image/png" in data for data in shown)
    playgrounds = [data for data in shown if KNOBS in data.get("text/plain", "")]
    assert playgrounds, "no knob to turn"
    for data in playgrounds:
        assert WIDGET in data
        assert len(data["text/html"]) > 200, "nothing to see without a kernel"
    for cell in done.cells:
        if cell.cell_type == "code" and "exercises.check_" in cell.source:
            assert cell.outputs[-1].data["text/plain"].startswith("open."), cell.source

    page = runner.page_of(done)
    assert WIDGET not in page
    assert page.count(KNOBS) == len(playgrounds)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_small_sizes_are_sizes_of_the_notebook(builder, runner, text):
    """A name that the notebook does not use would leave it at its full size, unnoticed."""
    cell = runner.cell_of_sizes(builder.notebook_of(text))
    small = runner.small_sizes().get(text.stem, {})
    assert bool(small) == (cell is not None)
    if cell is not None:
        names = {node.id for node in ast.walk(ast.parse(cell.source)) if _is_assigned(node)}
        assert set(small) <= names


def _is_assigned(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def test_small_sizes_come_last_and_leave_the_notebook_alone(runner):
    cells = [nbformat.v4.new_code_cell(f"{runner.SIZES}\nSTEPS = 100 if QUICK else 900")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    source = runner.with_sizes(notebook, {"STEPS": 3}).cells[0].source
    found = {}
    exec(source, found)  # our own two lines
    assert found["STEPS"] == 3
    assert "STEPS = 3" not in notebook.cells[0].source


def test_there_are_small_sizes_of_known_notebooks_only(runner):
    assert set(runner.small_sizes()) <= {text.stem for text in TEXTS}


def test_kernels_of_parallel_tests_have_one_thread_each(runner, tmp_path, monkeypatch, request):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    request.getfixturevalue("kernels_share_cores")
    ask = 'import os; print(os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"])'
    cell = nbformat.v4.new_code_cell(ask)
    done = runner.execute(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert done.cells[0].outputs[0].text == "1 1\n"
