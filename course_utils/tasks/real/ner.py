"""Named entities: CoNLL-2003 (Tjong Kim Sang & De Meulder), CoNLL04 (Roth & Yih), OntoNotes 5.0.

Files may be IOB1 or IOB2; the task's tags are IOB2. The score is micro F1 over whole entities.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.tasks.formats import bio
from course_utils.tasks.formats.columns import read_columns
from course_utils.tasks.formats.frames import read_conll2012_names
from course_utils.tasks.real.declared import HubData, LocalFiles, RealTask, Rows

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = {
    "train": ("train.txt", "eng.train", "train", "*train.conll"),
    "dev": ("dev.txt", "valid.txt", "eng.testa", "development", "dev", "*dev.conll"),
    "test": ("test.txt", "eng.testb", "test", "*test.conll"),
}
EXPECTED = (
    "train.txt, dev.txt and test.txt in CoNLL's columns (CoNLL-2003's eng.train, eng.testa and "
    "eng.testb are known, too)"
)
HOW = "Mark the names, each with its kind."
CONLL03 = ("PER", "ORG", "LOC", "MISC")
CONLL04 = ("Peop", "Loc", "Org", "Other")
ONTONOTES = (
    "CARDINAL", "DATE", "EVENT", "FAC", "GPE", "LANGUAGE", "LAW", "LOC", "MONEY", "NORP",
    "ORDINAL", "ORG", "PERCENT", "PERSON", "PRODUCT", "QUANTITY", "TIME", "WORK_OF_ART",
)  # fmt: skip
# The Hub's CoNLL-2003 has numbers for tags, in this order.
CONLL03_IDS = bio.labels(CONLL03)


def _read_conll03(path: Path, split: str) -> Rows:
    return read_columns(path, CONLL03)


def _read_conll04(path: Path, split: str) -> Rows:
    return read_columns(path, CONLL04, word=1, tag=2)


def _read_ontonotes(path: Path, split: str) -> Rows:
    if path.is_dir() or path.name.endswith("_conll"):
        return read_conll2012_names(path)
    return read_columns(path, ONTONOTES)


def _numbered(rows: Dataset, split: str) -> Dataset:
    """Numbers to names, by the data's own list of names where it has one."""
    feature = getattr(rows.features["ner_tags"], "feature", None)
    names = getattr(feature, "names", None) or CONLL03_IDS
    tags = [[names[tag] for tag in sentence] for sentence in rows["ner_tags"]]
    return rows.select_columns(["tokens"]).add_column("tags", tags)


def _spanned(rows: Dataset, split: str) -> Dataset:
    tags = [
        bio.from_spans(
            [(e["start"], e["end"], e["type"]) for e in _listed(row["entities"])],
            len(row["tokens"]),
        )
        for row in rows
    ]
    return rows.select_columns(["tokens"]).add_column("tags", tags)


def _listed(entities: Any) -> list[dict[str, Any]]:
    """A list of dicts; older versions of datasets give one dict of lists."""
    if isinstance(entities, dict):
        keys = list(entities)
        return [dict(zip(keys, v, strict=True)) for v in zip(*entities.values(), strict=True)]
    return list(entities)


def _by_name(rows: Dataset, split: str) -> Dataset:
    """tner's numbers, by its own order: written out since its label file is no data file."""
    tags = [[TNER[tag] for tag in sentence] for sentence in rows["tags"]]
    return rows.select_columns(["tokens"]).add_column("tags", tags)


TNER = (
    "O", "B-CARDINAL", "B-DATE", "I-DATE", "B-PERSON", "I-PERSON", "B-NORP", "B-GPE", "I-GPE",
    "B-LAW", "I-LAW", "B-ORG", "I-ORG", "B-PERCENT", "I-PERCENT", "B-ORDINAL", "B-MONEY",
    "I-MONEY", "B-WORK_OF_ART", "I-WORK_OF_ART", "B-FAC", "B-TIME", "I-CARDINAL", "B-LOC",
    "B-QUANTITY", "I-QUANTITY", "I-NORP", "I-LOC", "B-PRODUCT", "I-TIME", "B-EVENT", "I-EVENT",
    "I-FAC", "B-LANGUAGE", "I-PRODUCT", "I-ORDINAL", "I-LANGUAGE",
)  # fmt: skip


def _task(
    types: tuple[str, ...], description: str, read: Any, hub: HubData, licence: str = ""
) -> RealTask:
    return RealTask(
        kind="tagging",
        columns=("tokens",),
        labels=bio.labels(types),
        metric="seqeval_f1",
        description=description,
        how_to_answer=HOW,
        files=LocalFiles(NAMES, read, EXPECTED),
        hub=hub,
        licence=licence,
    )


TASKS: dict[str, RealTask] = {
    "ner/conll03": _task(
        CONLL03,
        "CoNLL-2003: news of Reuters; people, organisations, places and others.",
        _read_conll03,
        HubData(
            "lhoestq/conll2003",
            {"train": "*train-*.parquet", "dev": "*validation-*.parquet",
             "test": "*test-*.parquet"},
            "main",
            arrange=_numbered,
            sizes={"train": 14041, "dev": 3250, "test": 3453},
        ),
        "The texts are Reuters', for research under their agreement.",
    ),
    "ner/conll04": _task(
        CONLL04,
        "CoNLL04: sentences from news with people, places, organisations and others.",
        _read_conll04,
        HubData(
            "DFKI-SLT/conll04",
            {"train": "*train-*.parquet", "dev": "*validation-*.parquet",
             "test": "*test-*.parquet"},
            "main",
            arrange=_spanned,
            sizes={"train": 922, "dev": 231, "test": 288},
        ),
    ),
    "ner/ontonotes": _task(
        ONTONOTES,
        "OntoNotes 5.0: news, talk shows, telephone, the web; eighteen kinds of names and numbers.",
        _read_ontonotes,
        HubData(
            "tner/ontonotes5",
            {"train": "dataset/train*.json", "dev": "dataset/valid.json",
             "test": "dataset/test.json"},
            "main",
            arrange=_by_name,
            sizes={"train": 59924, "dev": 8528, "test": 8262},
        ),
        "OntoNotes is licensed by the LDC (LDC2013T19), free of charge.",
    ),
}  # fmt: skip
