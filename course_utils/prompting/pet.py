"""Pattern-exploiting training, PET and iPET (Schick & Schütze 2021).

Few labels, many unlabelled texts, several prompts:

1. Each pattern (a template with its words) is fine-tuned on the few labels, several times over.
2. All of them label the unlabelled texts. A pattern's voice weighs as much as it got right on the
   training set *before* training: what fits the PLM already counts more.
3. A standard classifier learns the averaged soft labels (distillation, temperature 2).

iPET repeats 1 and 2 first, each generation with a training set five times as large, labelled by
other patterns' models (see ipet.py).

With an output folder an interrupted run goes on at the model it was at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.prompting.distillation import TEACHER, Student, weighted_mean
from course_utils.prompting.ipet import draw_examples, new_per_label, teachers_of
from course_utils.prompting.members import Member, read_member, write_member
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.resuming import claim, digest
from course_utils.prompting.scoring import position_limit
from course_utils.prompting.verbalizer import Verbalizer
from course_utils.tasks.task import NO_LABEL, Task
from course_utils.training import TrainResult, TrainSettings, train

Pattern = tuple[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True)
class PETSettings:
    """The procedure's numbers. The defaults are the paper's, but for the learning rates, which
    `train` chooses by the PLM's size, and the classifier's steps (5000 in the paper).

    Attributes:
        repetitions: models per pattern, each with its own seed.
        generations: 1 is PET; 3 is iPET as in the paper.
        growth: how many times larger the training set is in each further generation.
        share: of the other models, those that label for one.
        temperature: of the distillation.
        alpha: weight of the labels; 1 - alpha is that of guessing masked words of unlabelled text.
        pattern, classifier: how the prompts and the final classifier are trained.
    """

    repetitions: int = 3
    generations: int = 1
    growth: int = 5
    share: float = 0.25
    temperature: float = 2.0
    alpha: float = 0.9999
    pattern: TrainSettings = field(default_factory=lambda: TrainSettings(steps=250, keep="last"))
    classifier: TrainSettings = field(
        default_factory=lambda: TrainSettings(steps=1000, keep="last")
    )
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("repetitions", "generations"):
            if getattr(self, name) < 1:
                raise CourseError(f"PETSettings: {name} must be 1 or more.")
        if self.growth < 2 or not 0 < self.share <= 1:
            raise CourseError("PETSettings: growth is 2 or more and share above 0, up to 1.")


@dataclass(frozen=True)
class PETResult:
    """The student, what taught it, and the tokenizer to evaluate it with."""

    student: TrainResult
    members: tuple[Member, ...]
    soft_labels: Tensor = field(repr=False)
    tokenizer: object = field(repr=False)

    @property
    def model(self) -> Student:
        """The distilled classifier."""
        return self.student.model


def train_pet(
    plm: str,
    task: Task,
    *,
    patterns: Sequence[Pattern] | None = None,
    settings: PETSettings | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
) -> PETResult:
    """PET (or iPET, with settings.generations above 1) on a task with few labels.

    Args:
        plm: a masked PLM, by any name `load_plm` takes.
        task: with "train" (few), "dev" and "unlabelled" splits.
        patterns: (template, {label: words}) pairs; the task's own prompts if not given.
        output: a folder; a run interrupted there goes on, a finished one is read back.

    Returns:
        The result; `evaluate(result.model, task, "test", tokenizer=result.tokenizer)` scores it.

    Raises:
        CourseError: no unlabelled split or one with labels, fewer examples than classes, a pattern
            that can't work with the PLM or task; all before any training.
    """
    run = _Run(
        plm,
        task,
        [(p[0], dict(p[1])) for p in (task.prompts if patterns is None else patterns)],
        settings or PETSettings(),
        None if output is None else Path(output),
        progress,
    )
    run.check()
    return run.go()


class _Run:
    def __init__(self, plm, task, patterns, settings, folder, progress):
        self.plm, self.task, self.patterns = plm, task, patterns
        self.settings, self.folder, self.progress = settings, folder, progress
        self.unlabelled = list(task.splits.get("unlabelled", ()))

    def check(self) -> None:
        """Everything that can be wrong, found before the first training step."""
        task = self.task
        if task.kind != "classification":
            raise CourseError(f"PET classifies; task {task.name!r} is of kind {task.kind!r}.")
        if not self.patterns:
            raise CourseError(f"PET needs patterns, and task {task.name!r} has none of its own.")
        if not self.unlabelled:
            raise CourseError(
                f"PET needs unlabelled texts: task {task.name!r} has no split 'unlabelled'."
            )
        if "dev" not in task.splits:
            raise CourseError(
                f"task {task.name!r} has no split 'dev', on which every model is scored: set some "
                "labelled examples aside for it."
            )
        if any(row.get("label") not in (None, NO_LABEL) for row in self.unlabelled):
            raise CourseError(
                "the split 'unlabelled' has labels. Drop the column or set it to "
                f"{NO_LABEL}, so that no gold label can leak into the soft labels."
            )
        gold = task.gold("train")
        if NO_LABEL in gold:
            raise CourseError("a training example has no label: move it to 'unlabelled'.")
        if len(gold) < len(task.labels):
            raise CourseError(
                f"{len(gold)} training examples for {len(task.labels)} classes: PET needs one "
                "example or more of each."
            )
        missing = [name for i, name in enumerate(task.labels) if i not in set(gold)]
        if missing:
            raise CourseError(f"no training example has the label {missing[0]!r}.")
        model, tokenizer = load_plm(self.plm)
        for template, words in self.patterns:
            prompt = PromptModel(model, tokenizer, template, words, labels=task.labels)
            prompt.template.check(columns=task.columns)
        if prompt.kind != "masked":
            raise CourseError(f"PET needs a masked PLM; {self.plm!r} is {prompt.kind}.")

    def go(self) -> PETResult:
        if self.folder is not None:
            self._claim()
        members: list[Member] = []
        for generation in range(self.settings.generations):
            members = [
                self._member(generation, number, members)
                for number in range(len(self.patterns) * self.settings.repetitions)
            ]
        soft = weighted_mean([m.logits for m in members], [m.weight for m in members])
        student, tokenizer = self._distil(soft)
        return PETResult(student, tuple(members), soft, tokenizer)

    def _member(self, generation: int, number: int, before: list[Member]) -> Member:
        """Train one prompt, or read back what an earlier run left of it."""
        pattern, repetition = divmod(number, self.settings.repetitions)
        folder = None
        if self.folder is not None:
            folder = self.folder / f"generation-{generation}" / f"pattern-{pattern}-{repetition}"
            if (folder / "member.json").is_file():
                return read_member(folder)
        rows = self._training_rows(generation, number, before)
        seed = self.settings.seed * 1000 + number
        model, tokenizer = load_plm(self.plm, seed=seed)
        template, words = self.patterns[pattern]
        prompt = PromptModel(
            model,
            tokenizer,
            template,
            words,
            labels=self.task.labels,
            alpha=self.settings.alpha,
        )
        gold = self.task.gold("train")
        weight = prompt.predict(self.task.split("train")).accuracy(gold)
        if self.settings.alpha < 1:
            prompt.read_along(self.unlabelled)
        result = train(
            prompt,
            _with_train(self.task, rows),
            tokenizer=tokenizer,
            settings=replace(self.settings.pattern, seed=seed),
            output=None if folder is None else folder / "training",
            progress=self.progress,
        )
        logits = prompt.predict(self.unlabelled).scores
        member = Member(
            generation, pattern, repetition, weight, len(rows), result.dev_score, logits
        )
        if folder is not None:
            write_member(folder, member)
        return member

    def _training_rows(self, generation: int, number: int, before: list[Member]) -> list[dict]:
        """The few labelled rows; from the second generation on with others' labels added."""
        columns = [*self.task.columns, "label"]
        rows = [{c: row[c] for c in columns} for row in self.task.split("train")]
        if generation == 0:
            return rows
        s = self.settings
        seed = s.seed + 100 * generation
        chosen = [before[i] for i in teachers_of(number, len(before), s.share, seed)]
        wanted = new_per_label(
            [row["label"] for row in rows], len(self.task.labels), s.growth, generation
        )
        drawn = draw_examples(
            [m.logits for m in chosen], [m.weight for m in chosen], wanted, seed + number
        )
        texts = self.unlabelled
        return rows + [
            {**{c: texts[at][c] for c in self.task.columns}, "label": label} for at, label in drawn
        ]

    def _distil(self, soft: Tensor) -> tuple[TrainResult, object]:
        model, tokenizer = load_plm(
            self.plm, head="classifier", labels=self.task.labels, seed=self.settings.seed
        )
        rows = [
            {**{c: row[c] for c in self.task.columns}, "label": best, TEACHER: at}
            for at, (row, best) in enumerate(
                zip(self.unlabelled, soft.argmax(-1).tolist(), strict=True)
            )
        ]
        student = Student(
            model,
            tokenizer,
            self.task,
            soft,
            temperature=self.settings.temperature,
            max_length=min(256, position_limit(model) or 256),
        )
        result = train(
            student,
            _with_train(self.task, rows),
            tokenizer=tokenizer,
            settings=replace(self.settings.classifier, seed=self.settings.seed),
            output=None if self.folder is None else self.folder / "classifier",
            progress=self.progress,
        )
        return result, tokenizer

    def _claim(self) -> None:
        """Make the folder this run's own, or go on with it if it is."""
        mine = {
            "plm": str(self.plm),
            "task": self.task.name,
            "train": digest(self.task.split("train")),
            "unlabelled": digest(self.unlabelled),
            "patterns": [[t, Verbalizer(words).to_dict()] for t, words in self.patterns],
            "settings": asdict(self.settings),
        }
        claim(self.folder, "pet.json", "PET run", mine)


def _with_train(task: Task, rows: list[dict]) -> Task:
    from datasets import Dataset

    return replace(task, splits={**task.splits, "train": Dataset.from_list(rows)})
