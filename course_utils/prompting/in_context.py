"""In-context learning: show a causal PLM solved examples before the question (Brown et al. 2020).

No weight changes. The prompt is k demonstrations - the template with the label's word written in -
and the query, whose word the PLM supplies:

    a dull film . it was bad
    <newline>
    a joy from start to end . it was ___

Which examples are shown and in what order matters much (Zhao et al. 2021; Lu et al. 2022), so both
are explicit choices here: drawn once by a seed (`choose`), or for every query those most like it
(`Nearest`; Liu et al. 2022).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor, nn

from course_utils.errors import CourseError, unknown_name
from course_utils.prompting.demonstrations import unit
from course_utils.prompting.pieces import Piece
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.scoring import model_kind, position_limit
from course_utils.prompting.template import Template
from course_utils.prompting.verbalizer import Verbalizer

CHOICES = ("balanced", "random", "first")
ORDERS = ("shuffled", "by_label", "as_chosen")


def choose(
    pool: Iterable[Mapping[str, object]],
    k: int,
    n_labels: int,
    *,
    choice: str = "balanced",
    order: str = "shuffled",
    seed: int = 0,
) -> list[Mapping[str, object]]:
    """k demonstrations from a pool of examples with a "label" (an id).

    Args:
        k: how many; 0 gives none.
        choice: "balanced" draws as equally from each label as k allows, "random" from all,
            "first" takes the pool's first k.
        order: "shuffled", "by_label" (all of label 0 first), or "as_chosen" (balanced: label after
            label in turn).
        seed: of both draws.

    Raises:
        CourseError: a pool that is too small, lacks a label that is needed, or has unlabelled rows.
    """
    if choice not in CHOICES:
        raise unknown_name("choice of demonstrations", choice, CHOICES)
    if order not in ORDERS:
        raise unknown_name("order of demonstrations", order, ORDERS)
    pool = list(pool)
    if not 0 <= k <= len(pool):
        raise CourseError(
            f"{k} demonstrations from a pool of {len(pool)}: choose 0 to {len(pool)}."
        )
    for row in pool:
        if not isinstance(row.get("label"), int) or not 0 <= row["label"] < n_labels:
            raise CourseError(
                f"a demonstration needs a label id from 0 to {n_labels - 1}, but the pool has "
                f"{row.get('label')!r}: use labelled training examples."
            )
    rng = random.Random(seed)
    if choice == "first":
        chosen = pool[:k]
    elif choice == "random":
        chosen = rng.sample(pool, k)
    else:
        chosen = _balanced(pool, k, n_labels, rng)
    if order == "shuffled":
        rng.shuffle(chosen)
    elif order == "by_label":
        chosen.sort(key=lambda row: row["label"])
    return chosen


class Nearest:
    """For each query the k examples of a pool most similar to it, the most similar shown last.

    Args:
        pool: solved examples, with a "label".
        k: how many are shown.
        fields: the columns that are compared; an example with the same texts is the query itself
            and never shown.
        embed: texts -> (n, d) sentence embeddings, such as `MeanEmbedding(model, tokenizer)` or a
            sentence-transformers model's `encode`; compared by cosine.

    Raises:
        CourseError: fewer than k + 1 examples (one may be the query), or one without a label.
    """

    def __init__(
        self,
        pool: Iterable[Mapping[str, object]],
        k: int,
        fields: Sequence[str],
        embed: Callable[[list[str]], Tensor],
    ):
        self.pool, self.k, self.fields, self.embed = list(pool), k, tuple(fields), embed
        if not 1 <= k < len(self.pool):
            raise CourseError(
                f"{k} nearest examples of a pool of {len(self.pool)}: choose 1 to "
                f"{len(self.pool) - 1}; one of the pool may be the query itself."
            )
        for row in self.pool:
            if row.get("label") in (None, -1):
                raise CourseError("a demonstration needs its label: use labelled examples.")
        self.texts = [self._text(row) for row in self.pool]
        self.vectors = unit(embed(self.texts))

    def __call__(self, query: Mapping[str, object]) -> list[Mapping[str, object]]:
        text = self._text(query)
        likeness = (self.vectors @ unit(self.embed([text]))[0]).tolist()
        others = [i for i, other in enumerate(self.texts) if other != text]
        nearest = sorted(others, key=lambda i: -likeness[i])[: self.k]
        return [self.pool[i] for i in reversed(nearest)]

    def _text(self, row: Mapping[str, object]) -> str:
        return " ".join(str(row.get(field, "")).strip() for field in self.fields)


class InContext(PromptModel):
    """A causal PLM that answers after looking at demonstrations; a `PromptModel` in all else.

    Args:
        model, tokenizer, template, verbalizer: as for `PromptModel`; the PLM must be causal.
        demonstrations: solved examples, in the order they are shown (see `choose`), or a function
            from the query to them, such as `Nearest`.
        separator: what stands between one example and the next.
        max_length: all the PLM allows if not given.
        options: others of `PromptModel`, such as labels.

    Raises:
        CourseError: a PLM that is not causal, or demonstrations too long for it.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        template: Template | str,
        verbalizer: Verbalizer | Mapping[str, str | Sequence[str]],
        *,
        demonstrations: Iterable[Mapping[str, object]]
        | Callable[[Mapping[str, object]], list] = (),
        separator: str = "\n",
        max_length: int | None = None,
        **options,
    ):
        if model_kind(model) != "causal":
            raise CourseError(
                "in-context demonstrations before the query need a causal PLM; for a masked PLM "
                "use DemonstratedPrompt (LM-BFF), which puts them behind the query."
            )
        length = max_length or position_limit(model)
        super().__init__(model, tokenizer, template, verbalizer, max_length=length, **options)
        self.separator = separator
        self._chooser = demonstrations if callable(demonstrations) else None
        self.demonstrations = [] if self._chooser else list(demonstrations)
        self._shown = [piece for row in self.demonstrations for piece in self._solved(row)]
        try:
            self.encode(dict.fromkeys(self.template.fields, ""))
        except CourseError as error:
            raise CourseError(
                f"{len(self.demonstrations) or 'these'} demonstrations are too many for this PLM, "
                f"even with every field empty; show fewer. In detail: {error}"
            ) from None

    def pieces(self, example: Mapping[str, object]) -> list[Piece]:
        """The demonstrations, then the query."""
        shown = self._shown
        if self._chooser is not None:
            shown = [piece for row in self._chooser(example) for piece in self._solved(row)]
        return [*shown, *super().pieces(example)]

    def render(self, example: Mapping[str, object]) -> str:
        """The whole prompt as a person would read it, the blank shown as ___."""
        shown = {"mask": "___"}
        return "".join(shown.get(p.kind, p.text) for p in self.pieces(example))

    def _solved(self, row: Mapping[str, object]) -> list[Piece]:
        label = self.labels[self.verbalizer.label_id(row["label"])]
        word, spaced = self.verbalizer.words[label][0], self.verbalizer.leading_space
        filled = self.template.fill(row, word=word, spaced=spaced)
        return [*filled, Piece("literal", self.separator)]


def _balanced(pool, k: int, n_labels: int, rng: random.Random) -> list:
    """k rows, label after label in turn; which labels get one more is drawn."""
    by_label = [[row for row in pool if row["label"] == label] for label in range(n_labels)]
    turn = rng.sample(range(n_labels), n_labels)
    counts = [k // n_labels + (turn.index(label) < k % n_labels) for label in range(n_labels)]
    for label, count in enumerate(counts):
        if len(by_label[label]) < count:
            raise CourseError(
                f"the pool has {len(by_label[label])} examples of label {label}, but {count} are "
                'needed: add some, show fewer, or use choice="random".'
            )
    drawn = [rng.sample(rows, count) for rows, count in zip(by_label, counts, strict=True)]
    return [rows[i] for i in range(max(counts, default=0)) for rows in drawn if i < len(rows)]
