"""Demonstrations for a masked PLM: Making PLMs Better Few-shot Learners (LM-BFF, Gao et al. 2021).

Behind the query stand solved examples, one per label, in label order, their label word filled in:

    [CLS] the query . It was [MASK] . [SEP] a dull film . It was bad . [SEP] a joy . It was great .

* Which ones? One at random per label, out of the share of the pool most similar to the query
  (half of it in the paper), by cosine of sentence embeddings.
* Never the query itself: in training it is in the pool too, with its answer.
* One draw is a matter of luck. In evaluation the label scores are averaged over several draws (16
  in the paper); in training every step takes one of them.

The draws of a query depend on the seed and the query alone, not on the order of examples.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError
from course_utils.prompting.answers import Answers
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.scoring import plm_of, position_limit
from course_utils.prompting.template import Template
from course_utils.prompting.verbalizer import Verbalizer
from course_utils.tasks.batches import IGNORED, pad_id

Row = Mapping[str, object]
Embed = Callable[[list[str]], Tensor]


class DemonstrationPool:
    """Labelled examples to draw demonstrations from.

    Args:
        examples: rows with a "label" (id or name); every label must be there.
        verbalizer: knows the labels.
        fields: the columns that make two examples the same one, and that are compared.
        embed: texts -> (n, d) sentence embeddings: `MeanEmbedding(model, tokenizer)`, a
            sentence-transformers model's `encode`, or None to take no account of similarity.
        similar: the share of each label's examples that may be drawn, the most similar first.

    Raises:
        CourseError: a pool missing a label, a row without one, a share outside (0, 1].
    """

    def __init__(
        self,
        examples: Iterable[Row],
        verbalizer: Verbalizer,
        fields: Sequence[str],
        *,
        embed: Embed | None = None,
        similar: float = 0.5,
    ):
        if not 0 < similar <= 1:
            raise CourseError(f"similar is a share above 0 and up to 1, not {similar}.")
        self.fields = tuple(fields)
        self.embed = embed
        self.similar = similar
        self.rows: list[list[Row]] = [[] for _ in verbalizer.labels]
        for row in examples:
            if row.get("label") in (None, -1):
                raise CourseError(
                    f"a demonstration needs its label, but this example has none: "
                    f"{self.text(row)[:60]!r}. Use labelled training examples."
                )
            self.rows[verbalizer.label_id(row["label"])].append(row)
        for label, rows in zip(verbalizer.labels, self.rows, strict=True):
            if not rows:
                raise CourseError(
                    f"the pool of demonstrations has no example of label {label!r}: one of every "
                    "label is needed."
                )
        self.vectors = [
            None if embed is None else unit(embed([self.text(row) for row in rows]))
            for rows in self.rows
        ]

    def text(self, row: Row) -> str:
        """The fields of a row as one text."""
        return " ".join(str(row.get(field, "")).strip() for field in self.fields)

    def candidates(self, query: Row) -> list[list[Row]]:
        """Per label the rows that may be shown with `query`, most similar first.

        Without an embedding all of them, in the pool's order. The query itself is left out before
        the share is taken.

        Raises:
            CourseError: if the query was the only example of its label.
        """
        text = self.text(query)
        vector = None if self.embed is None else unit(self.embed([text]))[0]
        found = []
        for rows, vectors in zip(self.rows, self.vectors, strict=True):
            others = [i for i, row in enumerate(rows) if self.text(row) != text]
            if not others:
                raise CourseError(
                    f"the only demonstration of a label is the query itself ({text[:60]!r}): the "
                    "pool needs two examples or more of every label."
                )
            if vector is not None:
                likeness = (vectors[others] @ vector).tolist()
                order = sorted(range(len(others)), key=lambda i: -likeness[i])
                kept = max(1, int(len(others) * self.similar))
                others = [others[i] for i in order[:kept]]
            found.append([rows[i] for i in others])
        return found

    def draw(self, query: Row, count: int, seed: int) -> list[list[Row]]:
        """`count` draws, each one row per label in label order."""
        candidates = self.candidates(query)
        rng = random.Random(f"{seed}/{self.text(query)}")
        return [[rng.choice(rows) for rows in candidates] for _ in range(count)]


class DemonstratedPrompt(PromptModel):
    """A prompt with one demonstration per label behind the query.

    It trains and evaluates like any `PromptModel`; an encoded example holds all its draws.

    Args:
        pool: the labelled examples to draw from (the few-shot training set).
        draws: how many draws are averaged in evaluation.
        embed: as for `DemonstrationPool`; "plm" is the PLM's own mean embedding as it is now.
        similar: as for `DemonstrationPool`.
        separator: what stands before each demonstration; None is the PLM's own segment boundary.
        Others: as for `PromptModel`; max_length defaults to all the PLM allows.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        template: Template | str,
        verbalizer: Verbalizer | Mapping[str, str | Sequence[str]],
        *,
        pool: Iterable[Row],
        draws: int = 16,
        embed: Embed | str | None = "plm",
        similar: float = 0.5,
        separator: str | None = None,
        max_length: int | None = None,
        seed: int = 0,
        **options,
    ):
        limit = max_length or position_limit(model)
        super().__init__(
            model, tokenizer, template, verbalizer, max_length=limit, seed=seed, **options
        )
        if self.kind == "causal":
            raise CourseError(
                "demonstrations behind the query need a masked or encoder-decoder PLM; a causal "
                "PLM reads them before it: use InContext."
            )
        if self.template.n_soft:
            raise CourseError("demonstrations can't be combined with soft tokens: use words.")
        if draws < 1:
            raise CourseError(f"draws must be 1 or more, not {draws}.")
        self.draws = draws
        self.seed = seed
        self.separator = Piece("sep") if separator is None else Piece("literal", separator)
        self.pool = DemonstrationPool(
            pool,
            self.verbalizer,
            self.template.fields,
            embed=MeanEmbedding(model, tokenizer) if embed == "plm" else embed,
            similar=similar,
        )

    def pieces(self, example: Row, shown: Sequence[Row] = ()) -> list[Piece]:
        """The query, then what is shown."""
        pieces = super().pieces(example)
        for row in shown:
            label = self.labels[self.verbalizer.label_id(row["label"])]
            word = self.verbalizer.words[label][0]
            spaced = self.verbalizer.leading_space
            pieces += [self.separator, *self.template.fill(row, word=word, spaced=spaced)]
        return pieces

    def render(self, example: Row, draw: int = 0) -> str:
        """One draw of an example as a person would read it."""
        shown = self.pool.draw(example, self.draws, self.seed)[draw]
        names = {"mask": "[MASK]", "sep": " [SEP] "}
        return "".join(names.get(p.kind, p.text) for p in self.pieces(example, shown))

    def encode(self, example: Row) -> dict[str, object]:
        """All draws of one example: each entry but "labels" has `draws` rows."""
        rows = [
            encode_pieces(
                self.pieces(example, shown),
                self.tokenizer,
                kind=self.kind,
                max_length=self.max_length,
                reserve=self.reserve,
            )
            for shown in self.pool.draw(example, self.draws, self.seed)
        ]
        encoded: dict[str, object] = {name: [row[name] for row in rows] for name in rows[0]}
        if example.get("label") not in (None, -1):
            encoded["labels"] = self.verbalizer.label_id(example["label"])
        return encoded

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mask_positions: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """As `PromptModel.forward`, inputs (B, draws, T): scores averaged, or one draw in training.

        In training each row takes one of its draws at random (torch's random state decides).
        """
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "mask_positions": mask_positions,
        }
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        rows, draws = input_ids.shape[:2]
        if self.training:
            one = torch.randint(draws, (rows,), device=input_ids.device)
            each = torch.arange(rows, device=input_ids.device)
            return super().forward(**{k: v[each, one] for k, v in inputs.items()}, labels=labels)
        output = super().forward(**{k: v.flatten(0, 1) for k, v in inputs.items()})
        scores = output.logits.view(rows, draws, -1).mean(dim=1)  # (B, n_labels)
        loss = None
        if labels is not None and (labels != IGNORED).any():
            loss = F.cross_entropy(scores, labels, ignore_index=IGNORED)
        return SequenceClassifierOutput(loss=loss, logits=scores)

    def predict(self, examples: Iterable[Row], *, batch_size: int = 8) -> Answers:
        """Answer every example, averaged over its draws."""
        return super().predict(examples, batch_size=batch_size)


