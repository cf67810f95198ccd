"""A real pre-trained causal LM (stories260K, Llama class): it continues stories and learns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from course_utils.plm import load_plm
from course_utils.tuning import LoRA, SoftPrompt, attach, load_tuned

REAL = Path(
    os.environ.get("COURSE_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "real")
)
FOLDER = REAL / "stories260K"
LINES = [f"The robot {who} said beep to the {what}." for who in ("Bob", "Ann", "Tim", "Sue")
         for what in ("cat", "dog", "sun", "tree", "bird", "moon")]  # fmt: skip

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="stories260K is not here")


@pytest.fixture
def plm():
    return load_plm(FOLDER)


def continuation(model, tokenizer, text: str, tokens: int = 24) -> str:
    batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    written = model.generate(**batch, max_new_tokens=tokens, do_sample=False)
    return tokenizer.decode(written[0], skip_special_tokens=True)


def batch_of(tokenizer) -> dict:
    batch = tokenizer(LINES, padding=True, return_tensors="pt", return_token_type_ids=False)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    return {**batch, "labels": labels}


def train(tuned, batch, steps: int, rate: float) -> tuple[float, float]:
    tuned.train()
    optimizer = torch.optim.AdamW(tuned.trainable_parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = tuned(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    tuned.eval()
    return losses[0], losses[-1]


def test_it_tells_a_story(plm):
    model, tokenizer = plm
    assert model.newly_initialised == frozenset()
    text = continuation(model, tokenizer, "Once upon a time, there was a little")
    assert text.startswith("Once upon a time, there was a little girl")


@pytest.mark.parametrize(
    ("method", "rate"), [(LoRA(rank=8), 1e-2), (SoftPrompt(length=10, init="vocabulary"), 1e-1)]
)
def test_it_learns_saves_and_reloads(method, rate, plm, tmp_path):
    model, tokenizer = plm
    before = continuation(model, tokenizer, "The robot Bob")
    tuned = attach(model, method)
    first, last = train(tuned, batch_of(tokenizer), steps=60, rate=rate)
    assert last < first - 1.0
    learnt = continuation(tuned, tokenizer, "The robot Bob")
    assert "said beep" in learnt
    assert "said beep" not in before
    tuned.save(tmp_path)
    assert (tmp_path / "adapter.safetensors").stat().st_size < 80_000
    again, _ = load_plm(FOLDER)
    assert continuation(load_tuned(again, tmp_path), tokenizer, "The robot Bob") == learnt
    assert continuation(tuned.detach(), tokenizer, "The robot Bob") == before


@pytest.mark.parametrize("method", [LoRA(rank=4), SoftPrompt(length=6, init="vocabulary")])
def test_generation_equals_recomputation_token_by_token(method, plm):
    model, tokenizer = plm
    tuned = attach(model, method)
    train(tuned, batch_of(tokenizer), steps=5, rate=1e-2)
    texts = ["Once upon a time", "Tim saw a big red ball. He", "The"]
    expected = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        start = ids.shape[1]
        for _ in range(16):
            logits = tuned(input_ids=ids, use_cache=False).logits
            ids = torch.cat((ids, logits[:, -1:].argmax(-1)), 1)
        expected.append(ids[0, start:].tolist())
    batch = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    assert (batch["attention_mask"][:, 0] == 0).any()  # padded on the left
    written = tuned.generate(**batch, max_new_tokens=16, do_sample=False, eos_token_id=None)
    assert written[:, batch["input_ids"].shape[1] :].tolist() == expected


def test_merged_lora_writes_the_same(plm):
    model, tokenizer = plm
    tuned = attach(model, LoRA(rank=4, sites=("query", "value", "ffn_in", "ffn_out")))
    train(tuned, batch_of(tokenizer), steps=10, rate=1e-2)
    learnt = continuation(tuned, tokenizer, "The robot")
    assert continuation(tuned.merge(), tokenizer, "The robot") == learnt
