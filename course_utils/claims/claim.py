"""What a claim is.

A claim of a paper becomes a list of cells (an arm of the comparison, on a task, at a place x such
as a number of examples), each measured once per seed, and a rule that turns the scores into one
number per seed: how much better the claimed side did. The verdict follows from these numbers
alone, by the same rule for every claim (verdict.py).

A seed is a replication of its own: it draws training, dev and test examples anew, the new
parameters and the order of batches. Two arms of one seed share all of that, so they are compared
as a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Protocol

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_utils.claims.bench import Bench
    from course_utils.records import RunRecord

MASKED, CAUSAL = "masked", "causal"
NO_PRETRAINING = "no pre-training"  # the arm that is the control in a chart of methods
DEFAULT_PLMS = {MASKED: "pocket-bert-base", CAUSAL: "pocket-gpt2"}
X = int | str | None


@dataclass(frozen=True)
class Scale:
    """How large the measurements are.

    Attributes:
        seeds: replications behind each mean.
        quick: a look at whether everything runs: few updates, one task, scores mean little.
        tests, dev: examples a score is the mean of, and those the learning rate is chosen on.
    """

    seeds: int = 5
    quick: bool = False
    tests: int = 1000
    dev: int = 500

    @classmethod
    def made(cls, seeds: int | None = None, quick: bool = False) -> Scale:
        """The default scale, or the quick one (2 seeds); `seeds` overrides their number.

        Raises:
            CourseError: fewer than 2 seeds; one number has no interval.
        """
        if seeds is not None and seeds < 2:
            raise CourseError(
                f"{seeds} seeds: a verdict needs an interval, and that needs 2 seeds or more."
            )
        if quick:
            return cls(seeds or 2, quick=True, tests=200, dev=100)
        return cls(seeds or 5)

    def updates(self, full: int) -> int:
        """Updates of a training that has `full` at full size."""
        return max(1, full // 8) if self.quick else full

    def some(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """All of them; with `quick` the first."""
        return tuple(values[:1] if self.quick else values)


class Measure(Protocol):
    """One measurement: a frozen dataclass, whose repr says all that decides its result."""

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        """Measure on that task with that seed."""

    def cost(self, scale: Scale, seed: int) -> Cost:
        """What it takes, for the estimate of the time."""


@dataclass(frozen=True)
class Cost:
    """Updates on 16 examples, and examples answered without training."""

    updates: float = 0
    answers: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.updates + other.updates, self.answers + other.answers)


@dataclass(frozen=True)
class Cell:
    """One mean of a claim's table.

    Attributes:
        arm: what is compared, in words: "prompt", "new head".
        task: a name `load_task` knows.
        measure: how it is measured.
        x: the place on the horizontal axis, where the claim has one.
        plm: `MASKED` or `CAUSAL` (the PLM of that kind the command was given), or a PLM's name.
    """

    arm: str
    task: str
    measure: Measure
    x: X = None
    plm: str = MASKED


@dataclass(frozen=True)
class Row:
    """What a cell came to: plain data, a row of results.json.

    Attributes:
        scores: by seed, 0 first. metric, majority, chance: of the task (majority: mean over seeds).
        learning_rate: of the trainings, where there were any; seconds: mean for one seed.
        notes: what else is worth knowing, such as the prompts that were found.
        also: other metrics of the same runs, by seed; no gain is made of them.
    """

    arm: str
    task: str
    x: X
    plm: str
    scores: tuple[float, ...]
    metric: str = "accuracy"
    majority: float = 0.0
    chance: float = 0.0
    learning_rate: float | None = None
    trainable: int = 0
    total: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    also: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return fmean(self.scores)

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds, 0 for one."""
        return stdev(self.scores) if len(self.scores) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "mean": round(self.mean, 4), "std": round(self.std, 4)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        kept = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name in ("scores", "notes"):
            kept[name] = tuple(kept.get(name, ()))
        kept["also"] = {name: tuple(values) for name, values in kept.get("also", {}).items()}
        return cls(**kept)


@dataclass(frozen=True)
class Findings:
    """All rows of a claim, to be asked for scores by seed."""

    rows: tuple[Row, ...] = field(default=())

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(row.task for row in self.rows))

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(row.arm for row in self.rows))

    @property
    def xs(self) -> list[X]:
        """In the order of the cells."""
        return list(dict.fromkeys(row.x for row in self.rows))

    @property
    def seeds(self) -> int:
        """Seeds that every row has."""
        return min((len(row.scores) for row in self.rows), default=0)

    def select(
        self, arm: str | None = None, task: str | None = None, x: X | Sequence[X] = None
    ) -> list[Row]:
        """Rows of that arm, task and x (or one of several x); None takes all."""
        several = x if isinstance(x, list | tuple) else (x,)
        return [
            row
            for row in self.rows
            if (arm is None or row.arm == arm)
            and (task is None or row.task == task)
            and (x is None or row.x in several)
        ]

    def scores(
        self, arm: str, task: str | None = None, x: X | Sequence[X] = None
    ) -> tuple[float, ...]:
        """One number per seed: the mean over the selected rows.

        Raises:
            CourseError: no such row.
        """
        rows = self.select(arm, task, x)
        if not rows:
            raise CourseError(f"nothing was measured for {arm!r} (task {task}, x {x}).")
        return tuple(fmean(values) for values in zip(*(row.scores for row in rows), strict=True))

    def gain(
        self, better: str, worse: str, task: str | None = None, x: X | Sequence[X] = None
    ) -> list[float]:
        """Per seed: score of arm `better` minus that of arm `worse` on the same data.

        Only places where both arms were measured count.
        """
        both = {(r.task, r.x) for r in self.select(better, task, x)}
        both &= {(r.task, r.x) for r in self.select(worse, task, x)}
        if not both:
            raise CourseError(f"{better!r} and {worse!r} were not measured at the same places.")
        shared = Findings(tuple(row for row in self.rows if (row.task, row.x) in both))
        pairs = zip(shared.scores(better), shared.scores(worse), strict=True)
        return [a - b for a, b in pairs]


@dataclass(frozen=True)
class Claim:
    """A sentence of the course that can turn out wrong.

    Attributes:
        name: what --only takes.
        sentence: the claim.
        source: who made it, where.
        measured: what is done here to test it, in words for a reader who knows the course.
        rule: what the difference is and when the claim holds, in words; `gains` in code.
        cells: what to measure at a scale.
        gains: from the findings one number per seed, positive where the claim is right.
        more_than: the claim holds where the mean gain is surely above this.
        remark: one more sentence from the findings, such as where two curves meet.
        large: what the source says of size, where it reports the effect for large PLMs only;
            a claim that has this and fails here is said to need a large PLM.
        arm_title, x_title: what an arm is called in the table; the horizontal axis.
        x_ordered: its places have an order, so that a line through them means something.
        unit: what a hundredth of a gain is called: points of accuracy, percent.
        chart: "places" draws the arms along x (or in rows); "parameters" scores against the
            number of trained parameters.
    """

    name: str
    sentence: str
    source: str
    measured: str
    rule: str
    cells: Callable[[Scale], Sequence[Cell]]
    gains: Callable[[Findings], Sequence[float]]
    more_than: float = 0.0
    remark: Callable[[Findings], str] | None = None
    large: str = ""
    arm_title: str = "method"
    x_title: str = ""
    x_ordered: bool = True
    unit: str = "points"
    chart: str = "places"
