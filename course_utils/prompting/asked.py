"""What every question round a PLM shares: it encodes an example itself and answers with scores.

`PromptModel` (label words), `ChoicePrompt` (each example brings its own candidates) and
`MixedPrompts` (many prompts at once) are `AskedModel`s; `train` and `evaluate` take any of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.prompting.answers import Answers
from course_utils.prompting.scoring import model_kind, plm_of, position_limit
from course_utils.prompting.template import DEFAULT_LENGTH
from course_utils.prompting.tokens import mask_id
from course_utils.tasks.batches import collate


class AskedModel(nn.Module, ABC):
    """A masked, causal or encoder-decoder PLM and a way to ask it.

    A subclass has `labels` (names, position = id), `encode(example)` giving lists of ids, and a
    forward over their batch whose output has `.logits` (B, n_labels) and `.loss` with labels.

    Args:
        model: a PLM with its language-modelling head, or a method attached round one.
        tokenizer: its tokenizer.
        max_length: tokens at most, 256 or the PLM's limit if not given.

    Raises:
        CourseError: no language-modelling head, or more tokens than the PLM has positions for.
    """

    labels: tuple[str, ...]

    def __init__(self, model: nn.Module, tokenizer, max_length: int | None = None):
        super().__init__()
        self.kind = model_kind(model)
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = _length(model, max_length)
        self._mask = -1 if self.kind == "causal" else mask_id(tokenizer, self.kind)

    @property
    def plm(self) -> nn.Module:
        """The transformers model inside."""
        return plm_of(self.model)

    @property
    def config(self):
        """The PLM's configuration."""
        return self.plm.config

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @abstractmethod
    def encode(self, example: Mapping[str, object]) -> dict[str, object]:
        """One example as ids, with "labels" if it has a label."""

    @torch.no_grad()
    def predict(self, examples: Iterable[Mapping[str, object]], *, batch_size: int = 32) -> Answers:
        """Answer every example, in their order; the model is put back into its mode after."""
        examples = list(examples)
        if not examples:
            raise CourseError("there are no examples to answer: give at least one.")
        encoded = [self.encode(example) for example in examples]
        order = sorted(range(len(encoded)), key=lambda i: _n_tokens(encoded[i]))
        scores = torch.empty(len(encoded), len(self.labels))
        was_training = self.training
        self.eval()
        try:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self._batch([encoded[i] for i in rows])
                scores[rows] = self(**batch).logits.float().cpu()
        finally:
            self.train(was_training)
        return Answers(self.labels, scores)

    def _batch(self, encoded: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Encoded examples as tensors on the model's device, without labels."""
        batch = collate(encoded, self.tokenizer)
        batch.pop("labels", None)
        return {name: value.to(self.device) for name, value in batch.items()}


def _length(model: nn.Module, wanted: int | None) -> int:
    limit = position_limit(model)
    if wanted is None:
        return min(DEFAULT_LENGTH, limit or DEFAULT_LENGTH)
    if limit is not None and wanted > limit:
        raise CourseError(
            f"max_length {wanted} is more than the {limit} tokens this PLM has positions for."
        )
    return wanted


def _n_tokens(encoded: Mapping[str, object]) -> int:
    """Tokens of an encoded example; of its longest row where it holds several."""
    ids = encoded["input_ids"]
    return max(map(len, ids)) if isinstance(ids[0], list) else len(ids)
