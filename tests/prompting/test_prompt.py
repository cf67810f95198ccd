"""PromptModel: the same answers however they are asked for, its loss, and what it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional as F

from course_utils import loop
from course_utils.errors import CourseError
from course_utils.prompting import (
    Answers,
    PromptCollator,
    PromptModel,
    SoftTokens,
    Template,
    Verbalizer,
    zero_shot,
)
from course_utils.prompting.verbalizer import word_ids
from course_utils.tasks.task import Task
from course_utils.training import TrainSettings, train
from course_utils.tuning import LoRA, SoftPrompt, attach

TEMPLATE = "{text} it was {mask} ."
WORDS = {"negative": "bad", "positive": ["good", "great"]}
ROWS = [
    {"text": "a dull film", "label": 0},
    {"text": "the town and the world and the rain", "label": 1},
    {"text": "", "label": 0},
    {"text": "really great joy from start to end", "label": 1},
]


@pytest.fixture
def prompt(bert_model, bert):
    return PromptModel(bert_model, bert, TEMPLATE, WORDS)


def column(model, tokenizer, text, word):
    """The plain model's logit of `word` at the mask of a whole sentence."""
    whole = tokenizer(text, return_tensors="pt")
    logits = model(**whole).logits[whole["input_ids"] == tokenizer.mask_token_id][0]
    (token,) = word_ids(tokenizer, word)
    return logits[token].item()


class TestAnswers:
    def test_scores_are_the_plain_models_logits_of_the_label_words(self, prompt, bert_model, bert):
        found = prompt.predict(ROWS).scores
        for row, (negative, positive) in zip(ROWS, found.tolist(), strict=True):
            text = f"{row['text']} it was [MASK] ."
            good, great = (column(bert_model, bert, text, w) for w in ("good", "great"))
            assert negative == pytest.approx(column(bert_model, bert, text, "bad"), abs=1e-4)
            assert positive == pytest.approx((good + great) / 2, abs=1e-4)

    @pytest.mark.parametrize(
        ("name", "template"),
        [("roberta", TEMPLATE), ("gpt2", "{text} it was {mask}"), ("t5", TEMPLATE)],
    )
    def test_batching_and_padding_change_nothing(self, request, name, template):
        model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
        prompt = PromptModel(model, tokenizer, template, WORDS)
        rows = [row for row in ROWS if row["text"]]
        together = prompt.predict(rows).scores
        alone = torch.cat([prompt.predict([row], batch_size=1).scores for row in rows])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)

    def test_zero_shot_is_the_untrained_prompt(self, prompt, bert_model, bert):
        answers = zero_shot(bert_model, bert, TEMPLATE, WORDS, ROWS)
        torch.testing.assert_close(answers.scores, prompt.predict(ROWS).scores)
        assert answers.labels == ("negative", "positive")

    def test_label_order_follows_the_task(self, prompt, bert_model, bert):
        turned = PromptModel(bert_model, bert, TEMPLATE, WORDS, labels=["positive", "negative"])
        torch.testing.assert_close(turned.predict(ROWS).scores, prompt.predict(ROWS).scores.flip(1))
        assert turned.encode({"text": "x", "label": "positive"})["labels"] == 0

    def test_answers_as_names_ids_probabilities_and_accuracy(self):
        answers = Answers(("no", "yes"), torch.tensor([[0.0, math.log(3)], [1.0, 0.0]]))
        assert answers.predictions == ["yes", "no"]
        assert answers.ids == [1, 0]
        assert answers.probabilities[0].tolist() == pytest.approx([0.25, 0.75])
        assert answers.accuracy([1, 1]) == 0.5
        assert answers.accuracy(["yes", "no"]) == 1.0
        with pytest.raises(CourseError, match="1 gold labels for 2 answers"):
            answers.accuracy([1])

    @pytest.mark.parametrize("gold", [[1, -1], [0, 2], ["yes", "maybe"]])
    def test_what_is_no_label_is_not_counted_as_one(self, gold):
        answers = Answers(("no", "yes"), torch.zeros(2, 2))
        with pytest.raises(CourseError, match="gold label"):
            answers.accuracy(gold)

    def test_all_words_at_the_mask(self, prompt, bert_model, bert):
        logits = prompt.word_logits(ROWS[:1])
        assert logits.shape == (1, len(bert))
        assert not logits.requires_grad
        (film,) = word_ids(bert, "film")
        expected = column(bert_model, bert, "a dull film it was [MASK] .", "film")
        assert logits[0, film].item() == pytest.approx(expected, abs=1e-4)

    def test_predicting_leaves_the_mode_as_it_was(self, prompt):
        prompt.train()
        first = prompt.predict(ROWS).scores
        assert prompt.training
        assert prompt.model.training
        torch.testing.assert_close(first, prompt.predict(ROWS).scores)  # no dropout inside

    def test_a_longer_text_than_the_plm_reads_is_shortened(self, prompt):
        assert prompt.max_length == 48
        assert len(prompt.encode({"text": "film " * 500})["input_ids"]) == 48
        assert prompt.predict([{"text": "film " * 500}]).scores.isfinite().all()

    def test_no_examples(self, prompt):
        with pytest.raises(CourseError, match="no examples"):
            prompt.predict([])


