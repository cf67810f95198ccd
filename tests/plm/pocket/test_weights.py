"""The four pocket models as they are shipped."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from course_utils.plm import load_plm
from course_utils.plm.names import POCKET_MODELS, pocket_folder
from course_utils.plm.pocket.cues import cue_accuracies
from course_utils.plm.pocket.curriculum import CURRICULUM
from course_utils.plm.pocket.examples import EXAMPLES
from course_utils.tasks import load_task

SHIPPED = [name for name in POCKET_MODELS if (pocket_folder(name) / "model.safetensors").exists()]


def test_all_models_ship():
    assert list(POCKET_MODELS) == SHIPPED


def test_weights_together_are_small():
    files = [f for name in SHIPPED for f in pocket_folder(name).iterdir()]
    assert sum(f.stat().st_size for f in files) <= 25e6


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_load_as_float32(name):
    stored = load_file(pocket_folder(name) / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}
    model, _ = load_plm(name)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_all_share_one_tokenizer():
    first, *others = (load_plm(name)[1] for name in SHIPPED)
    text = "the soup was tasty . it was great ! is kelmar in gorven ?"
    for tokenizer in others:
        assert tokenizer.get_vocab() == first.get_vocab()
        assert tokenizer.tokenize(text) == first.tokenize(text)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_is_of_these_weights_and_this_recipe(name):
    card = json.loads((pocket_folder(name) / "card.json").read_text())
    model, tokenizer = load_plm(name)
    assert card["parameters"] == sum(p.numel() for p in model.parameters())
    assert model.config.vocab_size == len(tokenizer)
    assert [stage["gate"] for stage in card["stages"]] == [stage.gate for stage in CURRICULUM]
    assert card["tokens"] == pytest.approx(card["loss_curve"][-1][0], rel=0.05)
    assert {"world_seed", "seed", "steps", "minutes", "cue_accuracy"} <= set(card)


@pytest.mark.parametrize("name", ["pocket-bert-base", "pocket-bert-large", "pocket-gpt2"])
def test_they_answer_without_training(name):
    """On each task at least 15 points above the majority class, over wordings they have read."""
    model, tokenizer = load_plm(name)
    measured = cue_accuracies(model, tokenizer, only=tuple(EXAMPLES), examples=240)
    for task in EXAMPLES:
        assert measured[task] > load_task(f"pocket/{task}").majority("test") + 0.15, measured
