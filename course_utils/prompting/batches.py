"""Encoded prompts to padded tensors, with PET's masked-language-model task if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.tasks.batches import IGNORED, collate


class PromptCollator:
    """Pads what `PromptModel.encode` returns to the longest of the batch.

    Args:
        tokenizer: for the padding token.
        mlm_probability: also give `mlm_input_ids` and `mlm_labels`: texts with that share of their
            words masked (BERT's 80/10/10), for the auxiliary loss of PET. The prompt's own mask,
            special tokens and soft tokens stay as they are.
        unlabelled: encoded prompts of the unlabelled pool; the masked texts are then drawn from
            them, as in PET, otherwise from the batch itself.
        seed: of the masking and drawing; None leaves them to torch's own random state.

    Returns (from a call): input_ids, attention_mask, token_type_ids where encoded (B, T);
        mask_positions (B, M); soft_positions (B, N) where there are; labels (B,), -100 for an
        example without one.
    """

    def __init__(
        self,
        tokenizer,
        *,
        mlm_probability: float | None = None,
        unlabelled: Sequence[Mapping[str, Sequence[int]]] = (),
        seed: int | None = 0,
    ):
        if mlm_probability is not None and not 0 < mlm_probability < 1:
            raise CourseError(f"mlm_probability is a share between 0 and 1, not {mlm_probability}.")
        if mlm_probability is not None and tokenizer.mask_token_id is None:
            raise CourseError("masking words needs a masked PLM; this tokenizer has no mask token.")
        self.tokenizer = tokenizer
        self.mlm_probability = mlm_probability
        self.unlabelled = unlabelled
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __call__(self, examples: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Tensor]:
        batch = collate(examples, self.tokenizer)
        if self.mlm_probability is not None:
            drawn = self.unlabelled and self.masked_texts(len(examples))
            batch.update(drawn or self._mlm(batch))
        return batch

    def masked_texts(self, count: int) -> dict[str, Tensor]:
        """`count` texts drawn from the unlabelled pool, masked: the mlm_... part of a batch."""
        drawn = torch.randint(len(self.unlabelled), (count,), generator=self.generator)
        return self._mlm(collate([self.unlabelled[i] for i in drawn.tolist()], self.tokenizer))

    def _mlm(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ids = batch["input_ids"]
        special = torch.tensor(self.tokenizer.all_special_ids)
        allowed = (batch["attention_mask"] == 1) & ~torch.isin(ids, special)
        for name in ("mask_positions", "soft_positions"):
            if name in batch:
                allowed = allowed.scatter(1, batch[name], False)
        chance = torch.rand(ids.shape, generator=self.generator)
        chosen = allowed & (chance < self.mlm_probability)
        how = torch.rand(ids.shape, generator=self.generator)
        random_ids = torch.randint(len(self.tokenizer), ids.shape, generator=self.generator)
        masked = torch.where(chosen & (how < 0.8), self.tokenizer.mask_token_id, ids)
        masked = torch.where(chosen & (how >= 0.9), random_ids, masked)
        result = {
            "mlm_input_ids": masked,
            "mlm_attention_mask": batch["attention_mask"],
            "mlm_labels": torch.where(chosen, ids, IGNORED),
        }
        if "soft_positions" in batch:
            result["mlm_soft_positions"] = batch["soft_positions"]
        return result
