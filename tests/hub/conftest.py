from __future__ import annotations

import pytest
from hub_stand_in import StandInHub
from huggingface_hub import constants


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A running stand-in, and an empty cache; the Hub's client talks to it."""
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    with StandInHub() as running:
        point_at(running.url, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield running


def point_at(url: str, monkeypatch) -> None:
    """Have the client ask this address. Its constants were read when it was imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
