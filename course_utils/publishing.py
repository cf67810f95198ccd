"""Where a course's copy of the kit is, written into all notebooks from one place.

    course publish --repository OWNER/NAME

puts into every notebook and its paired text the address that Colab's setup cell installs from and
an "Open in Colab" badge, and the same link into the README.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.records import write_text

SETUP_LINE = re.compile(r'^KIT = "[^"]*"(?=  # where Colab finds the kit)', re.MULTILINE)
BADGE_PLACE = re.compile(
    r"^(?P<mark>(?:# )?)<!-- badges -->\n(?:(?:# )?\[!\[Open in Colab\].*\n)?", re.MULTILINE
)
README_PLACE = re.compile(r"^<!-- colab -->\n(?:\[!\[Open in Colab\].*\n)?", re.MULTILINE)
IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
FIRST = "notebooks/00_tour.ipynb"


def publish(
    root: Path, repository: str, *, branch: str = "main", kit: str | None = None
) -> list[Path]:
    """Writes addresses into notebooks, homework, texts and README.

    Args:
        root: the kit's folder.
        repository: OWNER/NAME on GitHub, which Colab opens notebooks from.
        branch: the branch or tag that students get.
        kit: what pip installs the kit from on Colab; that repository when not given.

    Returns:
        the files that changed.

    Raises:
        CourseError: not of the form OWNER/NAME, an address that would not survive in a line of
            Python, or a folder without notebooks.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
        raise CourseError(f"--repository {repository!r}; expected OWNER/NAME, as GitHub names it.")
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", branch):
        raise CourseError(f"--branch {branch!r}; expected the name of a branch or tag.")
    kit = kit or f"git+https://github.com/{repository}@{branch}"
    if re.search(r"[\"\\\s]", kit):
        raise CourseError(f"an address has no blanks, quotes or backslashes; given: {kit!r}.")
    changed, seen = [], 0
    for folder in (root / "notebooks", root / "assignments"):
        for path in sorted([*folder.rglob("*.ipynb"), *folder.rglob("*.py")]):
            if ".ipynb_checkpoints" in path.parts:
                continue
            change = _change_of(path, root, repository, branch, kit)
            found, wrote = _rewritten(path, change)
            seen += found
            changed += [path] if wrote else []
    if not seen:
        raise CourseError(
            f"there is no notebook with a setup cell below {root}: run it in the kit's folder."
        )
    if changed:
        _build(root / "notebooks" / "build.py")
    readme = root / "README.md"
    if readme.is_file():
        link = badge(repository, branch, FIRST)
        _, wrote = _rewritten(readme, lambda s: README_PLACE.subn(f"<!-- colab -->\n{link}\n", s))
        changed += [readme] if wrote else []
    return changed


def _build(script: Path) -> None:
    """Brings the notebooks in step with their texts, whose checksums they carry."""
    if not script.is_file():
        return
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    if done.returncode:
        raise CourseError(
            f"the addresses are written, but the notebooks were not built: {done.stderr.strip()} "
            "Run: make notebooks"
        )


def badge(repository: str, branch: str, notebook: str) -> str:
    """Markdown of the picture that opens a notebook of the repository in Colab."""
    address = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}"
    return f"[![Open in Colab]({IMAGE})]({address})"


def _change_of(
    path: Path, root: Path, repository: str, branch: str, kit: str
) -> Callable[[str], tuple[str, int]]:
    """What is done to the source of a cell, or to a whole text: (changed, setup lines found)."""
    folder = path.parent.parent if path.parent.name == "src" else path.parent
    notebook = (folder / path.stem).relative_to(root).as_posix() + ".ipynb"
    link = badge(repository, branch, notebook)

    def change(source: str) -> tuple[str, int]:
        source, found = SETUP_LINE.subn(lambda _: f'KIT = "{kit}"', source)
        source = BADGE_PLACE.sub(
            lambda m: f"{m['mark']}<!-- badges -->\n{m['mark']}{link}\n", source
        )
        return source, found

    return change


def _rewritten(path: Path, change: Callable[[str], tuple[str, int]]) -> tuple[int, bool]:
    """(setup lines found, whether the file was changed)."""
    before = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        after, found = change(before)
    else:
        notebook, found = json.loads(before), 0
        for cell in notebook.get("cells", []):
            source = "".join(cell["source"])
            made, hits = change(source)
            found += hits
            if made != source:
                cell["source"] = made.splitlines(keepends=True)
        after = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if json.loads(before) == notebook:
            after = before
    if after != before:
        write_text(path, after)
    return found, after != before
