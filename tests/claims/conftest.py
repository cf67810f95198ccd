"""Fixtures over the made-up claims of this folder."""

from __future__ import annotations

import pytest
import told_claims as told

from course_utils.claims.timing import Clock


@pytest.fixture
def made():
    """The list of measurements made, empty at the start."""
    told.MADE.clear()
    told.Told.stopping.clear()
    return told.MADE


@pytest.fixture
def clock():
    """A clock without a bar that measures no speed; `clock.said` holds what it said."""
    said: list[str] = []
    silent = Clock(said.append, bar=False, speed=lambda bench, task: (0.1, 0.01))
    silent.said = said
    return silent
