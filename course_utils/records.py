"""The record of a run: one small JSON file that says what was done and what came out.

Plots, comparisons and the grader read records, never log files. A record is written to a
temporary file and renamed, so a reader sees the old one or the whole new one, never half.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_utils.evaluation import Evaluation

SCHEMA = 1
SUFFIX = "record.json"  # "record.json" itself, or "NAME.record.json"


@dataclass(frozen=True)
class RunRecord:
    """What was run and what it scored.

    Attributes:
        plm, revision: the pre-trained model's name (never a path) and Hub revision.
        task, split, metric, score, n: the score on `split`, over n examples with gold labels.
        dev_score: the best score seen on dev, the one the epoch was chosen by.
        method, hyperparameters: "LoRA" and {"rank": 8, ...}.
        settings: the `TrainSettings` used, defaults filled in.
        seed, train_examples, epochs, steps, best_epoch: epochs may be fractional.
        majority: the score of always giving the most common label of `split`.
        interval: 95 % interval of an accuracy, else None.
        others: the task's further metrics, by name.
        trainable, total: numbers of parameters.
        seconds: training with its dev evaluations. evaluation_seconds: the final one.
        peak_memory_mb: of the GPU where one was used, else of the process; see device.
        history: one entry per dev evaluation: step, epoch, loss, dev_score, seconds.
        notes: anything else worth keeping, such as truncated texts.
    """

    plm: str
    task: str
    method: str
    metric: str
    score: float
    n: int
    split: str = "dev"
    revision: str = ""
    task_revision: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    train_examples: int = 0
    epochs: float = 0
    steps: int = 0
    best_epoch: float = 0
    dev_score: float | None = None
    majority: float | None = None
    interval: tuple[float, float] | None = None
    others: Mapping[str, float] = field(default_factory=dict)
    trainable: int = 0
    total: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    device: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def write(self, path: str | Path) -> Path:
        """Writes the record to `path`, whole or not at all, and returns the path."""
        return write_json(path, asdict(self))

    def scored(self, evaluation: Evaluation) -> RunRecord:
        """The record with another evaluation's split, scores, n, majority and interval."""
        return replace(
            self,
            split=evaluation.split,
            score=evaluation.score,
            n=evaluation.n,
            majority=evaluation.majority,
            interval=evaluation.interval,
            others=evaluation.others,
            evaluation_seconds=round(evaluation.seconds, 2),
        )

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """The record in a file.

        Raises:
            CourseError: no such file, broken JSON, a missing field, a newer schema.
        """
        path = Path(path)
        data = read_json(path)
        if data.get("schema", 0) > SCHEMA:
            raise CourseError(
                f"{path} has schema {data['schema']}, this kit reads up to {SCHEMA}: update it."
            )
        known = {f.name for f in fields(cls)}
        required = ("plm", "task", "method", "metric", "score", "n")
        missing_fields = [name for name in required if name not in data]
        if missing_fields:
            raise CourseError(f"{path} is not a record: it lacks {', '.join(missing_fields)}.")
        kept = {key: value for key, value in data.items() if key in known}
        if kept.get("interval") is not None:
            kept["interval"] = tuple(kept["interval"])
        kept["history"] = tuple(kept.get("history", ()))
        return cls(**kept)


def read_all(folder: str | Path) -> list[RunRecord]:
    """All records below a folder (files named record.json or NAME.record.json), by path."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"no folder of records at {folder}.")
    paths = [p for p in folder.rglob(f"*{SUFFIX}") if p.name == SUFFIX or p.name[-12:-11] == "."]
    return [RunRecord.read(path) for path in sorted(paths)]


def table(records: Iterable[RunRecord]) -> str:
    """Records side by side as text: one line for each, score with its 95 % interval."""
    head = ("plm", "task", "method", "seed", "examples", "trained", "score", "95 %", "s")
    lines = [head]
    for r in records:
        span = f"{r.interval[0]:.3f}-{r.interval[1]:.3f}" if r.interval else ""
        lines.append(
            (
                r.plm,
                r.task,
                r.method,
                str(r.seed),
                f"{r.train_examples:,}",
                f"{r.trainable:,}",
                f"{r.score:.3f}",
                span,
                f"{r.seconds:.0f}",
            )
        )
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(row.rstrip() for row in rows)


def main_process() -> bool:
    """Whether this process writes: False in all but the first of `accelerate launch`."""
    return os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """How many processes train together; 1 but for `accelerate launch` and torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def versions() -> dict[str, str]:
    """Versions of the packages a result depends on."""
    found = {}
    for package in ("peft-course-kit", "torch", "transformers", "datasets", "accelerate"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file; a CourseError says what is wrong with it."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise CourseError(f"no file {path}.") from missing
    except (json.JSONDecodeError, UnicodeDecodeError) as broken:
        raise CourseError(f"{path}: broken JSON ({broken}). Delete it and run again.") from broken
    if not isinstance(data, dict):
        raise CourseError(f"{path}: expected a JSON object.")
    return data


def write_json(path: str | Path, data: Any) -> Path:
    """JSON to a file, whole or not at all."""
    return write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_text(path: str | Path, text: str) -> Path:
    """Text to a file, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return Path(path)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file to write beside `path`; it takes that one's place if all goes well, else it is gone.

    Folders on the way are made. An error in the block leaves what was at `path` as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        with open(draft, "rb+") as written:
            os.fsync(written.fileno())
        draft.chmod(0o666 & ~_umask())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
