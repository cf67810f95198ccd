"""Exits that are trained along with the PLM save more layers than exits added to a finished one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from course_utils.claims.bench import Bench
from course_utils.claims.claim import Cell, Claim, Cost, Findings, Scale
from course_utils.claims.measures import BATCH, FineTuned, usual_rate
from course_utils.claims.verdict import points
from course_utils.records import RunRecord

TASKS = ("pocket/sst2", "pocket/snli", "pocket/agnews")
AFTER, JOINT, TURNS = "two-stage", "joint", "alternating"
KEPT = 0.99  # of the score with all layers, on dev


@dataclass(frozen=True)
class LayersSaved:
    """The share of layers not used on test, by the rule that saves most on dev at 99 %.

    Attributes:
        training: "joint", "two-stage" or "alternating".
        examples, updates: of the training; two-stage takes as many again for its exits.
        rate: the learning rate; None chooses one of `tries` on dev, by the last exit.
    """

    training: str
    examples: int = 2000
    updates: int = 500
    rate: float | None = None
    tries: tuple[float, ...] = FineTuned.tries

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        if self.rate is None:
            usual = usual_rate(bench.plm, "full")
            rates = [float(f"{times * usual:.2g}") for times in self.tries]
            tried = [replace(self, rate=rate, tries=()) for rate in rates]
            best = max(tried, key=lambda one: bench.measure(one, task, 0).dev_score)
            return bench.measure(best, task, seed)
        return self.saved(bench, task, seed)

    def saved(self, bench: Bench, task: str, seed: int) -> RunRecord:
        """One training, its rule chosen on dev and asked on test."""
        from course_utils.early_exit import EarlyExit, ask_exits, most_saved, train_exits
        from course_utils.settings import TrainSettings

        started = time.perf_counter()
        drawn = bench.task(task, seed)
        model, tokenizer = bench.load(head="classifier", labels=drawn.labels, seed=seed)
        exits = EarlyExit(model)
        settings = TrainSettings(
            steps=self.updates,
            batch_size=BATCH,
            learning_rate=self.rate,
            keep="last",
            evaluate_every=self.updates,
            seed=seed,
        )
        results = train_exits(
            exits,
            drawn,
            tokenizer=tokenizer,
            training=self.training,
            settings=settings,
            examples=self.examples,
            progress=False,
        )
        dev = ask_exits(exits, drawn, "dev", tokenizer=tokenizer)
        test = ask_exits(exits, drawn, drawn.evaluation_split, tokenizer=tokenizer)
        kinds = ("entropy", "patience", "confidence")
        swept = [point for kind in kinds for point in dev.sweep(kind)]
        best = most_saved(swept, dev.full, KEPT)
        found = test.at(best.rule) if best else None
        record = results[0].record
        return replace(
            record,
            method=f"early exit, {self.training}",
            metric="share of layers saved",
            split=drawn.evaluation_split,
            score=found.saved if found else 0.0,
            interval=None,
            n=len(test.gold),
            majority=0.0,
            seconds=round(time.perf_counter() - started, 2),
            notes={
                "found": str(best.rule) if best else "all layers",
                "kept": round(found.score / test.full, 4) if found else 1.0,
            },
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        runs = len(self.tries) if self.rate is None and seed == 0 else 1
        stages = 3 if self.training == AFTER else 2  # the last is the confidence
        return Cost(runs * stages * self.updates, runs * (2 * scale.dev + scale.tests))


def cells(scale: Scale) -> list[Cell]:
    size = {"updates": scale.updates(500), "tries": scale.some(FineTuned.tries)}
    return [
        Cell(training, task, LayersSaved(training, **size))
        for task in scale.some(TASKS)
        for training in (AFTER, JOINT, TURNS)
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(TURNS, AFTER)


def remark(findings: Findings) -> str:
    told = ", ".join(
        f"{arm} {points(fmean(findings.scores(arm)), sign=False)} %" for arm in findings.arms
    )
    return f"Layers saved on test: {told}."


CLAIM = Claim(
    name="exits-trained-together",
    sentence="Exits trained along with the PLM save more layers than exits added afterwards, at "
    "99 % of the score.",
    source="Xin et al. 2021 (BERxiT, EACL), against Xin et al. 2020 (DeeBERT, arXiv 2004.12993)",
    measured="Exits behind every layer are trained on 2,000 examples: after the PLM (two-stage), "
    "with it (joint), or in turns with it (alternating). On dev the rule and threshold are chosen "
    "that save most layers at 99 % of the score with all layers; the share saved on test is "
    "shown.",
    rule="Gain: share of layers saved by alternating training minus that by two-stage training, "
    "mean over the tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    arm_title="training",
    unit="percent of the layers",
)
