"""What the packaging promises: light imports, tested versions inside the ranges, a whole wheel."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import course_utils

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "datasets", "numpy", "matplotlib", "nbgrader")

# What Colab had installed in August 2026, as far as the kit depends on it.
COLAB = {
    "torch": "2.11.0+cu128",
    "transformers": "5.15.0",
    "datasets": "4.0.0",
    "accelerate": "1.14.0",
    "peft": "0.20.0",
    "numpy": "2.1.0",
    "ipywidgets": "7.7.1",
}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ranges(project) -> dict[str, Requirement]:
    lines = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        lines += extra
    return {r.name.lower().replace("_", "-"): r for r in map(Requirement, lines)}


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.lower().split("==") for line in lines if line and not line.startswith("#"))
    return {name.replace("_", "-"): version for name, version in pairs}


def loaded_after(code: str) -> set[str]:
    """Which heavy modules a fresh Python has loaded after running `code`."""
    report = f"\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    command = [sys.executable, "-c", code + report]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import course_utils; dir(course_utils)",
        "import course_utils.plm, course_utils.tasks, course_utils.tuning",
        "import course_utils.early_exit, course_utils.compression",
        "import course_utils.prompting, course_utils.doctor, course_utils.colab",
        "import course_utils.cli",
        "import typer.testing as t, course_utils.cli as c\n"
        "assert t.CliRunner().invoke(c.app, ['--help']).exit_code == 0",
    ],
)
def test_importing_loads_nothing_heavy(code):
    assert loaded_after(code) == set()


def test_loading_a_model_call_does_load_torch():
    """The check above can fail: it sees torch when torch is there."""
    assert "torch" in loaded_after("import course_utils; course_utils.load_plm")


def test_every_public_name_can_be_had_from_the_front():
    assert set(course_utils.__all__) == {"__version__", *course_utils._HOMES}
    for name in course_utils.__all__:
        assert name in dir(course_utils)
        assert name == "__version__" or callable(getattr(course_utils, name)), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lora'"):
        _ = course_utils.lora


def test_tested_versions_lie_in_the_ranges(ranges, pins):
    for name, requirement in ranges.items():
        assert name in pins, f"{name} is in pyproject.toml but not in constraints.txt"
        assert requirement.specifier.contains(pins[name]), (name, pins[name])


def test_every_range_has_an_upper_bound_but_torch(ranges):
    unbounded = {n for n, r in ranges.items() if not re.search(r"<", str(r.specifier))}
    assert unbounded == {"torch"}


@pytest.mark.parametrize("name", COLAB)
def test_ranges_admit_what_colab_has(ranges, name):
    assert ranges[name].specifier.contains(COLAB[name])


def test_constraints_are_exact_and_name_no_place(pins):
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert pins["torch"] == "2.13.0"
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_make_installs_torch_before_anything_else():
    """A dry run of the set-up: two installs, torch alone in the first."""
    done = subprocess.run(
        ["make", "--dry-run", "VENV=not-there", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    installs = [line for line in done.stdout.splitlines() if " install " in line and "pip" in line]
    assert len(installs) == 2
    assert installs[0].endswith("'torch==2.13.0'")
    assert "-c constraints.txt" in installs[1]


def test_make_refuses_a_python_that_does_not_fit(tmp_path):
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_conda_environment_installs_the_same_versions():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "-c constraints.txt" in text
    assert "-e .[dev,lab,homework]" in text


def test_the_wheel_holds_code_weights_and_licence(tmp_path, project):
    """Built from a copy: what pip puts on Colab is whole, and loads nothing from the checkout."""
    copy = tmp_path / "kit"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("course_utils", "autograder"):
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "."]
    done = subprocess.run(
        [*command, "--quiet", "-w", str(tmp_path)], cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert f"-{course_utils.__version__}-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packaged = [
        path.relative_to(ROOT).as_posix()
        for package in ("course_utils", "autograder")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert set(packaged) <= names, sorted(set(packaged) - names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def imported_by(package: str) -> set[str]:
    """Top-level names of the modules a package imports, anywhere in its files."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


OTHER_NAMES = {"scikit_learn": "sklearn", "pyyaml": "yaml"}  # distribution -> module

# Inside a notebook, where these are used, the notebook brings them.
BROUGHT_BY_THE_NOTEBOOK = {"IPython", "google"}


@pytest.mark.parametrize(
    ("package", "extras"), [("course_utils", []), ("autograder", ["homework", "cluster"])]
)
def test_what_is_imported_is_declared(project, package, extras):
    """No package is there only because another one happens to bring it."""
    lines = list(project["project"]["dependencies"])
    for extra in extras:
        lines += project["project"]["optional-dependencies"][extra]
    declared = {Requirement(line).name.replace("-", "_").lower() for line in lines}
    declared = {OTHER_NAMES.get(name, name) for name in declared}
    own = {"course_utils", "autograder", *sys.stdlib_module_names, *BROUGHT_BY_THE_NOTEBOOK}
    homework = {"autograder", "nbgrader"} if package == "course_utils" else set()  # on demand
    undeclared = {n for n in imported_by(package) - own - homework if n.lower() not in declared}
    assert undeclared == set()
