"""LM-BFF's demonstrations: the sampling rules one by one, the text that is read, the averaging."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import (
    DemonstratedPrompt,
    DemonstrationPool,
    MeanEmbedding,
    PromptModel,
    Verbalizer,
)
from course_utils.tasks.batches import Collator

TEMPLATE = "{text} it was {mask} ."
WORDS = {"negative": "bad", "positive": ["great", "good"]}
VERBALIZER = Verbalizer(WORDS)
POOL = [
    {"text": "a dull film", "label": 0},
    {"text": "the cold rain", "label": 0},
    {"text": "no joy", "label": 0},
    {"text": "a warm town", "label": 1},
    {"text": "so great", "label": 1},
]
QUERY = {"text": "the film"}


def spread(texts):
    """An embedding anyone can follow: the number of letters and the number of words."""
    return torch.tensor([[float(len(t)), float(len(t.split()))] for t in texts])


def make(model, tokenizer, **options):
    settings = {"pool": POOL, "draws": 3, "embed": None} | options
    return DemonstratedPrompt(model, tokenizer, TEMPLATE, WORDS, **settings)


class TestSampling:
    def test_one_of_every_label_in_label_order(self):
        pool = DemonstrationPool(POOL, VERBALIZER, ["text"])
        for draw in pool.draw(QUERY, 30, seed=0):
            assert [row["label"] for row in draw] == [0, 1]

    def test_every_candidate_is_drawn_sometimes(self):
        pool = DemonstrationPool(POOL, VERBALIZER, ["text"])
        seen = {row["text"] for draw in pool.draw(QUERY, 60, seed=0) for row in draw}
        assert seen == {row["text"] for row in POOL}

    def test_the_query_itself_is_never_shown(self):
        pool = DemonstrationPool(POOL, VERBALIZER, ["text"])
        for query in POOL:
            shown = {row["text"] for draw in pool.draw(query, 60, seed=0) for row in draw}
            assert query["text"] not in shown

    def test_draws_depend_on_seed_and_query_only(self):
        pool = DemonstrationPool(POOL, VERBALIZER, ["text"])
        first = pool.draw(QUERY, 8, seed=1)
        pool.draw(POOL[0], 5, seed=1)
        assert pool.draw(QUERY, 8, seed=1) == first
        assert pool.draw(QUERY, 8, seed=2) != first
        assert pool.draw({"text": "rain"}, 8, seed=1) != first

    def test_the_most_similar_half_by_cosine(self):
        def embed(texts):
            angles = {"q": 0.0, "near": 0.1, "mid": 0.5, "far": 2.0, "back": 3.1, "b": 1.0}
            angle = torch.tensor([angles[t] for t in texts])
            return torch.stack([angle.cos(), angle.sin()], 1) * torch.tensor([[7.0]])

        rows = [{"text": t, "label": 0} for t in ("far", "near", "back", "mid")]
        pool = DemonstrationPool(
            [*rows, {"text": "b", "label": 1}], VERBALIZER, ["text"], embed=embed, similar=0.5
        )
        found = pool.candidates({"text": "q"})
        assert [[row["text"] for row in rows] for rows in found] == [["near", "mid"], ["b"]]

    def test_the_query_is_left_out_before_the_half_is_taken(self):
        rows = [{"text": t, "label": 0} for t in ("x", "xx xx", "xxx xx x")]
        pool = DemonstrationPool(
            [*rows, {"text": "b", "label": 1}], VERBALIZER, ["text"], embed=spread, similar=0.5
        )
        assert [row["text"] for row in pool.candidates({"text": "x"})[0]] == ["xx xx"]

    def test_labels_may_be_names(self):
        rows = [{"text": "a", "label": "negative"}, {"text": "b", "label": "positive"}]
        pool = DemonstrationPool(rows, VERBALIZER, ["text"])
        assert [row["text"] for row in pool.draw(QUERY, 1, 0)[0]] == ["a", "b"]


class TestText:
    def test_query_first_then_each_label_with_its_word(self, bert_model, bert):
        prompt = make(bert_model, bert, pool=[POOL[0], POOL[3]])
        assert prompt.render(QUERY) == (
            "the film it was [MASK] . [SEP] a dull film it was bad . "
            "[SEP] a warm town it was great ."
        )

    def test_the_ids_and_segments(self, bert_model, bert):
        prompt = make(bert_model, bert, pool=[POOL[0], POOL[3]])
        encoded = prompt.encode(QUERY)
        tokens = bert.convert_ids_to_tokens(encoded["input_ids"][0])
        assert " ".join(tokens) == (
            "[CLS] the film it was [MASK] . [SEP] a dull film it was bad . [SEP] "
            "a warm town it was great . [SEP]"
        )
        assert encoded["token_type_ids"][0] == [0] * 8 + [1] * 16
        assert encoded["mask_positions"] == [[5]] * 3

    def test_another_separator(self, bert_model, bert):
        prompt = make(bert_model, bert, pool=[POOL[0], POOL[3]], separator=" ")
        text = "the film it was [MASK] . a dull film it was bad . a warm town it was great ."
        assert prompt.encode(QUERY)["input_ids"][0] == bert(text)["input_ids"]

    def test_roberta(self, roberta_model, roberta):
        prompt = make(roberta_model, roberta, pool=[POOL[0], POOL[3]])
        text = roberta.decode(prompt.encode(QUERY)["input_ids"][0])
        assert text == (
            "<s>the film it was<mask> .</s></s>a dull film it was bad .</s></s>"
            "a warm town it was great .</s>"
        )

    def test_long_texts_are_shortened_and_the_mask_stays(self, bert_model, bert):
        pool = [{"text": "rain " * 90, "label": 0}, {"text": "joy " * 90, "label": 1}]
        encoded = make(bert_model, bert, pool=pool).encode({"text": "film " * 90})
        for ids, (at,) in zip(encoded["input_ids"], encoded["mask_positions"], strict=True):
            assert len(ids) == 48
            assert ids[at] == bert.mask_token_id
            words = bert.convert_ids_to_tokens(ids)
            assert {"film", "rain", "joy", "bad", "great"} <= set(words)


class TestAnswers:
    def test_scores_are_averaged_over_the_draws(self, bert_model, bert):
        prompt = make(bert_model, bert)
        plain = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        each = []
        for shown in prompt.pool.draw(QUERY, 3, prompt.seed):
            text = f"{QUERY['text']} it was [MASK] ."
            behind = [
                f"{r['text']} it was {WORDS['negative'] if i == 0 else 'great'} ."
                for i, r in enumerate(shown)
            ]
            ids = bert(text)["input_ids"]
            types = [0] * len(ids)
            for more in behind:
                new = bert(more)["input_ids"][1:]
                ids, types = ids + new, types + [1] * len(new)
            logits = bert_model(
                input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types])
            ).logits[0, ids.index(bert.mask_token_id)]
            each.append(plain.verbalizer.scores(logits, bert))
        expected = torch.stack(each).mean(0)
        torch.testing.assert_close(prompt.predict([QUERY]).scores[0], expected.detach())

    def test_one_at_a_time_or_together(self, bert_model, bert):
        prompt = make(bert_model, bert)
        together = prompt.predict(POOL).scores
        alone = torch.cat([prompt.predict([row]).scores for row in POOL])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)

    def test_training_takes_one_draw_and_learns(self, bert_model, bert):
        prompt = make(bert_model, bert)
        batch = prompt.collator()([prompt.encode(row) for row in POOL])
        assert batch["input_ids"].ndim == 3
        prompt.training = True  # the PLM stays in evaluation mode: no dropout
        torch.manual_seed(0)
        several = torch.stack([prompt(**batch).logits for _ in range(8)])
        assert several.std(0).max() > 0
        prompt.training = False
        averaged = prompt(**batch)
        assert averaged.loss.isfinite()
        assert several.min() <= averaged.logits.mean() <= several.max()

    def test_the_kits_own_collator_serves_it_too(self, bert_model, bert):
        prompt = make(bert_model, bert)
        features = [prompt.encode(row) for row in POOL]
        ours, theirs = prompt.collator()(features), Collator(bert.pad_token_id)(features)
        assert set(ours) == set(theirs)
        for name, value in ours.items():
            assert torch.equal(value, theirs[name])


class TestMeanEmbedding:
    def test_it_is_the_mean_of_the_last_hidden_vectors(self, bert_model, bert):
        embed = MeanEmbedding(bert_model, bert)
        texts = ["the film", "a warm town and the cold rain"]
        for text, vector in zip(texts, embed(texts), strict=True):
            hidden = bert_model.bert(**bert(text, return_tensors="pt")).last_hidden_state[0]
            torch.testing.assert_close(vector, hidden.mean(0), atol=1e-5, rtol=1e-5)

    def test_it_is_the_default_and_any_callable_will_do(self, bert_model, bert, t5_model, t5):
        assert make(bert_model, bert, embed="plm").predict([QUERY]).scores.isfinite().all()
        given = make(bert_model, bert, embed=lambda texts: spread(texts).numpy())
        assert given.predict([QUERY]).scores.isfinite().all()
        assert MeanEmbedding(t5_model, t5)(["the film", ""]).shape == (2, 16)

    def test_an_empty_text_has_one_too(self, gpt2_model, gpt2):
        assert MeanEmbedding(gpt2_model, gpt2)([""]).isfinite().all()


class TestRefusals:
    def test_a_pool_missing_a_label(self, bert_model, bert):
        with pytest.raises(CourseError, match="no example of label 'positive'"):
            make(bert_model, bert, pool=POOL[:3])

    def test_a_row_without_a_label(self, bert_model, bert):
        with pytest.raises(CourseError, match="needs its label"):
            make(bert_model, bert, pool=[*POOL, {"text": "x", "label": -1}])

    def test_only_the_query_has_the_label(self, bert_model, bert):
        prompt = make(bert_model, bert, pool=POOL[:4])
        with pytest.raises(CourseError, match="is the query itself"):
            prompt.encode(POOL[3])

    def test_a_causal_plm(self, gpt2_model, gpt2):
        with pytest.raises(CourseError, match="use InContext"):
            DemonstratedPrompt(gpt2_model, gpt2, "{text} {mask}", WORDS, pool=POOL, embed=None)

    def test_bad_numbers(self, bert_model, bert):
        with pytest.raises(CourseError, match="draws"):
            make(bert_model, bert, draws=0)
        with pytest.raises(CourseError, match="share above 0"):
            make(bert_model, bert, similar=0)
