"""What students get, in one zip: notebooks, library with the pocket models, released homework.

    course-kit/
      start.py            one command: checks or sets up, then opens JupyterLab
      README.md
      notebooks/          the course
      homework/           the released homework
      course_utils/       the library

No instructor's version, no hidden check, no sample class, no grader: those folders are never opened
but for the homework's release, which is checked line by line when it is built.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder.paired import assignment_names
from autograder.release import release
from course_utils import __version__
from course_utils.errors import CourseError, unknown_name
from course_utils.records import whole_file

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "course-kit"
LIBRARY = ("*.py", "*.toml", "*.json", "*.safetensors", "*.txt", "*.md")
AS_THEY_ARE = ("LICENSE", "constraints.txt")
README = """# {title}

Everything you need for the course: notebooks, homework, the library and small language models.

    python start.py            open the notebooks (JupyterLab)
    python start.py --check    only say whether everything is there

The first time, if packages are missing, it makes an environment beside itself and installs them,
for which it needs a network. After that, and where the packages are there already, it works
offline.

The notebooks are in `notebooks/`, your homework is in `homework/`: {homework}.
"""


def bundle(
    output: Path | str = "course-kit.zip",
    homework: Sequence[str] | None = None,
    *,
    root: Path = ROOT,
    assignments_dir: Path | str | None = None,
) -> Path:
    """Writes the students' zip, whole or not at all.

    Args:
        output: the zip.
        homework: names of the homework to release into it; all there is when None.
        root: the kit's folder.
        assignments_dir: where the instructor's versions are, if not in this repository.

    Returns:
        its path.

    Raises:
        CourseError: an unknown homework, one that can't be released, or no notebooks.
    """
    known = assignment_names(assignments_dir)
    names = list(known if homework is None else homework)
    for name in names:
        if name not in known:
            raise unknown_name("homework", name, known)
    output = Path(output)
    with tempfile.TemporaryDirectory() as scratch:
        made = {
            name: release(
                name, Path(scratch) / "course", assignments_dir=assignments_dir, run=False
            )
            for name in names
        }
        files = {f"homework/{path.name}": path.read_bytes() for path in made.values()}
    files |= dict(_library(root))
    files |= dict(_notebooks(root))
    files |= {name: (root / name).read_bytes() for name in AS_THEY_ARE if (root / name).is_file()}
    files["pyproject.toml"] = _project(root)
    files["start.py"] = (Path(__file__).parent / "start_of_bundle.py").read_bytes()
    listed = ", ".join(f"`{name}.ipynb`" for name in names) or "none yet"
    title = f"Course kit {__version__}"
    files["README.md"] = README.format(title=title, homework=listed).encode()
    _write(output, files)
    return output


def _library(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((root / "course_utils").rglob("*")):
        known = any(path.match(pattern) for pattern in LIBRARY)
        if path.is_file() and known and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix(), path.read_bytes()


def _notebooks(root: Path) -> Iterator[tuple[str, bytes]]:
    found = sorted((root / "notebooks").glob("*.ipynb"))
    if not found:
        raise CourseError(f"there are no notebooks in {root / 'notebooks'}.")
    for path in found:
        yield f"notebooks/{path.name}", path.read_bytes()


def _project(root: Path) -> bytes:
    """The kit's pyproject.toml without the grader."""
    kept = []
    for line in (root / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("include = "):
            line = 'include = ["course_utils*"]'
        if not line.startswith("autograder ="):
            kept.append(line)
    return ("\n".join(kept) + "\n").encode()


def _write(output: Path, files: dict[str, bytes]) -> None:
    with whole_file(output) as draft, zipfile.ZipFile(draft, "w") as archive:
        for name, data in sorted(files.items()):
            # one date for all: the same kit gives the same zip
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
