"""Run notebooks from top to bottom, each in an empty folder, and say how long each took.

python notebooks/execute.py                   all; nothing is kept
python notebooks/execute.py 01 --keep FOLDER  those beginning with 01; keep them with outputs
python notebooks/execute.py --html FOLDER     as web pages, for reading without Jupyter
python notebooks/execute.py --small           with next to no training: does every cell run?
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from build import notebook_of, pairs

LIMIT = 600  # seconds for one cell
SIZES = "QUICK = True"  # with this the cell of sizes begins
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(notebook: nbformat.NotebookNode, folder: str | Path) -> nbformat.NotebookNode:
    """Run every cell of a copy with `folder` as the working directory; returns it with outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the message holds cell and error.
    """
    notebook = nbformat.from_dict(notebook)
    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        startup_timeout=LIMIT,  # a busy machine starts a kernel slowly, and that is no fault
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
    return client.execute()


def small_sizes() -> dict[str, dict[str, Any]]:
    """For each notebook with sizes to choose: name in its cell of sizes -> a small value."""
    return tomllib.loads((Path(__file__).parent / "small.toml").read_text(encoding="utf-8"))


def cell_of_sizes(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """The cell in which a notebook's sizes stand, if it has one."""
    found = [c for c in notebook.cells if c.cell_type == "code" and c.source.startswith(SIZES)]
    return found[0] if found else None


def with_sizes(notebook: nbformat.NotebookNode, sizes: Mapping[str, Any]) -> nbformat.NotebookNode:
    """A copy of the notebook in which these values take the place of those in its cell."""
    notebook = copy.deepcopy(notebook)
    if sizes:
        lines = [f"{name} = {value!r}" for name, value in sizes.items()]
        cell = cell_of_sizes(notebook)
        cell.source = "\n".join([cell.source, *lines])
    return notebook


def page_of(notebook: nbformat.NotebookNode) -> str:
    """The executed notebook as one web page; playgrounds as what they last showed."""
    from nbconvert import HTMLExporter

    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs = [out for out in cell.outputs if not _only_widget(out)]  # progress bars
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET, None)
    return HTMLExporter(template_name="lab").from_notebook_node(notebook)[0]


def _only_widget(output) -> bool:
    return WIDGET in output.get("data", {}) and "text/html" not in output["data"]


def _cpu_seconds() -> float:
    """Processor time of ended kernels: what is left of a measurement on a busy machine."""
    times = os.times()
    return times.children_user + times.children_system


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 01; default: all")
    parser.add_argument("--keep", type=Path, help="folder for the notebooks with outputs")
    parser.add_argument("--html", type=Path, help="folder for web pages")
    parser.add_argument("--small", action="store_true", help="next to no training, few examples")
    options = parser.parse_args(arguments)
    failed = 0
    for text, path in pairs(options.names):
        begun, worked = time.perf_counter(), _cpu_seconds()
        try:
            sizes = small_sizes().get(text.stem, {}) if options.small else {}
            with tempfile.TemporaryDirectory() as folder:
                done = execute(with_sizes(notebook_of(text), sizes), folder)
        except CellExecutionError as error:
            failed += 1
            print(f"{text.stem}: FAILED\n{error}")
            continue
        took, worked = time.perf_counter() - begun, _cpu_seconds() - worked
        print(f"{text.stem}: {took:.0f} s, of a processor {worked:.0f} s", flush=True)
        for target, suffix in ((options.keep, ".ipynb"), (options.html, ".html")):
            if target is not None:
                target.mkdir(parents=True, exist_ok=True)
                content = nbformat.writes(done) if suffix == ".ipynb" else page_of(done)
                (target / path.with_suffix(suffix).name).write_text(content, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
