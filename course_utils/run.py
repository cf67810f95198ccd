"""One run from names to files: what `course run` does.

    run("pocket-bert", "pocket/sst2", method="lora", seeds=3)

loads the PLM with the head the task needs, attaches the method, trains (the epoch chosen on
dev), scores the task's evaluation split, and writes for each seed a folder

    record.json         what was run and what it scored (`RunRecord`)
    predictions.jsonl   one line per example: id, prediction, label
    adapter/            what was trained, for `load_tuned`: the epoch that was best on dev
    last.safetensors    the same parameters as training ended with

and, where several learning rates are given, learning_rates.json with what each scored on dev.
A run that was stopped goes on when the same command is given again.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.job import Job
from course_utils.records import RunRecord, main_process, read_json, write_json
from course_utils.tasks import Task


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
    more_splits: Sequence[str] = (),
    pretrained: bool = True,
    dropout: float | None = None,
    revision: str | None = None,
    notes: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    settings: Any = None,
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> list[RunRecord]:
    """Trains and scores a method on a task, once per seed, and returns the records.

    Args:
        plm: a name `load_plm` knows: pocket model, folder, Hub id.
        task: a name `load_task` knows, or a Task; `data` is the folder of its own files.
        method: a name in `course_utils.tuning.METHODS` ("lora", "houlsby", "full" ...), a
            method with its hyper-parameters, or "none": no training, only the prompt.
        hyperparameters: of a method given by name, e.g. {"rank": 4}.
        prompt: ask the PLM through a template: the number of one of the task's own prompts
            (0 is the first), or a pair (template, {label: words}).
        seeds: how many, or which. A seed draws the examples, the new parameters and the order.
        learning_rate: one, or several to choose from on dev with the first seed.
        examples, shots: train on that many examples; or on that many of each class, and choose
            on as many of dev, as LM-BFF does: who has few labels has no large dev set.
        split: scored at the end; "test" where its labels are public, else "dev".
        more_splits: scored too; their scores stand in the record's notes.
        pretrained: False starts from random weights (the control).
        dropout: of the PLM's hidden states, where it shall not be the checkpoint's own.
        notes: kept in each record, beside what the run itself notes.
        settings: a `TrainSettings`; `learning_rate` here wins over the one there.
        output: folder for the results; None writes nothing.

    Raises:
        CourseError: anything wrong with the request, before training starts.
    """
    job = Job.make(
        plm,
        task,
        data=data,
        method=method,
        hyperparameters=hyperparameters,
        prompt=prompt,
        pretrained=pretrained,
        revision=revision,
        examples=examples,
        shots=shots,
        dropout=dropout,
        notes=notes,
    )
    main = main_process()
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
            records.append(
                job.one(seed, seeds, settings, split, folder, progress, say, more_splits)
            )
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
    folder: Path | None, job: Job, settings: Any, rates: Any, split: str, write: bool
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
        "dropout": job.dropout,
        "split": split,
        "settings": asdict(replace(settings, seed=0)),
        "learning_rates": list(rates),
    }
    marker = folder / "plan.json"
    begun = any(path != marker for path in folder.iterdir()) if folder.is_dir() else False
    if marker.is_file() and begun:  # a plan alone is of a run that never got to its first step
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
