"""Self-checks of notebook 14: right answers pass, usual mistakes get their advice."""

from __future__ import annotations

import math

from scipy.stats import binomtest

from course_utils.show.exercises import homework_on_colab as exercises


def updates(examples, batch, accumulation, epochs):
    return math.ceil(math.ceil(examples / batch) / accumulation) * epochs


def fits(parameters, trained, kept, card):
    return 4 * parameters + 12 * trained + kept <= card


def said(correct, n, published):
    if binomtest(correct, n, published).pvalue >= 0.05:
        return "within noise"
    return "above" if correct / n > published else "below"


def test_right_answers():
    assert exercises.check_updates(updates).state == "right"
    assert exercises.check_fits(fits).state == "right"
    assert exercises.check_said(said).state == "right"


def test_nothing_written():
    def open_(*_):
        raise NotImplementedError

    for check in (exercises.check_updates, exercises.check_fits, exercises.check_said):
        assert check(open_).state == "open"


def test_usual_mistakes_get_their_advice():
    def passes(examples, batch, accumulation, epochs):
        return math.ceil(examples / batch) * epochs

    def without_rest(examples, batch, accumulation, epochs):
        return examples // batch // accumulation * epochs

    assert "those are forward passes" in exercises.check_updates(passes).text
    assert "the last batch" in exercises.check_updates(without_rest).text
    always = exercises.check_fits(lambda *_: True)
    assert (always.state, "You say it fits" in always.text) == ("not yet", True)
    by_eye = exercises.check_said(lambda c, n, p: "above" if c / n > p else "below")
    assert "within noise" in by_eye.text
    assert 'say "above"' in exercises.check_said(lambda *_: "better").text
