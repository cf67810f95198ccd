"""What takes long to make is made once for all test processes of a run, not once in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """The folder that `make` fills; other processes wait for it.

    pytest-xdist's groups would do the same, but pytest 9.2 does not see them.
    """
    base = tmp_path_factory.getbasetemp()
    if base.name.startswith("popen-"):
        base = base.parent
    with FileLock(base / f"{name}.lock"):
        if not (base / name / "made").exists():
            (base / name).mkdir(exist_ok=True)
            make(base / name)
            (base / name / "made").touch()
    return base / name