class MeanEmbedding:
    """Sentence embeddings from the PLM itself: the mean of its last hidden vectors.

    Args:
        batch_size: texts per forward pass.

    Called with n texts it gives (n, d), as the PLM is at that moment.
    """

    def __init__(self, model: nn.Module, tokenizer, batch_size: int = 32):
        # Not a submodule: the PLM is owned, trained and saved elsewhere.
        self._plm = plm_of(model)
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.max_length = position_limit(model) or 256

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        was_training = self._plm.training
        self._plm.eval()
        try:
            starts = range(0, len(texts), self.batch_size)
            return torch.cat([self._mean(texts[i : i + self.batch_size]) for i in starts])
        finally:
            self._plm.train(was_training)

    def _mean(self, texts: list[str]) -> Tensor:
        encoded = self.tokenizer(
            texts,
            truncation=True,
            max_length=self.max_length,
            split_special_tokens=True,
            return_token_type_ids=False,
        )["input_ids"]
        filler = pad_id(self.tokenizer)
        encoded = [row or [filler] for row in encoded]  # GPT-2's tokenizer gives "" no token
        longest = max(map(len, encoded))
        device = next(self._plm.parameters()).device
        ids = torch.tensor([row + [filler] * (longest - len(row)) for row in encoded]).to(device)
        mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in encoded]).to(device)
        encoder = self._plm.get_encoder() if self._plm.config.is_encoder_decoder else None
        base = encoder or self._plm.base_model
        hidden = base(input_ids=ids, attention_mask=mask).last_hidden_state  # (n, T, d)
        weights = mask.unsqueeze(-1).to(hidden)
        return ((hidden * weights).sum(1) / weights.sum(1)).cpu()


def unit(vectors) -> Tensor:
    """(n, d) rows of length 1, from a tensor or array."""
    return F.normalize(torch.as_tensor(vectors).float(), dim=-1)
