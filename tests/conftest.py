"""What holds for every test: no network to the Hub, one thread, and the same seed each time."""

from __future__ import annotations

import os

# Before torch is imported anywhere: workers share the cores, and a test never waits for a Hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import random

import pytest


@pytest.fixture(autouse=True)
def _same_seed():
    """A test that forgets a seed is still the same test twice."""
    random.seed(0)
    yield
