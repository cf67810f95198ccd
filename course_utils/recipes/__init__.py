"""Published runs as data: settings to run again, and results to compare with.

    recipe("p_tuning_v2/rte", "roberta-large")      one run: settings and the released result
    recipe("pocket/ner")                            this course's own, on a pocket model
    recipes()                                       all of them
    published("glue_roberta_large")                 a published table, by rows

One source for notebooks, homework and grader: the TOML files of this folder. Scores are kept in per
cent, as papers print them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError, unknown_name

if TYPE_CHECKING:
    from course_utils.settings import TrainSettings
    from course_utils.tuning import Method

HERE = Path(__file__).parent
TABLES = "tables"
DIGITS = 1  # after the point of a published score in per cent


@dataclass(frozen=True)
class Recipe:
    """One published run.

    Attributes:
        name: collection and task, "p_tuning_v2/rte".
        task, plm: names that `load_task` and `load_plm` take.
        method_name: a name in `course_utils.tuning.METHODS`.
        result: the published score in per cent, in the task's metric, on `split`; of several
            seeds the highest.
        others: split -> result, where there are several.
        seeds, mean, deviation: how many seeds were run, from `seed` on, their mean and standard
            deviation in per cent; None where only one result is known.
        best_epoch: the one that reached it, counted from 1; None where it is not known.
        length, mlp: the method's hyper-parameters.
        dropout: of the prefix and of the PLM's hidden states.
        layout: how an example is laid out, where the task has several ways.
    """

    name: str
    task: str
    plm: str
    method_name: str
    result: float
    split: str
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    length: int
    mlp: int = 0
    dropout: float = 0.1
    max_length: int | None = None
    schedule: str = "linear"
    warmup: float = 0.0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    best_epoch: int | None = None
    layout: str | None = None
    seeds: int = 1
    mean: float | None = None
    deviation: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    def method(self) -> Method:
        """The tuning method with this run's hyper-parameters."""
        from course_utils.tuning import method_named

        return method_named(
            self.method_name, length=self.length, mlp=self.mlp, dropout=self.dropout
        )

    def settings(self) -> TrainSettings:
        """How it was trained; each epoch is scored, the best is kept."""
        from course_utils.settings import TrainSettings

        return TrainSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            max_length=self.max_length,
            schedule=self.schedule,
            warmup=self.warmup,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            seed=self.seed,
            evaluate_every="epoch",
        )

    def result_on(self, split: str) -> float | None:
        """The published score on a split in per cent; None where none was published."""
        return self.result if split == self.split else self.others.get(split)

    def beaten_by(self, score: float, split: str) -> bool:
        """Whether a score (0 to 1) on a split is above what was published there.

        At the digit that is printed: 240 right of RTE's 277 are the published 86.6, not above it.
        """
        result = self.result_on(split)
        return result is not None and round(100 * score, DIGITS) > result

    def summary(self) -> str:
        """A line for a list: what it is, what it reached, and how."""
        best = "" if self.best_epoch is None else f", best {self.best_epoch}"
        spread = ""
        if self.mean is not None:
            spread = f" ({self.seeds} seeds: {self.mean:.1f} ± {self.deviation:.1f})"
        return (
            f"{self.name} · {self.plm}: {self.result:.1f} on {self.split}{spread}; rate "
            f"{self.learning_rate:g}, length {self.length}{', MLP' if self.mlp else ''}, "
            f"{self.epochs} epochs{best}, batches of {self.batch_size}"
        )


@cache
def recipes() -> tuple[Recipe, ...]:
    """All recipes, in the order of their files."""
    found: list[Recipe] = []
    for path in sorted(HERE.glob("*.toml")):
        if path.stem != TABLES:
            found += _read(path)
    return tuple(found)


def recipe(name: str, plm: str | None = None) -> Recipe:
    """The recipe of that name for a PLM.

    Args:
        name: "p_tuning_v2/rte".
        plm: a PLM's name or family ("roberta-large", "bert-large"). For any other PLM, and
            without one, RoBERTa's settings, or the only ones there are.

    Raises:
        CourseError: an unknown recipe.
    """
    known = [one for one in recipes() if one.name == name]
    if not known:
        raise unknown_name("recipe", name, {one.name for one in recipes()})
    family = _family(plm) if plm else "roberta-large"
    return next((one for one in known if _family(one.plm) == family), known[-1])


def released(task: str, plm: str) -> Recipe | None:
    """The published run of a task with a PLM, if there is one."""
    for one in recipes():
        if one.task == task and _family(one.plm) == _family(plm):
            return one
    return None


@cache
def published(table: str) -> tuple[dict[str, Any], ...]:
    """The rows of a published table; `tables()` names them.

    Raises:
        CourseError: an unknown table.
    """
    known = tables()
    if table not in known:
        raise unknown_name("published table", table, known)
    return tuple(known[table]["rows"])


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Name -> title, source and rows of each published table."""
    return tomllib.loads((HERE / f"{TABLES}.toml").read_text(encoding="utf-8"))


def _family(plm: str) -> str:
    """ "bert-large" for google-bert/bert-large-uncased: what settings are shared by."""
    name = plm.rstrip("/").rsplit("/", 1)[-1].lower()
    return name.removesuffix("-uncased").removesuffix("-cased")


def _read(path: Path) -> list[Recipe]:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    known = {f.name for f in fields(Recipe)}
    made = []
    for run in data["runs"]:
        values = data["defaults"] | run
        odd = values.keys() - known
        if odd:
            raise CourseError(f"{path.name}, {run['task']}: unknown key {sorted(odd)[0]!r}.")
        name = f"{path.stem}/{run['task'].rsplit('/', 1)[-1]}"
        made.append(Recipe(name=name, method_name=data["method"], source=data["source"], **values))
    return made
