"""From a declared task to a `Task` with its data, from a folder or from the Hub."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError
from course_utils.tasks.real.declared import UNLABELLED, HubData, RealTask, Rows
from course_utils.tasks.task import NO_LABEL, Task

if TYPE_CHECKING:
    from datasets import Dataset


def from_folder(name: str, real: RealTask, folder: Path) -> Task:
    """The task from files of the user's, or from a copy of the Hub's repository.

    Splits that are not there are left out; asking the task for one says which file it would be in.

    Raises:
        CourseError: no such folder, none of the files in it, two files for one split, or what a
            reader finds wrong with a file.
    """
    if not folder.is_dir():
        raise CourseError(
            f"data folder {folder} does not exist; {name} expects one with {real.files.expected}."
        )
    if real.hub is not None:
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        chosen = _wanted(real.hub, sorted(names))
        if chosen:
            splits = _from_repository(name, real.hub, folder, chosen)
            return _task(name, real, splits, "local files")
    found, absent = {}, {}
    for split, names in real.files.names.items():
        path = _one_of(folder, names, split)
        if path is None:
            absent[split] = f"{folder} has no {_named(names)}"
        else:
            found[split] = path
    if not set(found) - {UNLABELLED}:
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise CourseError(
            f"{name}: {folder} holds {there}; expected {real.files.expected}. A file with the "
            "answers is missing."
        )
    rows = {split: real.files.read(path, split) for split, path in found.items()}
    return _task(name, real, _datasets(rows), "local files", absent=absent)


def from_hub(name: str, real: RealTask, revision: str | None = None) -> Task:
    """The task from the Hub, at the pinned revision unless another is given.

    Raises:
        CourseError: the data are not on the Hub, or can't be had from it now; both times with the
            way to use one's own copy.
    """
    own = (
        f"Own files: load_task({name!r}, data=FOLDER), or --data FOLDER on the command line, with "
        f"{real.files.expected}."
    )
    if real.hub is None:
        raise CourseError(f"{name} is not on the Hub. {real.licence} {own}")
    from course_utils.hub import fetch

    snapshot = fetch(
        real.hub.repository,
        "dataset",
        wanted=lambda names: _wanted(real.hub, names),
        revision=revision or real.hub.revision,
        offline_hint=f"Then load_task({name!r}, data=FOLDER) takes it. {own}",
    )
    splits = _from_repository(name, real.hub, snapshot.folder, snapshot.files)
    if revision is None:
        _check_sizes(name, real.hub, splits)
    return _task(name, real, splits, real.hub.repository, revision=snapshot.commit)


def _from_repository(
    name: str, hub: HubData, folder: Path, names: Iterable[str]
) -> dict[str, Dataset]:
    """The splits from the Hub's files, wherever they lie."""
    splits = {}
    for split, pattern in hub.files.items():
        rows = _read([folder / n for n in names if fnmatch.fnmatch(n, pattern)], name)
        splits[split] = rows if hub.arrange is None else hub.arrange(rows, split)
    return splits


def _one_of(folder: Path, names: Sequence[str], split: str) -> Path | None:
    """The file or folder of a split: the first of its names that is there."""
    for name in names:
        if not name.startswith("*"):
            if (folder / name).exists():
                return folder / name
            continue
        found = sorted(p for p in folder.iterdir() if p.name.endswith(name[1:]))
        if len(found) > 1:
            raise CourseError(
                f"{folder} holds {found[0].name} and {found[1].name}: which is the {split!r} "
                "split? Leave one of them there."
            )
        if found:
            return found[0]
    return None


def _named(names: Sequence[str]) -> str:
    return " or ".join(f"file ending in {n[1:]}" if n[0] == "*" else n for n in names)


def _wanted(hub: HubData, names: Sequence[str]) -> list[str]:
    """All files of all splits, each once; none where a split has no file."""
    chosen: list[str] = []
    for pattern in hub.files.values():
        matched = fnmatch.filter(names, pattern)
        if not matched:
            return []
        chosen += [name for name in matched if name not in chosen]
    return chosen


def _read(paths: Sequence[Path], name: str) -> Dataset:
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar

    kind = "parquet" if paths[0].suffix == ".parquet" else "json"
    disable_progress_bar()
    try:
        files = {"rows": [str(path) for path in paths]}
        return load_dataset(kind, data_files=files, split="rows")
    except Exception as broken:
        reason = (str(broken).strip() or type(broken).__name__).splitlines()[0]
        raise CourseError(
            f"{name}: {paths[0].name} can't be read: {reason} If the disk is full, set HF_HOME to "
            "a folder on another one."
        ) from broken
    finally:
        enable_progress_bar()


def _check_sizes(name: str, hub: HubData, splits: Mapping[str, Dataset]) -> None:
    for split, size in hub.sizes.items():
        if split in splits and len(splits[split]) != size:
            raise CourseError(
                f"{name}: split {split!r} of {hub.repository} has {len(splits[split]):,} rows; "
                f"expected {size:,}. The repository has changed: give revision=COMMIT to use what "
                "is there now."
            )


def _labelled(rows: Dataset, split: str) -> Dataset:
    """Without rows that have no gold label; in the unlabelled split without the column."""
    if "label" not in rows.column_names:
        return rows
    if split == UNLABELLED:
        return rows.remove_columns("label")
    labels = list(rows["label"])
    if NO_LABEL in labels and not any(isinstance(value, float) for value in labels):
        rows = rows.select([i for i, value in enumerate(labels) if value != NO_LABEL])
    return rows


def _datasets(rows: Mapping[str, Rows]) -> dict[str, Dataset]:
    from datasets import Dataset

    return {split: Dataset.from_list(some) for split, some in rows.items()}


def _with_tag_ids(
    splits: Mapping[str, Dataset], labels: Sequence[str] | None
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Tags, until here names, as ids; the labels where they were not known before."""
    tags = {split: list(rows["tags"]) for split, rows in splits.items()}
    labels = tuple(labels or collected(tags.values()))
    ids = {label: i for i, label in enumerate(labels)}
    made = {}
    for split, rows in splits.items():
        numbers = [[ids[tag] for tag in sentence] for sentence in tags[split]]
        made[split] = rows.remove_columns("tags").add_column("tags", numbers)
    return made, labels


def collected(splits: Iterable[Sequence[Sequence[str]]]) -> tuple[str, ...]:
    """The labels of a tagging task from its data, by name: O, B-A0, I-A0, B-A1 ..."""
    from course_utils.tasks.formats import bio

    kinds = {kind for tags in splits for sentence in tags for kind in bio.types(set(sentence))}
    return bio.labels(sorted(kinds))


def _task(
    name: str,
    real: RealTask,
    splits: Mapping[str, Dataset],
    source: str,
    *,
    revision: str = "",
    absent: Mapping[str, str] | None = None,
) -> Task:
    labels = real.labels
    if real.kind == "tagging":
        splits, labels = _with_tag_ids(splits, labels)
    else:
        splits = {split: _labelled(rows, split) for split, rows in splits.items()}
    return Task(
        name=name,
        kind=real.kind,
        columns=real.columns,
        labels=labels,
        metric=real.metric,
        also=real.also,
        splits=splits,
        description=f"{real.description} {real.licence}".strip(),
        how_to_answer=real.how_to_answer,
        prompts=real.prompts,
        segments=real.segments,
        layouts=real.layouts,
        source=source,
        revision=revision,
        absent=absent or {},
    )
