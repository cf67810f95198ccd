"""Label words, templates and prompts found by search, against searches by brute force."""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from datasets import Dataset

from course_utils.errors import CourseError
from course_utils.prompting import (
    PromptModel,
    Template,
    search_label_words,
    search_templates,
    try_prompts,
)
from course_utils.prompting.label_search import _affordable, likeliest_words, rank_combinations
from course_utils.prompting.verbalizer import whole_words, word_ids
from course_utils.tasks.task import Task
from course_utils.training import TrainSettings
from course_utils.tuning import LoRA

TEMPLATE = "{text} it was {mask} ."
WORDS = {"negative": "bad", "positive": "great"}
ROWS = [
    {"text": "a dull film", "label": 0},
    {"text": "the cold rain", "label": "negative"},
    {"text": "joy and joy", "label": 1},
    {"text": "a warm town", "label": 1},
]


class TestLikeliestWords:
    def test_the_highest_mean_logits_of_each_label(self):
        logits = torch.tensor([[5.0, 0, 1, 2], [1, 0, 3, 0], [0, 9, 1, 2]])
        found = likeliest_words(logits, torch.tensor([0, 0, 1]), 2, 2)
        assert found.tolist() == [[0, 2], [1, 3]]  # means 3, 0, 2, 1 and 0, 9, 1, 2


