"""What a task is: its splits, its columns, its labels, and how a person would answer it.

A `Task` is plain data. It holds no tokenizer and no model, so the same object serves a
fine-tuned classifier, a prompted PLM and a plot. A pocket task and the real task of the same
name have the same columns and labels: one can be put in the other's place.

How an example becomes the input of a model is in `course_utils.tasks.inputs`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from course_utils.errors import CourseError, unknown_name
from course_utils.tasks.metrics import METRICS, score

if TYPE_CHECKING:
    from datasets import Dataset

KINDS = ("classification", "regression", "choice", "tagging", "generation")
NO_LABEL = -1  # GLUE and SNLI mark a row without a gold label so


class Prompt(NamedTuple):
    """One wording of a task: a template and the words that stand for each label.

    `held_out` is True where the wording was kept out of the pocket models' pre-training
    corpus, so that a zero-shot score with it can't be recall of the phrase.
    """

    template: str
    words: Mapping[str, tuple[str, ...]]
    held_out: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """A task with all its data in memory.

    Attributes:
        name: "pocket/sst2", "glue/sst2": the name `load_task` takes.
        kind: one of `KINDS`.
        columns: text columns in the order a model reads them. For "generation" the last one
            is the text to be written (a column "references" may list all that are accepted);
            for "choice" those named choice1, choice2 ... compete.
        labels: names of the labels, position = id. Empty for regression and generation.
        metric: the main metric, a name in `course_utils.tasks.metrics.METRICS`.
        splits: "train", "dev" and where there is one "test", "unlabelled", "ood".
        description: what the data are, in a sentence or two.
        how_to_answer: how a person answers one example.
        prompts: default wordings; plain (template, words) pairs are taken too.
        segments: one or two format strings over the columns, overriding how `inputs` lays an
            example out; for generation the text that comes before the target.
        wording: column -> {value: word}, said in `segments` instead of the raw value.
        layouts: name -> segments: the ways to lay an example out, where there are several.
        layout: the name of the one chosen by `laid_out`; "" is the task's usual one.
        also: further metrics that are reported beside the main one.
        absent: split that could be there -> why it is not, for who asks for it.
        source, revision: where the data come from (never a path of this machine).

    Raises:
        CourseError: an unknown kind or metric, an empty split, a missing column, a label
            outside `labels`.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str
    splits: Mapping[str, Dataset] = field(repr=False)
    description: str = ""
    how_to_answer: str = ""
    prompts: tuple[Prompt, ...] = ()
    segments: tuple[str, ...] = ()
    wording: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layout: str = ""
    also: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of task", self.kind, KINDS)
        for metric in (self.metric, *self.also):
            if metric not in METRICS:
                raise unknown_name("metric", metric, METRICS)
        for name in ("columns", "labels", "segments"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "splits", dict(self.splits))
        object.__setattr__(self, "prompts", tuple(_prompt(p) for p in self.prompts))
        for name, rows in self.splits.items():
            self._check_split(name, rows)

    def _check_split(self, name: str, rows: Dataset) -> None:
        where = f"task {self.name!r}, split {name!r}"
        if len(rows) == 0:
            raise CourseError(f"{where} is empty: give it at least one example or leave it out.")
        wanted = list(self.columns)
        if name != "unlabelled":
            wanted.append(self.label_column)
        missing = [c for c in wanted if c not in rows.column_names]
        if missing:
            raise CourseError(
                f"{where} lacks column {missing[0]!r}; it has {', '.join(rows.column_names)}."
            )
        if self.kind in ("classification", "choice") and "label" in rows.column_names:
            # Hub data may carry NO_LABEL: allowed here, dropped before any loss or metric.
            values = set(rows["label"])
            bad = sorted(v for v in values if not NO_LABEL <= v < len(self.labels))
            if bad:
                raise CourseError(
                    f"{where} has label {bad[0]}; with labels {', '.join(self.labels)} "
                    f"an id is between 0 and {len(self.labels) - 1}."
                )

    @property
    def label_column(self) -> str:
        """The column with the answer: "label", "tags", or the text to be written."""
        if self.kind == "generation":
            return self.columns[-1]
        return "tags" if self.kind == "tagging" else "label"

    @property
    def choices(self) -> tuple[str, ...]:
        """The competing columns of a "choice" task: choice1, choice2, ..."""
        return tuple(c for c in self.columns if c.startswith("choice"))

    @property
    def family(self) -> str:
        """The part of the name shared with the twin: "rte" for "pocket/rte"."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def chance(self) -> float:
        """Expected score of guessing labels uniformly; 0 where guessing scores nothing."""
        if self.metric != "accuracy":
            return 0.0
        return 1.0 / len(self.choices or self.labels)

    @property
    def evaluation_split(self) -> str:
        """ "test" where its labels are public, else "dev" (GLUE and SuperGLUE)."""
        return "test" if "test" in self.splits else "dev"

    def split(self, name: str) -> Dataset:
        """The rows of one split; a CourseError names the splits there are."""
        if name in self.absent:
            raise CourseError(f"task {self.name!r} has no split {name!r}: {self.absent[name]}.")
        if name not in self.splits:
            hint = "Its test labels are not public: use 'dev'." if name == "test" else ""
            raise unknown_name(f"split of task {self.name!r}", name, self.splits, hint)
        return self.splits[name]

    def laid_out(self, layout: str) -> Task:
        """The same task with its examples laid out in another of its ways (see `layouts`)."""
        if layout not in self.layouts:
            raise unknown_name(f"layout of task {self.name!r}", layout, self.layouts or ("none",))
        return replace(self, segments=self.layouts[layout], layout=layout)

    def with_selection(self, share: float = 0.1, seed: int = 0) -> Task:
        """The same task with a part of "train" set aside as "selection", to choose epochs on.

        Where dev is what gets reported, choosing on it reports the best of many looks at it.

        Args:
            share: of the training examples; at most as many as dev has.
            seed: of the draw.
        """
        rows = self.split("train")
        if not 0 < share < 1:
            raise CourseError(f"with_selection: share {share}; expected above 0 and below 1.")
        size = max(1, min(int(share * len(rows)), len(self.split(self.evaluation_split))))
        if size >= len(rows):
            raise CourseError(f"task {self.name!r}: {len(rows)} examples are too few to divide.")
        chosen = set(random.Random(f"selection/{seed}").sample(range(len(rows)), size))
        kept = [i for i in range(len(rows)) if i not in chosen]
        parts = {"train": rows.select(kept), "selection": rows.select(sorted(chosen))}
        return replace(self, splits={**self.splits, **parts})

    def gold(self, split: str) -> list[Any]:
        """The answers of a split, in row order (label ids, tag ids or texts)."""
        return list(self.split(split)[self.label_column])

    def ids(self, split: str) -> list[Any]:
        """The names of a split's rows: its column "id" or "idx", else their numbers from 0."""
        rows = self.split(split)
        named = next((c for c in ("id", "idx") if c in rows.column_names), None)
        return list(rows[named]) if named else list(range(len(rows)))

    def majority(self, split: str | None = None) -> float:
        """Score, in this task's metric, of always giving the split's most common label.

        0.0 for tagging (no entity found is F1 0), regression (Pearson is undefined for a
        constant, taken as 0) and generation.
        """
        split = split or self.evaluation_split
        if self.kind not in ("classification", "choice"):
            self.split(split)
            return 0.0
        gold = [v for v in self.gold(split) if v != NO_LABEL]
        if not gold:
            return 0.0
        most_common = Counter(gold).most_common(1)[0][0]
        return score(self.metric, [most_common] * len(gold), gold)

    def subset(
        self,
        n: int | None = None,
        *,
        per_class: int | None = None,
        seed: int = 0,
        split: str = "train",
    ) -> Task:
        """The same task with fewer examples in one split.

        Args:
            n: that many examples, drawn uniformly; or
            per_class: that many of each label (k-shot), in shuffled order.
            seed: another seed, another draw; the same seed, the same draw.
            split: the split that shrinks. For the few-shot protocol of LM-BFF call it once
                for "train" and once for "dev".

        Raises:
            CourseError: neither or both sizes given, or more asked for than there is.
        """
        if (n is None) == (per_class is None):
            raise CourseError("subset takes either n or per_class: give exactly one of them.")
        rows = self.split(split)
        if per_class is not None:
            chosen = self._per_class(split, per_class, seed)
        else:
            if not 1 <= n <= len(rows):
                raise CourseError(
                    f"subset of {n} examples: split {split!r} of {self.name!r} has {len(rows)}."
                )
            chosen = random.Random(seed).sample(range(len(rows)), n)
        return replace(self, splits={**self.splits, split: rows.select(chosen)})

    def _per_class(self, split: str, k: int, seed: int) -> list[int]:
        if self.kind not in ("classification", "choice"):
            raise CourseError(f"{self.name!r} has no classes to draw from ({self.kind}): use n.")
        draw, gold, chosen = random.Random(seed), self.gold(split), []
        for label, name in enumerate(self.labels):
            rows = [i for i, value in enumerate(gold) if value == label]
            if not 1 <= k <= len(rows):
                raise CourseError(
                    f"{k} examples per class: split {split!r} of {self.name!r} has "
                    f"{len(rows)} of label {name!r}."
                )
            chosen += draw.sample(rows, k)
        draw.shuffle(chosen)
        return chosen

    def summary(self) -> str:
        """A few lines for `course task show` and the head of a notebook."""
        lines = [f"{self.name} ({self.kind}, {self.metric})", self.description]
        if self.how_to_answer:
            lines.append(f"How a person answers: {self.how_to_answer}")
        if self.labels:
            lines.append(f"Labels: {', '.join(self.labels)}")
        sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in self.splits.items())
        lines.append(f"Examples: {sizes}")
        if self.source:
            at = f" at {self.revision}" if self.revision else ""
            lines.append(f"From: {self.source}{at}")
        split = self.evaluation_split
        if split in self.splits:
            lines.append(
                f"Majority on {split} {self.majority(split):.3f}, chance {self.chance:.3f}"
            )
        return "\n".join(line for line in lines if line)


def _prompt(given: Prompt | tuple) -> Prompt:
    """A `Prompt` from a Prompt or a plain tuple, each label's words made a tuple."""
    prompt = Prompt(*given)
    words = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in prompt.words.items()}
    return prompt._replace(words=words)
