"""One run from names to files: what `course run` does.

    run("pocket-bert", "pocket/sst2", method="lora", seeds=3)

loads the PLM with the head the task needs, attaches the method, trains (the epoch chosen on
dev), scores the task's evaluation split, and writes for each seed a folder

    record.json         what was run and what it scored (`RunRecord`)
    predictions.jsonl   one line per example: id, prediction, label
    adapter/            what was trained, for `load_tuned`

and, where several learning rates are given, learning_rates.json with what each scored on dev.
A run that was stopped goes on when the same command is given again.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.records import RunRecord, read_json, write_json
from course_utils.tasks import Task, load_task

HEADS = {
    "classification": "classifier",
    "regression": "classifier",
    "choice": "choice",
    "tagging": "tagger",
    "generation": "lm",
}
NO_TRAINING = "none"
CHOICE = "learning_rates.json"


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
                f"Training  {s.steps:,} updates of {s.batch_size * s.accumulation} examples, "
                f"learning rate {s.learning_rate:g}, dev scored every {s.evaluate_every}; "
                f"seeds {', '.join(map(str, self.seeds))}"
            )
        if self.output is not None:
            lines.append(f"Output    {self.output}")
        return "\n".join(lines)


def run(
    plm: str | Path,
    task: str | Task,
    *,
    data: str | Path | None = None,
    method: Any = "lora",
    hyperparameters: Mapping[str, Any] | None = None,
    prompt: Any = None,
    seeds: int | Sequence[int] = 1,
    learning_rate: float | Sequence[float] | None = None,
    examples: int | None = None,
    shots: int | None = None,
    split: str | None = None,
    pretrained: bool = True,
    revision: str | None = None,
    output: str | Path | None = None,
    settings: Any = None,
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> list[RunRecord]:
    """Trains and scores a method on a task, once per seed, and returns the records.

    Args:
        plm: a name `load_plm` knows: pocket model, folder, Hub id.
        task: a name `load_task` knows, or a Task; `data` is the folder of its own files.
        method: a name of `course_utils.tuning` ("lora", "soft-prompt", "full", "head-only"), a
            method with its hyper-parameters, or "none": no training, only the prompt.
        hyperparameters: of a method given by name, e.g. {"rank": 4}.
        prompt: ask the PLM through a template: the number of one of the task's own prompts
            (0 is the first), or a pair (template, {label: words}).
        seeds: how many, or which. A seed draws the examples, the new parameters and the order.
        learning_rate: one, or several to choose from on dev with the first seed.
        examples, shots: train on that many examples; or on that many of each class, and choose
            on as many of dev, as LM-BFF does: who has few labels has no large dev set.
        split: scored at the end; "test" where its labels are public, else "dev".
        pretrained: False starts from random weights (the control).
        settings: a `TrainSettings`; `learning_rate` here wins over the one there.
        output: folder for the results; None writes nothing.

    Raises:
        CourseError: anything wrong with the request, before training starts.
    """
    job = _Job.make(
        plm, task, data, method, hyperparameters, prompt, pretrained, revision, examples, shots
    )
    main = _main_process()
    if not main:
        say = _silent
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not seeds:
        raise CourseError("seeds: give at least one.")
    split = split or job.task.evaluation_split
    folder = None if output is None else Path(output)
    settings, rates = _settings(settings, learning_rate)
    _claim(folder, job, settings, rates, split, write=main)
    records = []
    try:
        for seed in seeds:
            if rates and job.method is not None:
                seeded = replace(settings, seed=seed)
                chosen = job.choose(rates, seeded, folder, progress, say)
                settings, rates = replace(settings, learning_rate=chosen), ()
            records.append(job.one(seed, seeds, settings, split, folder, progress, say))
    except KeyboardInterrupt:
        if folder is not None:
            say("Stopped. The same command goes on from the last checkpoint.")
        raise
    if len(records) > 1:
        scores = [r.score for r in records]
        say(
            f"{len(scores)} seeds: {records[0].metric} {statistics.mean(scores):.3f} "
            f"± {statistics.stdev(scores):.3f} (majority {records[0].majority:.3f})"
        )
    return records


@dataclass(frozen=True)
class _Job:
    """What all seeds of a run share."""

    plm: str
    task: Task
    method: Any
    prompt: Any
    pretrained: bool
    revision: str | None
    examples: int | None
    shots: int | None

    @classmethod
    def make(
        cls, plm, task, data, method, hyperparameters, prompt, pretrained, revision, examples, shots
    ) -> _Job:
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
        return cls(str(plm), task, method, prompt, pretrained, revision, examples, shots)

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
        """The learning rate that is best on dev; its run is then this seed's run."""
        from course_utils.training import sweep

        kept = None if folder is None else folder / CHOICE
        if kept is not None and kept.is_file():
            return read_json(kept)["chosen"]
        # several processes must not load from a folder that the first one clears away
        alone = "WORLD_SIZE" not in os.environ
        tried = folder / "tried" if folder is not None and alone else None
        task, tokenizer = self.drawn(settings.seed), self.load(settings.seed)[1]
        found = sweep(
            lambda: self.load(settings.seed)[0],
            task,
            rates,
            tokenizer=tokenizer,
            prompt=self.prompt,
            settings=settings,
            output=tried,
            progress=progress,
        )
        say(str(found))
        rate = found.learning_rate
        if kept is not None and _main_process():
            scores = {f"{r:g}": s if s > -math.inf else None for r, s in found.scores.items()}
            write_json(kept, {"chosen": rate, "dev": scores, "seed": settings.seed})
            if tried is not None:
                place = folder / f"seed-{settings.seed}"
                if not place.exists():
                    os.replace(tried / f"{rate:g}", place)
                shutil.rmtree(tried, ignore_errors=True)
        return rate

    def one(
        self,
        seed: int,
        seeds: tuple[int, ...],
        settings: Any,
        split: str,
        folder: Path | None,
        progress: Any,
        say: Any,
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
        if place is not None and _main_process():
            _leave(place, model, record, evaluation)
        say(_result(seed, record, evaluation))
        return record

    def plan(self, model, task, settings, split, seeds, folder) -> Plan:
        from course_utils.model_facts import count_parameters, plm_name

        trainable, total = count_parameters(model)
        if self.method is None:
            trainable = 0
        else:
            settings = settings.filled(model, len(task.split("train")))
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
        if split != "dev":
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
        notes = dict(record.notes)
        if not self.pretrained:
            notes["pretrained"] = False
        if self.shots is not None:
            notes["shots"] = self.shots
        if self.prompt is not None:
            notes["template"] = str(getattr(self.prompt[0], "text", self.prompt[0]))
        return replace(record, notes=notes)


def _main_process() -> bool:
    """False in all but the first process of a run started by `accelerate launch`."""
    return os.environ.get("RANK", "0") == "0"


def _silent(_: str) -> None:
    """What the other processes of a run on several GPUs say."""


def _settings(settings: Any, learning_rate: Any) -> tuple[Any, tuple[float, ...]]:
    """TrainSettings, and the learning rates to choose from (empty for a single one)."""
    from course_utils.settings import TrainSettings

    settings = settings or TrainSettings()
    if learning_rate is None:
        return settings, ()
    rates = (learning_rate,) if isinstance(learning_rate, int | float) else tuple(learning_rate)
    if not rates or min(rates) <= 0:
        raise CourseError(f"learning_rate {learning_rate}: expected one or several above 0.")
    if len(rates) == 1:
        return replace(settings, learning_rate=rates[0]), ()
    return settings, rates


def _claim(
    folder: Path | None, job: _Job, settings: Any, rates: Any, split: str, write: bool
) -> None:
    """Makes the folder this run's, or finds that it is another's."""
    if folder is None:
        return
    mine = {
        "plm": Path(job.plm).name if Path(job.plm).exists() else job.plm,
        "task": job.task.name,
        "method": repr(job.method),
        "prompt": repr(job.prompt),
        "pretrained": job.pretrained,
        "examples": job.examples,
        "shots": job.shots,
        "split": split,
        "settings": asdict(replace(settings, seed=0)),
        "learning_rates": list(rates),
    }
    marker = folder / "plan.json"
    if marker.is_file():
        theirs = read_json(marker)
        odd = [key for key in mine if theirs.get(key) != mine[key]]
        if odd:
            raise CourseError(
                f"{folder} holds a run with another {odd[0].replace('_', ' ')}. Give this one "
                "another output folder, or delete that one."
            )
        return
    if write:
        write_json(marker, mine)


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
