"""One command writes a course's addresses everywhere, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from course_utils import colab
from course_utils.errors import CourseError
from course_utils.publishing import badge, publish

ROOT = Path(__file__).parents[1]
LINK = badge("ann/course", "main", "notebooks/00_a.ipynb")


@pytest.fixture
def kit(tmp_path):
    """A kit with one notebook, its text, a homework and a README."""
    cell = colab.setup_cell("./old")
    head = "# 00 · Título\n\n<!-- badges -->\n`1 minute`"
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": head.splitlines(keepends=True)},
        {"cell_type": "code", "metadata": {}, "source": cell.splitlines(keepends=True)},
        {"cell_type": "code", "metadata": {}, "source": ["KIT = 3"]},
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for folder in ("notebooks", "assignments/source/hw"):
        place = tmp_path / folder
        (place / "src").mkdir(parents=True)
        (place / "00_a.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    commented = "\n".join(f"# {line}".rstrip() for line in head.splitlines())
    text = f"# %% [markdown]\n{commented}\n\n# %%\n{cell}\nKIT = 3\n"
    (tmp_path / "notebooks" / "src" / "00_a.py").write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text("A kit.\n\n<!-- colab -->\nMore.\n")
    return tmp_path


def sources(path):
    return ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def test_setup_cell_badge_and_readme_are_written(kit):
    changed = publish(kit, "ann/course")
    assert {path.relative_to(kit).as_posix() for path in changed} == {
        "notebooks/00_a.ipynb", "notebooks/src/00_a.py", "assignments/source/hw/00_a.ipynb",
        "README.md",
    }  # fmt: skip
    head, cell, other = sources(kit / "notebooks" / "00_a.ipynb")
    assert head == f"# 00 · Título\n\n<!-- badges -->\n{LINK}\n`1 minute`"
    assert cell == colab.setup_cell("git+https://github.com/ann/course@main")
    assert other == "KIT = 3"
    text = (kit / "notebooks" / "src" / "00_a.py").read_text(encoding="utf-8")
    assert f"# <!-- badges -->\n# {LINK}\n# `1 minute`" in text
    assert "KIT = 3" in text
    assert "blob/main/notebooks/00_tour.ipynb" in (kit / "README.md").read_text()
    homework = sources(kit / "assignments" / "source" / "hw" / "00_a.ipynb")[0]
    assert "blob/main/assignments/source/hw/00_a.ipynb" in homework


def test_again_changes_nothing_and_another_address_replaces_it(kit):
    publish(kit, "ann/course")
    assert publish(kit, "ann/course") == []
    publish(kit, "bob/copy", branch="v2", kit="./here")
    head, cell, _ = sources(kit / "notebooks" / "00_a.ipynb")
    assert head.count("Open in Colab") == 1
    assert "github/bob/copy/blob/v2/notebooks/00_a.ipynb" in head
    assert cell == colab.setup_cell("./here")


@pytest.mark.parametrize("repository", ["", "ann", "ann/course/more", "ann/ course", "https://x/y"])
def test_what_is_no_repository(kit, repository):
    with pytest.raises(CourseError, match="expected OWNER/NAME"):
        publish(kit, repository)


@pytest.mark.parametrize("address", ['a"b', "a b", "a\\b"])
def test_an_address_that_breaks_the_line(kit, address):
    with pytest.raises(CourseError, match="no blanks"):
        publish(kit, "ann/course", kit=address)


def test_no_notebook(tmp_path):
    with pytest.raises(CourseError, match="no notebook with a setup cell"):
        publish(tmp_path, "ann/course")


def test_the_kits_own_notebooks_stay_in_step(tmp_path):
    """Published, every notebook is still what its text builds."""
    import subprocess
    import sys

    for name in ("notebooks", "assignments", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path / name)
    changed = publish(tmp_path, "ann/course")
    texts = list((tmp_path / "notebooks" / "src").glob("[0-9]*.py"))
    notebooks = [p for p in changed if p.suffix == ".ipynb" and p.parent.name == "notebooks"]
    assert len(notebooks) == len(texts)
    check = [sys.executable, str(tmp_path / "notebooks" / "build.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
