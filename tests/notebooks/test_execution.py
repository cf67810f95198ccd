"""Every notebook runs from top to bottom, alone, in an empty folder, on the pocket models."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

TEXTS = sorted((Path(__file__).parents[2] / "notebooks" / "src").glob("*.py"))
WIDGET = "application/vnd.jupyter.widget-view+json"
KNOBS = "Run this notebook to turn the knobs."


@pytest.mark.usefixtures("kernels_share_cores")
@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_it_runs_and_shows_something_useful(builder, runner, text, tmp_path):
    done = runner.execute(builder.notebook_of(text), tmp_path)
    outputs = [out for cell in done.cells for out in cell.get("outputs", [])]
    noise = [out.text for out in outputs if out.get("name") == "stderr"]
    assert not noise, "a warning in a lecture is a question from the audience"
    assert not list(tmp_path.iterdir()), "files left behind"

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


def test_kernels_of_parallel_tests_have_one_thread_each(runner, tmp_path, monkeypatch, request):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    request.getfixturevalue("kernels_share_cores")
    ask = 'import os; print(os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"])'
    cell = nbformat.v4.new_code_cell(ask)
    done = runner.execute(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert done.cells[0].outputs[0].text == "1 1\n"
