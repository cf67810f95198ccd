from __future__ import annotations

import pytest
from contained import LIMITS

from autograder.sandbox.opening import open_sandbox
from autograder.sandbox.trying import why_not


@pytest.fixture(scope="session")
def sandbox():
    reason = why_not("bubblewrap")
    if reason:
        pytest.skip(f"no sandbox on this machine: {reason}")
    with open_sandbox("bubblewrap", LIMITS) as made:
        yield made