class TestTraining:
    def test_loss_is_the_cross_entropy_over_label_scores(self, prompt, bert):
        batch = prompt.collator()([prompt.encode(row) for row in ROWS])
        output = prompt(**batch)
        assert batch["labels"].tolist() == [0, 1, 0, 1]
        expected = -sum(
            output.logits.log_softmax(-1)[i, row["label"]] for i, row in enumerate(ROWS)
        )
        assert output.loss.item() == pytest.approx(expected.item() / 4, abs=1e-5)

    def test_rows_without_a_label_do_not_count(self, prompt):
        rows = [prompt.encode(ROWS[0]), prompt.encode({"text": "x", "label": -1})]
        batch = prompt.collator()(rows)
        assert batch["labels"].tolist() == [0, -100]
        alone = prompt.collator()(rows[:1])
        torch.testing.assert_close(prompt(**batch).loss, prompt(**alone).loss)

    def test_without_labels_there_is_no_loss(self, prompt):
        batch = prompt.collator()([prompt.encode({"text": "x"})])
        assert "labels" not in batch
        assert prompt(**batch).loss is None

    def test_tuning_the_plm_learns_four_examples(self, prompt):
        batch = prompt.collator()([prompt.encode(row) for row in ROWS])
        optimizer = torch.optim.AdamW(prompt.parameters(), lr=5e-3)
        for _ in range(60):
            optimizer.zero_grad()
            prompt(**batch).loss.backward()
            optimizer.step()
        assert prompt.predict(ROWS).accuracy([row["label"] for row in ROWS]) == 1.0

    def test_no_parameter_is_new(self, prompt, bert_model):
        ours = sum(p.numel() for p in prompt.parameters())
        assert ours == sum(p.numel() for p in bert_model.parameters())

    def test_a_copy_is_independent(self, prompt):
        twin = copy.deepcopy(prompt)
        before = twin.predict(ROWS).scores
        with torch.no_grad():
            for p in prompt.parameters():
                p.zero_()
        torch.testing.assert_close(twin.predict(ROWS).scores, before)


class TestWithTunedModels:
    def test_lora_starts_as_the_plm_and_only_it_learns(self, prompt, bert_model, bert):
        before = prompt.predict(ROWS).scores
        tuned = attach(bert_model, LoRA(rank=2))
        prompted = PromptModel(tuned, bert, TEMPLATE, WORDS)
        torch.testing.assert_close(prompted.predict(ROWS).scores, before)
        prompted(**prompted.collator()([prompted.encode(r) for r in ROWS])).loss.backward()
        moved = {n for n, p in prompted.named_parameters() if p.grad is not None}
        assert moved
        assert all("lora" in name.lower() for name in moved)

    def test_the_mask_is_found_behind_a_soft_prompt(self, bert_model, bert):
        tuned = attach(bert_model, SoftPrompt(length=5, init="random"))
        prompted = PromptModel(tuned, bert, TEMPLATE, WORDS)
        assert prompted.max_length == 43
        batch = prompted.collator()([prompted.encode(row) for row in ROWS])
        positions = batch.pop("mask_positions")
        batch.pop("labels")
        plain = tuned(**batch).logits
        expected = prompted.verbalizer.scores(plain[torch.arange(4), positions[:, 0]], bert)
        torch.testing.assert_close(prompted.predict(ROWS).scores, expected.detach())


