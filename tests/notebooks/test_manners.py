"""What every notebook of the course has in common, so that a reader finds the way in each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
HEADINGS = ("Why", "Setup", "Summary", "Exercises", "References")
MOST_LINES = 30  # of code in a cell; prose first, then a few lines


@pytest.fixture(params=ALL, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


def prose(cells) -> str:
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_it_opens_and_ends_like_all_others(path, cells):
    number = path.stem.split("_")[0]
    assert cells[0].source.startswith(f"# {number} · ")
    assert "<!-- badges -->" in cells[0].source
    found = re.findall(r"^## (.+)$", prose(cells), flags=re.MULTILINE)
    places = [found.index(heading) for heading in HEADINGS]
    assert places == sorted(places)
    assert found[0] == "Why"
    assert found[-1] == "References"


def test_results_are_guessed_before_they_are_shown(cells):
    assert prose(cells).count("What do you expect") >= 3


def test_exercises_have_stars_minutes_and_hints(cells):
    part = prose(cells).split("## Exercises")[1].split("## References")[0]
    exercises = re.findall(r"^\*\*\d+\. .+?(?=^\*\*\d+\. |\Z)", part, flags=re.M | re.S)
    assert len(exercises) >= 3
    for exercise in exercises:
        assert re.match(r"\*\*\d+\. [^*]+ \(★+, \d+ minutes\)\*\*", exercise), exercise[:60]
    assert part.count("<details>") == part.count("</details>") >= len(exercises) - 1


def test_cells_are_short_and_follow_prose(cells):
    assert cells[1].cell_type == "markdown"
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.source[:80]
            assert before.cell_type == "markdown" or len(before.source.splitlines()) <= MOST_LINES


def test_code_is_plain_python_that_runs_anywhere(cells):
    for cell in cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)  # no magics: the text is a Python file too
            assert not re.search(r"[\"'](/|[A-Z]:\\)\w+/", cell.source), "an absolute path"


def test_pocket_results_are_called_so(cells):
    for cell in cells:
        if cell.cell_type == "code" and re.search(
            r"(accuracy_vs_parameters|score_curves)\(", cell.source
        ):
            assert "pocket" in cell.source


def test_links_between_notebooks_lead_somewhere(path, cells):
    for target in re.findall(r"\]\(([^)#]+\.ipynb)\)", prose(cells)):
        assert (path.parent / target).exists(), target


def test_the_map_of_the_tour_has_every_notebook():
    tour = prose(nbformat.read(ALL[0], as_version=4).cells)
    for other in ALL[1:]:
        assert f"({other.name})" in tour
