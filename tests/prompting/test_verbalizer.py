"""Verbalizers: hand-computed scores, words as the tokenizers see them, and every wrong input."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import Verbalizer
from course_utils.prompting.verbalizer import whole_words, word_ids, word_of

NLI = {"entailment": "yes", "neutral": "maybe", "contradiction": "no"}


def logits(tokenizer, **values):
    """(1, V) logits: 0 but for the named words."""
    row = torch.zeros(1, len(tokenizer))
    for word, value in values.items():
        (token,) = word_ids(tokenizer, word)
        row[0, token] = value
    return row


class TestScores:
    def test_one_word_per_label_is_its_logit(self, bert):
        scores = Verbalizer(NLI).scores(logits(bert, yes=2.0, no=-1.0, great=9.0), bert)
        assert scores.tolist() == [[2.0, 0.0, -1.0]]

    def test_several_words_are_averaged(self, bert):
        verbalizer = Verbalizer({"negative": ["bad", "terrible"], "positive": ["great"]})
        row = logits(bert, bad=1.0, terrible=4.0, great=3.0)
        assert verbalizer.scores(row, bert).tolist() == [[2.5, 3.0]]
        assert verbalizer.predictions(row, bert) == ["positive"]

    def test_or_the_best_of_them_counts(self, bert):
        verbalizer = Verbalizer(
            {"negative": ["bad", "terrible"], "positive": ["great"]}, combine="max"
        )
        row = logits(bert, bad=1.0, terrible=4.0, great=3.0)
        assert verbalizer.scores(row, bert).tolist() == [[4.0, 3.0]]

    def test_probabilities_are_the_softmax_over_labels_only(self, bert):
        verbalizer = Verbalizer({"no": "bad", "yes": "great"})
        found = verbalizer.probabilities(logits(bert, great=torch.tensor(3.0).log(), film=50), bert)
        assert found[0].tolist() == pytest.approx([0.25, 0.75])

    def test_leading_dimensions_are_kept(self, bert):
        assert Verbalizer(NLI).scores(torch.zeros(2, 5, len(bert)), bert).shape == (2, 5, 3)

    def test_words_of_several_tokens_need_a_prompt_model(self, bert):
        verbalizer = Verbalizer({"a": "warmly", "b": "cold"}, multi_token=True)
        with pytest.raises(CourseError, match="PromptModel"):
            verbalizer.scores(torch.zeros(1, len(bert)), bert)


class TestWords:
    def test_byte_level_words_carry_their_space(self, roberta, gpt2):
        for tokenizer in (roberta, gpt2):
            (token,) = word_ids(tokenizer, "great")
            assert tokenizer.convert_ids_to_tokens(token) == "Ġgreat"
            assert tokenizer.convert_ids_to_tokens(
                list(word_ids(tokenizer, "great", leading_space=False))
            ) != ["Ġgreat"]

    def test_wordpiece_and_sentencepiece_words_as_they_are(self, bert, t5):
        assert bert.convert_ids_to_tokens(list(word_ids(bert, "great"))) == ["great"]
        assert t5.convert_ids_to_tokens(list(word_ids(t5, "great"))) == ["▁great"]

    def test_a_token_is_read_as_its_word(self, bert, roberta, t5):
        for tokenizer in (bert, roberta, t5):
            (token,) = word_ids(tokenizer, "great")
            assert word_of(tokenizer, token) == "great"
        assert word_of(bert, bert.convert_tokens_to_ids("##ly")) == "##ly"

    def test_whole_words_leave_out_pieces_and_special_tokens(self, bert, roberta):
        for tokenizer in (bert, roberta):
            words = whole_words(tokenizer)
            assert "great" in words
            assert not any(w.startswith(("#", "Ġ", "[", "<")) for w in words)

    def test_ids_per_label_and_word(self, bert):
        ids = Verbalizer({"a": ["warmly", "good"], "b": "bad"}, multi_token=True).token_ids(bert)
        assert [[len(word) for word in label] for label in ids] == [[2, 1], [1]]


class TestLabels:
    def test_order_is_given_by_the_task(self):
        verbalizer = Verbalizer(NLI).ordered(["contradiction", "entailment", "neutral"])
        assert verbalizer.labels == ("contradiction", "entailment", "neutral")
        assert verbalizer.words["contradiction"] == ("no",)
        assert verbalizer.label_id("neutral") == 2
        assert verbalizer.label_id(1) == 1

    def test_settings_survive_reordering(self):
        verbalizer = Verbalizer(NLI, multi_token=True, leading_space=False, combine="max")
        again = verbalizer.ordered(reversed(verbalizer.labels))
        assert (again.multi_token, again.leading_space, again.combine) == (True, False, "max")

    def test_a_label_without_words(self):
        with pytest.raises(CourseError, match="no word for label 'other'"):
            Verbalizer(NLI).ordered([*NLI, "other"])

    def test_words_for_a_label_that_is_not_there(self):
        with pytest.raises(CourseError, match="unknown label in the verbalizer 'neutral'"):
            Verbalizer(NLI).ordered(["entailment", "contradiction"])

    def test_unknown_names_and_ids(self):
        with pytest.raises(CourseError, match="Did you mean 'neutral'"):
            Verbalizer(NLI).label_id("neutrall")
        with pytest.raises(CourseError, match="outside 0 to 2"):
            Verbalizer(NLI).label_id(3)


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ("yes", "maps labels to words"),
            ({"a": "yes"}, "two labels or more"),
            ({"a": [], "b": "no"}, "has no words"),
            ({"a": " ", "b": "no"}, "is no word"),
            ({"a": [1], "b": "no"}, "is no word"),
            ({"a": "yes", "b": "yes"}, "given for 'a' and 'b'"),
            ({"a": ["yes", "yes"], "b": "no"}, "given twice for 'a'"),
        ],
    )
    def test_before_any_tokenizer(self, words, says):
        with pytest.raises(CourseError, match=says):
            Verbalizer(words)

    def test_unknown_combination(self):
        with pytest.raises(CourseError, match="Known: max, mean"):
            Verbalizer(NLI, combine="meen")

    def test_a_word_of_several_tokens_names_its_pieces_and_near_words(self, bert):
        with pytest.raises(CourseError) as caught:
            Verbalizer({"a": "greatly", "b": "bad"}).token_ids(bert)
        assert "2 tokens for this PLM (great ##ly)" in str(caught.value)
        assert "Near words of one token: great." in str(caught.value)

    def test_a_word_the_tokenizer_does_not_know(self, bert):
        with pytest.raises(CourseError, match="'日' of label 'a' is not in this PLM's vocabulary"):
            Verbalizer({"a": "日", "b": "bad"}).token_ids(bert)

    def test_words_that_become_the_same_token(self, bert):
        with pytest.raises(CourseError, match="'Great' .* and 'great' .* are the same word"):
            Verbalizer({"a": "great", "b": "Great"}).token_ids(bert)

    def test_a_mask_token_is_no_label_word(self, bert):
        with pytest.raises(CourseError, match="tokens for this PLM"):
            Verbalizer({"a": "[MASK]", "b": "bad"}).token_ids(bert)