class TestMaskedTextBeside:
    def test_pet_mixes_the_two_losses(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS, alpha=0.75)
        batch = prompt.collator(mlm_probability=0.5)([prompt.encode(row) for row in ROWS])
        mixed = prompt(**batch).loss
        labels = batch.pop("mlm_labels")
        ce = prompt(**batch).loss
        inputs = {"input_ids": batch["mlm_input_ids"], "attention_mask": batch["attention_mask"]}
        logits = bert_model(**inputs).logits
        mlm = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        torch.testing.assert_close(mixed, 0.75 * ce + 0.25 * mlm)

    def test_only_ordinary_words_are_masked(self, prompt, bert):
        collator = PromptCollator(bert, mlm_probability=0.9, seed=1)
        rows = [prompt.encode(row) for row in ROWS]
        batch = collator(rows)
        chosen = batch["mlm_labels"] != -100
        originals = batch["input_ids"][chosen]
        assert chosen.any()
        assert not torch.isin(originals, torch.tensor(bert.all_special_ids)).any()
        assert torch.equal(batch["mlm_labels"][chosen], originals)
        kept = ~chosen
        assert torch.equal(batch["mlm_input_ids"][kept], batch["input_ids"][kept])

    def test_about_the_asked_share_and_80_10_10(self, prompt, bert):
        collator = PromptCollator(bert, mlm_probability=0.15)
        rows = [prompt.encode({"text": "film " * 40})] * 400
        batch = collator(rows)
        chosen = batch["mlm_labels"] != -100
        words = 400 * (48 - 6 + 3)  # all but [CLS], [SEP] and the prompt's mask
        assert chosen.sum() / words == pytest.approx(0.15, abs=0.01)
        became = batch["mlm_input_ids"][chosen]
        assert (became == bert.mask_token_id).float().mean() == pytest.approx(0.8, abs=0.04)
        assert (became == batch["mlm_labels"][chosen]).float().mean() == pytest.approx(
            0.1, abs=0.03
        )

    def test_texts_can_come_from_an_unlabelled_pool(self, prompt, bert):
        pool = [prompt.encode({"text": "rain rain rain"})]
        collator = prompt.collator(mlm_probability=0.5, unlabelled=pool)
        batch = collator([prompt.encode(ROWS[0])] * 3)
        seen = batch["mlm_labels"][batch["mlm_labels"] != -100].tolist()
        allowed = bert.convert_tokens_to_ids(["rain", "it", "was", "."])
        assert set(seen) <= set(allowed)
        assert prompt(**batch).loss.isfinite()

    def test_refusals(self, bert_model, bert, gpt2):
        with pytest.raises(CourseError, match="alpha"):
            PromptModel(bert_model, bert, TEMPLATE, WORDS, alpha=2)
        with pytest.raises(CourseError, match="share between 0 and 1"):
            PromptCollator(bert, mlm_probability=1.5)
        with pytest.raises(CourseError, match="no mask token"):
            PromptCollator(gpt2, mlm_probability=0.15)


class TestSoftTokens:
    TEMPLATE = "{soft:3} {text} {soft:1} {mask} ."

    def test_vectors_equal_to_words_answer_like_the_words(self, bert_model, bert):
        hard = PromptModel(bert_model, bert, "the film it {text} was {mask} .", WORDS)
        ids = bert.convert_tokens_to_ids(["the", "film", "it", "was"])
        vectors = SoftTokens(bert_model.get_input_embeddings().weight, 4, ids=ids)
        soft = PromptModel(bert_model, bert, self.TEMPLATE, WORDS, soft=vectors)
        torch.testing.assert_close(soft.predict(ROWS).scores, hard.predict(ROWS).scores)

    def test_they_learn_while_the_plm_is_frozen(self, bert_model, bert):
        bert_model.requires_grad_(False)
        prompt = PromptModel(bert_model, bert, self.TEMPLATE, WORDS, soft="random")
        before = prompt.soft.weight.detach().clone()
        optimizer = torch.optim.SGD([p for p in prompt.parameters() if p.requires_grad], lr=1.0)
        batch = prompt.collator()([prompt.encode(row) for row in ROWS])
        prompt(**batch).loss.backward()
        optimizer.step()
        assert (prompt.soft.weight != before).all(dim=1).all()

    def test_the_seed_decides_the_start(self, bert_model, bert):
        def start(seed):
            return PromptModel(
                bert_model, bert, self.TEMPLATE, WORDS, soft="vocabulary", seed=seed
            ).soft.weight

        assert torch.equal(start(1), start(1))
        assert not torch.equal(start(1), start(2))

    def test_nothing_to_fill_them(self, bert_model, bert):
        with pytest.raises(CourseError, match="4 soft tokens and nothing fills them"):
            PromptModel(bert_model, bert, self.TEMPLATE, WORDS)

    def test_a_module_without_places(self, bert_model, bert):
        with pytest.raises(CourseError, match="the template has none"):
            PromptModel(bert_model, bert, TEMPLATE, WORDS, soft="vocabulary")

    def test_a_wrong_shape(self, bert_model, bert):
        vectors = SoftTokens(torch.zeros(9, 7), 4)
        prompt = PromptModel(bert_model, bert, self.TEMPLATE, WORDS, soft=vectors)
        with pytest.raises(CourseError, match=r"shape \(4, 7\); .* need \(4, 16\)"):
            prompt.predict(ROWS)

    def test_an_unknown_start(self, bert_model, bert):
        with pytest.raises(CourseError, match="Known: random, vocabulary"):
            PromptModel(bert_model, bert, self.TEMPLATE, WORDS, soft="vocabluary")


