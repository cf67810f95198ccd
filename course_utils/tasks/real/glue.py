"""GLUE (Wang et al. 2019, arXiv:1804.07461): single sentences and pairs.

Test labels are not public, so a task is scored on "dev". The Hub's copy has the same rows. MNLI's
"dev" is the matched one; "dev_mismatched" has texts of other kinds than the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.tasks.formats.tsv import read_tsv
from course_utils.tasks.real.declared import UNLABELLED, HubData, LocalFiles, RealTask, Rows
from course_utils.tasks.task import Prompt

if TYPE_CHECKING:
    from datasets import Dataset

REPOSITORY = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
NAMES = {
    "train": ("train.tsv",),
    "dev": ("dev.tsv", "dev_matched.tsv"),
    UNLABELLED: ("test.tsv", "test_matched.tsv"),
}
ENTAILMENT = ("entailment", "not_entailment")
INFERENCE = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class _Reader:
    """Reads one task's files: our columns -> theirs, the label's column, names or numbers."""

    columns: Mapping[str, str]
    label: str
    labels: tuple[str, ...]
    header: Sequence[str] | None = None
    broken: int = 0

    def __call__(self, path: Path, split: str) -> Rows:
        if split == UNLABELLED:
            test = {ours: ours if self.header else theirs for ours, theirs in self.columns.items()}
            return read_tsv(path, test)
        return read_tsv(
            path,
            self.columns,
            header=self.header,
            label=self.label,
            to_label=_label_of(self.labels),
            broken=self.broken,
        )


def _label_of(names: tuple[str, ...]) -> Callable[[str], Any]:
    """From a file's label, by number or name, to its id; a score where there are no names."""
    known = {str(i): i for i in range(len(names))} | {n: i for i, n in enumerate(names)}

    def value(text: str) -> int:
        if text not in known:
            raise ValueError(" or ".join(f"{i} ({name})" for i, name in enumerate(names)))
        return known[text]

    def score(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 5:
            raise ValueError("a number from 0 to 5")
        return found

    return value if names else score


def _task(
    config: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    metric: str,
    description: str,
    how_to_answer: str,
    sizes: tuple[int, int],
    *,
    named: Mapping[str, str] | None = None,
    label: str = "label",
    header: Sequence[str] | None = None,
    broken: int = 0,
    also: tuple[str, ...] = (),
    prompts: tuple[Prompt, ...] = (),
    matched: str = "",
) -> RealTask:
    """One GLUE task; `named` says which of its columns a file calls otherwise."""
    theirs = {column: (named or {}).get(column, column) for column in columns}
    files = {
        "train": f"{config}/train-*.parquet",
        "dev": f"{config}/validation{matched}-*.parquet",
        UNLABELLED: f"{config}/test{matched}-*.parquet",
    }
    if matched:
        files["dev_mismatched"] = f"{config}/validation_mismatched-*.parquet"
    train, dev = sizes
    return RealTask(
        kind="classification" if labels else "regression",
        columns=columns,
        labels=labels,
        metric=metric,
        also=also,
        description=description,
        how_to_answer=how_to_answer,
        prompts=prompts,
        files=LocalFiles(
            NAMES | ({"dev_mismatched": ("dev_mismatched.tsv",)} if matched else {}),
            _Reader(theirs, label, labels, header, broken),
            "GLUE's train.tsv and dev.tsv (dev_matched.tsv for MNLI)",
        ),
        hub=HubData(
            REPOSITORY,
            files,
            REVISION,
            arrange=_as_inference if config == "rte" else None,
            sizes={"train": train, "dev": dev},
        ),
    )


def _as_inference(rows: Dataset, split: str) -> Dataset:
    """The Hub's copy calls RTE's texts sentence1 and sentence2."""
    return rows.rename_columns({"sentence1": "premise", "sentence2": "hypothesis"})


_MOVIE = {"negative": ("terrible",), "positive": ("great",)}
_SAME = {"not_equivalent": ("No",), "equivalent": ("Yes",)}
_DUPLICATE = {"not_duplicate": ("No",), "duplicate": ("Yes",)}
_FOLLOWS = {"entailment": ("Yes",), "not_entailment": ("No",)}
_THREE = {"entailment": ("Yes",), "neutral": ("Maybe",), "contradiction": ("No",)}

GLUE: dict[str, RealTask] = {
    "glue/sst2": _task(
        "sst2", ("sentence",), ("negative", "positive"), "accuracy",
        "Stanford Sentiment Treebank: phrases from film reviews, two classes.",
        "Read the phrase and say whether its writer liked the film.",
        (67349, 872),
        prompts=(
            Prompt("{sentence} It was {mask} .", _MOVIE),
            Prompt("{sentence} All in all , the film was {mask} .", _MOVIE),
            Prompt("Just {mask} ! {sentence}", _MOVIE),
        ),
    ),
    "glue/cola": _task(
        "cola", ("sentence",), ("unacceptable", "acceptable"), "matthews",
        "Corpus of Linguistic Acceptability: sentences from books on grammar.",
        "Say whether a native speaker of English could say the sentence.",
        (8551, 1043),
        header=("source", "label", "mark", "sentence"),
        also=("accuracy",),
        prompts=(
            Prompt("{sentence} This is {mask} .",
                   {"unacceptable": ("incorrect",), "acceptable": ("correct",)}),
        ),
    ),
    "glue/mrpc": _task(
        "mrpc", ("sentence1", "sentence2"), ("not_equivalent", "equivalent"), "accuracy",
        "Microsoft Research Paraphrase Corpus: two sentences from news.",
        "Say whether both report the same.",
        (3668, 408),
        named={"sentence1": "#1 String", "sentence2": "#2 String"}, label="Quality",
        also=("f1",),
        prompts=(Prompt("{sentence1} {mask} , {sentence2}", _SAME),),
    ),
    "glue/qnli": _task(
        "qnli", ("question", "sentence"), ENTAILMENT, "accuracy",
        "A question and a sentence from Wikipedia, made from SQuAD.",
        "Say whether the sentence holds the answer to the question.",
        (104743, 5463),
        prompts=(Prompt("{question} ? {mask} , {sentence}", _FOLLOWS),),
    ),
    "glue/qqp": _task(
        "qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), "accuracy",
        "Quora Question Pairs: two questions that users asked.",
        "Say whether one answer would serve both.",
        (363846, 40430),
        label="is_duplicate", also=("f1",), broken=10,
        prompts=(Prompt("{question1} {mask} , {question2}", _DUPLICATE),),
    ),
    "glue/rte": _task(
        "rte", ("premise", "hypothesis"), ENTAILMENT, "accuracy",
        "Recognising Textual Entailment: a passage and a statement, from four challenges.",
        "Say whether who has read the passage would take the statement for true.",
        (2490, 277),
        named={"premise": "sentence1", "hypothesis": "sentence2"},
        prompts=(Prompt("{premise} ? {mask} , {hypothesis}", _FOLLOWS),),
    ),
    "glue/mnli": _task(
        "mnli", ("premise", "hypothesis"), INFERENCE, "accuracy",
        "Multi-Genre Natural Language Inference: a sentence from speech or writing, and another.",
        "Say whether the second follows from the first, contradicts it, or neither.",
        (392702, 9815),
        named={"premise": "sentence1", "hypothesis": "sentence2"}, label="gold_label",
        prompts=(Prompt("{premise} ? {mask} , {hypothesis}", _THREE),),
        matched="_matched",
    ),
    "glue/stsb": _task(
        "stsb", ("sentence1", "sentence2"), (), "pearson",
        "Semantic Textual Similarity Benchmark: how alike two sentences are, from 0 to 5.",
        "Give 5 where both mean the same, 0 where they have nothing in common.",
        (5749, 1500),
        label="score",
    ),
}  # fmt: skip
