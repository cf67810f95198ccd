"""Build the notebooks from their texts, and keep the two in step.

The text `notebooks/src/NAME.py` (jupytext's py:percent form) is the source: it is what one reads
in a diff and reviews. `notebooks/NAME.ipynb` is built from it, without outputs.

    python notebooks/build.py                 build every notebook
    python notebooks/build.py 01              build those whose name begins so
    python notebooks/build.py --check         change nothing; exit 1 if a pair is out of step
    python notebooks/build.py --take-back 01  the notebook was edited in Jupyter: rewrite the text
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
FORMATS = "ipynb,src//py:percent"
KEPT = ("accelerator", "colab", "kernelspec", "language_info", "jupytext")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def pairs(prefixes: list[str] | None = None) -> list[tuple[Path, Path]]:
    """(text, notebook) for every text whose name begins with one of the prefixes.

    Raises:
        SystemExit: a prefix that no text has.
    """
    texts = sorted(SOURCES.glob("[0-9]*.py"))
    for prefix in prefixes or []:
        if not any(text.stem.startswith(prefix) for text in texts):
            raise SystemExit(f"no text {SOURCES}/{prefix}*.py. There: {[t.stem for t in texts]}")
    wanted = [t for t in texts if not prefixes or any(t.stem.startswith(p) for p in prefixes)]
    return [(text, HERE / f"{text.stem}.ipynb") for text in wanted]


def notebook_of(text: Path) -> nbformat.NotebookNode:
    """The notebook a text stands for: no outputs, ids that follow from the cells' contents."""
    notebook = jupytext.read(text, fmt="py:percent")
    metadata = {key: value for key, value in notebook.metadata.items() if key in KEPT}
    metadata["kernelspec"] = dict(KERNEL)
    metadata["language_info"] = {"name": "python"}
    metadata["jupytext"] = {"formats": FORMATS, "notebook_metadata_filter": "accelerator,colab"}
    notebook.metadata = nbformat.from_dict(metadata)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        seen[cell.source] += 1
        cell["id"] = _cell_id(cell.cell_type, cell.source, seen[cell.source])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return notebook


def text_of(notebook: nbformat.NotebookNode) -> str:
    """The text for a notebook: the way back, for one that was edited in Jupyter."""
    notebook.metadata = nbformat.from_dict(
        {
            key: notebook.metadata[key]
            for key in ("accelerator", "colab")
            if key in notebook.metadata
        }
        | {"kernelspec": dict(KERNEL)}
        | {"jupytext": {"formats": FORMATS, "notebook_metadata_filter": "accelerator,colab"}}
    )
    text = jupytext.writes(notebook, fmt="py:percent")
    # The tool's own versions would change every file with every upgrade, and say nothing here.
    return re.sub(r"^# +(format_version|jupytext_version): .*\n", "", text, flags=re.MULTILINE)


def in_step(text: Path, path: Path) -> bool:
    """Whether the notebook on disk is, byte for byte, what its text gives."""
    return path.exists() and path.read_text(encoding="utf-8") == _as_json(notebook_of(text))


def build(text: Path, path: Path) -> bool:
    """Write the notebook if it differs; returns whether it did."""
    if in_step(text, path):
        return False
    _write(path, _as_json(notebook_of(text)))
    return True


def take_back(text: Path, path: Path) -> None:
    """Rewrite the text from the notebook, then the notebook from the text (drops its outputs)."""
    _write(text, text_of(nbformat.read(path, as_version=4)))
    build(text, path)


def _cell_id(kind: str, source: str, occurrence: int) -> str:
    return hashlib.sha256(f"{kind}\n{occurrence}\n{source}".encode()).hexdigest()[:12]


def _as_json(notebook: nbformat.NotebookNode) -> str:
    return json.dumps(_lines(notebook), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _lines(notebook: nbformat.NotebookNode) -> dict:
    """Sources as lists of lines, as notebooks are stored: a diff then shows lines."""
    plain = json.loads(json.dumps(notebook))
    for cell in plain["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    return plain


def _write(path: Path, content: str) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(content, encoding="utf-8")
    os.replace(unfinished, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 01; default: all")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="only say whether pairs are in step")
    action.add_argument("--take-back", action="store_true", help="notebook to text, not text to it")
    options = parser.parse_args(arguments)
    late = 0
    for text, path in pairs(options.names):
        if options.check:
            ok = in_step(text, path)
            late += not ok
            print(f"{text.stem}: {'in step' if ok else 'OUT OF STEP, run notebooks/build.py'}")
        elif options.take_back:
            take_back(text, path)
            print(f"{text.stem}: text rewritten from the notebook")
        else:
            print(f"{text.stem}: {'built' if build(text, path) else 'in step'}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
