"""Prompts follow typing; what a slider chooses is what the library itself answers."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import DemonstratedPrompt, InContext, PromptModel
from course_utils.show.few_shot_widgets import (
    demonstration_playground,
    in_context_playground,
    soft_label_playground,
)
from course_utils.show.prompt_widgets import template_playground, verbalizer_explorer

ROWS = [
    {"text": "the soup was stale .", "label": 0},
    {"text": "the waiter was rude .", "label": 0},
    {"text": "the soup was fresh .", "label": 1},
    {"text": "it was the waiter .", "label": 1},
]
TEMPLATE = "{text} it was {mask} ."
WORDS = {"negative": "bad", "positive": "good"}


def test_template_and_words_move_the_label_bars(masked):
    place = template_playground(*masked, ROWS[0], TEMPLATE, WORDS)
    before = str(place.page)
    assert "negative (bad)" in before
    assert "the soup was stale . it was [MASK] ." in before
    place.knobs["positive"].value = "fresh, soup"
    assert "positive (fresh, soup)" in str(place.page)
    place.knobs["positive"].value = "unheard"
    assert "unheard" in str(place.page)
    assert "positive (" not in str(place.page)
    place.knobs["positive"].value = "good"
    place.knobs["template"].value = "{text} it was ."
    assert "{mask}" in str(place.page)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "{mask}"),
        ("{text", "^"),
        ("{txet} it was {mask} .", "did you mean {text}"),
        ("{text} {mask} {mask}", "2 masks"),
        ("{text} [MASK]", "{mask}"),
        ("\U0001f600 {mask}", "negative (bad)"),
        ("{soft:3} {text} {mask}", "[soft 3]"),
        ("{text} " + "soup " * 500 + "{mask}", "token"),
    ],
)
def test_whatever_is_typed_as_a_template_is_answered_in_words(masked, typed, said):
    place = template_playground(*masked, ROWS[0], TEMPLATE, WORDS)
    place.knobs["template"].value = typed
    assert said in str(place.page)
    assert "Error" not in str(place.page)
    place.knobs["template"].value = TEMPLATE
    assert "the soup was stale . it was [MASK] ." in str(place.page)


@pytest.mark.parametrize("typed", ["", " , ", "\U0001f600", "bad", "[MASK]", "good, good"])
def test_label_words_that_are_none_are_answered_in_words(masked, typed):
    place = template_playground(*masked, ROWS[0], TEMPLATE, WORDS)
    place.knobs["positive"].value = typed
    assert "'positive'" in str(place.page)
    assert "Error" not in str(place.page)


def test_the_bars_are_what_the_prompt_answers(masked):
    place = template_playground(*masked, ROWS, TEMPLATE, WORDS)
    place.knobs["number"].value = 3
    shares = PromptModel(*masked, TEMPLATE, WORDS).predict([ROWS[2]]).probabilities[0]
    for share in shares.tolist():
        assert f"{share:6.3f}" in str(place.page)
    assert "positive (good) &#10003;" in place.page.html  # the right answer is marked


def test_the_explorer_counts_as_the_library_does(masked):
    place = verbalizer_explorer(*masked, ROWS, TEMPLATE, WORDS)
    for words in (WORDS, {"negative": "soup", "positive": "fresh"}):
        for label, word in words.items():
            place.knobs[label].value = word
        answers = PromptModel(*masked, TEMPLATE, words).predict(ROWS)
        right = answers.accuracy([row["label"] for row in ROWS])
        assert f"right {right:6.3f}" in str(place.page)
    place.knobs["positive"].value = "soup"
    assert "for 'negative' and 'positive'" in str(place.page)


def test_an_explorer_without_labels_is_refused(masked):
    with pytest.raises(CourseError, match="each with a label"):
        verbalizer_explorer(*masked, [{"text": "the soup"}], TEMPLATE, WORDS)


def test_one_draw_and_all_draws(masked):
    prompt = DemonstratedPrompt(*masked, "{text} {mask}", WORDS, pool=ROWS, draws=3, embed=None)
    place = demonstration_playground(prompt, ROWS)
    place.knobs["query"].value, place.knobs["draw"].value = 4, 2
    shown = prompt.render(ROWS[3], 1).split(" [SEP] ")
    assert len(shown) == 3
    assert all(part in str(place.page) for part in shown)
    mean = prompt.predict([ROWS[3]]).probabilities[0]
    assert f"{mean[0].item():6.3f}" in str(place.page).split("mean of 3 draws")[1]
    assert not prompt.training


def test_demonstrations_in_context(causal):
    place = in_context_playground(
        *causal, "{text} it was {mask}", WORDS, pool=ROWS, queries=ROWS, most=2, separator=" . "
    )
    place.knobs["shown"].value = 0
    zero = InContext(*causal, "{text} it was {mask}", WORDS).predict([ROWS[0]]).probabilities[0]
    assert f"{zero[0].item():6.3f}" in str(place.page)
    place.knobs["shown"].value = 1
    one = str(place.page)
    place.knobs["labels_of"].value = "turned round"
    assert str(place.page) != one
    place.knobs["calibrate"].value = True
    assert "calibrated" in str(place.page)


def test_a_weight_starts_where_its_slider_can_stand():
    place = soft_label_playground({"a": torch.ones(1, 2)}, {"a": 0.81}, ["x"], ("no", "yes"))
    steps = place.knobs["a"].value / place.knobs["a"].step  # the browser rounds to whole steps
    assert steps == pytest.approx(round(steps))


def test_a_teacher_of_weight_0_is_not_heard():
    logits = {"a": torch.tensor([[2.0, 0.0]]), "b": torch.tensor([[0.0, 2.0]])}
    place = soft_label_playground(logits, {"a": 0.5, "b": 0.5}, ["x"], ("no", "yes"))
    assert str(place.page).count("0.500") == 2  # both labels alike
    place.knobs["b"].value = 0.0
    place.knobs["temperature"].value = 1.0
    assert "0.881" in str(place.page)  # softmax of 2 and 0
    place.knobs["temperature"].value = 2.0
    assert "0.731" in str(place.page)  # of 1 and 0
    place.knobs["a"].value = 0.0  # the mean of PET, when nobody has any weight
    assert str(place.page).count("0.500") == 2
    assert "each teacher counts the same" in str(place.page)
    with pytest.raises(CourseError, match="one weight each"):
        soft_label_playground(logits, {"a": 1.0}, ["x"], ("no", "yes"))
