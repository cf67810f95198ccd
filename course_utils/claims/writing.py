"""Tables into text, learnt from few tables: what the claims about prefix tuning measure.

The causal pocket PLM has read tables of venues, persons and towns, with an equals sign and their
sentence behind. The claims ask with a full stop instead, so that there is something to learn; the
split "ood" has kinds of table that the PLM has never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from course_utils.claims.bench import Bench
from course_utils.claims.claim import Cost, Scale
from course_utils.claims.measures import FineTuned
from course_utils.tasks import Task

if TYPE_CHECKING:
    from course_utils.evaluation import Evaluation

TASK = "pocket/e2e"
FULL, PREFIX, FROM_WORDS = "full fine-tuning", "prefix tuning", "prefix tuning, from words"
UPDATES = {50: 100, 100: 150, 200: 200, 500: 300}  # number of tables -> updates
TRIES = (1.0, 0.4, 2.5)
LENGTH, SAID = 10, "say this table : name , home , price ."


@dataclass(frozen=True)
class Written(FineTuned):
    """Train a PLM to put tables into words; BLEU on test, and the other metrics in the notes.

    Attributes:
        asked: how a table is given.
        tables: how many tables of each split are written out; of dev half as many.
        batch: tables in an update. Papers on table to text take 5 to 10.
    """

    asked: str = "{meaning_representation} ."
    tables: int = 200
    batch: int = 8

    def drawn(self, bench: Bench, task: str, seed: int) -> Task:
        drawn = super().drawn(bench, task, seed)
        sizes = {drawn.evaluation_split: self.tables, "dev": self.tables // 2}
        for split, most in {**sizes, **dict.fromkeys(self.splits, self.tables)}.items():
            drawn = drawn.subset(min(most, len(drawn.split(split))), split=split)
        return replace(drawn, segments=(self.asked,))

    def noted(self, found: Mapping[str, Evaluation]) -> dict[str, Any]:
        from course_utils.tasks.metrics import score
        from course_utils.tasks.text_metrics import TEXT_METRICS

        also = {
            split: {m: score(m, one.predictions, one.labels) for m in TEXT_METRICS}
            for split, one in found.items()
        }
        return {**super().noted(found), "also": also}

    def settings(self, seed: int) -> Any:
        return replace(super().settings(seed), batch_size=self.batch)

    def cost(self, scale: Scale, seed: int) -> Cost:
        runs = len(self.tries) if self.rate is None and seed == 0 else 1
        words = 20  # of a sentence: each is one more pass through the PLM
        texts = self.tables * (2 + len(self.splits))
        return Cost(runs * self.updates * self.batch / 16, runs * texts * words / 4)


def methods() -> dict[str, Any]:
    """What is compared, at the sizes of the paper."""
    from course_utils.tuning import PrefixTuning

    return {
        FULL: "full",
        PREFIX: PrefixTuning(length=LENGTH),
        FROM_WORDS: PrefixTuning(length=LENGTH, init="text", text=SAID),
    }


def tuned(scale: Scale, method: Any, tables: int) -> Written:
    """Training on so many tables, scored on kinds of table seen and unseen."""
    return Written(
        shots=None,
        examples=tables,
        method=method,
        updates=scale.updates(UPDATES[tables]),
        tries=scale.some(TRIES),
        splits=("ood",),
        tables=40 if scale.quick else 200,
    )
