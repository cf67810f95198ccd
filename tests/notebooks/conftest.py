"""The two commands in notebooks/, which are scripts and no package, as modules."""

from __future__ import annotations

import importlib
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
