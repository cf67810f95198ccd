"""Small random models of every architecture, and batches for them."""

from __future__ import annotations

import pytest
import torch
from small_plms import VOCAB, make


@pytest.fixture
def make_plm():
    """make_plm(name, seed=0): a model of that kind in eval mode, without its chatter."""
    return make


@pytest.fixture
def make_batch():
    """make_batch(name, rows=3, tokens=7): right-padded inputs, with labels that fit the head."""

    def make(name: str, rows: int = 3, tokens: int = 7, labels: bool = True) -> dict:
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(5, VOCAB, (rows, tokens), generator=generator)
        mask = torch.ones_like(ids)
        pad = 1 if name.startswith("roberta") else 0
        for row in range(1, rows):
            mask[row, tokens - row :] = 0
        ids = ids.masked_fill(mask == 0, pad)
        batch = {"input_ids": ids, "attention_mask": mask}
        if name == "bert-choice":
            batch = {key: value[:2].unsqueeze(0) for key, value in batch.items()}
            return batch | ({"labels": torch.tensor([1])} if labels else {})
        if name.split("-")[0] == "t5" and name not in ("t5-encoder", "t5-tagger"):
            target = torch.randint(5, VOCAB, (rows, 4), generator=generator)
            return batch | ({"labels": target} if labels else {"decoder_input_ids": target})
        if not labels or name.endswith(("bare", "encoder")):
            return batch
        if name.endswith("tagger"):
            return batch | {"labels": (ids % 2).masked_fill(mask == 0, -100)}
        if name in ("bert", "roberta") or name.endswith("classifier"):
            return batch | {"labels": torch.arange(rows) % 2}
        return batch | {"labels": ids.masked_fill(mask == 0, -100)}

    return make


@pytest.fixture
def few_steps():
    """few_steps(tuned, batch): three optimizer steps on one batch, in train mode."""

    def run(tuned, batch: dict, steps: int = 3) -> list[float]:
        tuned.train()
        optimizer = torch.optim.SGD(tuned.trainable_parameters(), lr=0.5)
        losses = []
        for _ in range(steps):
            output = tuned(**batch)
            loss = output.loss if "labels" in batch else output[0].pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        tuned.eval()
        return losses

    return run


@pytest.fixture
def output_of():
    """output_of(model, batch): what the head (or the bare encoder) gives, without gradients."""

    def run(model, batch: dict) -> torch.Tensor:
        with torch.no_grad():
            output = model(**batch)
        return output.logits if "logits" in output else output.last_hidden_state

    return run
