"""Semantic role labelling, one row for each predicate: CoNLL-2005 and CoNLL-2012.

The labels are those of the data: roles differ between releases (A0 or ARG0). "test" is the Wall
Street Journal's, "ood" the Brown corpus: texts of other kinds, which CoNLL-2005 has for this.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.tasks.formats.frames import (
    read_bars,
    read_conll2005,
    read_conll2012,
    read_up,
)
from course_utils.tasks.formats.lines import read_lines
from course_utils.tasks.real.declared import HubData, LocalFiles, RealTask, Rows

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = {
    "train": ("train.txt", "train", "train-set", "*-train.conllu", "*-train.conllup"),
    "dev": ("dev.txt", "dev", "development", "dev-set", "*-dev.conllu", "*-dev.conllup"),
    "test": ("test.txt", "test-wsj.txt", "test", "test-wsj", "test.wsj", "*-test.conllu",
             "*-test.conllup"),
    "ood": ("test-brown.txt", "test-brown", "test.brown", "brown.txt"),
}  # fmt: skip
EXPECTED = (
    "train.txt, dev.txt, test-wsj.txt and test-brown.txt in CoNLL-2005's columns (or lines "
    "'verb_index words ||| tags'), folders train, development and test of *_conll files, or "
    "CoNLL-U files with Universal PropBank's columns"
)


def read_frames(path: Path, split: str) -> Rows:
    """The rows of a file or folder, in whichever of the formats it is.

    A folder of CoNLL-2005 holds words and props: a file in it each whose name says so.
    """
    if path.is_dir():
        files = [p for p in sorted(path.rglob("*")) if p.is_file()]
        if any(p.suffix in (".conllu", ".conllup") for p in files):
            return read_up(path)
        words = [p for p in files if "words" in p.name]
        props = [p for p in files if "props" in p.name]
        if len(words) == len(props) == 1:
            return read_conll2005(words[0], props[0])
        return read_conll2012(path)
    if path.suffix in (".conllu", ".conllup"):
        return read_up(path)
    if path.name.endswith("_conll"):
        return read_conll2012(path)
    first = next((line for line in read_lines(path) if line.strip()), "")
    return read_bars(path) if "|||" in first else read_conll2005(path)


def _flattened(rows: Dataset, split: str) -> Dataset:
    """Documents of sentences of frames, as the Hub's CoNLL-2012 has them: a row per predicate."""
    from datasets import Dataset

    names = _frame_labels(rows)
    found: Rows = []
    for document in rows:
        for sentence in document["sentences"]:
            for frame in sentence["srl_frames"]:
                tags = [names[tag] if names else str(tag) for tag in frame["frames"]]
                verb = next((i for i, tag in enumerate(tags) if tag == "B-V"), None)
                if verb is not None:
                    found.append({"tokens": sentence["words"], "verb_index": verb, "tags": tags})
    return Dataset.from_list(found)


def _frame_labels(rows: Dataset) -> list[str] | None:
    """Names of the tags, where the data have numbers for them."""
    feature = rows.features["sentences"]
    for key in ("srl_frames", "frames", None):
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, list):
            feature = feature[0]
        if key is not None:
            feature = feature[key]
    return getattr(feature, "names", None)


def _task(description: str, hub: HubData | None, licence: str) -> RealTask:
    return RealTask(
        kind="tagging",
        columns=("tokens", "verb_index"),
        labels=None,
        metric="seqeval_f1",
        description=description,
        how_to_answer="For the one verb asked about: who does what to whom, where, when, how.",
        files=LocalFiles(NAMES, read_frames, EXPECTED),
        hub=hub,
        licence=licence,
    )


TASKS: dict[str, RealTask] = {
    "srl/conll05": _task(
        "CoNLL-2005: the Wall Street Journal with PropBank's roles; out of domain, Brown.",
        None,
        "CoNLL-2005 needs the Penn Treebank, which the LDC sells, and is nowhere open; an open "
        "stand-in in another format is Universal PropBank's UP_English-EWT.",
    ),
    "srl/conll12": _task(
        "CoNLL-2012: OntoNotes' texts with PropBank's roles.",
        HubData(
            "ontonotes/conll2012_ontonotesv5",
            {"train": "english_v4/train/*.parquet", "dev": "english_v4/validation/*.parquet",
             "test": "english_v4/test/*.parquet"},
            "refs/convert/parquet",
            arrange=_flattened,
        ),
        "Licence CC BY-NC-ND: not for commerce, and not to be passed on changed.",
    ),
}  # fmt: skip
