"""One seed of a run: the PLM loaded, the method attached, trained or only asked, scored, written.

`Job` holds what the seeds of a run share; `job.one(seed, ...)` does one of them. `Plan` says in
words what is about to happen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.records import RunRecord, main_process, processes
from course_utils.tasks import Task, load_task

HEADS = {
    "classification": "classifier",
    "regression": "classifier",
    "choice": "choice",
    "tagging": "tagger",
    "generation": "lm",
}
NO_TRAINING = "none"


@dataclass(frozen=True)
class Plan:
    """A run before it starts; `str(plan)` is what is shown."""

    plm: str
    total: int
    task: Task = field(repr=False)
    split: str
    method: str
    trainable: int
    settings: Any
    seeds: tuple[int, ...]
    output: Path | None
    pretrained: bool = True

    def __str__(self) -> str:
        t, s = self.task, self.settings
        sizes = ", ".join(f"{k} {len(t.split(k)):,}" for k in dict.fromkeys(("train", "dev")))
        share = 100 * self.trainable / self.total
        random = "" if self.pretrained else ", random weights instead of pre-training"
        lines = [
            f"PLM       {self.plm}: {self.total:,} parameters{random}",
            f"Task      {t.name}: {sizes}; scored on {self.split}, {len(t.split(self.split)):,} "
            f"examples, by {t.metric}",
            f"Baseline  majority {t.majority(self.split):.3f}, chance {t.chance:.3f}",
            f"Method    {self.method}: trains {self.trainable:,} parameters ({share:.2g} %)",
        ]
        if self.trainable:
            lines.append(
                f"Training  {s.steps:,} updates of {s.batch_size * s.accumulation * processes()} "
                "examples, "
                f"learning rate {s.learning_rate:g}, dev scored every {s.evaluate_every}; "
                f"seeds {', '.join(map(str, self.seeds))}"
            )
        if self.output is not None:
            lines.append(f"Output    {self.output}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Job:
    """What all seeds of a run share."""

    plm: str
    task: Task
    method: Any
    prompt: Any
    pretrained: bool
    revision: str | None
    examples: int | None
    shots: int | None
    dropout: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        plm: str | Path,
        task: str | Task,
        *,
        data: str | Path | None = None,
        method: Any = "lora",
        hyperparameters: Mapping[str, Any] | None = None,
        prompt: Any = None,
        pretrained: bool = True,
        revision: str | None = None,
        examples: int | None = None,
        shots: int | None = None,
        dropout: float | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Job:
        """A job from names, each found or refused here, before anything is loaded.

        The arguments are those of `course_utils.run.run`, which says what each is.

        Raises:
            CourseError: a name that is unknown, examples beside shots, "none" without a prompt,
                a prompt or a split that the task does not have.
        """
        from course_utils.tuning import method_named

        if isinstance(task, str):
            task = load_task(task, data=data)
        if examples is not None and shots is not None:
            raise CourseError("give examples or shots, not both.")
        if isinstance(method, str):
            if method == NO_TRAINING:
                method = None
            else:
                method = method_named(method, **(hyperparameters or {}))
        if method is None and prompt is None:
            raise CourseError("method 'none' trains nothing: give a prompt to ask the PLM with.")
        if isinstance(prompt, int):
            if not 0 <= prompt < len(task.prompts):
                raise CourseError(
                    f"prompt {prompt}: task {task.name!r} has {len(task.prompts)} prompts, "
                    "counted from 0."
                )
            prompt = task.prompts[prompt]
        for name in ("train", "dev"):
            task.split(name)
        return cls(
            plm=str(plm),
            task=task,
            method=method,
            prompt=prompt,
            pretrained=pretrained,
            revision=revision,
            examples=examples,
            shots=shots,
            dropout=dropout,
            notes=dict(notes or {}),
        )

    def drawn(self, seed: int) -> Task:
        """The task with this seed's training examples."""
        if self.shots is not None:
            fewer = self.task.subset(per_class=self.shots, seed=seed)
            return fewer.subset(per_class=self.shots, seed=seed, split="dev")
        if self.examples is not None:
            return self.task.subset(self.examples, seed=seed)
        return self.task

    def load(self, seed: int) -> tuple[Any, Any]:
        """A fresh model (tuned, or bare for method None) and its tokenizer."""
        from course_utils.plm import load_plm
        from course_utils.tuning import attach

        head = "lm" if self.prompt is not None else HEADS[self.task.kind]
        labels: dict[str, Any] = {}
        if head in ("classifier", "tagger"):
            names = self.task.labels
            labels = {"labels": names} if names else {"num_labels": 1}
        model, tokenizer = load_plm(
            self.plm,
            head=head,
            pretrained=self.pretrained,
            dropout=self.dropout,
            revision=self.revision,
            seed=seed,
            **labels,
        )
        if self.method is not None:
            model = attach(model, self.method, tokenizer=tokenizer, seed=seed)
        return model, tokenizer

    def choose(
        self,
        rates: Sequence[float],
        settings: Any,
        folder: Path | None,
        progress: Any,
        say: Any,
    ) -> float:
        """The learning rate for all seeds, chosen with the settings' seed."""
        from course_utils.sweep import chosen_rate

        seed = settings.seed
        return chosen_rate(
            lambda: self.load(seed),
            self.drawn(seed),
            rates,
            settings=settings,
            prompt=self.prompt,
            folder=folder,
            progress=progress,
            say=say,
        )

    def one(
        self,
        seed: int,
        seeds: tuple[int, ...],
        settings: Any,
        split: str,
        folder: Path | None,
        progress: Any,
        say: Any,
        more_splits: Sequence[str] = (),
    ) -> RunRecord:
        """One seed, or its record where it is finished already."""
        from course_utils.model_facts import with_prompt

        place = None if folder is None else folder / f"seed-{seed}"
        if place is not None and (place / "predictions.jsonl").is_file():
            record = RunRecord.read(place / "record.json")
            say(f"Seed {seed} is done already: {record.metric} {record.score:.3f} on {split}")
            return record
        model, tokenizer = self.load(seed)
        task, settings = self.drawn(seed), replace(settings, seed=seed)
        model = with_prompt(model, task, tokenizer, self.prompt, settings.max_length)
        if seed == seeds[0]:
            say(str(self.plan(model, task, settings, split, seeds, folder)))
        if self.method is None:
            record, evaluation = self.asked(model, task, tokenizer, settings, split)
        else:
            record, evaluation = self.trained(
                model, task, tokenizer, settings, split, place, progress
            )
        scores = {
            other: self._evaluate(model, task, tokenizer, settings, other).score
            for other in more_splits
        }
        if scores:
            record = replace(record, notes={**record.notes, "also": scores})
        if place is not None and main_process():
            _leave(place, model, record, evaluation)
        say(_result(seed, record, evaluation))
        return record

    def plan(self, model, task, settings, split, seeds, folder) -> Plan:
        from course_utils.model_facts import count_parameters, plm_name

        trainable, total = count_parameters(model)
        if self.method is None:
            trainable = 0
        else:
            settings = settings.filled(model, len(task.split("train")), processes())
        return Plan(
            plm=plm_name(model),
            total=total,
            task=task,
            split=split,
            method=str(self.method or "no training, asked through the prompt"),
            trainable=trainable,
            settings=settings,
            seeds=seeds,
            output=folder,
            pretrained=self.pretrained,
        )

    def trained(self, model, task, tokenizer, settings, split, place, progress):
        """Trains and scores; the record then speaks of the evaluation split."""
        from course_utils.training import train

        result = train(
            model, task, tokenizer=tokenizer, settings=settings, output=place, progress=progress
        )
        record, evaluation = result.record, result.evaluation
        if split != settings.choose_on:
            evaluation = self._evaluate(model, task, tokenizer, settings, split)
        return self._noted(record.scored(evaluation)), evaluation

    def asked(self, model, task, tokenizer, settings, split):
        """Scores an untrained, prompted PLM."""
        from course_utils.model_facts import count_parameters, plm_name

        start = time.perf_counter()
        evaluation = self._evaluate(model, task, tokenizer, settings, split)
        record = RunRecord(
            plm=plm_name(model),
            task=task.name,
            method="ZeroShot",
            metric=task.metric,
            score=evaluation.score,
            n=evaluation.n,
            seed=settings.seed,
            total=count_parameters(model)[1],
            seconds=round(time.perf_counter() - start, 2),
        )
        return self._noted(record.scored(evaluation)), evaluation

    def _evaluate(self, model, task, tokenizer, settings, split):
        from course_utils.evaluation import evaluate

        return evaluate(
            model,
            task,
            split,
            tokenizer=tokenizer,
            batch_size=settings.evaluation_batch_size,
            max_length=settings.max_length,
            precision=settings.precision,
        )

    def _noted(self, record: RunRecord) -> RunRecord:
        notes = {**record.notes, **self.notes}
        if not self.pretrained:
            notes["pretrained"] = False
        if self.shots is not None:
            notes["shots"] = self.shots
        if self.task.layout:
            notes["layout"] = self.task.layout
        if self.prompt is not None:
            notes["template"] = str(getattr(self.prompt[0], "text", self.prompt[0]))
        return replace(record, notes=notes)


def _leave(place: Path, model: Any, record: RunRecord, evaluation: Any) -> None:
    """Writes the results; predictions last, they say that a seed is done."""
    from course_utils.loop import PARAMETERS
    from course_utils.model_facts import tuned_in

    tuned = tuned_in(model)
    if tuned is not None:
        tuned.save(place / "adapter")
    record.write(place / "record.json")
    evaluation.write(place / "predictions.jsonl")
    if tuned is not None and getattr(model, "soft", None) is None:
        (place / PARAMETERS).unlink(missing_ok=True)  # the adapter holds the same


def _result(seed: int, record: RunRecord, evaluation: Any) -> str:
    text = f"Seed {seed}: {evaluation}"
    if record.steps:
        text += (
            f"; dev {record.dev_score:.3f} at epoch {record.best_epoch:g} of {record.epochs:g}, "
            f"{record.seconds:.0f} s"
        )
    return text
