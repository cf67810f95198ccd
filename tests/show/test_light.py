"""The package costs nothing until something of it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_importing_loads_nothing_heavy():
    code = "import sys, course_utils.show as s; dir(s); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "transformers", "matplotlib", "ipywidgets", "numpy"):
        assert heavy not in done.stdout.split()


def test_charts_do_without_torch_and_pyplot():
    code = (
        "import sys; from course_utils.show import accuracy_vs_parameters as a; "
        "a([dict(method='x', trainable=1, score=.5)]).png(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
    assert "matplotlib.pyplot" not in done.stdout.split()


def test_every_name_leads_somewhere():
    import course_utils.show as show

    for name in show.__all__:
        assert getattr(show, name) is not None
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = show.nothing_here
