"""Exits on every layer: the last is the PLM's own, rows leave on the way, none is changed by it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import small_plms
import torch
from torch.nn import functional as F

from course_utils.early_exit import (
    EarlyExit,
    Entropy,
    LastExit,
    LearnedConfidence,
    Patience,
)
from course_utils.early_exit.rules import entropy
from course_utils.errors import CourseError
from course_utils.tuning import LoRA, attach

PLMS = ("bert", "roberta", "gpt2-classifier", "llama-classifier")


def weights(module) -> list[np.ndarray]:
    return [p.detach().double().numpy() for p in module.parameters()]


def middling_rules(exits, batch) -> list:
    """A rule of each kind by which some rows leave early and some late."""
    output = exits(**batch)
    return [
        Entropy(between(entropy(output.exits[:, :-1]), 0.4)),
        Patience(1),
        LearnedConfidence(between(output.confidence, 0.6)),
    ]


def between(values: torch.Tensor, share: float) -> float:
    """A threshold between two values, so that rounding can't carry one over it."""
    ordered = values.flatten().sort().values
    at = int(share * len(ordered))
    return (ordered[at] / 2 + ordered[at + 1] / 2).item()


@pytest.mark.parametrize("plm", PLMS)
class TestEveryExit:
    def test_the_last_is_the_plms_own_answer(self, plm, make_exits, make_batch):
        exits, batch = make_exits(plm), make_batch(plm)
        torch.testing.assert_close(exits(**batch).logits, exits.model(**batch).logits)

    def test_the_last_exits_loss_is_the_plms_own(self, plm, make_exits, make_batch):
        """Loss and gradients, so that nothing is cut off on the way through the layers."""
        exits, batch = make_exits(plm).trained_by(LastExit()), make_batch(plm)
        batch["labels"] = torch.arange(12) % 3
        found = {}
        for name, model in (("exits", exits), ("plm", exits.model)):
            exits.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            gradients = {n: p.grad.clone() for n, p in exits.model.named_parameters()
                         if p.grad is not None}  # fmt: skip
            found[name] = (loss.detach(), gradients)
        torch.testing.assert_close(found["exits"], found["plm"])

    def test_an_inner_exit_reads_its_layer(self, plm, make_exits, make_batch):
        """transformers' own hidden states, and the head's equation in numpy."""
        exits, batch = make_exits(plm), make_batch(plm)
        given = exits(**batch)
        hidden = exits.model(**batch, output_hidden_states=True).hidden_states
        last = batch["attention_mask"].sum(1) - 1
        place = (
            last if exits.model.config.model_type in ("gpt2", "llama") else torch.zeros_like(last)
        )
        for k, head in enumerate(exits.heads):
            h = hidden[k + 1][torch.arange(12), place].detach().double().numpy()
            parameters = weights(head)
            if len(parameters) == 6:  # a LayerNorm in front
                scale, shift, *parameters = parameters
                h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
                h = h * scale + shift
            pool, pool_bias, out, out_bias = parameters
            vector = np.tanh(h @ pool.T + pool_bias)
            logits = vector @ out.T + out_bias
            np.testing.assert_allclose(given.exits[:, k].detach(), logits, rtol=1e-4, atol=1e-5)
            w, b = weights(exits.confidence)
            confidence = 1 / (1 + np.exp(-(vector @ w.T + b)[:, 0]))
            np.testing.assert_allclose(given.confidence[:, k].detach(), confidence, rtol=1e-4)

    def test_counted_parameters_equal_the_formula(self, plm, make_exits):
        exits, d = make_exits(plm), 16
        norm = 0 if plm in ("bert", "roberta") else 2 * d
        assert exits.exit_parameters() == 3 * (norm + d * d + d + 3 * (d + 1)) + d + 1
        assert exits.total() == sum(p.numel() for p in exits.model.parameters())


@pytest.mark.parametrize("plm", PLMS)
@pytest.mark.parametrize("which", [0, 1, 2], ids=["entropy", "patience", "confidence"])
class TestLeaving:
    def test_every_row_is_answered_as_if_it_were_alone(self, plm, which, make_exits, make_batch):
        exits, batch = make_exits(plm), make_batch(plm)
        exits.rule = middling_rules(exits, batch)[which]
        together = exits(**batch)
        assert len(set(together.layers.tolist())) > 1  # or the order could not be wrong
        for row in range(12):
            length = int(batch["attention_mask"][row].sum())
            alone = exits(**{name: t[row : row + 1, :length] for name, t in batch.items()})
            assert alone.layers.item() == together.layers[row].item()
            torch.testing.assert_close(alone.logits[0], together.logits[row])

    def test_the_answer_is_that_of_the_exit_left_at(self, plm, which, make_exits, make_batch):
        exits, batch = make_exits(plm), make_batch(plm)
        every = exits(**batch).exits
        exits.rule = middling_rules(exits, batch)[which]
        given = exits(**batch)
        expected = every[torch.arange(12), given.layers - 1]
        torch.testing.assert_close(given.logits, expected)

    def test_a_layer_computes_only_the_rows_that_use_it(self, plm, which, make_exits, make_batch):
        exits, batch = make_exits(plm), make_batch(plm)
        exits.rule = middling_rules(exits, batch)[which]
        computed = [0] * exits.layers
        for k, layer in enumerate(exits._sites):

            def count(module, args, output, k=k):
                computed[k] += len(args[0])

            layer.module.register_forward_hook(count)
        used = exits(**batch).layers
        assert computed == [int((used > k).sum()) for k in range(exits.layers)]


