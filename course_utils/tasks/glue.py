"""GLUE (Wang et al. 2019) from its own tab-separated files or from the Hub.

A GLUE folder holds train.tsv and dev.tsv with a header line and, unlike csv, no quoting: a
quotation mark is a character like any other. Test labels are not public, so a GLUE task has
no "test" split and is scored on "dev"; a test file or Hub test split becomes "unlabelled".
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.tasks.task import NO_LABEL, Prompt, Task

if TYPE_CHECKING:
    from datasets import Dataset

HUB_ID = "nyu-mll/glue"
HUB_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # parquet files, no script
HUB_SPLITS = {"train": "train", "dev": "validation", "unlabelled": "test"}


@dataclass(frozen=True)
class GlueTask:
    """What one GLUE task says about itself; one entry per task in `GLUE`."""

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str
    description: str
    how_to_answer: str
    prompts: tuple[Prompt, ...] = ()


_MOVIE = {"negative": ("terrible",), "positive": ("great",)}

GLUE: dict[str, GlueTask] = {
    "sst2": GlueTask(
        columns=("sentence",),
        labels=("negative", "positive"),
        metric="accuracy",
        description="Stanford Sentiment Treebank: phrases from film reviews, two classes.",
        how_to_answer="Read the phrase and say whether its writer liked the film.",
        prompts=(
            Prompt("{sentence} It was {mask} .", _MOVIE),
            Prompt("{sentence} All in all , the film was {mask} .", _MOVIE),
            Prompt("Just {mask} ! {sentence}", _MOVIE),
        ),
    ),
}


def from_folder(name: str, folder: Path) -> Task:
    """A GLUE task from a folder with train.tsv and dev.tsv (test.tsv optional).

    Raises:
        CourseError: folder or file missing, a header without the expected columns, a line
            with another number of fields, a label that is none: file, line, what was expected.
    """
    info = GLUE[name]
    if not folder.is_dir():
        raise CourseError(
            f"data folder {folder} does not exist; glue/{name} expects one with train.tsv and "
            "dev.tsv."
        )
    splits = {}
    for split in ("train", "dev"):
        path = folder / f"{split}.tsv"
        if not path.is_file():
            there = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
            raise CourseError(
                f"glue/{name}: {path} is missing; {folder} holds {there}. "
                "Expected train.tsv and dev.tsv."
            )
        splits[split] = read_tsv(path, info)
    if (folder / "test.tsv").is_file():
        splits["unlabelled"] = read_tsv(folder / "test.tsv", info, labelled=False)
    return _task(name, splits, source="local files")


def read_tsv(path: Path, info: GlueTask, *, labelled: bool = True) -> Dataset:
    """One GLUE file: text columns as strings, "label" as int (no column when unlabelled).

    Lines end at "\\n" only: some texts contain other characters Python counts as line ends.
    """
    from datasets import Dataset

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as broken:
        line = path.read_bytes()[: broken.start].count(b"\n") + 1
        raise CourseError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from broken
    lines = text.removeprefix("\ufeff").split("\n")
    header = lines[0].rstrip("\r").split("\t")
    wanted = [*info.columns, *(["label"] if labelled else [])]
    missing = [c for c in wanted if c not in header]
    if missing:
        raise CourseError(
            f"{path}, line 1: no column {missing[0]!r}; expected a header with "
            f"{', '.join(wanted)} separated by tabs, found {', '.join(header)}."
        )
    at = [header.index(c) for c in wanted]
    columns: dict[str, list[Any]] = {c: [] for c in wanted}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip("\r"):
            if any(rest.strip() for rest in lines[number:]):
                raise CourseError(f"{path}, line {number}: empty; expected {len(header)} fields.")
            break
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(header):
            raise CourseError(
                f"{path}, line {number}: {len(fields)} fields; expected {len(header)} "
                f"({', '.join(header)}) separated by tabs."
            )
        for column, index in zip(wanted, at, strict=True):
            value = fields[index]
            columns[column].append(
                _label(value, info, path, number) if column == "label" else value
            )
    if not columns[wanted[0]]:
        raise CourseError(f"{path} has a header but no example.")
    return Dataset.from_dict(columns)


def _label(value: str, info: GlueTask, path: Path, line: int) -> int:
    known = {str(i): i for i in range(len(info.labels))}
    known |= {name: i for i, name in enumerate(info.labels)}
    if value.strip() not in known:
        raise CourseError(
            f"{path}, line {line}: label {value!r}; expected "
            f"{' or '.join(f'{i} ({name})' for i, name in enumerate(info.labels))}."
        )
    return known[value.strip()]


def from_hub(name: str, revision: str | None = None) -> Task:
    """A GLUE task from the Hub, at `HUB_REVISION` unless another is given.

    Raises:
        CourseError: the Hub can't be reached, with the offline way out.
    """
    from datasets import load_dataset

    revision = revision or HUB_REVISION
    try:
        with _no_retry_notes():
            hub = load_dataset(HUB_ID, name, revision=revision)
    except Exception as failed:  # the Hub client raises many kinds, all of them meaning this
        reason = str(failed).strip().splitlines()[0] if str(failed).strip() else "no reason given"
        raise CourseError(
            f"glue/{name} could not be loaded from the Hub ({HUB_ID}): {type(failed).__name__}: "
            f"{reason} Without a network give a folder with train.tsv and dev.tsv: "
            f"data=FOLDER, or --data FOLDER on the command line."
        ) from failed
    splits = {}
    for ours, theirs in HUB_SPLITS.items():
        if theirs not in hub:
            raise CourseError(f"{HUB_ID} {name} has no split {theirs!r}; it has {list(hub)}.")
        rows = hub[theirs]
        if ours == "unlabelled":
            rows = rows.remove_columns([c for c in ("label",) if c in rows.column_names])
        elif NO_LABEL in set(rows["label"]):
            rows = rows.filter(lambda row: row["label"] != NO_LABEL)
        splits[ours] = rows
    return _task(name, splits, source=HUB_ID, revision=revision)


@contextlib.contextmanager
def _no_retry_notes() -> Iterator[None]:
    """Without the Hub client's line per retry: the error at the end says it once."""
    notes = logging.getLogger("huggingface_hub")
    before = notes.level
    notes.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notes.setLevel(before)


def _task(name: str, splits: dict[str, Dataset], source: str, revision: str = "") -> Task:
    info = GLUE[name]
    return Task(
        name=f"glue/{name}",
        kind="classification",
        columns=info.columns,
        labels=info.labels,
        metric=info.metric,
        splits=splits,
        description=info.description,
        how_to_answer=info.how_to_answer,
        prompts=info.prompts,
        source=source,
        revision=revision,
    )
