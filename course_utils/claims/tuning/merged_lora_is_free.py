"""A merged LoRA costs nothing when the PLM answers; an adapter does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from course_utils.claims.bench import Bench
from course_utils.claims.claim import Cell, Claim, Cost, Findings, Scale
from course_utils.claims.verdict import points
from course_utils.records import RunRecord, versions

TASKS = ("pocket/sst2", "pocket/boolq")
BARE, MERGED, ADAPTER = "bare PLM", "LoRA, merged", "Houlsby"
METHODS = {
    BARE: None,
    MERGED: "lora",
    "LoRA": "lora",
    ADAPTER: "houlsby",
    "Pfeiffer": "pfeiffer",
    "prefix": "p-tuning-v2",
    "soft prompt": "soft-prompt",
}


@dataclass(frozen=True)
class AnswerTime:
    """Time of one batch of 32 texts, as a multiple of the bare PLM's: the median of pairs in turn.

    Attributes:
        method: a name in METHODS of course_utils.tuning; None is the bare PLM against itself.
        merged: merge it first.
        rounds: pairs.
    """

    method: str | None
    merged: bool = False
    rounds: int = 30

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        import torch

        from course_utils.model_facts import count_parameters
        from course_utils.tasks.batches import collate
        from course_utils.tasks.inputs import encode
        from course_utils.tuning import attach, method_named

        started = time.perf_counter()
        drawn = bench.task(task, seed)
        models = [bench.load(head="classifier", labels=drawn.labels, seed=seed) for _ in "ab"]
        (bare, tokenizer), (other, _) = models
        tuned: Any = other
        if self.method is not None:
            tuned = attach(other, method_named(self.method), tokenizer=tokenizer, seed=seed)
        trainable = 0 if self.method is None else count_parameters(tuned)[0]
        if self.merged:
            tuned = tuned.merge()
        dev = drawn.split("dev")
        rows = dev.select(range(min(32, len(dev))))
        features = encode(drawn, rows, tokenizer, max_length=128, answers=False).features
        batch = {k: v.to(bare.device) for k, v in collate(features, tokenizer).items()}
        ratios = []
        with torch.no_grad():
            for number in range(self.rounds + 3):
                first, second = (bare, tuned) if number % 2 == 0 else (tuned, bare)
                times = {id(model): _seconds(model, batch) for model in (first, second)}
                ratios.append(times[id(tuned)] / times[id(bare)])
        return RunRecord(
            plm=bench.plm,
            task=task,
            method=self.method or "none",
            metric="time of the bare PLM",
            score=round(median(ratios[3:]), 4),
            n=self.rounds,
            seed=seed,
            trainable=trainable,
            total=count_parameters(bare)[1],
            seconds=round(time.perf_counter() - started, 2),
            versions=versions(),
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        return Cost(answers=2 * 32 * self.rounds)


def _seconds(model: Any, batch: Any) -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    model(**batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def cells(scale: Scale) -> list[Cell]:
    rounds = 5 if scale.quick else 30
    return [
        Cell(arm, task, AnswerTime(method, arm == MERGED, rounds))
        for task in scale.some(TASKS)
        for arm, method in METHODS.items()
    ]


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(ADAPTER, MERGED)


def remark(findings: Findings) -> str:
    told = ", ".join(
        f"{arm} {points(fmean(findings.scores(arm)) - 1)} %" for arm in findings.arms if arm != BARE
    )
    return f"More time than the bare PLM: {told}."


CLAIM = Claim(
    name="merged-lora-is-free",
    sentence="A merged LoRA answers as fast as the bare PLM; an adapter is slower.",
    source="Hu et al. 2021 (LoRA, arXiv 2106.09685), table 1",
    measured="The bare PLM and the PLM with a method answer a batch of 32 texts in turn; shown is "
    "the median of 30 ratios.",
    rule="Gain: time with an adapter minus time with a merged LoRA, both as multiples of the bare "
    "PLM's.",
    cells=cells,
    gains=gains,
    remark=remark,
    unit="percent of the bare PLM's time",
)
