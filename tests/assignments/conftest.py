"""The instructor's notebook of HW-Prompt."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.paired import source_folder


@pytest.fixture(scope="session")
def original() -> NotebookNode:
    return nbformat.read(source_folder("hw_prompt") / "hw_prompt.ipynb", as_version=4)
