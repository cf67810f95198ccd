"""A PLM that classifies by filling in a word: prompt-based fine-tuning without new parameters.

The blank's logits are scored by the verbalizer, and the cross-entropy over label scores is the
loss, so the PLM is tuned with the head it was pre-trained with (PET, Schick & Schütze 2021;
LM-BFF, Gao et al. 2021). Untuned it answers zero-shot. The model may be a PLM or a method attached
round one (LoRA, adapter, prefix ...): the prompt goes through it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError
from course_utils.prompting.answers import Answers
from course_utils.prompting.asked import AskedModel
from course_utils.prompting.batches import PromptCollator
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.scoring import WordScorer, blank_logits, margin_loss
from course_utils.prompting.soft_tokens import SoftTokens, put_in
from course_utils.prompting.soft_verbalizer import SoftVerbalizer, hidden_at
from course_utils.prompting.template import Template
from course_utils.prompting.verbalizer import Verbalizer
from course_utils.tasks.batches import IGNORED


class PromptModel(AskedModel):
    """A masked, causal or encoder-decoder PLM behind a template and a verbalizer.

    Args:
        model: a PLM with its language-modelling head, or a method attached round one.
        tokenizer: its tokenizer.
        template: a `Template`, or its text.
        verbalizer: a `Verbalizer`, or a mapping from labels to words.
        labels: the task's label names in id order; the verbalizer is put in that order and must
            cover them all. Without them the verbalizer's own order counts.
        max_length: tokens at most, 256 or the PLM's limit if not given.
        soft: what fills the template's {soft:N}: a module whose forward() gives (N, d) vectors, or
            "vocabulary" or "random" for new `SoftTokens` started so, drawn by `seed`.
        soft_verbalizer: train a vector per label, started from its words (`SoftVerbalizer`).
        alpha: weight of the cross-entropy where the batch brings masked text, the rest is the
            masked-language-model loss (PET: 0.9999).

    Raises:
        CourseError: everything about template, verbalizer and PLM that can't work together.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        template: Template | str,
        verbalizer: Verbalizer | Mapping[str, str | Sequence[str]],
        *,
        labels: Iterable[str] | None = None,
        max_length: int | None = None,
        soft: nn.Module | str | None = None,
        soft_verbalizer: bool = False,
        alpha: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, tokenizer, max_length)
        if not 0 <= alpha <= 1:
            raise CourseError(f"alpha is a weight between 0 and 1, not {alpha}.")
        verbalizer = verbalizer if isinstance(verbalizer, Verbalizer) else Verbalizer(verbalizer)
        self.template = template if isinstance(template, Template) else Template(template)
        self.verbalizer = verbalizer.ordered(labels) if labels is not None else verbalizer
        self.alpha = alpha
        lengths = self.verbalizer.lengths(tokenizer)
        self.reserve = max(lengths) - self.template.n_masks if lengths != (1,) else 0
        self._check_masks(lengths)
        self.template.check(tokenizer, kind=self.kind, max_length=self.max_length - self.reserve)
        self.soft = self._soft_tokens(soft, seed)
        self.soft_verbalizer = None
        if soft_verbalizer:
            self.soft_verbalizer = SoftVerbalizer.from_words(self.verbalizer, tokenizer, model)
        self._along: PromptCollator | None = None
        self.register_buffer("log_prior", None)
        self.train(model.training)

    @classmethod
    def for_task(cls, model: nn.Module, tokenizer, task, which: int = 0, **options) -> PromptModel:
        """A prompt with the `which`-th of the task's own wordings, labels in the task's order."""
        if not 0 <= which < len(task.prompts):
            raise CourseError(
                f"task {task.name!r} has {len(task.prompts)} prompts, 0 to "
                f"{len(task.prompts) - 1}; prompt {which} was asked for."
            )
        template, words = task.prompts[which][:2]
        return cls(model, tokenizer, template, words, labels=task.labels, **options)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names, position = id."""
        return self.verbalizer.labels

    def pieces(self, example: Mapping[str, object]) -> list[Piece]:
        """What the PLM reads for one example; prompts with demonstrations put more in."""
        return self.template.fill(example)

    def encode(self, example: Mapping[str, object]) -> dict[str, object]:
        """One example as ids, with "labels" if it has a "label" (an id or a name).

        A label of None or -1 counts as none.
        """
        encoded: dict[str, object] = encode_pieces(
            self.pieces(example),
            self.tokenizer,
            kind=self.kind,
            max_length=self.max_length,
            reserve=self.reserve,
        )
        label = example.get("label")
        if label is not None and label != -1:
            encoded["labels"] = self.verbalizer.label_id(label)
        return encoded

    def collator(self, **options) -> PromptCollator:
        """The collator for what `encode` returns; see `PromptCollator` for the options."""
        return PromptCollator(self.tokenizer, **options)

    def read_along(
        self, examples: Iterable[Mapping[str, object]], *, share: float = 0.15
    ) -> PromptModel:
        """Give every training step PET's second task: unlabelled texts with words to guess.

        From now on each step in training mode draws as many of `examples` as it has rows, masks
        `share` of their words, and adds (1 - alpha) times that loss. Needs a masked PLM. Torch's
        own random state decides, which checkpoints keep: a resumed run draws what it would have.
        """
        encoded = [PromptModel.encode(self, example) for example in examples]
        if not encoded:
            raise CourseError("there are no unlabelled examples to read along.")
        self._along = self.collator(mlm_probability=share, unlabelled=encoded, seed=None)
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mask_positions: Tensor,
        token_type_ids: Tensor | None = None,
        soft_positions: Tensor | None = None,
        labels: Tensor | None = None,
        mlm_input_ids: Tensor | None = None,
        mlm_attention_mask: Tensor | None = None,
        mlm_labels: Tensor | None = None,
        mlm_soft_positions: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Label scores as `logits` (B, n_labels), and the loss when labels are given.

        loss = alpha * cross-entropy + (1 - alpha) * masked-language-model loss, the second term
        only where the batch brings `mlm_labels`. Words of several tokens learn by the margin
        between labels instead of the cross-entropy (`margin_loss`). Labels of -100 are left out.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        inputs = self._with_soft(inputs, soft_positions)
        scores = self._scores(inputs, mask_positions).float()  # (B, n_labels)
        if self.log_prior is not None:
            scores = scores - self.log_prior
        loss = None
        if labels is not None and (labels != IGNORED).any():
            loss = self._label_loss(scores, labels)
            if mlm_labels is None and self.training and self._along is not None:
                drawn = self._along.masked_texts(len(labels))
                drawn = {name: value.to(labels.device) for name, value in drawn.items()}
                mlm_input_ids, mlm_attention_mask, mlm_labels = (
                    drawn[f"mlm_{name}"] for name in ("input_ids", "attention_mask", "labels")
                )
                mlm_soft_positions = drawn.get("mlm_soft_positions")
            if mlm_labels is not None and (mlm_labels != IGNORED).any():
                masked = {"input_ids": mlm_input_ids, "attention_mask": mlm_attention_mask}
                masked = self._with_soft(masked, mlm_soft_positions)
                mlm_loss = self._mlm_loss(masked, mlm_labels)
                loss = self.alpha * loss + (1 - self.alpha) * mlm_loss
        return SequenceClassifierOutput(loss=loss, logits=scores)

    def _label_loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        if self.soft_verbalizer is None and self.verbalizer.lengths(self.tokenizer) != (1,):
            return margin_loss(scores, labels)
        return F.cross_entropy(scores, labels, ignore_index=IGNORED)

    def _scores(self, inputs: Mapping[str, Tensor], positions: Tensor) -> Tensor:
        """(B, n_labels) label scores before calibration."""
        if self.soft_verbalizer is not None:
            hidden = hidden_at(self.model, inputs, positions, self.kind, self._mask)
            return self.soft_verbalizer(hidden[:, 0])
        # Made per call: a replica on another device must score with its own copy of the model.
        score = WordScorer(self.model, self.tokenizer, self.verbalizer, self.kind, self._mask)
        return score(inputs, positions, greedy=not self.training)

    @torch.no_grad()
    def word_logits(self, examples: Sequence[Mapping[str, object]]) -> Tensor:
        """The PLM's logits over all words at the mask of each example: (B, V)."""
        was_training = self.training
        self.eval()
        try:
            batch = self._batch([self.encode(example) for example in examples])
            inputs = self._with_soft(batch, batch.pop("soft_positions", None))
            positions = inputs.pop("mask_positions")
            return blank_logits(self.model, inputs, positions, self.kind, self._mask)[:, 0]
        finally:
            self.train(was_training)

    def _with_soft(self, inputs: dict[str, Tensor], positions: Tensor | None) -> dict[str, Tensor]:
        """Inputs as they are, or with the soft tokens' vectors in place of their placeholders."""
        if positions is None:
            if self.template.n_soft:
                raise CourseError("the template has soft tokens but the batch no soft_positions.")
            return inputs
        vectors = self.soft()
        expected = (self.template.n_soft, self.plm.get_input_embeddings().embedding_dim)
        if tuple(vectors.shape) != expected:
            raise CourseError(
                f"the soft tokens' module gives vectors of shape {tuple(vectors.shape)}; the "
                f"template and the PLM need {expected}."
            )
        inputs = dict(inputs)
        embedded = self.plm.get_input_embeddings()(inputs.pop("input_ids"))
        return {"inputs_embeds": put_in(embedded, vectors, positions), **inputs}

    def _mlm_loss(self, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        logits = self.model(**inputs).logits[:, -labels.shape[1] :]
        chosen = labels != IGNORED
        return F.cross_entropy(logits[chosen].float(), labels[chosen])

    def _check_masks(self, lengths: tuple[int, ...]) -> None:
        masks = self.template.n_masks
        if masks > 1 and self.kind == "masked" and lengths != (masks,):
            raise CourseError(
                f"the template has {masks} masks, so every label word must have {masks} tokens, "
                f"but there are words of {' and '.join(map(str, lengths))}. With one {{mask}} and "
                "multi_token=True words may be of any length."
            )
        if self.template.n_soft and lengths != (1,):
            raise CourseError(
                "soft tokens together with label words of several tokens are not supported: use "
                "words of one token."
            )

    def _soft_tokens(self, soft: nn.Module | str | None, seed: int) -> nn.Module | None:
        count = self.template.n_soft
        if not count:
            if soft is not None:
                raise CourseError(
                    "a module for soft tokens was given, but the template has none: put {soft:20} "
                    "into it, or leave the module out."
                )
            return None
        if soft is None:
            raise CourseError(
                f"the template has {count} soft tokens and nothing fills them: give "
                'PromptModel(..., soft="vocabulary"), or a module whose forward() gives '
                f"({count}, hidden size) vectors."
            )
        if isinstance(soft, str):
            return SoftTokens(self.plm.get_input_embeddings().weight, count, init=soft, seed=seed)
        return soft


def zero_shot(
    model: nn.Module,
    tokenizer,
    template: Template | str,
    verbalizer: Verbalizer | Mapping[str, str | Sequence[str]],
    examples: Iterable[Mapping[str, object]],
    *,
    labels: Iterable[str] | None = None,
    max_length: int | None = None,
    batch_size: int = 32,
) -> Answers:
    """Answer examples with a PLM as it is, no training: the label whose words fit the blank best.

    Example:
        >>> answers = zero_shot(model, tokenizer, "{sentence} It was {mask} .",
        ...                     {"negative": "bad", "positive": "good"}, rows)
        >>> answers.predictions, answers.probabilities
    """
    prompt = PromptModel(
        model, tokenizer, template, verbalizer, labels=labels, max_length=max_length
    )
    return prompt.predict(examples, batch_size=batch_size)
