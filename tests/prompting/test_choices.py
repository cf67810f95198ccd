"""Candidates of each example's own: scored as PET does it, worked out with the PLM step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from datasets import Dataset

from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.prompting import ChoicePrompt
from course_utils.prompting.choices import marked
from course_utils.prompting.scoring import margin_loss
from course_utils.tasks.batches import Collator
from course_utils.tasks.task import Task
from course_utils.training import TrainSettings, train
from course_utils.tuning import LoRA, SoftPrompt, attach

ROWS = [
    {"premise": "the town was cold .", "choice1": "The rain was cold .", "choice2": "joy",
     "question": "cause", "label": 0},
    {"premise": "no rain", "choice1": "great", "choice2": "it was really not warm",
     "question": "effect", "label": 1},
    {"premise": "the dog", "choice1": "warmly", "choice2": "the cat and the dog",
     "question": "cause", "label": 1},
]  # fmt: skip
TEMPLATE = "{premise:strip} , {question} {mask} ."
CAUSAL = "{premise:strip} , {question} {mask}"
WORDING = {"question": {"cause": "and", "effect": "so"}}
COLUMNS = ("choice1", "choice2")


def make(model, tokenizer, template=TEMPLATE, **options):
    return ChoicePrompt(model, tokenizer, template, COLUMNS, wording=WORDING, **options)


def told(row):
    """Premise and connective, and the candidates as PET writes them, by hand."""
    word = {"cause": "and", "effect": "so"}[row["question"]]
    premise = row["premise"].removesuffix(" .")
    choices = [row[c].removesuffix(" .") for c in COLUMNS]
    return f"{premise} , {word}", [c[0].lower() + c[1:] for c in choices]


def batch_of(prompt, rows=ROWS):
    return Collator(prompt.tokenizer.pad_token_id or 0)([prompt.encode(row) for row in rows])


@pytest.fixture
def task():
    return Task(
        name="small/copa",
        kind="choice",
        columns=("premise", *COLUMNS, "question"),
        labels=COLUMNS,
        metric="accuracy",
        splits={name: Dataset.from_list(ROWS) for name in ("train", "dev", "test")},
        wording=WORDING,
    )


class TestEvaluation:
    def surest_first(self, model, tokenizer, before, choice):
        """PET, equation 4: one forward pass per token of one candidate of one example."""
        wanted = tokenizer(choice, add_special_tokens=False)["input_ids"]
        masks = " ".join([tokenizer.mask_token] * len(wanted))
        ids = tokenizer(f"{before} {masks} .", return_tensors="pt")["input_ids"]
        places = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()
        still, total, order = dict(enumerate(places)), 0.0, []
        while still:
            log_p = model(input_ids=ids).logits[0].log_softmax(-1)
            best = max(still, key=lambda k: log_p[still[k], wanted[k]].item())
            order.append(best)
            total += log_p[still[best], wanted[best]].item()
            ids[0, still.pop(best)] = wanted[best]
        return total, order

    def test_the_surest_token_goes_in_first(self, bert_model, bert):
        scores = make(bert_model, bert).predict(ROWS).scores
        orders = []
        for row, found in zip(ROWS, scores.tolist(), strict=True):
            before, choices = told(row)
            for score, choice in zip(found, choices, strict=True):
                expected, order = self.surest_first(bert_model, bert, before, choice)
                assert score == pytest.approx(expected, abs=1e-3)
                orders.append(order)
        assert any(order != sorted(order) for order in orders)  # not merely left to right

    def test_candidates_of_one_token_are_the_plain_models_words(self, roberta_model, roberta):
        row = {"premise": "it was", "choice1": "great", "choice2": "bad"}
        prompt = ChoicePrompt(roberta_model, roberta, "{premise} {mask} .", COLUMNS)
        whole = roberta("it was<mask> .", return_tensors="pt")
        at = (whole["input_ids"][0] == roberta.mask_token_id).nonzero()[0, 0]
        log_p = roberta_model(**whole).logits[0, at].log_softmax(-1)
        words = roberta.convert_tokens_to_ids(["Ġgreat", "Ġbad"])
        torch.testing.assert_close(prompt.predict([row]).scores[0], log_p[words].detach())

    def test_a_causal_plm_continues(self, gpt2_model, gpt2):
        scores = make(gpt2_model, gpt2, CAUSAL).predict(ROWS).scores
        for row, found in zip(ROWS, scores.tolist(), strict=True):
            before, choices = told(row)
            start = len(gpt2(before)["input_ids"])
            for score, choice in zip(found, choices, strict=True):
                ids = gpt2(f"{before} {choice}", return_tensors="pt")["input_ids"]
                log_p = gpt2_model(ids).logits[0].log_softmax(-1)
                steps = range(start, ids.shape[1])
                expected = sum(log_p[at - 1, ids[0, at]].item() for at in steps)
                assert score == pytest.approx(expected, abs=1e-3)

    def test_an_encoder_decoder_plm_writes(self, t5_model, t5):
        rows = [{**ROWS[1], "premise": "", "question": ""}, *ROWS]
        scores = make(t5_model, t5).predict(rows).scores
        sentinel = t5.convert_tokens_to_ids("<extra_id_0>")
        for row, found in zip(ROWS, scores[1:].tolist(), strict=True):
            before, choices = told(row)
            text = t5(f"{before} <extra_id_0> .", return_tensors="pt")
            for score, choice in zip(found, choices, strict=True):
                ids = t5(choice, add_special_tokens=False)["input_ids"]
                decoder = torch.tensor([[t5.pad_token_id, sentinel, *ids[:-1]]])
                log_p = t5_model(**text, decoder_input_ids=decoder).logits[0, 1:].log_softmax(-1)
                expected = sum(log_p[at, token].item() for at, token in enumerate(ids))
                assert score == pytest.approx(expected, abs=1e-3)

    @pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "t5"])
    def test_together_or_alone(self, request, name):
        model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
        prompt = make(model, tokenizer, CAUSAL if name == "gpt2" else TEMPLATE)
        together = prompt.predict(ROWS).scores
        alone = torch.cat([prompt.predict([row]).scores for row in ROWS])
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)

    def test_per_token(self, bert_model, bert):
        plain, shared = make(bert_model, bert), make(bert_model, bert, per_token=True)
        lengths = torch.tensor([[len(ids) for ids in plain.candidate_ids(row)] for row in ROWS])
        expected = plain.predict(ROWS).scores / lengths
        torch.testing.assert_close(shared.predict(ROWS).scores, expected)

    def test_the_mask_is_found_behind_a_soft_prompt(self, bert_model, bert):
        tuned = attach(bert_model, SoftPrompt(length=3, init="random"))
        row = {"premise": "it was", "choice1": "great", "choice2": "bad", "question": "so"}
        prompt = ChoicePrompt(tuned, bert, "{premise} {mask} .", COLUMNS)
        whole = bert("it was [MASK] .", return_tensors="pt")
        log_p = tuned(**whole).logits[0, 3].log_softmax(-1)
        expected = log_p[bert.convert_tokens_to_ids(["great", "bad"])].detach()
        torch.testing.assert_close(prompt.predict([row]).scores[0], expected)


class TestTraining:
    def test_all_candidates_are_read_from_as_many_masks_as_the_longest_has(self, bert_model, bert):
        prompt = make(bert_model, bert)
        prompt.training = True  # the PLM stays in evaluation mode: no dropout
        found = prompt(**{k: v for k, v in batch_of(prompt).items() if k != "labels"}).logits
        for row, scores in zip(ROWS, found.tolist(), strict=True):
            before, choices = told(row)
            ids = [bert(c, add_special_tokens=False)["input_ids"] for c in choices]
            masks = " ".join(["[MASK]"] * max(map(len, ids)))
            whole = bert(f"{before} {masks} .", return_tensors="pt")
            first = (whole["input_ids"][0] == bert.mask_token_id).nonzero()[0, 0].item()
            log_p = bert_model(**whole).logits[0].log_softmax(-1)
            for score, tokens in zip(scores, ids, strict=True):
                expected = sum(log_p[first + k, token].item() for k, token in enumerate(tokens))
                assert score == pytest.approx(expected, abs=1e-3)

    def test_the_margin_by_hand(self):
        scores = torch.tensor([[-1.0, -1.5, -4.0], [-3.0, -2.0, -2.5], [0.0, 9.0, 9.0]])
        # row 0, right 0: max(0, 1 + 1 - 1.5) = .5 and max(0, 1 + 1 - 4) = 0
        # row 1, right 2: max(0, 1 + 2.5 - 3) = .5 and max(0, 1 + 2.5 - 2) = 1.5; row 2: no label
        loss = margin_loss(scores, torch.tensor([0, 2, -100]))
        assert loss.item() == pytest.approx((0.5 + 2.0) / 2)

    def test_a_margin_of_one_is_enough(self):
        scores = torch.tensor([[-1.0, -2.5]], requires_grad=True)
        loss = margin_loss(scores, torch.tensor([0]))
        loss.backward()
        assert loss.item() == 0
        assert scores.grad[0, 1] == 0

    @pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
    def test_it_learns_through_the_kits_training(self, request, task, name):
        model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
        template = CAUSAL if name == "gpt2" else TEMPLATE
        prompt = ChoicePrompt.for_task(model, tokenizer, task, template)
        settings = TrainSettings(
            steps=60, batch_size=3, learning_rate=1e-2, keep="last", evaluate_every=60
        )
        result = train(prompt, task, tokenizer=tokenizer, settings=settings)
        assert result.dev_score == 1.0
        assert evaluate(prompt, task, "test", tokenizer=tokenizer).score == 1.0

    def test_with_lora_only_it_learns(self, bert_model, bert):
        prompt = make(attach(bert_model, LoRA(rank=2)), bert)
        prompt.train()
        prompt(**batch_of(prompt)).loss.backward()
        moved = {name for name, p in prompt.named_parameters() if p.grad is not None}
        assert moved
        assert all("lora" in name.lower() for name in moved)


class TestEncoding:
    def test_rows_of_a_masked_plm(self, bert_model, bert):
        encoded = make(bert_model, bert).encode(ROWS[0])
        texts = [" ".join(bert.convert_ids_to_tokens(ids)) for ids in encoded["input_ids"]]
        four, one = "[MASK] " * 4, "[MASK] "
        assert texts == [f"[CLS] the town was cold , and {m}. [SEP]" for m in (four, one, four)]
        there = [[w - 1 for w in row if w] for row in encoded["wanted"]]
        assert [bert.convert_ids_to_tokens(row) for row in there] == [
            ["the", "rain", "was", "cold"], ["joy"], ["[MASK]"] * 4,
        ]  # fmt: skip
        assert encoded["labels"] == 0

    def test_byte_level_candidates_carry_their_space(self, gpt2_model, gpt2):
        prompt = make(gpt2_model, gpt2, CAUSAL)
        assert prompt.candidate_ids(ROWS[1])[0] == tuple(gpt2(" great")["input_ids"])

    def test_candidates_shown_in_the_text_too(self, bert_model, bert):
        template = (
            "{choice1:strip,lower} or {choice2:strip} ? {premise:strip} , {question} {mask} ."
        )
        encoded = make(bert_model, bert, template).encode(ROWS[0])
        text = bert.decode(encoded["input_ids"][1])
        assert text == "[CLS] the rain was cold or joy? the town was cold, and [MASK]. [SEP]"

    def test_long_texts_are_shortened_and_every_mask_stays(self, bert_model, bert):
        row = {**ROWS[0], "premise": "rain " * 90}
        encoded = make(bert_model, bert).encode(row)
        assert [len(ids) for ids in encoded["input_ids"]] == [48, 48, 48]
        masks = [ids.count(bert.mask_token_id) for ids in encoded["input_ids"]]
        assert masks == [4, 1, 4]

    def test_a_causal_row_leaves_room_for_its_candidate(self, gpt2_model, gpt2):
        row = {**ROWS[0], "premise": "rain " * 90}
        prompt = make(gpt2_model, gpt2, CAUSAL, max_length=20)
        encoded = prompt.encode(row)
        lengths = [len(ids) for ids in prompt.candidate_ids(row)]
        assert [len(ids) for ids in encoded["input_ids"]] == [20, 20]
        assert [sum(w > 0 for w in row) for row in encoded["wanted"]] == lengths

    def test_marked_places(self):
        wanted = torch.tensor([[0, 8, 0, 4], [0, 0, 3, 0]])
        at, ids, there = marked(wanted)
        assert at[0].tolist() == [1, 3]
        assert at[1, 0] == 2
        assert ids[0].tolist() == [7, 3]
        assert there.tolist() == [[True, True], [True, False]]


class TestRefusals:
    def test_templates(self, bert_model, bert, gpt2_model, gpt2):
        with pytest.raises(CourseError, match="causal"):
            make(gpt2_model, gpt2, TEMPLATE)
        with pytest.raises(CourseError, match="has 2 masks and 0 soft"):
            make(bert_model, bert, "{premise} {mask} {mask}")
        with pytest.raises(CourseError, match="0 soft|and 3 soft tokens"):
            make(bert_model, bert, "{soft:3} {premise} {mask}")

    def test_candidates(self, bert_model, bert):
        for columns in ("choice1", ("choice1",), ()):
            with pytest.raises(CourseError, match="two candidates or more"):
                ChoicePrompt(bert_model, bert, TEMPLATE, columns)
        with pytest.raises(CourseError, match="3 labels for 2 candidates"):
            make(bert_model, bert, labels=("a", "b", "c"))
        with pytest.raises(CourseError, match="Did you mean 'lower'"):
            make(bert_model, bert, options=("lowr",))

    def test_examples(self, bert_model, bert):
        prompt = make(bert_model, bert)
        with pytest.raises(CourseError, match="no column 'choice2'"):
            prompt.encode({"premise": "x", "question": "cause", "choice1": "joy"})
        with pytest.raises(CourseError, match="candidate 'choice1' is empty: ' . '"):
            prompt.encode({**ROWS[0], "choice1": " . "})
        with pytest.raises(CourseError, match="label 2 is none of choice1, choice2"):
            prompt.encode({**ROWS[0], "label": 2})
        with pytest.raises(CourseError, match="only 48 fit"):
            prompt.encode({**ROWS[0], "choice1": "rain " * 60})
        assert "labels" not in prompt.encode({**ROWS[0], "label": -1})
        assert prompt.encode({**ROWS[0], "label": "choice2"})["labels"] == 1

    def test_tasks(self, bert_model, bert, task):
        with pytest.raises(CourseError, match="bring no candidates"):
            ChoicePrompt.for_task(
                bert_model, bert, replace(task, kind="classification"), "{premise} {mask}"
            )
        with pytest.raises(CourseError, match="'premisse', which the example lacks"):
            ChoicePrompt.for_task(bert_model, bert, task, "{premisse} {mask}")


def test_candidates_alike_are_equally_good(bert_model, bert):
    row = {**ROWS[0], "choice2": ROWS[0]["choice1"]}
    (first, second) = make(bert_model, bert).predict([row]).scores[0].tolist()
    assert first == pytest.approx(second)
    assert math.isfinite(first)
