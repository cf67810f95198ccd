"""The claims of the course, measured again: what `course claims` runs.

    claim       what a claim is: a sentence, measurements, a difference per seed
    verdict     from differences to "holds", "does not hold here", "not decided"
    measures    the measurements that several claims share, and the bench they are made on
    running     which are still to be made, how long that takes, making them
    report      results.json, the page, the summary

One claim is one module of `prompting/`; the catalogue lists them in the order of the course.
A new claim is a new module there and a line in catalogue.py.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Claim": "claim",
    "Cell": "claim",
    "Findings": "claim",
    "Row": "claim",
    "Scale": "claim",
    "CLAIMS": "catalogue",
    "load_claim": "catalogue",
    "judge": "verdict",
    "Bench": "bench",
    "FineTuned": "measures",
    "Asked": "measures",
    "run_claims": "running",
    "write_report": "report",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
