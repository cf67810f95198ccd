"""SuperGLUE (Wang et al. 2019, arXiv:1905.00537), laid out as P-tuning v2 lays it out.

Files are JSON lines, train.jsonl and val.jsonl. Test labels are not public: scored on "dev". WiC
and WSC have two layouts each; which one a published result used is part of its recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.tasks.formats.jsonl import read_jsonl
from course_utils.tasks.real.declared import UNLABELLED, HubData, LocalFiles, RealTask, Rows
from course_utils.tasks.real.winograd import arranged, starred
from course_utils.tasks.task import Prompt

if TYPE_CHECKING:
    from datasets import Dataset

REPOSITORY = "aps/super_glue"
REVISION = "3de24cf8022e94f4ee4b9d55a6f539891524d646"
NAMES = {
    "train": ("train.jsonl",),
    "dev": ("val.jsonl", "dev.jsonl", "validation.jsonl"),
    UNLABELLED: ("test.jsonl",),
}
_YES_NO = {False: 0, True: 1}

Arrange = Callable[[dict[str, Any]], dict[str, Any]]


def _task(
    config: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    description: str,
    how_to_answer: str,
    sizes: tuple[int, int],
    *,
    answers: Mapping[Any, int] | None = None,
    kind: str = "classification",
    keys: Mapping[str, type] | None = None,
    arrange: Arrange | None = None,
    on_hub: Callable[[Dataset, str], Dataset] | None = None,
    segments: tuple[str, ...] = (),
    layouts: Mapping[str, tuple[str, ...]] | None = None,
    prompts: tuple[Prompt, ...] = (),
    also: tuple[str, ...] = (),
) -> RealTask:
    """One SuperGLUE task; `answers` says what a file's "label" means, by name if not given."""
    answers = answers or {name: i for i, name in enumerate(labels)}
    keys = keys or dict.fromkeys(columns, str)

    def read(path: Path, split: str) -> Rows:
        known = None if split == UNLABELLED else answers
        return read_jsonl(path, keys, labels=known, arrange=arrange)

    files = {
        "train": f"{config}/train-*.parquet",
        "dev": f"{config}/validation-*.parquet",
        UNLABELLED: f"{config}/test-*.parquet",
    }
    train, dev = sizes
    return RealTask(
        kind=kind,
        columns=columns,
        labels=labels,
        metric="accuracy",
        also=also,
        description=description,
        how_to_answer=how_to_answer,
        prompts=prompts,
        segments=segments,
        layouts=layouts or {},
        files=LocalFiles(NAMES, read, "SuperGLUE's train.jsonl and val.jsonl"),
        hub=HubData(
            REPOSITORY, files, REVISION, arrange=on_hub, sizes={"train": train, "dev": dev}
        ),
    )


_WIC_PAIR = ("{word}: {sentence1}", "{word}: {sentence2}")
_WIC_QUESTION = (
    "{sentence1} {sentence2} Does {word} have the same meaning in both sentences?",
)  # fmt: skip
_WSC_PAIR = ("{span2_text}: {text}", "{span1_text}")
_WSC_STARS = ("{starred}", "{span1_text}")

SUPERGLUE: dict[str, RealTask] = {
    "superglue/boolq": _task(
        "boolq", ("passage", "question"), ("false", "true"),
        "A passage from Wikipedia and a yes/no question that somebody asked.",
        "Look for the place in the passage that answers the question.",
        (9427, 3270),
        answers=_YES_NO,
        segments=("{question}", "{passage}"),
        prompts=(
            Prompt("{passage} Question: {question} ? Answer: {mask} .",
                   {"false": ("No",), "true": ("Yes",)}),
            Prompt("{passage} Based on the previous passage, {question} ? {mask} .",
                   {"false": ("No",), "true": ("Yes",)}),
        ),
    ),
    "superglue/cb": _task(
        "cb", ("premise", "hypothesis"), ("entailment", "contradiction", "neutral"),
        "CommitmentBank: a short text with an embedded clause, and that clause.",
        "Say whether the writer is committed to the clause, to its contrary, or to neither.",
        (250, 56),
        also=("f1",),
        prompts=(
            Prompt("{hypothesis} ? {mask} , {premise}",
                   {"entailment": ("Yes",), "contradiction": ("No",), "neutral": ("Maybe",)}),
        ),
    ),
    "superglue/copa": _task(
        "copa", ("premise", "choice1", "choice2", "question"), ("choice1", "choice2"),
        "Choice of Plausible Alternatives: an event and two others, one its cause or effect.",
        "Ask which of the two more usually comes before, or after, the premise.",
        (400, 100),
        kind="choice", answers={0: 0, 1: 1},
        segments=("{premise} {question}", "{choice}"),
    ),
    "superglue/rte": _task(
        "rte", ("premise", "hypothesis"), ("entailment", "not_entailment"),
        "Recognising Textual Entailment: a passage and a statement, from four challenges.",
        "Say whether who has read the passage would take the statement for true.",
        (2490, 277),
        prompts=(
            Prompt("{premise} ? {mask} , {hypothesis}",
                   {"entailment": ("Yes",), "not_entailment": ("No",)}),
            Prompt("{hypothesis} ? {mask} , {premise}",
                   {"entailment": ("Yes",), "not_entailment": ("No",)}),
        ),
    ),
    "superglue/wic": _task(
        "wic", ("word", "sentence1", "sentence2"), ("different", "same"),
        "Word in Context: a word in two sentences.",
        "Say whether it has the same meaning in both.",
        (5428, 638),
        answers=_YES_NO,
        segments=_WIC_PAIR, layouts={"pair": _WIC_PAIR, "question": _WIC_QUESTION},
        prompts=(
            Prompt("{sentence1} {sentence2} Does {word} have the same meaning? {mask}",
                   {"different": ("No",), "same": ("Yes",)}),
        ),
    ),
    "superglue/wsc": _task(
        "wsc", ("text", "span1_text", "span2_text"), ("no", "yes"),
        "Winograd Schema Challenge: a text, a pronoun in it (span2) and a noun (span1).",
        "Put the noun in the pronoun's place and ask whether the text still makes sense.",
        (554, 104),
        answers=_YES_NO,
        keys={"text": str, "span1_text": str, "span2_text": str, "span1_index": int,
              "span2_index": int, "starred": str},
        arrange=arranged, on_hub=starred,
        segments=_WSC_PAIR, layouts={"pair": _WSC_PAIR, "stars": _WSC_STARS},
        prompts=(
            Prompt("{text} Does {span2_text} mean {span1_text} ? {mask}",
                   {"no": ("No",), "yes": ("Yes",)}),
        ),
    ),
}  # fmt: skip
