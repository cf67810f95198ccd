"""Magnitude pruning: the right weights go, exactly as many, and they stay away."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import small_tasks as small
import torch
import torch.nn.utils.prune as torchs

import course_utils.loop as loop
from course_utils.compression import prune, prune_gradually, share_layers, shares, sparsity
from course_utils.compression.distillation import fingerprint
from course_utils.errors import CourseError
from course_utils.plm import sites
from course_utils.plm.architectures import ROLES
from course_utils.settings import LEARNING_RATES, TrainSettings, default_learning_rate
from course_utils.training import train
from course_utils.tuning import LoRA, attach

PLMS = ("bert", "roberta", "gpt2-classifier", "llama-classifier")
SETTINGS = TrainSettings(epochs=2, batch_size=8, learning_rate=5e-3)


def maps(model) -> list[torch.Tensor]:
    """Each map's own weights; of a fused map, its columns."""
    found = []
    for site in sites(model).at(*ROLES):
        weight = site.module.weight.detach()
        found.append(weight if site.columns is None else weight[:, slice(*site.columns)])
    return found


@pytest.mark.parametrize("plm", PLMS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
class TestWhatGoes:
    def test_global_drops_the_smallest_of_all(self, plm, share, make_plm):
        model = make_plm(plm, layers=2)
        before = np.concatenate([m.flatten().numpy() for m in maps(model)]).copy()
        prune(model, share)
        after = np.concatenate([m.flatten().numpy() for m in maps(model)])
        count = int(share * len(before))
        assert (after == 0).sum() == count
        kept = after != 0
        assert (after[kept] == before[kept]).all()
        assert count == 0 or abs(before[~kept]).max() <= abs(before[kept]).min()

    def test_by_layer_drops_the_smallest_of_each_map(self, plm, share, make_plm):
        model = make_plm(plm, layers=2)
        before = [m.clone() for m in maps(model)]
        prune(model, share, scope="layer")
        for old, new in zip(before, maps(model), strict=True):
            gone = new == 0
            assert int(gone.sum()) == int(share * old.numel())
            assert torch.equal(new[~gone], old[~gone])
            assert not gone.any() or old[gone].abs().max() <= old[~gone].abs().min()

    def test_nothing_else_changes(self, plm, share, make_plm):
        model = make_plm(plm, layers=2)
        touched = {id(site.module.weight) for site in sites(model).at(*ROLES)}
        before = {n: p.clone() for n, p in model.named_parameters() if id(p) not in touched}
        prune(model, share)
        assert all(torch.equal(model.get_parameter(name), value) for name, value in before.items())


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_equals_torchs_own_pruning(make_plm, scope):
    ours, theirs = make_plm("bert"), make_plm("bert")
    prune(ours, 0.5, scope)
    modules = [(site.module, "weight") for site in sites(theirs).at(*ROLES)]
    if scope == "global":
        torchs.global_unstructured(modules, torchs.L1Unstructured, amount=0.5)
    else:
        for module, name in modules:
            torchs.l1_unstructured(module, name, amount=0.5)
    for site in sites(ours).at(*ROLES):
        assert torch.equal(site.module.weight, theirs.get_submodule(site.path).weight)


def test_of_equal_weights_exactly_as_many_go(make_plm):
    model = make_plm("bert")
    with torch.no_grad():
        for site in sites(model).at(*ROLES):
            site.module.weight.fill_(0.5)
    prune(model, 0.25, scope="layer")
    assert {row["share"] for row in sparsity(model)} == {0.25}


def test_weights_that_layers_share_are_pruned_once(make_plm):
    """Counted four times they would lose their small ones first, and more than asked for."""
    model = share_layers(make_plm("bert"))
    prune(model, 0.5)
    weights = {id(site.module.weight): site.module.weight for site in sites(model).at(*ROLES)}
    zeros = sum(int((weight == 0).sum()) for weight in weights.values())
    assert zeros == sum(weight.numel() for weight in weights.values()) // 2


def test_rows_say_where_the_zeros_are(make_plm):
    model = make_plm("bert", layers=2)
    with torch.no_grad():
        sites(model).layers[1].ffn_in.module.weight[:8] = 0
    rows = sparsity(model)
    assert len(rows) == 2 * 6
    (row,) = [row for row in rows if row["zeros"]]
    assert row == {
        "layer": "encoder 1",
        "map": "ffn_in",
        "weights": 512,
        "zeros": 128,
        "share": 0.25,
    }


def test_pruning_further_keeps_what_is_gone(make_plm):
    once, twice = make_plm("bert"), make_plm("bert")
    prune(once, 0.7)
    prune(twice, 0.3)
    prune(twice, 0.7)
    assert fingerprint(once) == fingerprint(twice)


class TestTraining:
    @pytest.fixture
    def trained(self, task, tokenizer):
        pruned = prune(small.bert(), 0.6)
        before = {name: p.clone() for name, p in pruned.model.named_parameters()}
        result = train(pruned, task, tokenizer=tokenizer, settings=SETTINGS, progress=False)
        return pruned, before, result

    def test_zeros_stay_and_the_rest_moves(self, trained):
        pruned, before, _ = trained
        for name, mask in pruned.masks.items():
            weight = pruned.model.get_parameter(name)
            assert torch.equal(weight == 0, mask == 0)
            assert not torch.equal(weight, before[name])

    def test_record_and_learning_rate(self, trained):
        pruned, _, result = trained
        record = result.record
        assert record.method == "MagnitudePruning"
        assert record.hyperparameters == {"share": 0.6, "scope": "global"}
        assert record.total == record.trainable == pruned.total()
        assert default_learning_rate(pruned) == LEARNING_RATES["FullFineTuning"][0]

    def test_released_weights_may_move_again(self, trained, task, tokenizer):
        model = trained[0].release()
        train(model, task, tokenizer=tokenizer, settings=SETTINGS, progress=False)
        assert max(row["share"] for row in sparsity(model)) < 0.1


class TestGradually:
    def test_the_cubic_schedule_by_hand(self):
        assert shares(0.8, 1) == [0.8]
        # 1 - (1/2)^3 = 7/8
        assert shares(0.8, 2) == pytest.approx([0.7, 0.8])
        assert shares(0.64, 4) == pytest.approx([0.37, 0.56, 0.63, 0.64])

    def test_each_round_prunes_more_and_trains(self, task, tokenizer):
        model = small.bert()
        rounds = prune_gradually(
            model, task, tokenizer=tokenizer, steps=(0.3, 0.6), settings=SETTINGS, progress=False
        )
        assert [r.share for r in rounds] == [0.3, 0.6]
        assert rounds[-1].dev_score == rounds[-1].result.dev_score
        zeros = sum(row["zeros"] for row in sparsity(model))
        assert zeros == int(0.6 * sum(row["weights"] for row in sparsity(model)))

    def test_goes_on_where_it_was_stopped(self, task, tokenizer, tmp_path, monkeypatch):
        options = {"tokenizer": tokenizer, "settings": SETTINGS, "progress": False}
        steps = (0.3, 0.6)
        whole = small.bert()
        prune_gradually(whole, task, steps=steps, output=tmp_path / "whole", **options)
        prune_gradually(small.bert(), task, steps=steps[:1], output=tmp_path / "broken", **options)
        resumed, started, real = small.bert(), [], loop.CourseTrainer.train

        def counted(self, **arguments):
            started.append(1)
            return real(self, **arguments)

        monkeypatch.setattr(loop.CourseTrainer, "train", counted)
        prune_gradually(resumed, task, steps=steps, output=tmp_path / "broken", **options)
        assert len(started) == 1
        assert fingerprint(resumed) == fingerprint(whole)


class TestRefusals:
    def test_shares_and_scopes(self, make_plm):
        model = make_plm("bert")
        before = fingerprint(model)
        for share in (-0.1, 1.0, 50):
            with pytest.raises(CourseError, match="a share, 0 to below 1"):
                prune(model, share)
        with pytest.raises(CourseError, match="scope of pruning"):
            prune(model, 0.5, scope="row")
        assert fingerprint(model) == before

    def test_wrapped_models(self, make_plm):
        tuned = attach(make_plm("bert"), LoRA(rank=2))
        with pytest.raises(CourseError, match=r"tuned\.merge\(\)"):
            prune(tuned, 0.5)
        with pytest.raises(CourseError, match="detach or merge"):
            prune(tuned.plm, 0.5)

    @pytest.mark.parametrize("steps", [(), (0.5, 0.3), (0.3, 0.3), (0.0, 0.5), (0.5, 1.0)])
    def test_steps(self, task, tokenizer, steps):
        with pytest.raises(CourseError, match="shares above 0 and below 1 that grow"):
            prune_gradually(small.bert(), task, tokenizer=tokenizer, steps=steps)

    @pytest.mark.parametrize(("final", "rounds"), [(0.0, 2), (1.0, 2), (0.5, 0)])
    def test_schedules(self, final, rounds):
        with pytest.raises(CourseError, match="a final share above 0"):
            shares(final, rounds)


def test_the_model_can_be_copied_and_asked_as_it_is(make_plm):
    pruned = prune(make_plm("bert"), 0.5)
    ids = torch.tensor([[2, 7, 9, 3]])
    again = copy.deepcopy(pruned.model)
    assert torch.equal(again(input_ids=ids).logits, pruned(input_ids=ids).logits)


def test_half_precision_is_pruned_alike(make_plm):
    model = make_plm("bert").to(torch.bfloat16)
    prune(model, 0.5, scope="layer")
    # bfloat16 values repeat, so equal ones must be dropped one by one.
    assert {row["share"] for row in sparsity(model)} == {0.5}


def test_settings_given_to_rounds_are_used(task, tokenizer):
    settings = replace(SETTINGS, epochs=None, steps=3)
    (only,) = prune_gradually(
        small.bert(), task, tokenizer=tokenizer, steps=(0.5,), settings=settings, progress=False
    )
    assert only.result.record.steps == 3
