"""A forked kernel is, to Jupyter and to the one who wrote the notebook, what a new one would be."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbclient
import nbformat
import psutil
import pytest
from jupyter_client import KernelManager
from warm_kernels.plugin import WarmKernels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


@pytest.fixture(autouse=True, scope="module")
def server():
    """Its own server where the test run has none."""
    if "kernels-" in os.environ.get("JUPYTER_PATH", ""):
        yield
        return
    started = WarmKernels()
    yield
    started.pytest_unconfigure()


def outputs_of(*sources: str, folder: Path, **settings):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, resources=resources, **settings).execute()
    return [
        "".join(
            out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs
        )
        for cell in notebook.cells
    ]


def ended(pid: int, within: float = 20) -> bool:
    until = time.monotonic() + within
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_it_has_what_its_starter_gave_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GIVEN", "by the test")
    place, environment, entry = outputs_of(
        "import os\nprint(os.getcwd())",
        "print(os.environ['GIVEN'])",
        "import sys\nprint(repr(sys.path[0]), [p for p in sys.path if 'warm_kernels' in p])",
        folder=tmp_path,
    )
    assert place.strip() == str(tmp_path)
    assert environment.strip() == "by the test"
    assert entry.strip() == "'' []"


def test_two_of_them_share_nothing(tmp_path):
    first = outputs_of("import torch\ntorch.left = 1\nprint(torch.rand(1).item())", folder=tmp_path)
    again = outputs_of("import torch\nprint(hasattr(torch, 'left'))", folder=tmp_path)
    assert again == ["False\n"]
    assert first


def test_bars_of_progress_are_widgets_in_libraries_too(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("from tqdm.auto import tqdm\nfor _ in tqdm(range(2)): pass"),
            nbformat.v4.new_code_cell(
                "import datasets\nprint(issubclass(datasets.utils.tqdm, tqdm))"
            ),
        ]
    )
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, resources=resources).execute()
    (bar,), (printed,) = (cell.outputs for cell in notebook.cells)
    assert "application/vnd.jupyter.widget-view+json" in bar.data
    assert printed.text == "True\n"


def test_it_draws_its_figures_into_the_notebook(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    (shown,) = outputs_of("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", folder=tmp_path)
    assert "Figure" in shown


def test_it_can_be_interrupted(tmp_path):
    cells = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('stopped')"
    began = time.monotonic()
    shown = outputs_of(cells, folder=tmp_path, timeout=2, interrupt_on_timeout=True)
    assert shown == ["stopped\n"]
    assert time.monotonic() - began < 50


@pytest.mark.parametrize("how", ["shutdown", "kill"])
def test_it_ends_when_it_is_told_to(how):
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    said = []
    client.execute_interactive(
        "import os\nprint(os.getpid())",
        output_hook=lambda message: said.append(message["content"].get("text", "")),
        timeout=60,
    )
    pid = int("".join(said))
    assert psutil.pid_exists(pid)
    client.stop_channels()
    manager.shutdown_kernel(now=how == "kill")
    assert ended(pid)


def test_its_death_is_the_death_of_what_jupyter_watches(tmp_path):
    with pytest.raises(nbclient.exceptions.DeadKernelError):
        outputs_of("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", folder=tmp_path)
