"""How well a PLM does a task under each of its prompts: the median, and the spread.

Without training a wording alone moves a score by many points, so one number per task says little;
T0 (Sanh et al. 2022) reports every prompt of a task, their median and their quartiles.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.prompting.asked import AskedModel
from course_utils.prompting.choices import COPA_TEMPLATES, ChoicePrompt
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.scoring import model_kind
from course_utils.prompting.template import Template
from course_utils.records import read_json, write_json
from course_utils.tasks.task import Prompt, Task


@dataclass(frozen=True)
class PromptScores:
    """One task's score under each prompt.

    Attributes:
        task, split, metric, n, majority: what was scored, over how many examples, and the score
            of always giving the most common label.
        templates, scores: prompt by prompt.
        held_out: prompt by prompt, whether the wording was kept out of a pocket PLM's corpus.
    """

    task: str
    split: str
    metric: str
    n: int
    majority: float
    templates: tuple[str, ...]
    scores: tuple[float, ...]
    held_out: tuple[bool, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.scores)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third; a single prompt's score twice."""
        if len(self.scores) == 1:
            return self.scores[0], self.scores[0]
        first, _, third = statistics.quantiles(self.scores, n=4, method="inclusive")
        return first, third

    @property
    def spread(self) -> float:
        """The best prompt's score less the worst one's."""
        return max(self.scores) - min(self.scores)

    def write(self, path: str | Path) -> Path:
        """As a JSON file."""
        return write_json(path, asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> PromptScores:
        """What `write` wrote."""
        found = read_json(Path(path))
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})

    def __str__(self) -> str:
        low, high = self.quartiles
        return (
            f"{self.task} {self.split}: median {self.metric} {self.median:.3f} over "
            f"{len(self.scores)} prompts, quartiles {low:.3f} to {high:.3f}, all within "
            f"{min(self.scores):.3f} to {max(self.scores):.3f} (majority {self.majority:.3f})"
        )


def score_prompts(
    model: nn.Module,
    tokenizer,
    task: Task,
    *,
    prompts: Sequence[Prompt | tuple] | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
) -> PromptScores:
    """Score a PLM, as it is, on a task under every prompt it can be asked with.

    Args:
        prompts: the task's own (`usable_prompts`) if not given.
        split: "test" where the task has one, else "dev", if not given.
        examples: score on so many, drawn by `seed`, instead of all.

    Raises:
        CourseError: no prompt that works with this PLM, or more examples than there are.
    """
    split = split or task.evaluation_split
    chosen = usable_prompts(task, model, prompts)
    if examples is not None:
        task = task.subset(min(examples, len(task.split(split))), seed=seed, split=split)
    found = [
        evaluate(asked(model, tokenizer, task, prompt), task, split, tokenizer=tokenizer)
        for prompt in chosen
    ]
    return PromptScores(
        task=task.name,
        split=split,
        metric=task.metric,
        n=found[0].n,
        majority=found[0].majority,
        templates=tuple(prompt.template for prompt in chosen),
        scores=tuple(one.score for one in found),
        held_out=tuple(prompt.held_out for prompt in chosen),
    )


def usable_prompts(
    task: Task, model: nn.Module, prompts: Sequence[Prompt | tuple] | None = None
) -> list[Prompt]:
    """A task's prompts that this PLM can be asked with.

    A masked PLM takes all. For a causal one, punctuation behind the mask is left out, and those
    with words behind it are skipped (of the task's own; given ones must work). A task of COPA's
    kind without prompts has two by its columns.

    Raises:
        CourseError: none is left, or a given one doesn't work.
    """
    given = [Prompt(*p) for p in (task.prompts if prompts is None else prompts)]
    if not given and task.kind == "choice" and "question" in task.columns:
        given = [Prompt(template, {}) for template in COPA_TEMPLATES]
    if model_kind(model) != "causal":
        usable = given
    else:
        usable = []
        for prompt in given:
            try:
                ending = Template(prompt.template).ending_in_mask()
            except CourseError:
                if prompts is not None:
                    raise
                continue
            usable.append(prompt._replace(template=ending.text))
    if not usable:
        why = ", all with words behind {mask}" if given else ""
        raise CourseError(
            f"task {task.name!r} has {len(given)} prompts{why}; this PLM can be asked with none. "
            "Give prompts=[(template, {label: words}), ...]."
        )
    return usable


def asked(model: nn.Module, tokenizer, task: Task, prompt: Prompt) -> AskedModel:
    """The PLM behind one prompt of a task of kind "classification" or "choice"."""
    if task.kind == "choice":
        return ChoicePrompt.for_task(model, tokenizer, task, prompt.template)
    if task.kind != "classification":
        raise CourseError(
            f"task {task.name!r} is of kind {task.kind!r}: label words answer tasks of kind "
            "classification, candidates those of kind choice."
        )
    made = PromptModel(model, tokenizer, prompt.template, prompt.words, labels=task.labels)
    made.template.check(columns=task.columns)
    return made
