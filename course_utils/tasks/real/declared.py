"""What a real task says about itself: its columns and labels, its files, its place on the Hub.

A `RealTask` is data. load.py makes a `Task` of it, from a folder of the user's or from the Hub; the
other modules beside this one hold the tasks themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.tasks.task import Prompt

if TYPE_CHECKING:
    from datasets import Dataset

Rows = list[dict[str, Any]]
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class LocalFiles:
    """Files as people have them.

    Attributes:
        names: split -> the file or folder names that may hold it, the usual one first; one that
            begins with "*" is an ending.
        read: (path, split) -> rows; tags as names, labels as ids.
        expected: in words, what a folder should hold.
    """

    names: Mapping[str, tuple[str, ...]]
    read: Callable[[Path, str], Rows]
    expected: str


@dataclass(frozen=True)
class HubData:
    """Files of a data set on the Hub, without its loading script.

    Attributes:
        repository: owner/name.
        files: split -> the names its files match, as in "rte/train-*.parquet"; explicit, since
            guessing splits from names has mixed up configurations.
        revision: a commit, or a branch where the commit was not known when this was written.
        arrange: (rows, split) -> rows with the task's columns, where they have others; None where
            they are the same.
        sizes: split -> rows, as published; checked at the pinned revision.
    """

    repository: str
    files: Mapping[str, str]
    revision: str
    arrange: Callable[[Dataset, str], Dataset] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RealTask:
    """A task without its data; fields as in `course_utils.tasks.Task`, and where the data are.

    Attributes:
        labels: None where they are collected from the data (roles of SRL).
        hub: None where no open copy exists.
        licence: what to know before using the data, one sentence; empty where there is nothing.
    """

    kind: str
    columns: tuple[str, ...]
    labels: tuple[str, ...] | None
    metric: str
    description: str
    how_to_answer: str
    files: LocalFiles
    hub: HubData | None
    also: tuple[str, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    segments: tuple[str, ...] = ()
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    licence: str = ""