class TestRefusals:
    def test_a_masked_template_for_a_causal_plm(self, gpt2_model, gpt2):
        with pytest.raises(CourseError, match="causal"):
            PromptModel(gpt2_model, gpt2, TEMPLATE, WORDS)

    def test_a_model_without_a_language_modelling_head(self, bert_model, bert):
        with pytest.raises(CourseError, match='head="lm"'):
            PromptModel(bert_model.bert, bert, TEMPLATE, WORDS)

    def test_a_label_word_of_several_tokens(self, bert_model, bert):
        with pytest.raises(CourseError, match="warm ##ly"):
            PromptModel(bert_model, bert, TEMPLATE, {"a": "warmly", "b": "cold"})

    def test_a_label_without_a_word(self, bert_model, bert):
        with pytest.raises(CourseError, match="no word for label 'neutral'"):
            PromptModel(bert_model, bert, TEMPLATE, WORDS, labels=[*WORDS, "neutral"])

    def test_a_length_the_plm_does_not_have(self, bert_model, bert):
        with pytest.raises(CourseError, match="more than the 48"):
            PromptModel(bert_model, bert, TEMPLATE, WORDS, max_length=64)

    def test_a_length_the_template_does_not_fit(self, bert_model, bert):
        with pytest.raises(CourseError, match="only 4 fit"):
            PromptModel(bert_model, bert, TEMPLATE, WORDS, max_length=4)

    def test_two_masks_and_words_of_one_token(self, bert_model, bert):
        with pytest.raises(CourseError, match="has 2 masks"):
            PromptModel(bert_model, bert, "{text} {mask} {mask}", WORDS)

    def test_two_masks_for_an_encoder_decoder(self, t5_model, t5):
        with pytest.raises(CourseError, match="second {mask}"):
            PromptModel(t5_model, t5, "{text} {mask} {mask}", WORDS)

    def test_a_prompt_of_the_task_that_is_not_there(self, bert_model, bert):
        class OnePrompt(nn.Module):
            name = "small"
            labels = ("negative", "positive")
            prompts = ((TEMPLATE, WORDS),)

        made = PromptModel.for_task(bert_model, bert, OnePrompt)
        assert made.template == Template(TEMPLATE)
        assert made.labels == Verbalizer(WORDS).labels
        with pytest.raises(CourseError, match="has 1 prompts"):
            PromptModel.for_task(bert_model, bert, OnePrompt, 1)


class TestReadingAlong:
    def test_training_steps_draw_unlabelled_texts(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS, alpha=0.5)
        batch = prompt.collator()([prompt.encode(row) for row in ROWS])
        plain = prompt(**batch).loss
        prompt.read_along([{"text": "rain and town and film"}], share=0.5)
        torch.testing.assert_close(prompt(**batch).loss, plain)  # evaluation: labels only
        prompt.training = True
        losses = [prompt(**batch).loss.item() for _ in range(3)]
        assert len(set(losses)) == 3
        assert all(loss > plain.item() / 2 for loss in losses)

    def test_a_resumed_training_reads_what_it_would_have(
        self, bert_model, bert, tmp_path, monkeypatch
    ):
        rows = Dataset.from_list([{"text": row["text"], "label": row["label"]} for row in ROWS])
        task = Task(
            name="small/tone",
            kind="classification",
            columns=("text",),
            labels=("negative", "positive"),
            metric="accuracy",
            splits={"train": rows, "dev": rows},
        )
        settings = TrainSettings(steps=6, batch_size=2, evaluate_every=2, keep="last")

        def run(folder=None):
            prompt = PromptModel(copy.deepcopy(bert_model), bert, TEMPLATE, WORDS, alpha=0.5)
            prompt.read_along([{"text": "rain and town"}, {"text": "film"}], share=0.5)
            train(prompt, task, tokenizer=bert, settings=settings, output=folder)
            return prompt.state_dict()

        whole = run()
        real = loop.Watch.on_step_end

        def dies(watch, args, state, control, **kwargs):
            if state.global_step == 5:
                raise KeyboardInterrupt
            real(watch, args, state, control, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(loop.Watch, "on_step_end", dies)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path)
        resumed = run(tmp_path)
        assert all(torch.equal(whole[name], value) for name, value in resumed.items())

    def test_nothing_to_read(self, prompt):
        with pytest.raises(CourseError, match="no unlabelled examples"):
            prompt.read_along([])
