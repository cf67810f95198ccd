"""Fixtures over the small models and tasks of this folder."""

from __future__ import annotations

import pytest
import small_tasks as small


@pytest.fixture(scope="session")
def tokenizer():
    return small.tokenizer()


@pytest.fixture(scope="session")
def task():
    return small.sentiment()
