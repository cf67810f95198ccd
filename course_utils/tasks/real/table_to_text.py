"""Tables to be said in sentences: E2E (Novikova et al. 2017) and WebNLG (Gardent et al. 2017).

A row is a table with one of its texts; evaluation takes all texts of a table as references.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.tasks.formats.tables import linearised, read_e2e, read_webnlg
from course_utils.tasks.real.declared import HubData, LocalFiles, RealTask, Rows

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = ("meaning_representation", "human_reference")
METRICS = ("nist", "meteor", "rouge_l", "cider")
HOW = "Say everything the table says, once, in a fluent text, and nothing else."


def _read_e2e(path: Path, split: str) -> Rows:
    return read_e2e(path)


def _read_webnlg(path: Path, split: str) -> Rows:
    return read_webnlg(path)


def _with_texts(rows: Dataset, split: str) -> Dataset:
    """The Hub's WebNLG has a list of triples and, outside train, a list of references."""
    from datasets import Dataset

    found: Rows = []
    for row in rows:
        table = linearised(list(row["input"]))
        texts = list(row.get("references") or []) or [row["target"]]
        found += [
            {"meaning_representation": table, "human_reference": text, "id": row.get("webnlg_id")}
            for text in texts
        ]
    return Dataset.from_list(found)


def _task(description: str, files: LocalFiles, hub: HubData) -> RealTask:
    return RealTask(
        kind="generation",
        columns=COLUMNS,
        labels=(),
        metric="bleu",
        also=METRICS,
        description=description,
        how_to_answer=HOW,
        files=files,
        hub=hub,
    )


TASKS: dict[str, RealTask] = {
    "e2e": _task(
        "E2E: restaurants as attributes with values, several texts for each.",
        LocalFiles(
            {"train": ("trainset.csv", "train.csv"), "dev": ("devset.csv", "dev.csv"),
             "test": ("testset_w_refs.csv", "test.csv")},
            _read_e2e,
            "E2E's trainset.csv, devset.csv and testset_w_refs.csv",
        ),
        HubData(
            "tuetschek/e2e_nlg",
            {"train": "*train/*.parquet", "dev": "*validation/*.parquet",
             "test": "*test/*.parquet"},
            "refs/convert/parquet",
            sizes={"train": 42061, "dev": 4672, "test": 4693},
        ),
    ),
    "webnlg": _task(
        "WebNLG: facts of DBpedia as triples, several texts for each set.",
        LocalFiles(
            {"train": ("train", "train.xml"), "dev": ("dev", "dev.xml"),
             "test": ("test", "test.xml")},
            _read_webnlg,
            "WebNLG's folders train, dev and test of xml files",
        ),
        HubData(
            "GEM/web_nlg",
            {"train": "en/train/*.parquet", "dev": "en/validation/*.parquet",
             "test": "en/test/*.parquet"},
            "refs/convert/parquet",
            arrange=_with_texts,
        ),
    ),
}  # fmt: skip
