"""AdaMix, a mixture of adapters for the price of one, is better than its adapter."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.claims.claim import Cell, Claim, Findings, Scale
from course_utils.claims.measures import FineTuned

TASKS = ("pocket/sst2", "pocket/snli", "pocket/boolq")
ONE, MIX, LOOSE = "one adapter", "AdaMix", "AdaMix without consistency"
EXAMPLES, UPDATES, TRIES = 1000, 600, (1.0, 0.4, 2.5)


def cells(scale: Scale) -> list[Cell]:
    from course_utils.tuning.adamix import AdaMix
    from course_utils.tuning.adapters import Pfeiffer

    size = {
        "shots": None,
        "examples": EXAMPLES,
        "updates": scale.updates(UPDATES),
        "tries": scale.some(TRIES),
    }
    arms = {ONE: Pfeiffer(), MIX: AdaMix(of=Pfeiffer()), LOOSE: AdaMix(Pfeiffer(), consistency=0.0)}
    return [
        Cell(arm, task, FineTuned(method=method, **size))
        for task in scale.some(TASKS)
        for arm, method in arms.items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(MIX, ONE)


CLAIM = Claim(
    name="adamix-beats-its-adapter",
    sentence="AdaMix is better than the single adapter it costs.",
    source="Wang et al. 2022 (AdaMix, arXiv 2205.12410)",
    measured="Pfeiffer's adapter alone and as four experts of AdaMix, on 1,000 examples, the same "
    "number of updates (an update of AdaMix with its consistency loss takes two passes), averaged "
    "after training; and AdaMix without that loss.",
    rule="Gain: accuracy of AdaMix minus that of the single adapter, mean over the tasks.",
    cells=cells,
    gains=gains,
)
