"""Two tasks of their own: SNLI (Bowman et al. 2015) and AG News (Zhang et al. 2015)."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.tasks.formats.jsonl import read_jsonl
from course_utils.tasks.formats.lines import fail, read_lines
from course_utils.tasks.real.declared import HubData, LocalFiles, RealTask, Rows
from course_utils.tasks.task import NO_LABEL, Prompt

if TYPE_CHECKING:
    from datasets import Dataset

SNLI_LABELS = ("entailment", "neutral", "contradiction")
SECTIONS = ("world", "sports", "business", "science")
DEV_ROWS, DEV_SEED = 5000, 0  # AG News has no dev set: drawn from train, the same for everybody


def _read_snli(path: Path, split: str) -> Rows:
    """The published jsonl; "-" is a pair on which its five writers did not agree."""
    labels = {name: i for i, name in enumerate(SNLI_LABELS)} | {"-": NO_LABEL}

    def arrange(found: dict) -> dict:
        return {
            "premise": found["sentence1"],
            "hypothesis": found["sentence2"],
            "label": found["gold_label"],
        }

    rows = read_jsonl(path, {"premise": str, "hypothesis": str}, labels=labels, arrange=arrange)
    return [row for row in rows if row["label"] != NO_LABEL]


def _read_agnews(path: Path, split: str) -> Rows:
    """The published csv: class from 1 to 4, title, description."""
    rows = []
    reader = csv.reader(read_lines(path), strict=True)
    try:
        for fields in reader:
            if not fields:
                continue
            if len(fields) != 3 or fields[0] not in ("1", "2", "3", "4"):
                raise fail(
                    path, reader.line_num, "expected a class from 1 to 4, a title and a text."
                )
            rows.append({"text": f"{fields[1]} {fields[2]}", "label": int(fields[0]) - 1})
    except csv.Error as broken:
        raise fail(path, reader.line_num, f"broken csv ({broken}).") from broken
    if split == "test" or path.with_name("dev.csv").is_file():
        return rows
    return [rows[i] for i in _part(len(rows), split)]


def _part_of_train(rows: Dataset, split: str) -> Dataset:
    return rows if split == "test" else rows.select(_part(len(rows), split))


def _part(published: int, split: str) -> list[int]:
    """Which rows of the published train set are train, and which dev."""
    size = min(DEV_ROWS, published // 10)
    chosen = set(random.Random(DEV_SEED).sample(range(published), size))
    return [i for i in range(published) if (i in chosen) == (split == "dev")]


TASKS: dict[str, RealTask] = {
    "snli": RealTask(
        kind="classification",
        columns=("premise", "hypothesis"),
        labels=SNLI_LABELS,
        metric="accuracy",
        description="Stanford Natural Language Inference: captions of photographs, and sentences "
        "that are true, may be true, or are false of the same photograph.",
        how_to_answer="Picture the premise; say whether the hypothesis must, may or can't be true.",
        prompts=(
            Prompt(
                "{premise} ? {mask} , {hypothesis}",
                {"entailment": ("Yes",), "neutral": ("Maybe",), "contradiction": ("No",)},
            ),
        ),
        files=LocalFiles(
            {"train": ("snli_1.0_train.jsonl", "train.jsonl"),
             "dev": ("snli_1.0_dev.jsonl", "dev.jsonl"),
             "test": ("snli_1.0_test.jsonl", "test.jsonl")},
            _read_snli,
            "SNLI's snli_1.0_train.jsonl, snli_1.0_dev.jsonl and snli_1.0_test.jsonl",
        ),
        hub=HubData(
            "stanfordnlp/snli",
            {"train": "plain_text/train-*.parquet", "dev": "plain_text/validation-*.parquet",
             "test": "plain_text/test-*.parquet"},
            "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
            sizes={"train": 550152, "dev": 10000, "test": 10000},
        ),
    ),
    "agnews": RealTask(
        kind="classification",
        columns=("text",),
        labels=SECTIONS,
        metric="accuracy",
        description="AG News: title and first sentences of an article, four sections. Its dev set "
        f"is {DEV_ROWS:,} rows of the published train set.",
        how_to_answer="Name the section of a newspaper it would stand in.",
        prompts=(
            Prompt(
                "{mask} News: {text}",
                {"world": ("World",), "sports": ("Sports",), "business": ("Business",),
                 "science": ("Tech",)},
            ),
        ),
        files=LocalFiles(
            {"train": ("train.csv",), "dev": ("dev.csv", "train.csv"), "test": ("test.csv",)},
            _read_agnews,
            "AG News' train.csv and test.csv",
        ),
        hub=HubData(
            "fancyzhx/ag_news",
            {"train": "data/train-*.parquet", "dev": "data/train-*.parquet",
             "test": "data/test-*.parquet"},
            "eb185aade064a813bc0b7f42de02595523103ca4",
            arrange=_part_of_train,
            sizes={"train": 120000 - DEV_ROWS, "dev": DEV_ROWS, "test": 7600},
        ),
    ),
}  # fmt: skip
