"""The threshold's playground: its numbers are those of the answers, and its knobs move them."""

from __future__ import annotations

import pytest
import torch

from course_utils.early_exit import Entropy, ExitAnswers
from course_utils.errors import CourseError
from course_utils.show import accuracy_vs_cost
from course_utils.show.exit_widgets import exit_playground, exits_page

LABELS = ("no", "yes")
SURE, UNSURE = [0.0, 9.0], [0.0, 0.1]
TEXTS = ["easy", "middling", "hard and <b>bold</b>", "wrong at once"]


@pytest.fixture
def answers():
    """Four texts, three exits: sure at the first, the second, never, and sure but wrong."""
    logits = torch.tensor(
        [[SURE, SURE, SURE], [UNSURE, SURE, SURE], [UNSURE, UNSURE, UNSURE], [SURE, UNSURE, [9, 0]]]
    )
    return ExitAnswers("made up", "test", "accuracy", logits, None, [1, 1, 1, 0])


def test_it_says_what_the_rule_does(answers):
    page = exits_page(answers, 0.3, TEXTS, LABELS)
    found = answers.at(Entropy(0.3))
    assert (found.score, found.layers) == (0.75, 1.75)
    assert "accuracy 0.750 (all layers 1.000), 1.8 of 3 layers used, 42% saved" in page.text
    for layer, share in ((1, 0.5), (2, 0.25), (3, 0.25)):
        assert f"layer {layer}  {share:.3f}" in page.text


def test_the_first_and_the_last_to_leave_are_listed_with_what_they_answer(answers):
    page = exits_page(answers, 0.3, TEXTS, LABELS, shown=2)
    assert "easy" in page.text
    assert "hard" in page.text
    assert "middling" not in page.text
    everybody = exits_page(answers, 0.3, TEXTS, LABELS)
    assert "yes ✗" in everybody.text  # the one that is sure and wrong
    assert "<b>bold" not in everybody.html


def test_nobody_leaves_at_zero_and_everybody_at_the_top(answers):
    box = exit_playground({"ours": answers}, TEXTS, labels=LABELS)
    box.knobs["threshold"].value = 0.0
    assert "3.0 of 3 layers used, 0% saved" in box.page.text
    box.knobs["threshold"].value = box.knobs["threshold"].max
    assert "1.0 of 3 layers used, 67% saved" in box.page.text


def test_models_take_turns(answers):
    other = ExitAnswers("made up", "test", "accuracy", answers.logits.flip(1), None, answers.gold)
    box = exit_playground({"ours": answers, "theirs": other}, TEXTS, labels=LABELS)
    first = box.page.text
    box.knobs["exits"].value = "theirs"
    assert box.page.text != first


def test_answers_and_texts_of_different_number_are_refused(answers):
    with pytest.raises(CourseError, match="answers 4 texts, 3 are given"):
        exit_playground({"ours": answers}, TEXTS[:3], labels=LABELS)
    with pytest.raises(CourseError, match="at least one"):
        exit_playground({}, TEXTS, labels=LABELS)


def test_score_against_cost_names_every_point():
    chart = accuracy_vs_cost(
        {"slow": (10.0, 0.9), "fast": (2.0, 0.7)}, xlabel="ms", majority=0.5, title="t"
    )
    axes = chart.axes[0]
    places = {line.get_label(): tuple(line.get_xydata()[0]) for line in axes.lines}
    assert places["slow"] == (10.0, 0.9)
    assert places["fast"] == (2.0, 0.7)
    shown = " ".join(text.get_text() for text in axes.texts)
    for words in ("slow 0.900", "fast 0.700", "majority class 0.50"):
        assert words in shown
    assert axes.get_xlim()[0] == 0
    with pytest.raises(CourseError, match="nothing to draw"):
        accuracy_vs_cost({}, xlabel="ms")