class TestCombinations:
    @pytest.mark.parametrize("n_labels", [2, 3])
    def test_the_same_as_trying_them_one_by_one(self, n_labels):
        generator = torch.Generator().manual_seed(n_labels)
        logits = torch.randn(24, 7, generator=generator)
        labels = torch.arange(24) % n_labels
        candidates = likeliest_words(logits, labels, n_labels, 5)
        ranked = rank_combinations(logits, labels, candidates, keep=10)
        scores = []
        for chosen in product(range(5), repeat=n_labels):
            columns = [candidates[i, c].item() for i, c in enumerate(chosen)]
            if len(set(columns)) == n_labels:
                right = (logits[:, columns].argmax(1) == labels).float().mean().item()
                scores.append((-right, sum(chosen), tuple(columns)))
        expected = [(columns, -right) for right, _, columns in sorted(scores)[:10]]
        assert [columns for columns, _ in ranked] == [columns for columns, _ in expected]
        assert [a for _, a in ranked] == pytest.approx([a for _, a in expected])

    def test_more_than_one_chunk_of_them(self):
        logits = torch.randn(12, 200, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(12) % 2
        candidates = likeliest_words(logits, labels, 2, 200)
        (best,) = rank_combinations(logits, labels, candidates, keep=1)
        top = max(
            (logits[:, list(pair)].argmax(1) == labels).float().mean().item()
            for pair in permutations(range(200), 2)
        )
        assert best[1] == pytest.approx(top)

    def test_at_most_a_million(self):
        assert _affordable(100, 2) == 100
        assert _affordable(100, 3) == 100
        assert _affordable(100, 4) == 31
        assert _affordable(100, 6) == 10


class TestSearchLabelWords:
    def test_the_accuracy_is_that_of_the_prompt_with_those_words(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        found = search_label_words(prompt, ROWS, top_words=10, keep=5)
        assert len(found) == 5
        assert [f.accuracy for f in found] == sorted((f.accuracy for f in found), reverse=True)
        for one in found:
            asked = PromptModel(bert_model, bert, TEMPLATE, one.verbalizer())
            names = ["negative", "negative", "positive", "positive"]
            assert asked.predict(ROWS).accuracy(names) == one.accuracy
            assert set(one.words.values()) <= set(whole_words(bert))

    def test_it_finds_words_the_plm_was_made_to_say(self, bert_model, bert):
        tuned = PromptModel(bert_model, bert, TEMPLATE, {"negative": "rain", "positive": "dog"})
        batch = tuned.collator()([tuned.encode(row) for row in ROWS])
        optimizer = torch.optim.AdamW(tuned.parameters(), lr=5e-3)
        ids = [i for ((i,),) in tuned.verbalizer.token_ids(bert)]
        wanted = torch.tensor([ids[label] for label in batch["labels"].tolist()])
        for _ in range(60):
            optimizer.zero_grad()
            logits = bert_model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits[torch.arange(4), batch["mask_positions"][:, 0]]
            torch.nn.functional.cross_entropy(logits, wanted).backward()
            optimizer.step()
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        best = search_label_words(prompt, ROWS, top_words=10, keep=1)[0]
        assert best.words == {"negative": "rain", "positive": "dog"}
        assert best.accuracy == 1.0

    def test_refusals(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        with pytest.raises(CourseError, match="no example has the label 'positive'"):
            search_label_words(prompt, ROWS[:2])
        with pytest.raises(CourseError, match="labelled training examples"):
            search_label_words(prompt, [])
        with pytest.raises(CourseError, match="labelled training examples"):
            search_label_words(prompt, [{"text": "x", "label": -1}])
        with pytest.raises(CourseError, match="top_words"):
            search_label_words(prompt, ROWS, top_words=0)


def masked_score(model, tokenizer, tokens):
    """Mean log-probability of two gap tokens, one either side of the label word, by hand."""
    total = 0.0
    for row in ROWS:
        label = row["label"] if isinstance(row["label"], str) else list(WORDS)[row["label"]]
        slots = ["[MASK]", "[MASK]"]
        for step, token in enumerate(tokens):
            text = f"{row['text']} {slots[0]} {WORDS[label]} {slots[1]}"
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            at = (ids[0] == tokenizer.mask_token_id).nonzero()[0, 0]
            log_p = model(ids).logits[0, at].log_softmax(-1)
            total += log_p[tokenizer.convert_tokens_to_ids(token)].item()
            slots[step] = token
    return total / len(ROWS) / len(tokens)


class TestSearchTemplates:
    def test_a_masked_plm_fills_the_gaps_with_what_suits_all_examples(self, bert_model, bert):
        found = search_templates(
            bert_model, bert, "{text} * {mask} *", WORDS, ROWS, beam=4, longest=1, keep=50
        )
        assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)
        assert not any("#" * 2 in f.text for f in found)  # no piece of a word stands alone
        both = [f for f in found if len(f.text.split()) == 4]
        assert both
        for one in both[:3]:
            _, before, mask, after = one.text.split()
            assert mask == "{mask}"
            by_hand = masked_score(bert_model, bert, [before, after])
            assert one.score == pytest.approx(by_hand, abs=1e-4)

    def test_what_it_finds_is_a_template(self, bert_model, bert):
        for one in search_templates(bert_model, bert, "{text} * {mask}", WORDS, ROWS, beam=3):
            template = Template(one.text)
            assert template.fields == ("text",)
            assert (
                PromptModel(bert_model, bert, template, WORDS).predict(ROWS).scores.isfinite().all()
            )

    def test_byte_level_gaps_begin_with_a_space_and_read_as_they_were_found(
        self, roberta_model, roberta
    ):
        frame = "{text}* {mask}"  # the gap gets its spaces
        found = search_templates(roberta_model, roberta, frame, WORDS, ROWS, beam=4, keep=50)
        assert found
        for one in found:
            words = one.text.removeprefix("{text} ").removesuffix(" {mask}")
            assert one.text == f"{{text}} {words} {{mask}}"
            assert roberta.decode(word_ids(roberta, words)) == f" {words}"

    def test_t5_writes_between_its_sentinels(self, t5_model, t5):
        found = search_templates(
            t5_model, t5, "{text} * {mask} *", WORDS, ROWS, beam=3, longest=2, keep=50
        )
        assert found
        for one in found:
            template = Template(one.text)
            assert template.n_masks == 1
            assert "extra_id" not in one.text
            literals = one.text.replace("{text}", "").replace("{mask}", "")
            assert len(literals.split()) <= 4

    def test_the_t5_score_is_the_decoders_own(self, t5_model, t5):
        (best,) = search_templates(
            t5_model, t5, "{text} * {mask}", WORDS, ROWS, beam=200, longest=1, keep=1
        )
        zero, one = t5.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
        scores = []
        words = [i for token, i in t5.get_vocab().items() if token.startswith("▁") and token != "▁"]
        for token in [None, *words]:
            written = [zero, *([] if token is None else [token]), one]
            total = 0.0
            for row in ROWS:
                label = row["label"] if isinstance(row["label"], str) else list(WORDS)[row["label"]]
                text = t5(f"{row['text']} <extra_id_0> {WORDS[label]}", return_tensors="pt")
                decoder = torch.tensor([[t5.pad_token_id, *written[:-1]]])
                log_p = t5_model(**text, decoder_input_ids=decoder).logits[0].log_softmax(-1)
                total += sum(log_p[i, token].item() for i, token in enumerate(written) if i)
            scores.append(total / len(ROWS) / (len(written) - 1))
        assert best.score == pytest.approx(max(scores), abs=1e-3)

    def test_refusals(self, bert_model, bert, gpt2_model, gpt2):
        search = (bert_model, bert)
        with pytest.raises(CourseError, match="one or two gaps"):
            search_templates(*search, TEMPLATE, WORDS, ROWS)
        with pytest.raises(CourseError, match="causal PLM can't fill gaps"):
            search_templates(gpt2_model, gpt2, "{text} * {mask}", WORDS, ROWS)
        with pytest.raises(CourseError, match="labelled training examples"):
            search_templates(*search, "{text} * {mask}", WORDS, [])
        with pytest.raises(CourseError, match="labelled training examples"):
            search_templates(*search, "{text} * {mask}", WORDS, [{"text": "x"}])


class TestTryPrompts:
    SETTINGS = TrainSettings(steps=3, batch_size=2, evaluate_every=3)

    @pytest.fixture
    def task(self):
        rows = [{"text": row["text"], "label": i // 2} for i, row in enumerate(ROWS)]
        return Task(
            name="small/tone",
            kind="classification",
            columns=("text",),
            labels=("negative", "positive"),
            metric="accuracy",
            splits={"train": Dataset.from_list(rows), "dev": Dataset.from_list(rows)},
        )

    @pytest.mark.parametrize("method", [None, LoRA(rank=2)])
    def test_each_is_tuned_alone_and_the_best_comes_first(self, plm, task, method):
        prompts = [(TEMPLATE, WORDS), ("{mask} , {text}", WORDS)]
        options = {"method": method, "settings": self.SETTINGS}
        tried = try_prompts(plm, task, prompts, **options)
        assert {t.template for t in tried} == {template for template, _ in prompts}
        assert tried[0].dev_score >= tried[1].dev_score
        alone = {t.template: t for t in try_prompts(plm, task, prompts[1:], **options)}
        (second,) = (t for t in tried if t.template == prompts[1][0])
        assert alone[prompts[1][0]].dev_score == second.dev_score

    def test_refusals_come_before_any_training(self, plm, task):
        with pytest.raises(CourseError, match="no prompts"):
            try_prompts(plm, task, [])
        with pytest.raises(CourseError, match="'words', which the example lacks"):
            try_prompts(plm, task, [(TEMPLATE, WORDS), ("{words} {mask}", WORDS)])
        with pytest.raises(CourseError, match="not one|must be one"):
            try_prompts(plm, task, [(TEMPLATE, {"negative": "warmly", "positive": "bad"})])