class TestEnds:
    def test_sure_at_once_runs_one_layer_and_no_head_of_the_plm(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        exits.rule = Entropy(2.0)  # above log 3

        def forbidden(*_):
            raise AssertionError("this should not have been computed")

        for module in (
            *[layer.module for layer in exits._sites.layers[1:]],
            exits.model.classifier,
        ):
            module.register_forward_pre_hook(forbidden)
        assert exits(**batch).layers.tolist() == [1] * 12

    def test_never_sure_gives_the_plms_own_answer(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        exits.rule = Entropy(0.0)
        given = exits(**batch)
        assert given.layers.tolist() == [4] * 12
        torch.testing.assert_close(given.logits, exits.model(**batch).logits)

    def test_in_training_and_with_labels_all_exits_are_computed(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        exits.rule = Entropy(2.0)
        assert exits(**batch, labels=torch.zeros(12, dtype=torch.long)).exits.shape == (12, 4, 3)
        assert exits.train()(**batch).exits.shape == (12, 4, 3)

    def test_token_types_are_read(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        pairs = batch | {"token_type_ids": (torch.arange(9) > 3).long().expand(12, 9)}
        torch.testing.assert_close(exits(**pairs).logits, exits.model(**pairs).logits)
        assert not torch.allclose(exits(**pairs).logits, exits(**batch).logits)

    def test_gradient_checkpointing_changes_no_gradient(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        batch["labels"] = torch.arange(12) % 3
        found = []
        for checkpointing in (False, True):
            if checkpointing:
                exits.model.gradient_checkpointing_enable({"use_reentrant": False})
                for module in exits.modules():
                    if isinstance(module, torch.nn.Dropout):
                        module.p = 0.0
                    if hasattr(module, "dropout_prob"):
                        module.dropout_prob = 0.0
                exits.train()
            exits.zero_grad()
            exits(**batch).loss.backward()
            found.append(exits.model.bert.embeddings.word_embeddings.weight.grad.clone())
        torch.testing.assert_close(*found)


class TestMaking:
    def test_seed_decides_and_torchs_generator_is_untouched(self, make_plm):
        torch.manual_seed(11)
        before = torch.get_rng_state()
        heads = [EarlyExit(make_plm("bert"), seed=seed).heads[0].pool.weight for seed in (0, 0, 1)]
        assert torch.equal(heads[0], heads[1])
        assert not torch.equal(heads[0], heads[2])
        torch.manual_seed(11)
        assert torch.equal(before, torch.get_rng_state())

    def test_a_copy_walks_through_its_own_layers(self, make_exits, make_batch):
        exits, batch = make_exits("bert"), make_batch("bert")
        before = exits(**batch).exits
        other = copy.deepcopy(exits)
        with torch.no_grad():
            for parameter in exits.model.bert.encoder.parameters():
                parameter.zero_()
        assert torch.equal(other(**batch).exits, before)
        assert not torch.equal(exits(**batch).exits, before)

    def test_half_precision_leaves_early_too(self, make_plm, make_batch):
        exits = EarlyExit(make_plm("bert").to(torch.bfloat16), rule=Patience(1))
        assert exits(**make_batch("bert")).logits.isfinite().all()

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("bert-lm", {"num_labels": 2}, "head='classifier'"),
            ("bert-tagger", {}, "classify whole texts"),
            ("bert", {"layers": 1}, "nowhere to leave"),
            ("bert", {"num_labels": 1}, "neither entropy nor patience"),
            ("t5-tagger", {}, "classify whole texts"),
        ],
    )
    def test_refused_models(self, make_plm, name, options, message):
        with pytest.raises(CourseError, match=message):
            EarlyExit(make_plm(name, **options))

    def test_an_encoder_decoder_is_refused(self):
        with pytest.raises(CourseError, match="encoder-decoder"):
            EarlyExit(small_plms.make("t5"))

    def test_a_tuned_model_is_asked_for_merged(self, make_plm):
        tuned = attach(make_plm("bert"), LoRA(rank=2))
        for given in (tuned, tuned.plm):
            with pytest.raises(CourseError, match=r"tuned\.merge\(\)"):
                EarlyExit(given)
        assert EarlyExit(tuned.merge()).layers == 4

    def test_rules_are_checked(self, make_plm):
        exits = EarlyExit(make_plm("bert"))
        with pytest.raises(CourseError, match="expected Entropy"):
            exits.rule = 0.3
        with pytest.raises(CourseError, match="not trained yet"):
            exits.rule = LearnedConfidence(0.9)
        assert exits.rule is None


def test_loss_of_a_confident_wrong_exit_is_finite(make_exits, make_batch):
    exits, batch = make_exits("bert"), make_batch("bert")
    with torch.no_grad():
        exits.heads[0].out.bias.copy_(torch.tensor([300.0, 0.0, -300.0]))
    loss = exits(**batch, labels=torch.full((12,), 2)).loss
    assert loss.isfinite()
    assert loss > F.cross_entropy(torch.tensor([[300.0, 0.0, -300.0]]), torch.tensor([2])) / 8
