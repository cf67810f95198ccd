"""Δh is the difference it claims to be, token by token, and zero where a method starts at zero."""

from __future__ import annotations

import pytest
import small_plms
import torch

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel
from course_utils.show import delta_h as dh
from course_utils.tuning import (
    AdapterBias,
    BitFit,
    FullFineTuning,
    Houlsby,
    LoRA,
    ParallelAdapter,
    Pfeiffer,
    PTuningV2,
    SoftPrompt,
    attach,
)

IDS = torch.tensor([[5, 9, 11, 7, 20, 6], [8, 30, 14, 6, 0, 0]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long(), "labels": torch.tensor([0, 1])}
NAMES = ("bert-lm", "roberta-lm", "gpt2")


def shaken(tuned):
    """The method's own numbers drawn anew, so that it does something."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in tuned.trainable_parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    return tuned


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "method",
    [
        FullFineTuning(),
        BitFit(),
        AdapterBias(),
        LoRA(rank=2),
        ParallelAdapter(bottleneck=3),
        Houlsby(bottleneck=3, init="zero"),
    ],
    ids=lambda method: type(method).name,
)
def test_a_method_that_starts_at_zero_moves_nothing(name, method):
    tuned = attach(small_plms.make(name), method)
    assert not dh.delta_h(small_plms.make(name), tuned, BATCH).any()
    assert dh.delta_h(small_plms.make(name), shaken(tuned), BATCH).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "method",
    [Houlsby(bottleneck=3), Pfeiffer(bottleneck=3), PTuningV2(length=2), SoftPrompt(2, "random")],
    ids=lambda method: type(method).name,
)
def test_it_is_the_difference_of_output_hidden_states(name, method):
    plm, tuned = small_plms.make(name), shaken(attach(small_plms.make(name), method))
    inputs = {key: BATCH[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        before = plm(**inputs, output_hidden_states=True).hidden_states
        after = tuned(**inputs, output_hidden_states=True).hidden_states
    delta = dh.delta_h(plm, tuned, BATCH)
    assert delta.shape == (len(before), 2, 6, 16) == (3, 2, 6, 16)
    for layer, (one, other) in enumerate(zip(before, after, strict=True)):
        torch.testing.assert_close(delta[layer], other - one, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_token_t_stays_token_t_behind_a_soft_prompt(name):
    plm, tuned = small_plms.make(name), attach(small_plms.make(name), SoftPrompt(3, "random"))
    vectors = tuned.placement.modules()[0].weight.detach()
    row = IDS[:1]
    words = plm.get_input_embeddings()(row)
    with torch.no_grad():  # the prompt written in front by hand, and its own states cut off
        longer = plm(
            inputs_embeds=torch.cat((vectors[None], words), dim=1), output_hidden_states=True
        ).hidden_states
    right = torch.stack(longer)[:, :, 3:] - dh.hidden_states(plm, {"input_ids": row})
    given = dh.delta_h(plm, tuned, {"input_ids": row})
    torch.testing.assert_close(given, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", [SoftPrompt(3, "random"), PTuningV2(length=3)])
def test_behind_the_embeddings_a_prompt_changes_positions_and_nothing_else(name, method):
    plm, tuned = small_plms.make(name), attach(small_plms.make(name), method)
    after = dh.hidden_states(tuned, BATCH)
    real = BATCH["attention_mask"].bool()
    torch.testing.assert_close(after[0][real], dh.hidden_states(plm, BATCH, start=3)[0][real])
    assert not torch.allclose(after[0][real], dh.hidden_states(plm, BATCH)[0][real])
    assert not torch.allclose(after[-1][real], dh.hidden_states(plm, BATCH, start=3)[-1][real])


def test_left_padding_changes_nothing_for_a_causal_plm():
    plm = small_plms.make("gpt2")
    tuned = shaken(attach(small_plms.make("gpt2"), LoRA(rank=2)))
    padded = {
        "input_ids": torch.tensor([[0, 0, 5, 9, 11]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1]]),
    }
    alone = {"input_ids": torch.tensor([[5, 9, 11]])}
    given = dh.delta_h(plm, tuned, padded)[:, :, 2:]
    torch.testing.assert_close(given, dh.delta_h(plm, tuned, alone), rtol=1e-4, atol=1e-5)


def test_dropout_is_off_and_the_mode_comes_back():
    plm = small_plms.make("bert-lm").train()
    torch.testing.assert_close(dh.hidden_states(plm, BATCH), dh.hidden_states(plm, BATCH))
    assert plm.training


def test_a_prompt_model_is_looked_into(masked):
    plm, tokenizer = masked
    words = {"negative": "bad", "positive": "good"}
    prompt = PromptModel(plm, tokenizer, "{sentence} it was {mask} .", words)
    batch = prompt.collator()([prompt.encode({"sentence": "the soup was stale"})])
    torch.testing.assert_close(dh.hidden_states(prompt, batch), dh.hidden_states(plm, batch))


def test_wrong_input_is_refused_in_words():
    bert = small_plms.make("bert-lm")
    with pytest.raises(CourseError, match="two stacks"):
        dh.hidden_states(small_plms.make("t5"), BATCH)
    with pytest.raises(CourseError, match="input_ids"):
        dh.hidden_states(bert, {"labels": BATCH["labels"]})
    with pytest.raises(CourseError, match="same PLM twice"):
        dh.delta_h(bert, small_plms.make("bert-lm", num_hidden_layers=3), BATCH)


class TestNumbers:
    def test_how_far_by_hand(self):
        h, delta = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[0.0, 5.0], [1.0, 0.0]])
        assert dh.relative_change(h, delta).tolist() == [1.0, 0.5]

    def test_directions_by_hand(self):
        one = torch.outer(torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1.0, 1.0]))
        assert dh.kept_by_directions(one).tolist() == pytest.approx([1.0, 1.0])
        crossed = torch.diag(torch.tensor([1.0, 3.0]))  # 9 of 10 parts along one axis
        assert dh.kept_by_directions(crossed).tolist() == pytest.approx([0.9, 1.0])

    def test_directions_of_nothing(self):
        with pytest.raises(CourseError, match="every vector is zero"):
            dh.kept_by_directions(torch.zeros(3, 4))
        with pytest.raises(CourseError, match=r"\(n, d\)"):
            dh.kept_by_directions(torch.ones(3, 4, 5))

    def test_adapter_bias_at_its_place_needs_one_direction(self):
        shift = attach(small_plms.make("bert-lm"), AdapterBias(norms=False))
        module = shaken(shift).placement.modules()[0]
        z = torch.randn(30, module.alpha.in_features)
        assert float(dh.kept_by_directions(module(z).detach())[0]) == pytest.approx(1, abs=1e-5)

    def test_the_plane_holds_what_differs_most(self):
        points = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 0.1]])
        mean, axes = dh.plane(points)
        assert axes.shape == (3, 2)
        drawn = (points - mean) @ axes
        assert drawn[:2, 0].abs().tolist() == pytest.approx([3, 3], abs=0.01)
        assert drawn[2:4, 1].abs().tolist() == pytest.approx([2, 2], abs=0.01)

    def test_nearest_mean_by_hand(self):
        known = torch.tensor([[0.0, 0], [0, 2], [4, 0], [4, 2]])  # means (0, 1) and (4, 1)
        asked = torch.tensor([[1.0, 1], [1.9, 5], [2.1, 1], [9, 9]])
        labels = torch.tensor([0, 0, 1, 1])
        assert dh.nearest_mean_accuracy(known, labels, asked, labels) == 1.0
        turned = torch.tensor([0, 1, 1, 1])
        assert dh.nearest_mean_accuracy(known, labels, asked, turned) == 0.75


class TestAdded:
    def test_delta_at_the_last_layer_makes_the_tuned_models_answer(self):
        plm = small_plms.make("bert-lm")
        tuned = shaken(attach(small_plms.make("bert-lm"), LoRA(rank=2)))
        inputs = {key: BATCH[key] for key in ("input_ids", "attention_mask")}
        delta = dh.delta_h(plm, tuned, BATCH)
        with torch.no_grad():
            before = plm(**inputs).logits
            with dh.added(plm, delta[-1], layer=2):
                given = plm(**inputs).logits
            with dh.added(plm, 0 * delta[-1], layer=2):
                nothing = plm(**inputs).logits
            torch.testing.assert_close(given, tuned(**inputs).logits, rtol=1e-4, atol=1e-5)
            assert torch.equal(nothing, before)
            assert torch.equal(plm(**inputs).logits, before)  # and it is gone again

    def test_a_lower_layer_is_read_by_the_layers_above(self):
        plm = small_plms.make("gpt2")
        h = dh.hidden_states(plm, BATCH)
        with dh.added(plm, torch.ones(16) * 2, layer=1):
            changed = dh.hidden_states(plm, BATCH)
        torch.testing.assert_close(changed[1], h[1] + 2)
        assert not torch.allclose(changed[2], h[2])

    @pytest.mark.parametrize(("name", "layer"), [("bert-lm", 0), ("bert-lm", 3), ("gpt2", 2)])
    def test_no_such_layer(self, name, layer):
        with (
            pytest.raises(CourseError, match=f"layer {layer}"),
            dh.added(small_plms.make(name), torch.zeros(16), layer),
        ):
            pass
