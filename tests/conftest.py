"""What holds for every test: one thread for each worker, and no network to the Hub."""

from __future__ import annotations

import os

# Before torch is imported anywhere: workers share the cores, and a test never waits for a Hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
