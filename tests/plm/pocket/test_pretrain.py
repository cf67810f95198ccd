"""Pre-training: the recipe runs, repeats itself, and goes on after a break."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.plm.names import POCKET_MODELS
from course_utils.plm.pocket import pretrain as pretraining
from course_utils.plm.pocket.corpus import GENRES
from course_utils.plm.pocket.cues import cue_accuracies
from course_utils.plm.pocket.curriculum import CURRICULUM
from course_utils.plm.pocket.objectives import build_model
from course_utils.plm.pocket.pretrain import CHECKPOINT, Recipe, pretrain, rate
from course_utils.plm.pocket.sizes import SIZES
from course_utils.plm.pocket.tokenizer import build_tokenizer
from course_utils.plm.pocket.world import make_world


def test_names_and_sizes_agree():
    assert set(SIZES) == set(POCKET_MODELS)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("pocket-bert-tiny", 0.15e6, 0.3e6),
        ("pocket-bert-base", 0.9e6, 1.4e6),
        ("pocket-bert-large", 4.5e6, 6e6),
        ("pocket-gpt2", 1e6, 4e6),
    ],
)
def test_sizes_are_as_announced(name, low, high):
    model = build_model(SIZES[name], len(build_tokenizer()), 0)
    assert low < sum(p.numel() for p in model.parameters()) < high


def test_the_full_mix_reads_the_announced_tokens():
    mix = [stage for stage in CURRICULUM if stage.gate is None]
    assert sum(stage.share for stage in mix) == pytest.approx(1.0)
    assert mix == list(CURRICULUM[-len(mix) :])
    assert [stage.settle for stage in CURRICULUM].index(True) == len(CURRICULUM) - 1


def test_every_step_rehearses_all_before_it():
    read: set[str] = set()
    for stage in CURRICULUM:
        if stage.gate is None:
            assert stage.genres() is None
            continue
        assert set(stage.rehearse) - set(stage.focus) == read - set(stage.focus), stage
        assert set(stage.parts) <= read, stage
        shares = stage.genres()
        assert set(shares) <= set(GENRES)
        fresh = [name for name in stage.focus if name not in read]
        if fresh and read:
            assert sum(shares[name] for name in fresh) == pytest.approx(sum(shares.values()) / 2)
        read |= set(stage.focus)


def test_few_people_are_a_part_of_all():
    world, few = make_world(), make_world().few(8)
    assert few.people == world.people[:8]
    assert few.towns == world.towns


def test_positions_start_small():
    """What is learnt about two words then holds wherever they stand."""
    bert = build_model(SIZES["pocket-bert-tiny"], 500, 0)
    gpt = build_model(SIZES["pocket-gpt2"], 500, 0)
    for words, positions in (
        (bert.bert.embeddings.word_embeddings, bert.bert.embeddings.position_embeddings),
        (gpt.transformer.wte, gpt.transformer.wpe),
    ):
        assert positions.weight.std() < 0.5 * words.weight.std()


def test_learning_rate_rises_stays_and_falls_to_zero():
    recipe = Recipe(tokens=1e6)
    assert rate(recipe, 128, 0) == pytest.approx(recipe.peak / recipe.warmup)
    assert rate(recipe, 128, 1000) == pytest.approx(recipe.peak)
    assert rate(recipe, 128, 1000, left=0.0) == 0
    assert rate(recipe, 32, 1000) == pytest.approx(2 * recipe.peak)
    assert rate(recipe, 512, 1000) == pytest.approx(recipe.peak / 4)


@pytest.mark.parametrize("name", list(SIZES))
def test_deeper_models_add_less_per_layer_at_the_start(name):
    size = SIZES[name]
    weights = build_model(size, 500, 0).state_dict()
    ends = ("attention.output.dense.weight", "output.dense.weight", "c_proj.weight")
    added = [w.std().item() for key, w in weights.items() if key.endswith(ends)]
    assert len(added) == 2 * size.layers
    for std in added:
        assert std == pytest.approx((size.width * 2 * size.layers) ** -0.5, rel=0.05)


SHORT = Recipe(tokens=3_000, counted=300)


@pytest.fixture
def few_probes(monkeypatch):
    """The cues' accuracies from 10 texts each: what they are does not matter here."""
    monkeypatch.setattr(pretraining, "cue_accuracies", partial(cue_accuracies, examples=10))


def weights_after(name, folder):
    """What a short pre-training ends with."""
    pretrain(name, folder, recipe=SHORT, device="cpu", report=False)
    return load_file(folder / "model.safetensors")


@pytest.mark.long
@pytest.mark.parametrize("name", ["pocket-bert-tiny", "pocket-gpt2"])
def test_a_run_repeats_itself_and_loads(tmp_path, few_probes, name):
    first, again = (weights_after(name, tmp_path / folder) for folder in ("first", "again"))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert {t.dtype for t in first.values()} == {torch.float16}
    model, tokenizer = load_plm(str(tmp_path / "first"))
    assert next(model.parameters()).dtype == torch.float32
    assert len(tokenizer) == model.config.vocab_size
    card = json.loads((tmp_path / "first" / "card.json").read_text())
    assert card["tokens"] >= 12_000
    assert card["seed"] == 0


def test_a_broken_run_goes_on_and_ends_the_same(tmp_path, few_probes, monkeypatch):
    whole = weights_after("pocket-bert-tiny", tmp_path / "whole")
    monkeypatch.setattr(pretraining, "CHECKPOINT_SECONDS", 0)
    step, steps = pretraining._Run._step, []

    def breaks(run, batch):
        steps.append(1)
        if len(steps) == 9:
            raise KeyboardInterrupt
        step(run, batch)

    monkeypatch.setattr(pretraining._Run, "_step", breaks)
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        weights_after("pocket-bert-tiny", broken)
    with pytest.raises(CourseError, match="another pre-training"):
        pretrain("pocket-bert-tiny", broken, tokens=1, device="cpu", report=False)
    again = weights_after("pocket-bert-tiny", broken)
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert not (broken / CHECKPOINT).exists()


@pytest.mark.parametrize(
    ("able", "wanted"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
    ids=["it has", "it lacks", "nobody knows"],
)
def test_half_precision_only_where_the_processor_has_it(
    tmp_path, few_probes, monkeypatch, able, wanted
):
    """Emulated, it takes ten times as long as float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    seen = []

    def loss(model, batch):
        found = model.transformer(input_ids=batch["input_ids"][:1, :4]).last_hidden_state
        seen.append((found @ found.transpose(1, 2)).dtype)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "causal_loss", loss)
    with pytest.raises(KeyboardInterrupt):
        weights_after("pocket-gpt2", tmp_path)
    assert seen == [wanted]
