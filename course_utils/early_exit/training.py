"""Training a model with exits: joint, in two stages, or alternating; then the confidence.

    exits = EarlyExit(model)
    train_exits(exits, task, tokenizer=tokenizer, training="alternating")

Each stage is one call of `course_utils.training.train`, with all it brings: dev scores,
checkpoints, resume, the record. Dev is scored by the last exit. A stage that does not train the
last exit keeps its last parameters, since that score would choose nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from course_utils.early_exit.exits import EarlyExit
from course_utils.early_exit.objectives import PLM, TRAININGS, ConfidenceOnly, Objective
from course_utils.errors import CourseError, unknown_name
from course_utils.settings import TrainSettings
from course_utils.tasks.task import Task
from course_utils.training import TrainResult, train


def train_exits(
    exits: EarlyExit,
    task: Task,
    *,
    tokenizer: Any,
    training: str | Objective = "joint",
    confidence: bool = True,
    settings: TrainSettings | None = None,
    examples: int | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
) -> list[TrainResult]:
    """Trains PLM and exits on the task's "train".

    Args:
        training: "joint", "two-stage" or "alternating"; or one objective with its settings, such
            as JointExits(weights="depth").
        confidence: train the confidence afterwards, for `LearnedConfidence`; nothing else moves.
        settings: for every stage; a learning rate given here is that of stages that train the PLM,
            the others have their own.
        examples: train on that many, drawn with the settings' seed.
        output: a folder with a folder per stage; an interrupted training goes on from its last
            checkpoint, a finished stage is loaded.

    Returns:
        One result per stage, in order.

    Raises:
        CourseError: no `EarlyExit`, a task without classes, an unknown training, or what `train`
            refuses.
    """
    stages = _stages(training, confidence)
    check_task(exits, task)
    settings = settings or TrainSettings()
    flags = {name: p.requires_grad for name, p in exits.named_parameters()}
    rule, exits.rule = exits.rule, None
    results = []
    try:
        for number, stage in enumerate(stages, start=1):
            exits.trained_by(stage)
            folder = None if output is None else Path(output) / f"{number}-{stage.name}"
            results.append(
                train(
                    exits,
                    task,
                    tokenizer=tokenizer,
                    settings=_settings_of(stage, settings),
                    examples=examples,
                    output=folder,
                    progress=progress,
                )
            )
            exits.confidence_trained |= isinstance(stage, ConfidenceOnly)
    finally:
        exits.rule = rule
        for name, parameter in exits.named_parameters():
            parameter.requires_grad_(flags[name])
    exits.method = stages[0]
    return results


def _stages(training: str | Objective, confidence: bool) -> list[Objective]:
    if isinstance(training, str):
        if training not in TRAININGS:
            raise unknown_name("training of exits", training, TRAININGS)
        stages = [stage() for stage in TRAININGS[training]]
    elif isinstance(training, Objective):
        stages = [training]
    else:
        raise CourseError(
            f"training {training!r}: expected one of {', '.join(TRAININGS)}, or an objective such "
            "as JointExits(weights='depth')."
        )
    return [*stages, ConfidenceOnly()] if confidence else stages


def _settings_of(stage: Objective, settings: TrainSettings) -> TrainSettings:
    if PLM in stage.moves:
        return settings
    return replace(settings, keep="last", patience=None, learning_rate=None)


def check_task(exits: Any, task: Task) -> None:
    """Refuse what is no `EarlyExit`, and tasks that it can't classify."""
    if not isinstance(exits, EarlyExit):
        raise CourseError(
            f"train_exits needs EarlyExit(model), not {type(exits).__name__}. "
            "`train` trains a model without exits."
        )
    if task.kind != "classification":
        raise CourseError(
            f"task {task.name!r} is of kind {task.kind!r}; exits classify texts, so it must be "
            "'classification'."
        )
    if len(task.labels) != exits.config.num_labels:
        raise CourseError(
            f"the model has {exits.config.num_labels} labels and task {task.name!r} has "
            f"{len(task.labels)}: load the PLM with labels=task.labels."
        )
