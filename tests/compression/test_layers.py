"""Fewer layers, and layers that share their weights."""

from __future__ import annotations

import copy

import pytest
import safetensors.torch
import small_plms
import torch

from course_utils.compression import fewer_layers, share_layers
from course_utils.errors import CourseError
from course_utils.model_facts import plm_name
from course_utils.plm import load_plm, sites
from course_utils.tuning import LoRA, attach

PLMS = ("bert", "roberta", "gpt2-classifier", "llama-classifier")
BATCH = {
    "input_ids": torch.tensor([[2, 7, 9, 3, 30], [2, 8, 8, 11, 3]]),
    "attention_mask": torch.ones(2, 5, dtype=torch.long),
}


def values(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("plm", PLMS)
class TestFewerLayers:
    def test_all_layers_is_the_same_model(self, plm, make_plm):
        model = make_plm(plm)
        torch.testing.assert_close(fewer_layers(model, 4)(**BATCH).logits, model(**BATCH).logits)

    @pytest.mark.parametrize(("layers", "chosen"), [(1, [3]), (2, [1, 3]), (3, [0, 1, 3])])
    def test_evenly_chosen_with_the_last(self, plm, make_plm, layers, chosen):
        model = make_plm(plm)
        before = values(model)
        small = fewer_layers(model, layers)
        assert len(sites(small)) == layers == small.config.num_hidden_layers
        for layer, source in zip(sites(small), chosen, strict=True):
            theirs = sites(model).layers[source].module.state_dict()
            ours = layer.module.state_dict()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())

    def test_skips_the_layers_it_does_not_have(self, plm, make_plm):
        """The same as the model with the other layers doing nothing."""
        model = make_plm(plm)
        small = fewer_layers(model, 2)
        for k in (0, 2):
            sites(model).layers[k].module.forward = lambda hidden, *_, **__: hidden
        torch.testing.assert_close(small(**BATCH).logits, model(**BATCH).logits)

    def test_nothing_is_shared_with_the_model(self, plm, make_plm):
        model = make_plm(plm)
        small = fewer_layers(model, 2)
        mine = {p.data_ptr() for p in small.parameters()}
        assert mine.isdisjoint(p.data_ptr() for p in model.parameters())


@pytest.mark.parametrize("plm", PLMS)
class TestSharedLayers:
    def test_parameters_are_counted_once(self, plm, make_plm):
        model = make_plm(plm)
        one = sum(p.numel() for p in sites(model).layers[0].module.parameters())
        before = sum(p.numel() for p in model.parameters())
        assert sum(p.numel() for p in share_layers(model).parameters()) == before - 3 * one

    def test_begins_with_the_mean_or_the_chosen_layer(self, plm, make_plm):
        model = make_plm(plm)
        states = [layer.module.state_dict() for layer in sites(model)]
        for start in ("mean", 0, 2):
            shared = share_layers(copy.deepcopy(model), start)
            for layer in sites(shared):
                for name, value in layer.module.state_dict().items():
                    each = torch.stack([state[name] for state in states])
                    expected = each.mean(0) if start == "mean" else each[start]
                    torch.testing.assert_close(value, expected)

    def test_equals_a_model_whose_layers_are_equal(self, plm, make_plm):
        model = make_plm(plm)
        plain = copy.deepcopy(model)
        first = sites(plain).layers[0].module.state_dict()
        for layer in sites(plain):
            layer.module.load_state_dict(first)
        shared = share_layers(model, 0)
        torch.testing.assert_close(shared(**BATCH).logits, plain(**BATCH).logits)
        shared(**BATCH).logits.sum().backward()
        plain(**BATCH).logits.sum().backward()
        name = "query" if plm in ("bert", "roberta") else "ffn_out"
        ours = getattr(sites(shared).layers[0], name).module.weight.grad
        theirs = sum(getattr(layer, name).module.weight.grad for layer in sites(plain))
        torch.testing.assert_close(ours, theirs)

    def test_stays_shared_in_training(self, plm, make_plm):
        shared = share_layers(make_plm(plm))
        optimizer = torch.optim.SGD(shared.parameters(), lr=0.1)
        before = values(shared)
        shared(**BATCH, labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        states = [layer.module.state_dict() for layer in sites(shared)]
        assert all(torch.equal(s[n], states[0][n]) for s in states for n in s)
        assert any(not torch.equal(p, before[n]) for n, p in shared.named_parameters())

    def test_is_stored_once(self, plm, make_plm, tmp_path):
        shared = share_layers(make_plm(plm))
        safetensors.torch.save_model(shared, tmp_path / "shared.safetensors")
        held = safetensors.torch.load_file(tmp_path / "shared.safetensors")
        assert sum(t.numel() for t in held.values()) == sum(p.numel() for p in shared.parameters())
        again = share_layers(make_plm(plm, seed=9))
        safetensors.torch.load_model(again, tmp_path / "shared.safetensors")
        assert torch.equal(again(**BATCH).logits, shared(**BATCH).logits)


def test_records_tell_them_from_the_plm_they_were_made_from():
    model, _ = load_plm("pocket-bert-tiny", head="classifier", num_labels=2)
    small = fewer_layers(model, 1)
    assert plm_name(small) == f"pocket-bert-tiny (1 of {len(sites(model))} layers)"
    assert small.newly_initialised == model.newly_initialised
    assert plm_name(model) == "pocket-bert-tiny"
    assert plm_name(share_layers(model)) == "pocket-bert-tiny (shared layers)"


def test_a_method_placed_at_one_depth_acts_there_only(make_plm):
    """Each depth keeps a module of its own: LoRA has as many places as in an ordinary PLM."""
    tuned = attach(share_layers(make_plm("bert")), LoRA(rank=2))
    assert len(tuned.placement.at_sites()) == 2 * 4


class TestRefusals:
    @pytest.mark.parametrize("layers", [0, 5, 2.0, "2"])
    def test_numbers_of_layers(self, make_plm, layers):
        with pytest.raises(CourseError, match="give 1 to 4"):
            fewer_layers(make_plm("bert"), layers)

    @pytest.mark.parametrize("start", ["median", 4, -1, True, 1.0])
    def test_starts_leave_the_model_alone(self, make_plm, start):
        model = make_plm("bert")
        before = values(model)
        with pytest.raises(CourseError, match="expected 'mean' or a layer, 0 to 3"):
            share_layers(model, start)
        assert values(model).keys() == before.keys()
        assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())

    def test_encoder_decoders_and_tuned_models(self, make_plm):
        for make in (lambda m: fewer_layers(m, 1), share_layers):
            with pytest.raises(CourseError, match="models of one stack"):
                make(small_plms.make("t5"))
            with pytest.raises(CourseError, match="detach or merge"):
                make(attach(make_plm("bert"), LoRA(rank=2)).plm)
