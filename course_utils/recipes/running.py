"""A published run, run again: `course run p_tuning_v2/rte --plm bert-large`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.recipes import Recipe, recipe, released
from course_utils.tasks import Task, load_task

if TYPE_CHECKING:
    from course_utils.records import RunRecord

OUTPUT = Path("runs")
SELECTION_SEED = 0


def run_recipe(
    name: str,
    plm: str | None = None,
    *,
    task: str | None = None,
    data: str | Path | None = None,
    seeds: int = 1,
    honest: bool = False,
    examples: int | None = None,
    settings: Mapping[str, Any] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    revision: str | None = None,
    data_revision: str | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
    say: Any = print,
) -> list[RunRecord]:
    """Trains and scores a recipe, each epoch scored, best and last kept; resumes where it stopped.

    Args:
        name: "p_tuning_v2/rte".
        plm: any PLM `load_plm` knows; the settings are those published for its family, or
            RoBERTa's. Without one, the PLM of the recipe.
        task: another task with the recipe's settings, such as the pocket twin.
        seeds: how many; the first is the published one, the others follow it.
        honest: a part of train chooses the epoch, and dev is only reported.
        settings: fields of `TrainSettings` that shall differ from the published ones.
        hyperparameters: of the method, likewise.
        revision, data_revision: of the PLM and of the task's data on the Hub.
        output: folder; runs/COLLECTION/TASK/PLM when not given.

    Returns:
        One record per seed, with the recipe and its published result among its notes.

    Raises:
        CourseError: unknown names, missing data, settings that are none: before training starts.
    """
    from course_utils.run import run

    made = planned(
        name,
        plm,
        task=task,
        data=data,
        data_revision=data_revision,
        honest=honest,
        settings=settings,
        hyperparameters=hyperparameters,
    )
    return run(
        made.plm,
        made.task,
        method=made.method,
        seeds=[made.recipe.seed + i for i in range(seeds)],
        split=made.split,
        more_splits=[other for other in made.recipe.others if other in made.task.splits],
        examples=examples,
        dropout=made.recipe.dropout,
        revision=revision,
        notes=_notes(made, honest),
        output=output or _folder(name, made.plm, task, honest),
        settings=made.settings,
        progress=progress,
        say=say,
    )


@dataclass(frozen=True)
class Planned:
    """A recipe with its data loaded and the user's changes made."""

    recipe: Recipe
    plm: str
    task: Task
    split: str
    method: Any
    settings: Any


def planned(
    name: str,
    plm: str | None = None,
    *,
    task: str | None = None,
    data: str | Path | None = None,
    data_revision: str | None = None,
    honest: bool = False,
    settings: Mapping[str, Any] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
) -> Planned:
    """What `run_recipe` will run; the arguments are the same."""
    chosen = recipe(name, plm)
    loaded = _task(chosen, task, data, data_revision)
    split = chosen.split if chosen.split in loaded.splits else loaded.evaluation_split
    made = _settings(chosen, settings or {})
    if honest:
        loaded = loaded.with_selection(seed=SELECTION_SEED)
        made = replace(made, choose_on="selection")
    method = replace(chosen.method(), **(hyperparameters or {}))
    return Planned(chosen, plm or chosen.plm, loaded, split, method, made)


def _task(chosen: Recipe, task: str | None, data: str | Path | None, revision: str | None) -> Task:
    loaded = load_task(task or chosen.task, data=data, revision=revision)
    if chosen.layout in loaded.layouts:
        loaded = loaded.laid_out(chosen.layout)
    return loaded


def _settings(chosen: Recipe, given: Mapping[str, Any]) -> Any:
    values = {key: value for key, value in given.items() if value is not None}
    if values.keys() >= {"steps"} and "epochs" not in values:
        values["epochs"] = None
    try:
        return replace(chosen.settings(), **values)
    except TypeError as odd:
        raise CourseError(f"settings of a recipe: {odd}.") from odd


def _notes(made: Planned, honest: bool) -> dict[str, Any]:
    published = released(made.task.name, made.plm)
    notes: dict[str, Any] = {"recipe": made.recipe.name, "settings_of": made.recipe.plm}
    result = None if published is None else published.result_on(made.split)
    if result is not None:
        notes["released"] = result
    notes["chosen_on"] = "a part of train" if honest else "dev"
    if made.split == "dev" and not honest:
        notes["flattered"] = "the best epoch was chosen on the set that is reported"
    return notes


def _folder(name: str, plm: str, task: str | None, honest: bool) -> Path:
    parts = [*name.split("/"), plm.rstrip("/").rsplit("/", 1)[-1]]
    if task is not None:
        parts[1] = task.replace("/", "-")
    if honest:
        parts[-1] += "-honest"
    return OUTPUT.joinpath(*parts)
