"""Many tasks on one frozen PLM need one PLM and small files, not as many PLMs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.claims.bench import Bench
from course_utils.claims.claim import Cell, Claim, Cost, Findings, Scale
from course_utils.claims.verdict import points
from course_utils.records import RunRecord, versions

TASK, TASKS = "pocket/sst2", (1, 10, 100)
COPIES, LORA = "full fine-tuning", "LoRA"
METHODS = {COPIES: "full", "Houlsby": "houlsby", LORA: "lora", "soft prompt": "soft-prompt"}


@dataclass(frozen=True)
class Storage:
    """Megabytes on disk of so many tasks: what `save` writes for each, and the PLM once.

    A fully tuned PLM is a file of its own for every task.
    """

    method: str
    tasks: int

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        from course_utils.model_facts import count_parameters
        from course_utils.tuning import attach, method_named

        started = time.perf_counter()
        model, tokenizer = bench.load(head="classifier", labels=bench.task(task, seed).labels)
        bare = sum(p.numel() * p.element_size() for p in model.parameters())
        tuned = attach(model, method_named(self.method), tokenizer=tokenizer, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            tuned.save(folder)
            one = sum(path.stat().st_size for path in Path(folder).iterdir())
        shared = 0 if self.method == "full" else bare
        trainable, total = count_parameters(tuned)
        return RunRecord(
            plm=bench.plm,
            task=task,
            method=self.method,
            metric="MB",
            score=round((shared + self.tasks * one) / 1e6, 3),
            n=self.tasks,
            seed=seed,
            trainable=trainable,
            total=total,
            seconds=round(time.perf_counter() - started, 2),
            versions=versions(),
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        return Cost(answers=1)


def cells(scale: Scale) -> list[Cell]:
    arms = (COPIES, LORA) if scale.quick else METHODS
    return [
        Cell(arm, TASK, Storage(METHODS[arm], count), count)
        for count in (TASKS[-1:] if scale.quick else TASKS)
        for arm in arms
    ]


def gains(findings: Findings) -> Sequence[float]:
    """The share of the copies' megabytes that is saved at 100 tasks."""
    copies, small = (findings.scores(arm, x=TASKS[-1]) for arm in (COPIES, LORA))
    return [(many - few) / many for many, few in zip(copies, small, strict=True)]


def remark(findings: Findings) -> str:
    told = ", ".join(
        f"{arm} {findings.scores(arm, x=TASKS[-1])[0]:,.1f} MB" for arm in findings.arms
    )
    share = points(gains(findings)[0], sign=False)
    return f"100 tasks: {told}; LoRA saves {share} %."


CLAIM = Claim(
    name="many-tasks-one-plm",
    sentence="A hundred tasks need one PLM and a hundred small files, not a hundred PLMs.",
    source="Houlsby et al. 2019 (arXiv 1902.00751), section 1; Lester et al. 2021 (arXiv "
    "2104.08691), figure 2",
    measured="What is written to disk for 1, 10 and 100 tasks of two labels, in float32: for full "
    "fine-tuning a PLM each, otherwise the PLM once and the trained numbers of each task.",
    rule="Gain: share of full fine-tuning's megabytes that LoRA saves at 100 tasks.",
    cells=cells,
    gains=gains,
    remark=remark,
    x_title="tasks",
    unit="percent of the megabytes",
)
