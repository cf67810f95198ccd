"""Demonstrations help: one solved example of each label behind the query (LM-BFF)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from course_utils.claims.bench import NEW, Bench
from course_utils.claims.claim import Cell, Claim, Cost, Findings, Scale
from course_utils.claims.measures import FineTuned
from course_utils.records import RunRecord
from course_utils.tasks import Task

TASKS = ("pocket/sst2", "pocket/snli")
DRAWS = 4  # averaged at test time; 16 in the paper
SHOWN, PLAIN = "prompt with demonstrations", "prompt"


@dataclass(frozen=True)
class Demonstrated(FineTuned):
    """As `FineTuned`, every query followed by one training example of each label."""

    draws: int = DRAWS

    def train(self, bench: Bench, task: Task, seed: int) -> RunRecord:
        from course_utils.evaluation import evaluate
        from course_utils.prompting import DemonstratedPrompt
        from course_utils.training import train

        model, tokenizer = bench.load(seed=seed)
        template, words = bench.prompt(task, self.wording)[:2]
        prompt = DemonstratedPrompt(
            model,
            tokenizer,
            template,
            words,
            labels=task.labels,
            pool=task.split("train"),
            draws=self.draws,
            seed=seed,
        )
        settings = self.settings(seed)
        result = train(prompt, task, tokenizer=tokenizer, settings=settings, progress=False)
        record = replace(result.record, notes={**result.record.notes, "template": template})
        return record.scored(evaluate(prompt, task, tokenizer=tokenizer))

    def cost(self, scale: Scale, seed: int) -> Cost:
        plain = super().cost(scale, seed)
        longer = 3  # query and a demonstration of each label
        return Cost(longer * plain.updates, longer * self.draws * plain.answers)


def cells(scale: Scale) -> list[Cell]:
    found = []
    for task in scale.some(TASKS):
        same = {"wording": NEW, "updates": scale.updates(120)}
        found.append(Cell(PLAIN, task, FineTuned(**same)))
        found.append(Cell(SHOWN, task, Demonstrated(**same, draws=2 if scale.quick else DRAWS)))
    return found


def gains(findings: Findings) -> Sequence[float]:
    return findings.gain(SHOWN, PLAIN)


CLAIM = Claim(
    name="demonstrations-help",
    sentence="Demonstrations behind the query help prompt-based fine-tuning.",
    source="Gao et al. 2021 (LM-BFF, arXiv 2012.15723), section 6 and table 3",
    measured="16 examples of each class, prompt-based fine-tuning with and without one training "
    "example of each label behind the query, out of the half most similar to it; at test "
    f"time the label scores are averaged over {DRAWS} draws.",
    rule="Gain: accuracy with demonstrations minus accuracy without, mean over the tasks.",
    cells=cells,
    gains=gains,
)
