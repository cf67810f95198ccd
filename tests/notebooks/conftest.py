"""The two commands in notebooks/, which are scripts and no package, as modules."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def _module(name: str):
    sys.path.insert(0, str(NOTEBOOKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(NOTEBOOKS))


@pytest.fixture(scope="session")
def builder():
    return _module("build")


@pytest.fixture(scope="session")
def runner():
    return _module("execute")


@pytest.fixture
def kernels_share_cores(monkeypatch):
    """One thread for each kernel where test processes run side by side.

    With more, the threads of two kernels on two cores wait for one another, spinning.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.setenv(name, "1")
