"""What holds for every test: one thread for each worker, no network to the Hub, long ones first."""

from __future__ import annotations

import os

# Before torch is imported anywhere: workers share the cores, and a test never waits for a Hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def pytest_configure(config):
    from warm_kernels.plugin import WarmKernels, wanted

    if wanted(config):
        config.pluginmanager.register(WarmKernels(), "warm kernels")


def pytest_collection_modifyitems(items):
    """Tests marked as long are begun first, so that no process is left alone with one at the end.

    Of tests that share what is made once, the first is the long one; the others come when it is
    there.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
