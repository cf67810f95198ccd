"""In-context prompts: which demonstrations, in which order, and what the PLM reads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from datasets import Dataset

from course_utils.errors import CourseError
from course_utils.prompting import InContext, MeanEmbedding, Nearest, PromptModel
from course_utils.prompting.in_context import choose

TEMPLATE = "{text} it was {mask}"
WORDS = {"negative": "bad", "positive": "great"}
POOL = [{"text": f"film {i}", "label": i % 2} for i in range(10)]


class TestChoose:
    @pytest.mark.parametrize(("k", "counts"), [(0, {}), (1, None), (2, {0: 1, 1: 1}), (5, None)])
    def test_balanced_differs_by_one_at_most(self, k, counts):
        found = Counter(row["label"] for row in choose(POOL, k, 2, seed=3))
        assert sum(found.values()) == k
        assert abs(found[0] - found[1]) <= 1
        assert counts is None or found == counts

    def test_which_label_gets_one_more_is_drawn(self):
        firsts = {choose(POOL, 1, 2, seed=seed)[0]["label"] for seed in range(20)}
        assert firsts == {0, 1}

    def test_no_example_twice_and_the_seed_decides(self):
        for choice in ("balanced", "random", "first"):
            rows = choose(POOL, 8, 2, choice=choice, seed=1)
            assert len({row["text"] for row in rows}) == 8
            assert rows == choose(POOL, 8, 2, choice=choice, seed=1)
        assert choose(POOL, 8, 2, seed=1) != choose(POOL, 8, 2, seed=2)

    def test_a_data_set_is_a_pool_too(self):
        pool = Dataset.from_list(POOL)
        for choice in ("balanced", "random", "first"):
            found = choose(pool, 4, 2, choice=choice, seed=5)
            assert found == choose(POOL, 4, 2, choice=choice, seed=5)

    def test_orders(self):
        assert choose(POOL, 4, 2, choice="first", order="as_chosen") == POOL[:4]
        labels = [row["label"] for row in choose(POOL, 6, 2, order="by_label")]
        assert labels == [0, 0, 0, 1, 1, 1]
        turns = [row["label"] for row in choose(POOL, 6, 2, order="as_chosen")]
        assert turns == [0, 1] * 3

    @pytest.mark.parametrize(
        ("pool", "k", "settings", "says"),
        [
            (POOL, 11, {}, "11 demonstrations from a pool of 10"),
            (POOL[::2], 2, {}, "0 examples of label 1"),
            ([{"text": "x", "label": None}], 1, {}, "label id from 0 to 1"),
            ([{"text": "x", "label": -1}], 1, {}, "label id from 0 to 1"),
            (POOL, 2, {"choice": "ballanced"}, "Did you mean 'balanced'"),
            (POOL, 2, {"order": "sorted"}, "unknown order"),
        ],
    )
    def test_refusals(self, pool, k, settings, says):
        with pytest.raises(CourseError, match=says):
            choose(pool, k, 2, **settings)


class TestInContext:
    def test_the_prompt_in_words(self, gpt2_model, gpt2):
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=POOL[:2])
        assert shown.render({"text": "a dull town"}) == (
            "film 0 it was bad\nfilm 1 it was great\na dull town it was ___"
        )

    def test_the_ids_are_those_of_the_whole_text(self, gpt2_model, gpt2):
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=POOL[:2])
        encoded = shown.encode({"text": "a dull town"})
        text = "film 0 it was bad\nfilm 1 it was great\na dull town it was"
        assert encoded["input_ids"] == gpt2(text)["input_ids"]

    def test_answers_are_the_plain_models_next_word(self, gpt2_model, gpt2):
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=POOL[:2])
        (bad, great) = shown.predict([{"text": "a dull town"}]).scores[0].tolist()
        text = "film 0 it was bad\nfilm 1 it was great\na dull town it was"
        logits = gpt2_model(**gpt2(text, return_tensors="pt")).logits[0, -1]
        ids = [gpt2(word)["input_ids"] for word in (" bad", " great")]
        assert [bad, great] == pytest.approx([logits[i].item() for (i,) in ids], abs=1e-4)

    def test_no_demonstrations_is_zero_shot(self, gpt2_model, gpt2):
        rows = [{"text": "a dull town"}]
        alone = PromptModel(gpt2_model, gpt2, TEMPLATE, WORDS).predict(rows).scores
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS).predict(rows).scores
        torch.testing.assert_close(shown, alone)

    def test_the_nearest_examples_of_each_query(self, gpt2_model, gpt2):
        angles = {"film": 0.0, "cold rain": 0.2, "rain": 0.1, "town": 2.0, "dog": 3.0}

        def embed(texts):
            angle = torch.tensor([angles[text] for text in texts])
            return 5 * torch.stack([angle.cos(), angle.sin()], 1)

        pool = [{"text": text, "label": i % 2} for i, text in enumerate(angles)]
        nearest = Nearest(pool, 2, ["text"], embed)
        # the query itself is in the pool; of the others, the most similar is shown last
        assert [row["text"] for row in nearest({"text": "film"})] == ["cold rain", "rain"]
        assert [row["text"] for row in nearest({"text": "dog"})] == ["cold rain", "town"]
        angles[""] = 0.0
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=nearest)
        text = "cold rain it was great\nrain it was bad\nfilm it was"
        assert shown.render({"text": "film"}) == f"{text} ___"
        assert shown.encode({"text": "film"})["input_ids"] == gpt2(text)["input_ids"]

    def test_the_nearest_by_the_plm_itself(self, gpt2_model, gpt2):
        embed = MeanEmbedding(gpt2_model, gpt2)
        nearest = Nearest(POOL, 3, ["text"], embed)
        vectors = torch.nn.functional.normalize(embed([row["text"] for row in POOL]), dim=-1)
        query = torch.nn.functional.normalize(embed(["film and rain"]), dim=-1)[0]
        best = (vectors @ query).argsort(descending=True)[:3].tolist()
        assert nearest({"text": "film and rain"}) == [POOL[i] for i in reversed(best)]

    def test_too_few_to_be_near(self):
        with pytest.raises(CourseError, match="10 nearest examples of a pool of 10"):
            Nearest(POOL, 10, ["text"], lambda texts: torch.ones(len(texts), 2))
        with pytest.raises(CourseError, match="needs its label"):
            Nearest([{"text": "x"}] * 3, 1, ["text"], lambda texts: torch.ones(len(texts), 2))

    def test_long_fields_are_shortened_but_every_demonstration_stays(self, gpt2_model, gpt2):
        pool = [{"text": "rain " * 50, "label": 0}, {"text": "joy " * 50, "label": 1}]
        shown = InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=pool)
        text = gpt2.decode(shown.encode({"text": "dull " * 50})["input_ids"])
        assert len(gpt2(text)["input_ids"]) <= 64
        for part in ("it was bad\n", "it was great\n", "rain", "joy", "dull"):
            assert part in text
        assert text.endswith("it was")

    def test_demonstrations_that_cannot_fit(self, gpt2_model, gpt2):
        with pytest.raises(CourseError, match="show fewer.* only 64 fit"):
            InContext(gpt2_model, gpt2, TEMPLATE, WORDS, demonstrations=POOL * 5)

    def test_a_masked_plm(self, bert_model, bert):
        with pytest.raises(CourseError, match="causal PLM"):
            InContext(bert_model, bert, TEMPLATE, WORDS, demonstrations=POOL[:2])
