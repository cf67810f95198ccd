"""A soft verbalizer starts as the label words and then learns beside or without the PLM."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel, SoftVerbalizer, Verbalizer
from course_utils.tuning import LoRA, attach

WORDS = {"negative": ["bad", "terrible"], "positive": "great"}
ROWS = [{"text": "a dull film", "label": 0}, {"text": "joy and joy", "label": 1}]
TEMPLATES = {
    "bert": "{text} it was {mask} .",
    "roberta": "{text} it was {mask} .",
    "gpt2": "{text} it was {mask}",
    "t5": "{text} it was {mask} .",
}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_it_starts_as_the_words(request, name):
    model, tokenizer = (request.getfixturevalue(f) for f in (f"{name}_model", name))
    words = PromptModel(model, tokenizer, TEMPLATES[name], WORDS)
    soft = PromptModel(model, tokenizer, TEMPLATES[name], WORDS, soft_verbalizer=True)
    torch.testing.assert_close(
        soft.predict(ROWS).scores, words.predict(ROWS).scores, atol=1e-5, rtol=1e-5
    )


def test_also_where_the_head_is_not_known(bert_model, bert):
    soft = PromptModel(bert_model, bert, TEMPLATES["bert"], WORDS, soft_verbalizer=True)
    before = soft.predict(ROWS).scores
    bert_model.config.model_type = "something-new"
    torch.testing.assert_close(soft.predict(ROWS).scores, before)


def test_only_it_moves_on_a_frozen_plm(bert_model, bert):
    bert_model.requires_grad_(False)
    prompt = PromptModel(bert_model, bert, TEMPLATES["bert"], WORDS, soft_verbalizer=True)
    batch = prompt.collator()([prompt.encode(row) for row in ROWS])
    first = prompt(**batch).loss
    optimizer = torch.optim.SGD([p for p in prompt.parameters() if p.requires_grad], lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        prompt(**batch).loss.backward()
        optimizer.step()
    assert prompt(**batch).loss < first
    trained = [name for name, p in prompt.named_parameters() if p.requires_grad]
    assert trained == ["soft_verbalizer.weight", "soft_verbalizer.bias"]
    assert sum(p.numel() for p in prompt.soft_verbalizer.parameters()) == 2 * 16 + 2


def test_with_lora_both_get_gradients(bert_model, bert):
    tuned = attach(bert_model, LoRA(rank=2))
    prompt = PromptModel(tuned, bert, TEMPLATES["bert"], WORDS, soft_verbalizer=True)
    batch = prompt.collator()([prompt.encode(row) for row in ROWS])
    prompt(**batch).loss.backward()
    moved = {name for name, p in prompt.named_parameters() if p.grad is not None}
    assert any("lora" in name.lower() for name in moved)
    assert "soft_verbalizer.weight" in moved


def test_changing_it_does_not_change_the_plm(bert_model, bert):
    soft = SoftVerbalizer.from_words(Verbalizer(WORDS), bert, bert_model)
    before = bert_model.cls.predictions.decoder.weight.detach().clone()
    with torch.no_grad():
        soft.weight.zero_()
    assert torch.equal(bert_model.cls.predictions.decoder.weight, before)


def test_words_it_cannot_start_from(bert_model, bert):
    for verbalizer in (
        Verbalizer({"a": "warmly", "b": "cold"}, multi_token=True),
        Verbalizer(WORDS, combine="max"),
    ):
        with pytest.raises(CourseError, match="words of one token, combined by their mean"):
            PromptModel(bert_model, bert, TEMPLATES["bert"], verbalizer, soft_verbalizer=True)
