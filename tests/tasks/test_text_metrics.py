"""Metrics of written text against values worked out by hand, and what every one of them keeps."""

from __future__ import annotations

import math
import random

import pytest

from course_utils.errors import CourseError
from course_utils.tasks.metrics import METRICS, score
from course_utils.tasks.text_metrics import TEXT_METRICS, words

TEXTS = ["the red fox is a cheap pub .", "mira is a baker from oslo", "bo comes from rome , i hear"]


class TestByHand:
    def test_bleu(self):
        # 5 words against 6: precisions 5/5, 4/4, 3/3, 2/2; brevity exp(1 - 6/5)
        found, gold = ["the food is cheap today"], ["the food is cheap today indeed"]
        assert score("bleu", found, gold) == pytest.approx(math.exp(-0.2))

    def test_bleu_takes_several_references_of_uneven_number(self):
        found = ["the food is cheap", "bob eats in oslo"]
        gold = [["nothing like it at all", "the food is cheap"], "bob eats in oslo"]
        assert score("bleu", found, gold) == pytest.approx(1.0)

    def test_rouge_l(self):
        # longest common subsequence "the cat sat": 3 of 4 found words, 3 of 6 in the reference
        found, gold = ["the cat quietly sat"], ["the cat on the mat sat"]
        assert score("rouge_l", found, gold) == pytest.approx(2 * 0.75 * 0.5 / 1.25)
        assert score("rouge_l", found, [["unrelated words", "the cat quietly sat"]]) == 1.0

    def test_meteor_matches_stems_in_one_run(self):
        # 3 of 3 words, "cats" by its stem, in one run: 1 - 0.5 (1/3)^3
        found = score("meteor", ["the cats sat"], ["The cat sat."])
        assert found == pytest.approx(1 - 0.5 / 27)

    def test_meteor_takes_points_off_for_scattered_words(self):
        # the same 3 words in two runs: 1 - 0.5 (2/3)^3
        assert score("meteor", ["sat the cat"], ["the cat sat"]) == pytest.approx(1 - 4 / 27)

    def test_meteor_weighs_recall_nine_times_precision(self):
        # 2 of 2 words written, 2 of 4 wanted: F = 0.5 / (0.9 + 0.05), runs 1, matches 2
        f = 0.5 / 0.95
        assert score("meteor", ["the cat"], ["the cat is out"]) == pytest.approx(f * (1 - 0.5 / 8))

    def test_nist_counts_what_words_tell(self):
        # in the references 5 words: a twice, b, c, d once. The texts' 4 words tell
        # 2 log2(5/2) + 2 log2(5); b and c are one of two words behind a, so 1 bit each;
        # no text has three words. 4 words for 5: a penalty for length
        found = score("nist", ["a b", "a c"], ["a b d", "a c"])
        single = (2 * math.log2(5 / 2) + 2 * math.log2(5)) / 4
        penalty = math.exp(math.log(0.5) * (math.log(4 / 5) / math.log(1.5)) ** 2)
        assert found == pytest.approx((single + 1) * penalty)

    def test_nist_of_two_thirds_of_the_length_is_half(self):
        # 6 different words, one reference: log2(6) bits each, none for longer n-grams
        whole = score("nist", ["a b c d e f"], ["a b c d e f"])
        assert whole == pytest.approx(math.log2(6))
        assert score("nist", ["a b c d"], ["a b c d e f"]) == pytest.approx(whole / 2)

    def test_nist_looks_into_all_references_at_once(self):
        # a from one, b from the other, 2 bits each; a twice counts once
        assert score("nist", ["a b"], [["a c", "b d"]]) == pytest.approx(2.0)
        assert score("nist", ["a a"], [["a c", "b d"]]) == pytest.approx(1.0)

    def test_nist_is_nltks_where_there_is_one_reference(self):
        from nltk.translate.nist_score import corpus_nist

        draw = random.Random(3)
        texts, gold = ([" ".join(draw.choices("abcdefg", k=draw.randint(5, 12))) for _ in range(20)]
                       for _ in range(2))  # fmt: skip
        expected = corpus_nist([[g.split()] for g in gold], [t.split() for t in texts])
        assert score("nist", texts, gold) == pytest.approx(expected)

    def test_cider(self):
        # Every n-gram is in one of the two examples: all weights are log 2, and cancel.
        # "a c" against "a b": one of two words, no pair: 10 (1/2 + 0 + 0 + 0) / 4.
        # "c d" against itself: 10 (1 + 1 + 0 + 0) / 4; it has no three words.
        assert score("cider", ["a c", "c d"], ["a b", "c d"]) == pytest.approx((1.25 + 5) / 2)

    def test_cider_gains_nothing_by_repeating(self):
        # min(2, 1)·1 / (2·sqrt 2) for single words instead of 2·1 / (2·sqrt 2)
        once = 10 * (1 / (2 * math.sqrt(2))) / 4
        assert score("cider", ["a a", "x"], ["a b", "c d"]) == pytest.approx(once / 2)

    def test_cider_of_another_length(self):
        # 6 words too many, all unknown: exp(-6²/72); cosines 4 / sqrt(4·10), 3 / sqrt(3·9), ...
        text = "a b c d " + " ".join(f"x{i}" for i in range(6))
        cosines = [k / math.sqrt(k * (k + 6)) for k in (4, 3, 2, 1)]
        expected = 10 * math.exp(-0.5) * sum(cosines) / 4
        assert score("cider", [text, "q"], ["a b c d", "e f"]) == pytest.approx(expected / 2)

    def test_cider_is_the_mean_over_references(self):
        both = score("cider", ["a b c d", "x"], [["a b c d", "e f g h"], "i j"])
        assert both == pytest.approx((10 + 0) / 2 / 2)

    def test_what_all_examples_say_weighs_nothing_in_cider(self):
        assert score("cider", ["the", "the"], ["the a", "the b"]) == 0.0
        assert score("cider", ["a b c d"], ["a b c d"]) == 0.0  # a single example


