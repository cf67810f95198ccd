"""The picture of attention shows the model's own weights, with the prefix told apart."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.show.attention import (
    PrefixAttention,
    attention_grid,
    prefix_attention,
    prefix_attention_playground,
    prefix_share_map,
)
from course_utils.tuning import PTuningV2, attach

# One layer of two heads, two places in front of two tokens.
WEIGHTS = torch.tensor(
    [[[[0.1, 0.3, 0.6, 0.0], [0.25, 0.25, 0.3, 0.2]], [[0.0, 0.0, 1.0, 0.0], [0.1, 0.2, 0.3, 0.4]]]]
)
BY_HAND = PrefixAttention(("the", "soup"), WEIGHTS)


@pytest.fixture
def tuned(request):
    model, tokenizer = request.getfixturevalue(request.param)
    tuned = attach(model, PTuningV2(length=3))
    yield tuned, tokenizer
    tuned.detach()


def test_the_share_of_the_prefix_is_a_mean_over_tokens():
    assert BY_HAND.length == 2
    assert BY_HAND.share() == [[pytest.approx((0.4 + 0.5) / 2), pytest.approx((0.0 + 0.3) / 2)]]


@pytest.mark.parametrize("tuned", ["masked", "causal"], indirect=True)
def test_weights_are_those_of_the_model_and_nothing_is_left_changed(tuned):
    model, tokenizer = tuned
    model.train()
    kind = model.config._attn_implementation
    found = prefix_attention(model, tokenizer, "the soup was stale")
    assert model.training
    assert model.config._attn_implementation == kind
    layers, heads, T, places = found.weights.shape
    assert (T, places, found.length) == (len(found.tokens), len(found.tokens) + 3, 3)
    assert "soup" in found.tokens
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(layers, heads, T))


def test_without_a_prefix_nothing_goes_to_one(masked):
    found = prefix_attention(*masked, "the soup was stale")
    assert found.length == 0
    assert all(value == 0 for row in found.share() for value in row)


def test_zeros_take_what_the_scores_of_the_text_leave(masked):
    """λ = P / (P + Σ exp(score)): with the text's weights w alone, exp(score) is Z·w."""
    model, tokenizer = masked
    tuned = attach(model, PTuningV2(length=3))
    try:
        with torch.no_grad():
            for name, parameter in tuned.plm.named_parameters():
                if ".prefix." in name:
                    parameter.zero_()
        weights = prefix_attention(tuned, tokenizer, "the soup was stale").weights
    finally:
        tuned.detach()
    torch.testing.assert_close(weights[..., 0], weights[..., 1])
    torch.testing.assert_close(weights[..., 0], weights[..., 2])
    assert 0 < weights[..., :3].sum(-1).min() < weights[..., :3].sum(-1).max() < 1


def test_grid_names_places_and_tokens_and_says_the_share():
    page = attention_grid(BY_HAND, 1, 1)
    assert "45 % of the attention goes to the prefix" in str(page)
    lines = str(page).splitlines()
    assert lines[1].split("|")[1].split() == ["P1", "P2", "the", "sou"]
    assert lines[2].split("|")[1].split() == ["10", "30", "60", "0"]
    assert page.html.count("border-right") == 3  # the prefix's edge: in the head and both rows
    with pytest.raises(CourseError, match="1 layers of 2 heads"):
        attention_grid(BY_HAND, 2, 1)


def test_tokens_that_look_like_html_are_shown_as_they_are():
    page = attention_grid(PrefixAttention(("<s>", "&"), WEIGHTS), 1, 1)
    assert "<s>" not in page.html
    assert "&lt;s&gt;" in page.html


def test_share_map_tells_the_means_and_wants_one_plm():
    chart = prefix_share_map({"before": BY_HAND, "after": BY_HAND}, title="λ")
    assert "before: 0.30 on average; after: 0.30 on average" in chart.alt
    assert chart.png().startswith(b"\x89PNG")
    with pytest.raises(CourseError, match="one PLM"):
        prefix_share_map({"a": BY_HAND, "b": PrefixAttention(("x",), WEIGHTS[:, :1, :1])})
    with pytest.raises(CourseError, match="nothing to draw"):
        prefix_share_map({})


def test_knobs_choose_state_text_layer_and_head():
    other = PrefixAttention(("it", "was"), WEIGHTS.flip(1))
    place = prefix_attention_playground({"before": [BY_HAND, other], "after": [other, BY_HAND]})
    assert "layer 1, head 2: 45 % of the attention" in str(place.page)  # after, where most goes
    place.knobs["head"].value = 1
    assert "15 %" in str(place.page)
    place.knobs["state"].value = "before"
    assert "45 %" in str(place.page)
    place.knobs["head"].value = 2
    assert "15 %" in str(place.page)
    place.knobs["text"].value = 2
    assert "45 %" in str(place.page)
    assert "was" in str(place.page)
    with pytest.raises(CourseError, match="none was given"):
        prefix_attention_playground({"before": []})
