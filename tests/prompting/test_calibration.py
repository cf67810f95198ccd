"""Calibration: hand-computed division by a prior, and an even answer to nothing."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import Answers, Calibration, InContext, PromptModel

TEMPLATE = "{text} it was {mask} ."
WORDS = {"negative": "bad", "neutral": "so", "positive": "great"}
ROWS = [{"text": text} for text in ("a dull film", "the town", "joy and rain and joy")]


@pytest.fixture
def prompt(bert_model, bert):
    return PromptModel(bert_model, bert, TEMPLATE, WORDS)


class TestByHand:
    def test_probabilities_are_divided_and_normalised_again(self):
        answers = Answers(("no", "yes"), torch.tensor([[0.6, 0.4], [0.9, 0.1]]).log())
        found = Calibration(("no", "yes"), (0.75, 0.25)).apply(answers)
        # .6/.75 = .8 and .4/.25 = 1.6 -> 1/3, 2/3;  .9/.75 = 1.2 and .1/.25 = .4 -> 3/4, 1/4
        assert found.probabilities.flatten().tolist() == pytest.approx([1 / 3, 2 / 3, 0.75, 0.25])
        assert found.predictions == ["yes", "no"]

    def test_a_known_share_of_labels_is_multiplied_in(self):
        answers = Answers(("no", "yes"), torch.tensor([[0.6, 0.4]]).log())
        found = Calibration(("no", "yes"), (0.75, 0.25), (0.9, 0.1)).apply(answers)
        # .8 * .9 = .72 and 1.6 * .1 = .16 -> 9/11, 2/11
        assert found.probabilities[0].tolist() == pytest.approx([9 / 11, 2 / 11])


class TestContentFree:
    def test_the_prior_is_the_mean_answer_to_texts_without_content(self, prompt):
        calibration = Calibration.content_free(prompt, ("N/A", ""))
        answers = prompt.predict([{"text": "N/A"}, {"text": ""}]).probabilities
        assert calibration.prior == pytest.approx(answers.mean(0).tolist(), abs=1e-6)

    def test_the_answer_to_that_text_becomes_even(self, prompt):
        Calibration.content_free(prompt, ("nothing",)).attach(prompt)
        (row,) = prompt.predict([{"text": "nothing"}]).probabilities.tolist()
        assert row == pytest.approx([1 / 3] * 3, abs=1e-5)

    def test_a_field_may_stay(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, "{question} {text} {mask}", WORDS)
        calibration = Calibration.content_free(prompt, ("N/A",), keep={"question": "was it"})
        expected = prompt.predict([{"question": "was it", "text": "N/A"}]).probabilities[0]
        assert calibration.prior == pytest.approx(expected.tolist(), abs=1e-6)

    def test_in_context(self, gpt2_model, gpt2):
        words = {"negative": "bad", "positive": "great"}
        shown = [{"text": "rain", "label": 0}]
        asked = InContext(gpt2_model, gpt2, "{text} it was {mask}", words, demonstrations=shown)
        Calibration.content_free(asked, ("N/A",)).attach(asked)
        (row,) = asked.predict([{"text": "N/A"}]).probabilities.tolist()
        assert row == pytest.approx([0.5, 0.5], abs=1e-5)


class TestFromExamples:
    def test_the_prior_is_the_mean_answer(self, prompt):
        calibration = Calibration.from_examples(prompt, ROWS)
        mean = prompt.predict(ROWS).probabilities.mean(0)
        assert calibration.prior == pytest.approx(mean.tolist(), abs=1e-6)

    def test_labels_are_not_looked_at(self, prompt):
        labelled = [{**row, "label": 2} for row in ROWS]
        assert Calibration.from_examples(prompt, labelled) == Calibration.from_examples(
            prompt, ROWS
        )

    def test_the_target_goes_by_name(self, prompt):
        share = {"positive": 0.5, "negative": 0.3, "neutral": 0.2}
        calibration = Calibration.from_examples(prompt, ROWS, target=share)
        assert calibration.target == (0.3, 0.2, 0.5)


class TestAttached:
    def test_the_prompt_answers_as_apply_does(self, prompt):
        plain = prompt.predict(ROWS)
        calibration = Calibration.content_free(prompt)
        calibration.attach(prompt)
        torch.testing.assert_close(prompt.predict(ROWS).scores, calibration.apply(plain).scores)

    def test_attached_twice_counts_once(self, prompt):
        first = Calibration.content_free(prompt)
        first.attach(prompt)
        again = Calibration.content_free(prompt)
        assert again.prior == pytest.approx(first.prior)
        assert torch.equal(prompt.log_prior, first.log_prior())

    def test_detached_exactly(self, prompt):
        before = prompt.predict(ROWS).scores
        Calibration.detach(Calibration.content_free(prompt).attach(prompt))
        assert torch.equal(prompt.predict(ROWS).scores, before)

    def test_training_sees_it(self, prompt):
        batch = prompt.collator()([prompt.encode({**ROWS[0], "label": 1})])
        raw = prompt(**batch).logits[0]
        calibration = Calibration.content_free(prompt)
        calibration.attach(prompt)
        expected = -(raw - calibration.log_prior()).log_softmax(-1)[1]
        torch.testing.assert_close(prompt(**batch).loss, expected)


class TestRefusals:
    def test_wrong_numbers(self):
        with pytest.raises(CourseError, match="positive number for each of no, yes"):
            Calibration(("no", "yes"), (1.0,))
        with pytest.raises(CourseError, match="positive number"):
            Calibration(("no", "yes"), (1.0, 0.0))

    def test_other_labels(self, prompt):
        with pytest.raises(CourseError, match="does not fit"):
            Calibration(("no", "yes"), (0.5, 0.5)).attach(prompt)

    def test_nothing_to_calibrate_with(self, prompt):
        with pytest.raises(CourseError, match="one text or more"):
            Calibration.content_free(prompt, ())
        with pytest.raises(CourseError, match="no examples"):
            Calibration.from_examples(prompt, [])
        with pytest.raises(CourseError, match="lacks label 'neutral'"):
            Calibration.from_examples(prompt, ROWS, target={"negative": 1, "positive": 1})
