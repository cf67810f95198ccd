"""What students get: all they need, and not a line of what they must not have."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from autograder.bundle import FOLDER, bundle
from autograder.release import hidden_lines
from course_utils.errors import CourseError

ROOT = Path(__file__).parents[2]
LONG_ENOUGH = 12  # characters: shorter lines, such as "else:", are nobody's secret


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("bundle") / "kit.zip")


@pytest.fixture(scope="module")
def unpacked(made, tmp_path_factory):
    place = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(made) as archive:
        archive.extractall(place)
    return place / FOLDER


def lines_of(name: str, data: bytes) -> set[str]:
    """The lines of a file as a person would meet them; of a notebook those of its cells, of an
    archive those of all that is in it."""
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {line for n in archive.namelist() for line in lines_of(n, archive.read(n))}
    if name.endswith(".safetensors"):
        return set()
    text = data.decode("utf-8")
    if name.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    return {line.strip() for line in text.splitlines()}


def public_lines() -> set[str]:
    """What students may read anyway: library, notebooks, homework outside the hidden regions."""
    found: set[str] = set()
    for pattern in ("course_utils/**/*.py", "course_utils/**/*.toml", "notebooks/*.ipynb"):
        for path in ROOT.glob(pattern):
            found |= lines_of(path.name, path.read_bytes())
    for path in (ROOT / "assignments" / "source").glob("*/*.ipynb"):
        hidden = hidden_lines(nbformat.read(path, as_version=4))
        found |= lines_of(path.name, path.read_bytes()) - hidden
    return found


@pytest.fixture(scope="module")
def secrets():
    """Lines of solutions, hidden tests, the grader, and the sample class."""
    found: set[str] = set()
    for path in (ROOT / "assignments" / "source").glob("*/*.ipynb"):
        found |= hidden_lines(nbformat.read(path, as_version=4))
    for folder in ("autograder", "assignments/sample_class"):
        for path in (ROOT / folder).rglob("*"):
            known = path.suffix in (".py", ".toml", ".csv") and path.name != "start_of_bundle.py"
            if path.is_file() and known and path.name != "bundle.py":
                found |= lines_of(path.name, path.read_bytes())
    long = {line for line in found if len(line) >= LONG_ENOUGH and not line.startswith("#")}
    return {line for line in long if not line.startswith(("import ", "from "))} - public_lines()


def test_there_are_secrets_to_look_for(secrets):
    assert len(secrets) > 500


def test_no_line_of_them_is_in_the_bundle(made, secrets):
    with zipfile.ZipFile(made) as archive:
        for name in archive.namelist():
            leaked = lines_of(name, archive.read(name)) & secrets
            assert not leaked, f"{name}: {sorted(leaked)[:3]}"


def test_a_leak_would_be_found(made, secrets, tmp_path):
    """One hidden line in a notebook in a zip in the bundle."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(sorted(secrets)[0])])
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a/b.ipynb", nbformat.writes(notebook))
    assert lines_of("x.zip", inner.getvalue()) & secrets


def test_nor_in_the_wheel_that_is_built_from_it(unpacked, secrets, tmp_path):
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [*pip, "-w", str(tmp_path), str(unpacked)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert not lines_of(wheel.name, wheel.read_bytes()) & secrets
    names = zipfile.ZipFile(wheel).namelist()
    assert not any(name.startswith("autograder") for name in names)
    assert any(name.endswith("pocket-bert-base/model.safetensors") for name in names)


def test_what_is_in_it(made):
    with zipfile.ZipFile(made) as archive:
        paths = [Path(name).relative_to(FOLDER) for name in archive.namelist()]
    assert sorted({path.parts[0] for path in paths}) == [
        "LICENSE", "README.md", "constraints.txt", "course_utils", "homework", "notebooks",
        "pyproject.toml", "start.py",
    ]  # fmt: skip
    notebooks = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(path.name for path in paths if path.parts[0] == "notebooks") == notebooks
    homework = sorted(f"{path.name}.ipynb" for path in (ROOT / "assignments/source").iterdir())
    assert sorted(path.name for path in paths if path.parts[0] == "homework") == homework


def test_it_works_offline_where_the_packages_are(unpacked):
    """Unpacked elsewhere, with its own library and models, and no network."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1"}
    check = subprocess.run(
        [sys.executable, "start.py", "--check"],
        cwd=unpacked, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (check.returncode, check.stdout) == (0, "ready: everything is there\n")
    code = (
        "import course_utils; from course_utils import load_plm; "
        "model, _ = load_plm('pocket-bert'); print(course_utils.__file__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=unpacked, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(unpacked)


def test_twice_the_same_bytes(made, tmp_path):
    again = bundle(tmp_path / "again.zip")
    assert again.read_bytes() == made.read_bytes()


def test_unknown_homework(tmp_path):
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        bundle(tmp_path / "kit.zip", ["hw_promt"])
    assert not list(tmp_path.iterdir())
