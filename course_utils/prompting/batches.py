"""Encoded prompts to padded tensors, with PET's masked-language-model task if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from course_utils.errors import CourseError

NO_LABEL = -100  # what cross-entropy leaves out


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
        batch = pad(examples, self.tokenizer)
        if self.mlm_probability is not None:
            drawn = self.unlabelled and self.masked_texts(len(examples))
            batch.update(drawn or self._mlm(batch))
        return batch

    def masked_texts(self, count: int) -> dict[str, Tensor]:
        """`count` texts drawn from the unlabelled pool, masked: the mlm_... part of a batch."""
        drawn = torch.randint(len(self.unlabelled), (count,), generator=self.generator)
        return self._mlm(pad([self.unlabelled[i] for i in drawn.tolist()], self.tokenizer))

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
            "mlm_labels": torch.where(chosen, ids, NO_LABEL),
        }
        if "soft_positions" in batch:
            result["mlm_soft_positions"] = batch["soft_positions"]
        return result


def pad(examples: Sequence[Mapping[str, Sequence[int]]], tokenizer) -> dict[str, Tensor]:
    """One batch of tensors, short rows padded on the right; see `PromptCollator`.

    Examples that hold several rows each (draws of demonstrations) give (B, rows, T).
    """
    if isinstance(examples[0]["input_ids"][0], list):
        return _pad_stacked(examples, tokenizer)
    longest = max(len(example["input_ids"]) for example in examples)
    fill = {"input_ids": pad_id(tokenizer), "attention_mask": 0, "token_type_ids": 0, "wanted": 0}
    batch = {
        name: torch.tensor(
            [list(e[name]) + [value] * (longest - len(e[name])) for e in examples],
            dtype=torch.long,
        )
        for name, value in fill.items()
        if name in examples[0]
    }
    for name in ("mask_positions", "soft_positions"):
        if name in examples[0]:
            batch[name] = torch.tensor([list(e[name]) for e in examples], dtype=torch.long)
    for name, value in examples[0].items():
        if isinstance(value, int) and name != "labels":
            batch[name] = torch.tensor([e[name] for e in examples])
    if any("labels" in example for example in examples):
        batch["labels"] = torch.tensor([e.get("labels", NO_LABEL) for e in examples])
    return batch


def _pad_stacked(examples, tokenizer) -> dict[str, Tensor]:
    rows = len(examples[0]["input_ids"])
    flat = [
        {name: value[row] for name, value in example.items() if name != "labels"}
        for example in examples
        for row in range(rows)
    ]
    batch = {n: v.view(len(examples), rows, -1) for n, v in pad(flat, tokenizer).items()}
    if any("labels" in example for example in examples):
        batch["labels"] = torch.tensor([e.get("labels", NO_LABEL) for e in examples])
    return batch


def pad_id(tokenizer) -> int:
    """The padding id; a tokenizer without one pads with its end token, which the mask hides."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id):
        if token is not None:
            return token
    return 0