class TestEvery:
    def test_they_are_the_five_of_e2e(self):
        assert set(TEXT_METRICS) <= set(METRICS)
        assert TEXT_METRICS == ("bleu", "nist", "meteor", "rouge_l", "cider")

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_nothing_beats_the_reference_itself(self, name):
        perfect = score(name, TEXTS, TEXTS)
        assert perfect > score(name, [TEXTS[0], TEXTS[2], TEXTS[1]], TEXTS)
        assert perfect > score(name, [text.rsplit(" ", 2)[0] for text in TEXTS], TEXTS)
        # one run of m words: METEOR still takes off 0.5 / m³, on average over 7, 6 and 6 words
        meteor = 1 - (0.5 / 7**3 + 2 * 0.5 / 6**3) / 3
        best = {"bleu": 1.0, "rouge_l": 1.0, "cider": 10.0, "meteor": meteor}
        assert name not in best or perfect == pytest.approx(best[name])

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_nothing_in_common_is_nothing(self, name):
        assert score(name, ["q r s t u v", "w x y z q"], TEXTS[:2]) == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_a_right_text_needs_only_one_of_its_references(self, name):
        others = ["wholly different things here now", *TEXTS[::-1]]
        for place in (0, 1):
            gold = [[others[0]] * place + [text] + [others[0]] * (1 - place) for text in TEXTS]
            assert score(name, TEXTS, gold) > 0.4 * score(name, TEXTS, TEXTS)

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_the_order_of_references_and_of_texts_does_not_matter(self, name):
        gold = [[TEXTS[0], TEXTS[1]], [TEXTS[1], TEXTS[2], TEXTS[0]], [TEXTS[2]]]
        found = ["the red fox is cheap", "mira comes from oslo", "bo is from rome , i hear"]
        turned = score(name, found[::-1], [refs[::-1] for refs in gold[::-1]])
        assert score(name, found, gold) == pytest.approx(turned)

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_empty_texts_score_nothing_and_break_nothing(self, name):
        assert score(name, ["", " ", "."], TEXTS) <= 1e-3

    @pytest.mark.parametrize("name", TEXT_METRICS)
    def test_a_text_without_reference_is_refused(self, name):
        with pytest.raises(CourseError, match="text 1 has no reference"):
            score(name, ["a", "b"], [["a"], []])


def test_words():
    assert words("The Fox, cheap (20-25 pounds).") == ["the", "fox", "cheap", "20", "25", "pounds"]
    assert words("Stop.", punctuation=True) == ["stop", "."]
