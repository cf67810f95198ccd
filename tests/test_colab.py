"""The setup cell adds what is missing and moves nothing that is there."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import jupytext
import pytest
from packaging.requirements import Requirement

from course_utils import colab
from course_utils.errors import CourseError


def test_the_cell_is_valid_python_and_carries_the_address():
    cell = colab.setup_cell("git+https://example.org/kit")
    compile(cell, "setup cell", "exec")
    assert 'KIT = "git+https://example.org/kit"' in cell
    assert len(cell.splitlines()) <= 14


def test_the_cell_runs_here_and_installs_nothing():
    """Outside Colab no pip is started: an address that can't be installed does no harm."""
    cell = colab.setup_cell("./no-such-folder")
    done = subprocess.run(
        [sys.executable, "-c", cell + "print(device)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "course kit" in done.stdout
    assert done.stdout.strip().endswith(("cpu", "cuda"))


def test_setup_seeds_all_three_generators(capsys):
    import random

    import numpy as np
    import torch

    drawn = []
    for _ in range(2):
        colab.setup(seed=3)
        drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert drawn[0] == drawn[1]
    assert "Seed 3" in capsys.readouterr().out


def test_survey_tells_missing_from_outside():
    wanted = [Requirement(r) for r in ("packaging>=20", "packaging<1", "nobody-has-this>=2")]
    missing, outside = colab.survey(wanted)
    assert [r.name for r in missing] == ["nobody-has-this"]
    assert len(outside) == 1
    assert "left as it is" in outside[0]


def test_missing_packages_away_from_colab_are_an_error_not_an_install(monkeypatch):
    wanted = {"nobody-has-this": Requirement("nobody-has-this>=2")}
    monkeypatch.setattr(colab, "requirements", lambda: wanted)
    with pytest.raises(CourseError, match=r"lacks nobody-has-this.*make lab"):
        colab.setup()


def test_a_kit_that_is_only_a_folder_says_how_to_install_it(tmp_path):
    """Copied, not installed, and run by a Python that does not know the distribution."""
    import shutil

    package = Path(colab.__file__).parent
    (tmp_path / "course_utils").mkdir()
    for name in ("__init__.py", "colab.py", "doctor.py", "errors.py"):
        shutil.copy(package / name, tmp_path / "course_utils")
    hide = (
        "import importlib.metadata as m\n"
        "def requires(name): raise m.PackageNotFoundError(name)\n"
        "m.requires = requires\n"
        "from course_utils.colab import setup\n"
        "setup()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"pip install --no-deps {tmp_path}" in done.stderr


def test_pip_is_told_to_keep_every_installed_version():
    pins = dict(pin.split("==") for pin in colab.installed_pins())
    from importlib import metadata

    assert pins["numpy"] == metadata.version("numpy")
    assert pins["torch"] == metadata.version("torch")


def test_adding_what_would_move_a_package_fails_and_says_so():
    """pip itself refuses: numpy is pinned to what is installed, and 1.0 is asked for."""
    with pytest.raises(CourseError, match="without moving an installed package"):
        colab.add([Requirement("numpy==1.0")])


def test_numpy_changed_under_a_running_session_asks_for_a_restart(monkeypatch):
    old = types.ModuleType("numpy")
    old.__version__ = "1.0.0"
    monkeypatch.setitem(sys.modules, "numpy", old)
    with pytest.raises(CourseError, match=r"numpy 1\.0\.0 is loaded.*Restart"):
        colab.setup()


def test_a_local_build_tag_is_not_a_change(monkeypatch):
    from importlib import metadata

    same = types.ModuleType("torch")
    same.__version__ = metadata.version("torch").split("+")[0] + "+cu128"
    monkeypatch.setitem(sys.modules, "torch", same)
    assert colab.changed_in_memory(("torch",)) == ""


TEXTS = sorted((Path(__file__).parents[1] / "notebooks" / "src").glob("[0-9]*.py"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_this_cell(text):
    """One cell from one place: only the address may differ."""
    code = next(c.source for c in jupytext.read(text).cells if c.cell_type == "code")
    address = re.search(r'KIT = "(.*)"', code).group(1)
    assert code.strip() == colab.setup_cell(address).strip()


def test_there_are_notebooks_to_check():
    assert TEXTS


def colab_with_a_drive(monkeypatch, tmp_path, mount):
    google, package, drive = (types.ModuleType(n) for n in ("google", "google.colab", "drive"))
    drive.mount = mount
    package.drive = drive
    google.colab = package
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")


def test_results_lie_in_the_drive_on_colab(monkeypatch, tmp_path):
    mounted = []
    colab_with_a_drive(monkeypatch, tmp_path, mounted.append)
    folder = colab.results_folder("hw")
    assert mounted == [str(tmp_path / "drive")]
    assert folder == tmp_path / "drive" / "MyDrive" / "hw"
    assert folder.is_dir()


def test_a_drive_that_is_refused_names_the_other_way(monkeypatch, tmp_path):
    def refuse(_):
        raise ValueError("mount failed")

    colab_with_a_drive(monkeypatch, tmp_path, refuse)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="not connected .mount failed.. .* drive=False"):
        colab.results_folder("hw")
    assert colab.results_folder("hw", drive=False) == Path("hw")
    assert (tmp_path / "hw").is_dir()


def test_elsewhere_results_lie_beside_the_notebook(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert colab.results_folder("results") == Path("results")
    assert (tmp_path / "results").is_dir()
