"""Filling a blank and continuing a text: the PLM's own numbers, and clear refusals."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import continue_text, fill_mask, next_words


class TestFillMask:
    @pytest.mark.parametrize("name", ["bert", "roberta"])
    @pytest.mark.parametrize("spelling", ["{mask}", None])
    def test_the_words_are_the_plain_models_best(self, request, name, spelling):
        model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
        words = fill_mask(model, tokenizer, f"it was {spelling or tokenizer.mask_token} .", top=3)
        whole = tokenizer(f"it was {tokenizer.mask_token} .", return_tensors="pt")
        logits = model(**whole).logits[whole["input_ids"] == tokenizer.mask_token_id][0]
        best = logits.softmax(-1).topk(3)
        assert [w.probability for w in words] == pytest.approx(best.values.tolist(), abs=1e-5)
        assert [w.word for w in words] == [
            tokenizer.decode([i]).strip() if "##" not in tokenizer.decode([i]) else w.word
            for i, w in zip(best.indices.tolist(), words, strict=True)
        ]

    def test_several_blanks_give_several_lists(self, bert_model, bert):
        found = fill_mask(bert_model, bert, "{mask} was {mask} .", top=2)
        assert [len(words) for words in found] == [2, 2]

    def test_t5_fills_its_sentinel(self, t5_model, t5):
        words = fill_mask(t5_model, t5, "it was {mask} .", top=4)
        assert len(words) == 4
        assert sum(w.probability for w in words) <= 1

    def test_the_mode_is_left_as_it_was(self, bert_model, bert):
        bert_model.train()
        first = fill_mask(bert_model, bert, "it was {mask}")
        assert bert_model.training
        assert first == fill_mask(bert_model, bert, "it was {mask}")

    def test_refusals(self, bert_model, bert, gpt2_model, gpt2, t5_model, t5):
        with pytest.raises(CourseError, match="no blank"):
            fill_mask(bert_model, bert, "it was great")
        with pytest.raises(CourseError, match="next_words"):
            fill_mask(gpt2_model, gpt2, "it was {mask}")
        with pytest.raises(CourseError, match="reads 48 at most"):
            fill_mask(bert_model, bert, "film " * 60 + "{mask}")
        with pytest.raises(CourseError, match="one blank"):
            fill_mask(t5_model, t5, "{mask} was {mask}")


class TestContinue:
    def test_next_words_are_the_plain_models_best(self, gpt2_model, gpt2):
        words = next_words(gpt2_model, gpt2, "it was", top=4)
        logits = gpt2_model(**gpt2("it was", return_tensors="pt")).logits[0, -1]
        best = logits.softmax(-1).topk(4)
        assert [w.probability for w in words] == pytest.approx(best.values.tolist(), abs=1e-5)

    def test_greedy_takes_the_best_token_each_time(self, gpt2_model, gpt2):
        text = continue_text(gpt2_model, gpt2, "it was", max_new_tokens=5)
        ids = gpt2("it was")["input_ids"]
        start = len(ids)
        for _ in range(5):
            best = gpt2_model(torch.tensor([ids])).logits[0, -1].argmax().item()
            if best == gpt2.eos_token_id:
                break
            ids.append(best)
        assert text.startswith("it was")
        assert text == "it was" + gpt2.decode(ids)[len(gpt2.decode(ids[:start])) :]

    def test_drawing_is_decided_by_the_seed_and_touches_no_other_randomness(self, gpt2_model, gpt2):
        def draw(seed):
            return continue_text(gpt2_model, gpt2, "it was", temperature=2.0, seed=seed)

        state = torch.get_rng_state()
        assert draw(1) == draw(1)
        assert draw(1) != draw(2)
        assert torch.equal(torch.get_rng_state(), state)

    def test_from_nothing(self, gpt2_model, gpt2):
        assert isinstance(continue_text(gpt2_model, gpt2, "", max_new_tokens=5), str)
        assert len(next_words(gpt2_model, gpt2, "", top=3)) == 3

    def test_the_mode_is_left_as_it_was(self, gpt2_model, gpt2):
        gpt2_model.train()
        first = continue_text(gpt2_model, gpt2, "it was", max_new_tokens=8)
        assert gpt2_model.training
        assert first == continue_text(gpt2_model, gpt2, "it was", max_new_tokens=8)

    def test_refusals(self, bert_model, bert, gpt2_model, gpt2):
        with pytest.raises(CourseError, match="does not continue texts"):
            continue_text(bert_model, bert, "it was")
        with pytest.raises(CourseError, match="does not continue texts"):
            next_words(bert_model, bert, "it was")
        with pytest.raises(CourseError, match="more than the 64"):
            continue_text(gpt2_model, gpt2, "it was", max_new_tokens=63)
        with pytest.raises(CourseError, match="temperature"):
            continue_text(gpt2_model, gpt2, "it was", temperature=-1)
