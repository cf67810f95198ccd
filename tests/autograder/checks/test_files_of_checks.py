"""A verdict is known by all files that decide it, and by no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import autograder.checks
from autograder.checks import HOMEWORK
from autograder.homework import open_homework


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """The checks in a place where they may be changed."""
    place = shutil.copytree(Path(autograder.checks.__file__).parent, tmp_path / "checks")
    monkeypatch.setattr(autograder.checks, "__file__", str(place / "__init__.py"))
    return place


@pytest.mark.parametrize("homework", HOMEWORK)
def test_a_line_in_any_file_makes_another_version(kit, homework):
    versions = [open_homework(homework).version]
    files = sorted((kit / homework).glob("*.py"))
    assert len(files) > 4
    for file in files:
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n# one line more\n")
        versions.append(open_homework(homework).version)
    assert len(set(versions)) == len(files) + 1


def test_checks_of_another_homework_do_not_count(kit):
    before = open_homework("hw_prompt").version
    with (kit / "hw_adapter" / "pairs.py").open("a", encoding="utf-8") as opened:
        opened.write("\n# one line more\n")
    assert open_homework("hw_prompt").version == before
