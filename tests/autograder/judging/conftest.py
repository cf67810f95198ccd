from __future__ import annotations

import pytest
from judging_host import workers


@pytest.fixture(scope="module")
def connect():
    with workers() as connect:
        yield connect
