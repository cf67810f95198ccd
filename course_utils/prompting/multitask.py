"""Multitask prompted training: learn to be asked (T0, Sanh et al. 2022; FLAN, Wei et al. 2022).

A PLM trained on many tasks, each put into words in several ways, answers tasks it was never
trained on better than the PLM it was made from. The test is strict: whole *families* are held out,
so who trains on one inference task may not be tested on another.

    result = train_multitask("pocket-bert", ["pocket/sst2", "pocket/snli"], ["pocket/boolq"])
    print(result)         # each unseen task before and after: median and spread over its prompts

The mixture and its objective are in mixture.py, the scores per prompt in prompt_scores.py. With an
output folder an interrupted run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import nn

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.prompting.mixture import MixedPrompts, draw_mixture, mixture_task
from course_utils.prompting.prompt_scores import PromptScores, asked, score_prompts, usable_prompts
from course_utils.prompting.resuming import claim, digest
from course_utils.settings import default_learning_rate, updates_per_epoch
from course_utils.tasks import load_task
from course_utils.tasks.task import NO_LABEL, Prompt, Task
from course_utils.training import TrainResult, TrainSettings, train
from course_utils.tuning import Method, attach

# A task's family by the last part of its name; a task not listed is a family of its own.
FAMILIES = {
    "sst2": "sentiment",
    "agnews": "topic",
    "rte": "inference",
    "snli": "inference",
    "mnli": "inference",
    "qnli": "inference",
    "cb": "inference",
    "boolq": "question answering",
    "wic": "word sense",
    "wsc": "coreference",
    "copa": "causes",
    "mrpc": "paraphrase",
    "qqp": "paraphrase",
}


@dataclass(frozen=True)
class MultitaskSettings:
    """The procedure's numbers.

    Attributes:
        cap: examples a task counts for in one pass over the mixture, at most (FLAN: 3,000).
        passes: how often the mixture is drawn and gone through.
        prompts: of each training task, the first so many prompts; all if None. More prompts per
            task made T0 better on unseen tasks, and less dependent on the wording.
        dev: dev examples per training task, on which the best moment is chosen.
        examples: score each held-out task on so many examples instead of all.
        training: how the mixture is trained on; its length comes from `passes`. The learning rate,
            if not given, is a fifth of what one task alone gets: with more, the PLM forgets what it
            could answer before.
    """

    cap: int = 3000
    passes: int = 1
    prompts: int | None = None
    dev: int = 50
    examples: int | None = None
    training: TrainSettings = field(default_factory=TrainSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("cap", "passes", "prompts", "dev", "examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CourseError(f"MultitaskSettings: {name} must be 1 or more, not {value}.")
        if self.training.epochs is not None or self.training.steps is not None:
            raise CourseError(
                "MultitaskSettings: how long to train follows from cap and passes; leave epochs "
                "and steps of the training settings out."
            )


@dataclass(frozen=True)
class MultitaskResult:
    """The trained PLM, and what it makes of tasks it has not seen.

    Attributes:
        model: the PLM (or the method round it), ready to be asked.
        tokenizer: its tokenizer.
        training: of the mixture; its score is on the training tasks' dev examples.
        before, after: per held-out task, the scores of the same prompts before and after.
    """

    model: nn.Module = field(repr=False)
    tokenizer: object = field(repr=False)
    training: TrainResult
    before: tuple[PromptScores, ...]
    after: tuple[PromptScores, ...]

    @property
    def lift(self) -> dict[str, float]:
        """Per held-out task, the median score after less the median before."""
        pairs = zip(self.before, self.after, strict=True)
        return {one.task: two.median - one.median for one, two in pairs}

    def __str__(self) -> str:
        lines = [str(self.training)]
        for one, two in zip(self.before, self.after, strict=True):
            lines += [f"before  {one}", f"after   {two}"]
        return "\n".join(lines)


def train_multitask(
    plm: str,
    tasks: Sequence[str | Task],
    held_out: Sequence[str | Task],
    *,
    prompts: Mapping[str, Sequence[Prompt | tuple]] | None = None,
    method: Method | None = None,
    settings: MultitaskSettings | None = None,
    families: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
) -> MultitaskResult:
    """Train one PLM on many prompted tasks and score it, untrained and trained, on unseen ones.

    Args:
        plm: a masked, causal or encoder-decoder PLM, by any name `load_plm` takes.
        tasks: to train on, of kind "classification": names or Tasks.
        held_out: to be tested on, of kind "classification" or "choice".
        prompts: task name -> its prompts, in place of the task's own.
        method: train this way; the whole PLM if not given.
        families: task name -> family, beside or over `FAMILIES`.
        output: a folder; a run interrupted there goes on, a finished one is read back.

    Raises:
        CourseError: no task, a task given twice, a held-out task of a training task's family, one
            that can't be asked with words, a split that is missing; all before any training.
    """
    run = _Run(
        plm,
        [load_task(task) if isinstance(task, str) else task for task in tasks],
        [load_task(task) if isinstance(task, str) else task for task in held_out],
        dict(prompts or {}),
        method,
        settings or MultitaskSettings(),
        {**FAMILIES, **(families or {})},
        None if output is None else Path(output),
        progress,
    )
    run.check()
    return run.go()


class _Run:
    def __init__(self, plm, tasks, held_out, prompts, method, settings, families, folder, progress):
        self.plm, self.tasks, self.held_out, self.given = plm, tasks, held_out, prompts
        self.method, self.settings, self.families = method, settings, families
        self.folder, self.progress = folder, progress

    def check(self) -> None:
        """Everything that can be wrong, found before the first training step."""
        self._check_tasks()
        self._check_families()
        model, tokenizer = load_plm(self.plm)
        self._mixed(model, tokenizer)
        for task in self.held_out:
            task.split(task.evaluation_split)
            for prompt in usable_prompts(task, model, self.given.get(task.name)):
                asked(model, tokenizer, task, prompt)

    def _check_tasks(self) -> None:
        if not self.tasks or not self.held_out:
            raise CourseError(
                "multitask training needs tasks to train on and tasks held out, one at least of "
                f"each; got {len(self.tasks)} and {len(self.held_out)}."
            )
        names = [task.name for task in (*self.tasks, *self.held_out)]
        double = [name for name in names if names.count(name) > 1]
        if double:
            raise CourseError(f"task {double[0]!r} is given twice: name every task once.")
        strangers = sorted(set(self.given) - set(names))
        if strangers:
            raise CourseError(
                f"prompts are given for {strangers[0]!r}, which is none of the tasks: "
                f"{', '.join(names)}."
            )
        for task in self.tasks:
            if task.kind != "classification":
                raise CourseError(
                    f"task {task.name!r} is of kind {task.kind!r}; to train on, give tasks of kind "
                    "classification, whose answers are label words."
                )
            for split in ("train", "dev"):
                if all(label == NO_LABEL for label in task.gold(split)):
                    raise CourseError(f"task {task.name!r} has no labels in {split!r}.")

    def _check_families(self) -> None:
        trained = {self._family(task): task.name for task in self.tasks}
        for task in self.held_out:
            family = self._family(task)
            if family in trained:
                raise CourseError(
                    f"{task.name!r} is held out, but {trained[family]!r} is trained on, and both "
                    f"are of the family {family!r}: that would not test an unseen kind of task. "
                    "Hold out the whole family, or say with families={...} that they differ."
                )

    def _family(self, task: Task) -> str:
        return self.families.get(task.name) or self.families.get(task.family) or task.name

    def go(self) -> MultitaskResult:
        if self.folder is not None:
            self._claim()
        model, tokenizer = load_plm(self.plm, seed=self.settings.seed)
        before = self._scores("before", model, tokenizer)
        s = self.settings
        tuned = model if self.method is None else attach(model, self.method, seed=s.seed)
        mixed = self._mixed(tuned, tokenizer)
        counts = self._prompt_counts(model)
        drawn = {
            "train": draw_mixture(self.tasks, counts, cap=s.cap, passes=s.passes, seed=s.seed),
            "dev": draw_mixture(self.tasks, counts, split="dev", cap=s.dev, seed=s.seed),
        }
        result = train(
            mixed,
            mixture_task(self.tasks, **drawn),
            tokenizer=tokenizer,
            settings=self._training(mixed, len(drawn["train"])),
            output=None if self.folder is None else self.folder / "training",
            progress=self.progress,
        )
        after = self._scores("after", tuned, tokenizer)
        return MultitaskResult(tuned, tokenizer, result, before, after)

    def _training(self, model: nn.Module, rows: int) -> TrainSettings:
        """Once over the rows, dev scored (and a checkpoint written) ten times on the way."""
        training = replace(self.settings.training, epochs=1, seed=self.settings.seed)
        every = max(1, updates_per_epoch(training, rows) // 10)
        return replace(
            training,
            learning_rate=training.learning_rate or default_learning_rate(model) / 5,
            evaluate_every=training.evaluate_every or every,
        )

    def _prompts(self, task: Task, model: nn.Module) -> list[Prompt]:
        """The prompts a training task is seen with."""
        return usable_prompts(task, model, self.given.get(task.name))[: self.settings.prompts]

    def _prompt_counts(self, model: nn.Module) -> list[int]:
        return [len(self._prompts(task, model)) for task in self.tasks]

    def _mixed(self, model: nn.Module, tokenizer) -> MixedPrompts:
        wordings = [self._prompts(task, model) for task in self.tasks]
        length = self.settings.training.max_length
        return MixedPrompts(model, tokenizer, self.tasks, wordings, max_length=length)

    def _scores(self, when: str, model: nn.Module, tokenizer) -> tuple[PromptScores, ...]:
        """The held-out tasks' scores now, or those an earlier run left."""
        found = []
        for number, task in enumerate(self.held_out):
            page = None if self.folder is None else self.folder / f"{when}-{number}.json"
            if page is not None and page.is_file():
                found.append(PromptScores.read(page))
                continue
            scores = score_prompts(
                model,
                tokenizer,
                task,
                prompts=self.given.get(task.name),
                examples=self.settings.examples,
                seed=self.settings.seed,
            )
            if page is not None:
                scores.write(page)
            found.append(scores)
        return tuple(found)

    def _claim(self) -> None:
        method = None
        if self.method is not None:
            method = [type(self.method).__name__, asdict(self.method)]
        mine = {
            "plm": str(self.plm),
            "tasks": [
                [t.name, digest(t.split("train")), digest(t.split("dev"))] for t in self.tasks
            ],
            "held_out_tasks": [
                [t.name, digest(t.split(t.evaluation_split))] for t in self.held_out
            ],
            "prompts": {
                t.name: [[p[0], dict(p[1])] for p in self.given.get(t.name, t.prompts)]
                for t in (*self.tasks, *self.held_out)
            },
            "method": method,
            "settings": asdict(self.settings),
        }
        claim(self.folder, "multitask.json", "multitask run", mine)
