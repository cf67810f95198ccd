"""Logits at the mask equal the PLM's own; words of several tokens are scored as PET does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel, Verbalizer
from course_utils.prompting.scoring import (
    HEADS,
    blank_logits,
    insert,
    logits_at,
    model_kind,
    position_limit,
    take,
)
from course_utils.tasks.batches import collate

TEMPLATE = "{text} it was {mask} ."
CAUSAL = "{text} it was {mask}"
CAUSAL_HEADS = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
HEAD_SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40,
              "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}  # fmt: skip
HEAD_MORE = dict.fromkeys(CAUSAL_HEADS[1:], {"num_key_value_heads": 1, "head_dim": 8}) | {
    "albert": {"embedding_size": 8},
    "electra": {"embedding_size": 8},
}
WORDS = {"negative": "bad", "positive": ["good", "great"]}
ROWS = [{"text": "a dull film"}, {"text": "the town and the world"}, {"text": ""}]


class Shifted(nn.Module):
    """Stands for a soft prompt: three vectors before the text, their logits cut off again."""

    def __init__(self, plm):
        super().__init__()
        self.plm = plm
        torch.manual_seed(5)
        self.front = nn.Parameter(torch.randn(3, plm.config.hidden_size))

    def forward(self, input_ids, attention_mask):
        embedded = self.plm.get_input_embeddings()(input_ids)
        front = self.front.expand(len(embedded), -1, -1)
        ones = attention_mask.new_ones(len(embedded), 3)
        output = self.plm(
            inputs_embeds=torch.cat([front, embedded], 1),
            attention_mask=torch.cat([ones, attention_mask], 1),
        )
        output.logits = output.logits[:, 3:]
        return output


def batch_of(prompt):
    batch = collate([prompt.encode(row) for row in ROWS], prompt.tokenizer)
    return batch, batch.pop("mask_positions")


class TestEqualsThePlainModel:
    @pytest.mark.parametrize("name", ["bert", "roberta"])
    def test_masked(self, request, name):
        model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
        prompt = PromptModel(model, tokenizer, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        plain = model(**batch).logits
        expected = take(plain, positions)
        torch.testing.assert_close(logits_at(model, batch, positions), expected)
        # And the mask is where the tokenizer, given the whole sentence, has it.
        whole = tokenizer(
            [f"{row['text']} it was {tokenizer.mask_token} .".strip() for row in ROWS[:2]],
            return_tensors="pt",
            padding=True,
        )
        there = model(**whole).logits[whole["input_ids"] == tokenizer.mask_token_id]
        torch.testing.assert_close(expected[:2, 0], there)

    def test_causal(self, gpt2_model, gpt2):
        prompt = PromptModel(gpt2_model, gpt2, CAUSAL, WORDS)
        batch, positions = batch_of(prompt)
        for row, at in zip(ROWS[:2], logits_at(gpt2_model, batch, positions), strict=False):
            alone = gpt2(f"{row['text']} it was", return_tensors="pt")
            expected = gpt2_model(**alone).logits[0, -1]
            torch.testing.assert_close(at[0], expected, atol=1e-5, rtol=1e-5)

    def test_seq2seq(self, t5_model, t5):
        prompt = PromptModel(t5_model, t5, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        sentinel = t5.convert_tokens_to_ids("<extra_id_0>")
        decoder = torch.tensor([[t5.pad_token_id, sentinel]]).expand(3, -1)
        expected = t5_model(**batch, decoder_input_ids=decoder).logits[:, 1:]
        found = blank_logits(t5_model, batch, positions, "seq2seq", sentinel)
        torch.testing.assert_close(found, expected)

    def test_through_vectors_put_before_the_text(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        batch.pop("token_type_ids")
        shifted = Shifted(bert_model)
        expected = take(shifted(**batch).logits, positions)
        torch.testing.assert_close(logits_at(shifted, batch, positions), expected)

    def test_a_model_type_without_a_known_head(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        expected = logits_at(bert_model, batch, positions)
        bert_model.config.model_type = "something-new"
        torch.testing.assert_close(logits_at(bert_model, batch, positions), expected)

    @pytest.mark.parametrize("model_type", sorted(HEADS))
    def test_every_head_it_knows(self, model_type):
        torch.manual_seed(0)
        config = AutoConfig.for_model(model_type, **HEAD_SIZES, **HEAD_MORE.get(model_type, {}))
        causal = model_type in CAUSAL_HEADS
        loader = AutoModelForCausalLM if causal else AutoModelForMaskedLM
        model = loader.from_config(config).eval()
        inputs = {"input_ids": torch.randint(5, 60, (3, 9))}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        positions = torch.tensor([[2], [4], [8]])
        expected = take(model(**inputs).logits, positions)
        torch.testing.assert_close(logits_at(model, inputs, positions), expected)

    def test_the_head_sees_only_the_masks_and_no_hook_is_left(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        shapes = []
        decoder = bert_model.cls.predictions.decoder
        handle = decoder.register_forward_hook(lambda _m, _a, out: shapes.append(out.shape))
        logits_at(bert_model, batch, positions)
        handle.remove()
        assert shapes == [(3, 1, len(bert))]
        assert not bert_model.cls._forward_pre_hooks
        assert not bert_model.cls._forward_hooks

    def test_hooks_are_removed_when_the_model_fails(self, bert_model):
        with pytest.raises(IndexError):
            logits_at(bert_model, {"input_ids": torch.tensor([[10**6]])}, torch.tensor([[0]]))
        assert not bert_model.cls._forward_pre_hooks

    def test_gradients_are_those_of_the_plain_model(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, WORDS)
        batch, positions = batch_of(prompt)
        logits_at(bert_model, batch, positions).sum().backward()
        ours = bert_model.bert.embeddings.word_embeddings.weight.grad.clone()
        bert_model.zero_grad()
        take(bert_model(**batch).logits, positions).sum().backward()
        plain = bert_model.bert.embeddings.word_embeddings.weight.grad
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


class TestSeveralTokens:
    """warmly = warm ##ly; the expected numbers are worked out with the PLM itself, step by step."""

    VERBALIZER = Verbalizer({"a": "warmly", "b": ["cold", "dogs"]}, multi_token=True)

    def by_hand(self, model, tokenizer, text, word):
        """PET: as many masks as tokens; the likeliest right token goes in first."""
        wanted = tokenizer.convert_tokens_to_ids(word)
        masks = " ".join([tokenizer.mask_token] * len(wanted))
        ids = tokenizer(f"{text} it was {masks} .", return_tensors="pt")["input_ids"]
        total = 0.0
        open_masks = dict(enumerate((ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()))
        while open_masks:
            log_p = model(input_ids=ids).logits[0].log_softmax(-1)
            best = max(open_masks, key=lambda k: log_p[open_masks[k], wanted[k]].item())
            at = open_masks.pop(best)
            total += log_p[at, wanted[best]].item()
            ids[0, at] = wanted[best]
        return total

    def test_evaluation_fills_in_the_surest_token_first(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, self.VERBALIZER).eval()
        found = prompt.predict(ROWS).scores
        for row, (a, b) in zip(ROWS, found.tolist(), strict=True):
            warmly = self.by_hand(bert_model, bert, row["text"], ["warm", "##ly"])
            cold = self.by_hand(bert_model, bert, row["text"], ["cold"])
            dogs = self.by_hand(bert_model, bert, row["text"], ["dog", "##s"])
            assert a == pytest.approx(warmly, abs=1e-4)
            assert b == pytest.approx((cold + dogs) / 2, abs=1e-4)

    def test_training_reads_all_masks_at_once(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, self.VERBALIZER)
        batch = collate([prompt.encode(ROWS[0])], bert)
        bert_model.eval()
        prompt.training = True
        (a, b) = prompt(**batch).logits[0].tolist()
        masked = bert("a dull film it was [MASK] [MASK] .", return_tensors="pt")
        log_p = bert_model(**masked).logits[0].log_softmax(-1)
        warm, ly, cold, dog, s = bert.convert_tokens_to_ids(["warm", "##ly", "cold", "dog", "##s"])
        assert a == pytest.approx((log_p[6, warm] + log_p[7, ly]).item(), abs=1e-4)
        # "cold" is read from the first of the two masks the longest word needs.
        dogs = log_p[6, dog] + log_p[7, s]
        assert b == pytest.approx(((log_p[6, cold] + dogs) / 2).item(), abs=1e-4)

    def test_they_learn_by_the_margin_between_labels(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, self.VERBALIZER)
        rows = [{**row, "label": i % 2} for i, row in enumerate(ROWS)]
        batch = collate([prompt.encode(row) for row in rows], bert)
        prompt.training = True  # the PLM stays in evaluation mode: no dropout
        output = prompt(**batch)
        expected = [
            max(0.0, 1 - scores[row["label"]] + scores[1 - row["label"]])
            for row, scores in zip(rows, output.logits.tolist(), strict=True)
        ]
        assert output.loss.item() == pytest.approx(sum(expected) / 3, abs=1e-4)

    def test_several_masks_in_the_template_are_filled_in_order(self, bert_model, bert):
        words = Verbalizer({"a": "warm dog", "b": "cold cat"}, multi_token=True)
        prompt = PromptModel(bert_model, bert, "{text} it was {mask} {mask} .", words)
        (a, b) = prompt.predict(ROWS[:1]).scores[0].tolist()
        assert a == pytest.approx(
            self.by_hand(bert_model, bert, "a dull film", ["warm", "dog"]), abs=1e-4
        )
        assert b == pytest.approx(
            self.by_hand(bert_model, bert, "a dull film", ["cold", "cat"]), abs=1e-4
        )

    def test_a_causal_word_is_read_from_left_to_right(self, gpt2_model, gpt2):
        words = Verbalizer({"a": "great film", "b": "bad"}, multi_token=True)
        prompt = PromptModel(gpt2_model, gpt2, CAUSAL, words)
        found = prompt.predict(ROWS[:2]).scores
        for row, (a, b) in zip(ROWS[:2], found.tolist(), strict=True):
            ids = gpt2(f"{row['text']} it was great film", return_tensors="pt")["input_ids"]
            log_p = gpt2_model(ids).logits[0].log_softmax(-1)
            expected = log_p[-3, ids[0, -2]] + log_p[-2, ids[0, -1]]
            assert a == pytest.approx(expected.item(), abs=1e-4)
            short = gpt2(f"{row['text']} it was bad", return_tensors="pt")["input_ids"]
            last = gpt2_model(short).logits[0, -2].log_softmax(-1)[short[0, -1]]
            assert b == pytest.approx(last.item(), abs=1e-4)

    def test_a_t5_word_is_read_from_left_to_right(self, t5_model, t5):
        words = Verbalizer({"a": "great film", "b": "bad"}, multi_token=True)
        prompt = PromptModel(t5_model, t5, TEMPLATE, words)
        (a, b) = prompt.predict(ROWS[:1]).scores[0].tolist()
        text = t5("a dull film it was <extra_id_0> .", return_tensors="pt")
        great, film, bad = t5.convert_tokens_to_ids(["▁great", "▁film", "▁bad"])
        sentinel = t5.convert_tokens_to_ids("<extra_id_0>")
        decoder = torch.tensor([[t5.pad_token_id, sentinel, great]])
        log_p = t5_model(**text, decoder_input_ids=decoder).logits[0].log_softmax(-1)
        assert a == pytest.approx((log_p[1, great] + log_p[2, film]).item(), abs=1e-4)
        assert b == pytest.approx(log_p[1, bad].item(), abs=1e-4)

    def test_room_is_kept_for_the_longest_word(self, bert_model, bert):
        prompt = PromptModel(bert_model, bert, TEMPLATE, self.VERBALIZER, max_length=12)
        assert len(prompt.encode({"text": "film " * 40})["input_ids"]) == 11


class TestInsert:
    def test_rows_grow_behind_the_given_place(self):
        inputs = {
            "input_ids": torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]]),
            "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]),
            "token_type_ids": torch.tensor([[0, 0, 1, 0], [0, 1, 1, 1]]),
        }
        grown = insert(inputs, torch.tensor([2, 0]), torch.tensor([[8, 9], [8, 9]]))
        assert grown["input_ids"].tolist() == [[1, 2, 3, 8, 9, 0], [4, 8, 9, 5, 6, 7]]
        assert grown["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1] * 6]
        assert grown["token_type_ids"].tolist() == [[0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]]


class TestModels:
    def test_kinds(self, bert_model, gpt2_model, t5_model):
        kinds = [model_kind(m) for m in (bert_model, gpt2_model, t5_model, Shifted(bert_model))]
        assert kinds == ["masked", "causal", "seq2seq", "masked"]

    def test_a_model_without_a_language_modelling_head(self, bert_model):
        with pytest.raises(CourseError, match='BertModel has no .* head="lm"'):
            model_kind(bert_model.bert)

    def test_positions(self, bert_model, roberta_model, gpt2_model, t5_model):
        models = (bert_model, roberta_model, gpt2_model, t5_model)
        assert [position_limit(m) for m in models] == [48, 48, 64, None]
