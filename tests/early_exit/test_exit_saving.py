"""A saved model with exits is whole: it comes back in a fresh process, or says what is wrong."""

from __future__ import annotations

import pytest
import small_plms
import small_tasks as small
import small_tokenizers
import torch

from course_utils.compression import share_layers
from course_utils.early_exit import (
    EarlyExit,
    JointExits,
    LearnedConfidence,
    Patience,
    load_exits,
    save_exits,
)
from course_utils.errors import CourseError
from course_utils.plm import load_plm


@pytest.fixture
def tokenizer():
    return small.tokenizer()


@pytest.fixture
def exits():
    exits = EarlyExit(small.bert(seed=3).eval(), seed=4).trained_by(JointExits(weights="depth"))
    torch.nn.init.normal_(exits.confidence.weight)
    exits.confidence_trained = True
    return exits


IDS = torch.tensor([[2, 7, 9, 3], [2, 8, 8, 3]])


def test_comes_back_the_same(exits, tokenizer, tmp_path):
    assert save_exits(exits, tmp_path / "mine", tokenizer=tokenizer) == tmp_path / "mine"
    torch.manual_seed(99)
    loaded, its_tokenizer = load_exits(tmp_path / "mine")
    ours, theirs = exits(IDS), loaded(IDS)
    assert torch.equal(ours.exits, theirs.exits)
    assert torch.equal(ours.confidence, theirs.confidence)
    assert its_tokenizer("the film").input_ids == tokenizer("the film").input_ids
    assert loaded.method == JointExits(weights="depth")
    assert not loaded.training
    for rule in (Patience(1), LearnedConfidence(0.5)):
        exits.rule = loaded.rule = rule
        assert torch.equal(exits(IDS).logits, loaded(IDS).logits)


def test_gpt2_comes_back_the_same(tmp_path):
    tokenizer = small_tokenizers.gpt2()
    model = small_plms.make("gpt2-classifier", vocab_size=len(tokenizer))
    save_exits(EarlyExit(model, seed=5), tmp_path, tokenizer=tokenizer)
    loaded, _ = load_exits(tmp_path)
    assert torch.equal(loaded(IDS).exits, EarlyExit(model, seed=5)(IDS).exits)


def test_an_untrained_confidence_stays_untrained(exits, tokenizer, tmp_path):
    exits.confidence_trained = False
    save_exits(exits, tmp_path, tokenizer=tokenizer)
    with pytest.raises(CourseError, match="not trained yet"):
        load_exits(tmp_path)[0].rule = LearnedConfidence(0.5)


def test_the_plm_inside_is_an_ordinary_folder(exits, tokenizer, tmp_path):
    save_exits(exits, tmp_path, tokenizer=tokenizer)
    model, _ = load_plm(tmp_path, head="classifier")
    assert torch.equal(model(IDS).logits, exits.model(IDS).logits)
    assert model.newly_initialised == frozenset()


def test_saving_again_replaces_and_leaves_nothing_behind(exits, tokenizer, tmp_path):
    save_exits(exits, tmp_path, tokenizer=tokenizer)
    files = sorted(path.name for path in tmp_path.iterdir())
    with torch.no_grad():
        exits.heads[0].out.bias.add_(1.0)
    save_exits(exits, tmp_path, tokenizer=tokenizer)
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert torch.equal(load_exits(tmp_path)[0](IDS).exits, exits(IDS).exits)


@pytest.mark.parametrize("name", ["model.safetensors", "exits.safetensors"])
def test_a_write_that_was_killed_half_way_is_noticed(exits, tokenizer, tmp_path, name):
    """One file of a later save beside the page of an earlier one."""
    save_exits(exits, tmp_path / "old", tokenizer=tokenizer)
    save_exits(EarlyExit(small.bert(seed=8)), tmp_path / "new", tokenizer=tokenizer)
    (tmp_path / "new" / name).replace(tmp_path / "old" / name)
    with pytest.raises(CourseError, match=f"{name}.*checksum differs"):
        load_exits(tmp_path / "old")


@pytest.mark.parametrize("name", ["exits.json", "model.safetensors", "exits.safetensors"])
def test_a_missing_file_is_named(exits, tokenizer, tmp_path, name):
    save_exits(exits, tmp_path, tokenizer=tokenizer)
    (tmp_path / name).unlink()
    with pytest.raises(CourseError, match=f"holds no {name}"):
        load_exits(tmp_path)


def test_refusals_before_anything_is_written(exits, tokenizer, tmp_path):
    with pytest.raises(CourseError, match="give tokenizer="):
        save_exits(exits, tmp_path / "x")
    shared = EarlyExit(share_layers(small.bert()))
    with pytest.raises(CourseError, match="share their weights"):
        save_exits(shared, tmp_path / "x", tokenizer=tokenizer)
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="can't write to"):
        save_exits(exits, tmp_path / "file", tokenizer=tokenizer)
