"""Multitask prompted training lifts zero-shot on task families it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from course_utils.claims.bench import Bench
from course_utils.claims.claim import Cell, Claim, Cost, Findings, Scale
from course_utils.claims.measures import BATCH, usual_rate
from course_utils.claims.verdict import points
from course_utils.records import RunRecord

TRAINED_ON = ("pocket/sst2", "pocket/agnews", "pocket/wic", "pocket/boolq")
UNSEEN = ("pocket/snli", "pocket/wsc")
GENTLE = (0.2, 0.05, 0.4)  # times the kit's own rate: the PLM is to keep what it knew
BEFORE, AFTER = "as pre-trained", "after multitask training"
NEW, KNOWN = "kept out of the corpus", "of the corpus"


@dataclass(frozen=True)
class Mixture:
    """Train one PLM on prompted tasks; its notes hold the unseen tasks' scores by wording.

    Attributes:
        cap: examples of each training task.
        rate: the learning rate; None chooses one of `tries` on the training tasks' dev examples
            with seed 0. The unseen tasks are not looked at.
    """

    tasks: tuple[str, ...] = TRAINED_ON
    unseen: tuple[str, ...] = UNSEEN
    cap: int = 1000
    rate: float | None = None
    tries: tuple[float, ...] = GENTLE

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        from course_utils.prompting.multitask import MultitaskSettings, train_multitask
        from course_utils.settings import TrainSettings

        if self.rate is None:
            usual = usual_rate(bench.plm, "full")
            rates = [float(f"{times * usual:.2g}") for times in self.tries]
            tried = [replace(self, rate=rate, tries=()) for rate in rates]
            best = max(tried, key=lambda mixture: bench.measure(mixture, task, 0).dev_score)
            return bench.measure(best, task, seed)
        result = train_multitask(
            bench.plm,
            [bench.task(name, seed) for name in self.tasks],
            [bench.task(name, seed) for name in self.unseen],
            settings=MultitaskSettings(
                cap=self.cap, training=TrainSettings(learning_rate=self.rate), seed=seed
            ),
            output=bench.work(self, task, seed),
            progress=False,
        )
        scores = {BEFORE: result.before, AFTER: result.after}
        notes = {when: {s.task: _by_wording(s) for s in found} for when, found in scores.items()}
        for fact in ("majority", "n"):
            notes[fact] = {s.task: getattr(s, fact) for s in result.before}
        return replace(result.training.record, notes=notes)


@dataclass(frozen=True)
class OnUnseen:
    """The mean score of an unseen task's wordings of one kind, before or after the training."""

    mixture: Mixture
    when: str
    wordings: str

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        record = bench.measure(self.mixture, self.mixture.unseen[0], seed)
        found = record.notes
        return replace(
            record,
            task=task,
            split="test",
            score=found[self.when][task][self.wordings],
            n=found["n"][task],
            majority=found["majority"][task],
            interval=None,
            notes={"mixture_dev_score": record.score},
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        """All of the mixture's at the first of its cells; the others only read."""
        if (self.when, self.wordings) != (BEFORE, NEW):
            return Cost()
        mixture, wordings, times = self.mixture, 6, 2
        runs = len(mixture.tries) if seed == 0 else 1
        updates = runs * len(mixture.tasks) * mixture.cap / BATCH
        return Cost(updates / len(mixture.unseen), runs * times * wordings * scale.tests)


def _by_wording(scores) -> dict[str, float]:
    """Mean over the wordings kept out of the corpus, and over the others."""
    pairs = list(zip(scores.scores, scores.held_out, strict=True))
    kinds = {NEW: True, KNOWN: False}
    return {name: fmean(s for s, out in pairs if out == kind) for name, kind in kinds.items()}


def cells(scale: Scale) -> list[Cell]:
    mixture = Mixture(unseen=scale.some(UNSEEN), cap=100 if scale.quick else 1000)
    return [
        Cell(when, task, OnUnseen(mixture, when, wordings), x=wordings)
        for task in mixture.unseen
        for wordings in (NEW, KNOWN)
        for when in (BEFORE, AFTER)
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(AFTER, BEFORE, x=NEW)


def remark(findings: Findings) -> str:
    known = fmean(findings.gain(AFTER, BEFORE, x=KNOWN))
    return f"With the wordings of the corpus, seen in pre-training, it is {points(known)} points."


CLAIM = Claim(
    name="multitask-lifts-zero-shot",
    sentence="Multitask prompted training lifts zero-shot on task families it has not seen.",
    source="Sanh et al. 2022 (T0, arXiv 2110.08207); Wei et al. 2022 (FLAN, arXiv 2109.01652)",
    measured="One PLM is trained on sentiment, topic, word sense and yes/no questions (1,000 "
    "examples each, every wording of theirs), then asked inference and pronouns, families it was "
    "not trained on. Its mean accuracy over the unseen task's wordings that were kept out of the "
    "pre-training corpus is compared with that of the PLM as pre-trained, same test examples.",
    rule="Gain: accuracy on the unseen tasks after multitask training minus before, wordings kept "
    "out of the corpus, mean over the tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    large="Wei et al. find that training on instructions lifts unseen tasks of PLMs of tens of "
    "billions of parameters, and harms PLMs of 8B and less.",
    arm_title="PLM",
    x_title="wordings",
    x_ordered=False,
)
