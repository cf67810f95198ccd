"""Candidates that every example brings along: COPA's choices, filled into one blank.

    >>> copa = load_task("pocket/copa")
    >>> asked = ChoicePrompt.for_task(model, tokenizer, copa, "{premise} {question} {mask} .")
    >>> asked.predict(copa.split("test")).predictions        # "choice1" or "choice2" per row

A verbalizer gives the same few words to all examples; here the candidates are columns, of any
number of tokens each. The score of a candidate of k tokens t_1 ... t_k is PET's (Schick & Schütze
2021b, "It's not just size that matters", section 3.1):

* evaluation: k masks; the surest token is filled in, the PLM looks again, and so on:
  the sum of the log-probabilities at the moment each is filled in;
* training: as many masks as the longest candidate has tokens, all read in one go, and a margin of
  1 between the right candidate and each other one (`margin_loss`).

A causal PLM reads a candidate as its continuation, an encoder-decoder PLM writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError, unknown_name
from course_utils.prompting.asked import AskedModel
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.scoring import logits_at, margin_loss, plm_of, surest_first
from course_utils.prompting.template import Template, field_text
from course_utils.prompting.verbalizer import word_ids
from course_utils.tasks.batches import pad_id
from course_utils.tasks.inputs import WORDING
from course_utils.tasks.task import NO_LABEL, Task

# After PET's patterns for COPA; `WORDING` says "because" for cause and "so" for effect.
COPA_TEMPLATES = (
    "{premise:strip} {question} {mask} .",
    "{choice1:strip,lower} or {choice2:strip,lower} ? {premise:strip} , {question} {mask} .",
)


class ChoicePrompt(AskedModel):
    """A PLM that chooses among each example's own candidates.

    Args:
        model, tokenizer, max_length: as for `PromptModel`.
        template: with one {mask}, where the candidates go; it may show them as fields too.
        candidates: the columns they stand in, in the order of their label ids.
        labels: their names, the columns' if not given.
        wording: column -> {value: what the template says for it}, such as "cause" -> "because".
        options: how a candidate is written, options of the template language; the default is PET's:
            without its final punctuation, first letter in lower case.
        per_token: divide a candidate's log-probability by its number of tokens, so that longer
            ones are not at a disadvantage (Brown et al. 2020); PET doesn't.

    Raises:
        CourseError: fewer than two candidates, a template that can't work with the PLM.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        template: Template | str,
        candidates: Sequence[str],
        *,
        labels: Sequence[str] | None = None,
        wording: Mapping[str, Mapping[str, str]] | None = None,
        options: Sequence[str] = ("strip", "lower"),
        per_token: bool = False,
        max_length: int | None = None,
    ):
        super().__init__(model, tokenizer, max_length)
        self.template = template if isinstance(template, Template) else Template(template)
        self.candidates = tuple(candidates)
        self.labels = tuple(labels or candidates)
        self.wording = dict(wording or {})
        self.options = tuple(options)
        self.per_token = per_token
        if isinstance(candidates, str) or len(self.candidates) < 2:
            raise CourseError(f"give the columns of two candidates or more, not {candidates!r}.")
        if len(self.labels) != len(self.candidates):
            raise CourseError(
                f"{len(self.labels)} labels for {len(self.candidates)} candidates: give one each."
            )
        for option in self.options:
            if option not in ("strip", "lower"):
                raise unknown_name("option of a candidate", option, ("strip", "lower"))
        if self.template.n_masks != 1 or self.template.n_soft:
            raise CourseError(
                f"candidates go into one {{mask}}, which grows as they need it, and beside words; "
                f"the template has {self.template.n_masks} masks and {self.template.n_soft} soft "
                "tokens."
            )
        self.template.check(tokenizer, kind=self.kind, max_length=self.max_length)
        self.train(model.training)

    @classmethod
    def for_task(
        cls, model: nn.Module, tokenizer, task: Task, template: Template | str, **options
    ) -> ChoicePrompt:
        """For a task of kind "choice": its choices, its labels, and its wording."""
        if task.kind != "choice":
            raise CourseError(
                f"task {task.name!r} is of kind {task.kind!r}: its examples bring no candidates. "
                "Use PromptModel with label words."
            )
        options.setdefault("wording", {**WORDING, **task.wording})
        asked = cls(model, tokenizer, template, task.choices, labels=task.labels, **options)
        asked.template.check(columns=task.columns)
        return asked

    def said(self, example: Mapping[str, object]) -> dict[str, object]:
        """The example with its wording."""
        said = dict(example)
        for column, words in self.wording.items():
            if column in said:
                said[column] = words.get(str(said[column]), said[column])
        return said

    def candidate_ids(self, example: Mapping[str, object]) -> list[tuple[int, ...]]:
        """The tokens of each candidate as they stand inside a sentence.

        Raises:
            CourseError: a missing column, or a candidate without any text.
        """
        found = []
        for column in self.candidates:
            if column not in example:
                raise CourseError(
                    f"the example has no column {column!r} for a candidate; its columns: "
                    f"{', '.join(map(str, example))}."
                )
            text = field_text(example[column], self.options)
            ids = word_ids(self.tokenizer, text) if text else ()
            if not ids:
                raise CourseError(f"the candidate {column!r} is empty: {example[column]!r}.")
            found.append(ids)
        return found

    def encode(self, example: Mapping[str, object]) -> dict[str, object]:
        """One row per candidate (a masked PLM: and one for training), with "labels" if there is.

        Each entry but "labels" is a list of rows. `wanted` is as long as `input_ids`: 1 + the id of
        the candidate's token where the PLM should give it, else 0. In a masked PLM's last row all
        masks for the longest candidate are marked, whatever token they are to become.
        """
        said, candidates = self.said(example), self.candidate_ids(example)
        rows = [self._row(said, ids) for ids in candidates]
        if self.kind == "masked":
            rows.append(self._row(said, (self._mask,) * max(map(len, candidates))))
        encoded: dict[str, object] = {name: [row[name] for row in rows] for name in rows[0]}
        if example.get("label") not in (None, NO_LABEL):
            encoded["labels"] = self._label_id(example["label"])
        return encoded

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        wanted: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Candidates' scores as `logits` (B, C), and the margin loss when labels are given.

        All inputs are (B, R, T), a row per candidate and, for a masked PLM, the one for training.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        shape = (len(input_ids), len(self.labels))
        if self.kind == "masked" and self.training:
            scores = self._at_once({k: v[:, -1] for k, v in inputs.items()}, wanted)
        else:
            flat = {k: v[:, : shape[1]].flatten(0, 1) for k, v in inputs.items()}
            scores = self._one_by_one(flat, wanted[:, : shape[1]].flatten(0, 1)).view(shape)
        if self.per_token:
            scores = scores / (wanted[:, : shape[1]] > 0).sum(dim=-1)
        loss = None
        if labels is not None and (labels >= 0).any():
            loss = margin_loss(scores, labels)
        return SequenceClassifierOutput(loss=loss, logits=scores)

    def _row(self, said: Mapping[str, object], ids: tuple[int, ...]) -> dict[str, list[int]]:
        """The prompt with room for one candidate, and `wanted`."""
        pieces: list[Piece] = []
        for piece in self.template.fill(said):
            repeats = len(ids) if piece.kind == "mask" and self.kind == "masked" else 1
            pieces += [piece] * repeats
        reserve = len(ids) - 1 if self.kind == "causal" else 0
        row = encode_pieces(
            pieces, self.tokenizer, kind=self.kind, max_length=self.max_length, reserve=reserve
        )
        at = row.pop("mask_positions")
        if self.kind == "causal":
            at = list(range(at[0], at[0] + len(ids)))
            row["input_ids"] = row["input_ids"] + list(ids[:-1])
        elif self.kind == "seq2seq":
            # The decoder writes the candidate: `wanted` only carries it there.
            at = list(range(len(ids)))
            short = max(0, len(ids) - len(row["input_ids"]))
            row["input_ids"] = row["input_ids"] + [pad_id(self.tokenizer)] * short
        length = len(row["input_ids"])
        row["attention_mask"] += [int(self.kind == "causal")] * (
            length - len(row["attention_mask"])
        )
        if "token_type_ids" in row:
            row["token_type_ids"] += [0] * (length - len(row["token_type_ids"]))
        row["wanted"] = [0] * length
        for place, token in zip(at, ids, strict=True):
            row["wanted"][place] = 1 + token
        return row

    def _one_by_one(self, inputs: dict[str, Tensor], wanted: Tensor) -> Tensor:
        """(N,) log-probability of each row's candidate; inputs (N, T)."""
        at, ids, there = marked(wanted)
        if self.kind == "masked":
            return surest_first(self.model, inputs, at, ids, there)
        if self.kind == "causal":
            log_p = logits_at(self.model, inputs, at).float().log_softmax(-1)
        else:
            start = torch.tensor(
                [plm_of(self.model).config.decoder_start_token_id, self._mask], device=ids.device
            )
            decoder = torch.cat([start.expand(len(ids), -1), ids[:, :-1]], dim=1)
            logits = self.model(**inputs, decoder_input_ids=decoder).logits[:, 1:]
            log_p = logits.float().log_softmax(-1)
        chances = log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1)  # (N, K)
        return (chances * there).sum(dim=-1)

    def _at_once(self, inputs: dict[str, Tensor], wanted: Tensor) -> Tensor:
        """(B, C): every candidate read from the same masks; inputs (B, T), wanted (B, R, T)."""
        at, _, _ = marked(wanted[:, -1])
        log_p = logits_at(self.model, inputs, at).float().log_softmax(-1)  # (B, K, V)
        scores = []
        for candidate in range(len(self.labels)):
            _, ids, there = marked(wanted[:, candidate])  # (B, k): the first k of the K masks
            chances = log_p[:, : ids.shape[1]].gather(-1, ids.unsqueeze(-1)).squeeze(-1)
            scores.append((chances * there).sum(dim=-1))
        return torch.stack(scores, dim=-1)

    def _label_id(self, label: object) -> int:
        if isinstance(label, str) and label in self.labels:
            return self.labels.index(label)
        if isinstance(label, Integral) and 0 <= label < len(self.labels):
            return int(label)
        raise CourseError(
            f"label {label!r} is none of {', '.join(self.labels)}, nor an id from 0 to "
            f"{len(self.labels) - 1}."
        )


def marked(wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where `wanted` (N, T) is not 0: places (N, K), ids (N, K), and whether there is one (N, K).

    Rows with fewer than K are filled up with other places, which the third tells apart.
    """
    there = wanted > 0
    count = int(there.sum(dim=1).max())
    at = there.int().argsort(dim=1, descending=True, stable=True)[:, :count]
    ids = (wanted.gather(1, at) - 1).clamp_min(0)
    return at, ids, there.gather(1, at)
