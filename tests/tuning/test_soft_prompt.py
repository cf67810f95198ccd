"""Soft prompts against words in the same place, against peft, and in generation."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
from full_recomputation import TEXTS, left_padded, token_by_token, written_for
from small_tokenizers import NumberedWords

from course_utils.errors import CourseError
from course_utils.tuning import SoftPrompt, attach, load_tuned

PLMS = (
    "bert",
    "bert-lm",
    "bert-tagger",
    "bert-choice",
    "roberta",
    "roberta-lm",
    "roberta-bare",
    "gpt2",
    "gpt2-classifier",
    "llama",
    "llama-classifier",
    "t5",
    "t5-encoder",
    "t5-tagger",
)
WORDS = torch.tensor([11, 12, 13, 14])
P = len(WORDS)


def set_prompt(tuned, values: torch.Tensor) -> None:
    with torch.no_grad():
        tuned.placement.sites.entry.soft_prompt.weight.copy_(values)


def with_words(model) -> object:
    """A Tuned whose prompt vectors are the embeddings of WORDS."""
    tuned = attach(model, SoftPrompt(length=P, init="random"))
    set_prompt(tuned, tuned.placement.sites.embeddings[0].module.weight[WORDS])
    return tuned


def prepend_words(batch: dict) -> dict:
    """The same input with WORDS as real tokens in front."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    front = WORDS.expand(*ids.shape[:-1], P)
    changed = {
        "input_ids": torch.cat((front, ids), -1),
        "attention_mask": torch.cat((torch.ones_like(front), mask), -1),
    }
    if batch.get("token_type_ids") is not None:
        changed["token_type_ids"] = torch.cat((front * 0, batch["token_type_ids"]), -1)
    return {**batch, **changed}


@pytest.mark.parametrize(
    "plm", ["bert-lm", "bert-tagger", "roberta-lm", "gpt2", "llama", "t5-tagger"]
)
def test_a_prompt_of_word_embeddings_is_those_words(plm, make_plm, make_batch):
    """Positions, padding, token types and masks are all as for real tokens."""
    model, batch = make_plm(plm), make_batch(plm, labels=False)
    if plm.startswith("bert"):
        batch["token_type_ids"] = (torch.arange(7) > 3).long().expand(3, -1)
    real = batch["attention_mask"].bool()
    expected = model(**prepend_words(batch)).logits[:, P:]
    torch.testing.assert_close(with_words(model)(**batch).logits[real], expected[real])


@pytest.mark.parametrize("plm", ["gpt2-classifier", "llama-classifier", "t5"])
def test_heads_that_look_at_the_end_or_the_decoder_see_the_same(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm)
    expected = model(**prepend_words(batch))
    got = with_words(model)(**batch)
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.loss, expected.loss)


@pytest.mark.parametrize("plm", ["bert", "bert-choice", "roberta"])
def test_a_classifier_pools_the_texts_first_token_not_the_prompt(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm, labels=False)
    longer = prepend_words(batch)
    flat = {key: value.reshape(-1, value.shape[-1]) for key, value in longer.items()}
    states = model.base_model(**flat).last_hidden_state[:, P:]
    if plm == "roberta":
        expected = model.classifier(states)
    else:
        expected = model.classifier(model.bert.pooler(states))
    expected = expected.view(1, -1) if plm == "bert-choice" else expected
    torch.testing.assert_close(with_words(model)(**batch).logits, expected)


@pytest.mark.parametrize("plm", PLMS)
def test_outputs_line_up_with_the_given_tokens(plm, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm, labels=False)
    tuned = attach(model, SoftPrompt(length=5, init="random"))
    bare = tuned.detach()(**batch, output_hidden_states=True)
    output = attach(model, SoftPrompt(length=5, init="random"))(**batch, output_hidden_states=True)
    for name in ("logits", "last_hidden_state", "pooler_output"):
        if bare.get(name) is not None:
            assert output[name].shape == bare[name].shape
    if output.get("hidden_states") is not None:
        assert [h.shape for h in output.hidden_states] == [h.shape for h in bare.hidden_states]


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_left_padding_changes_nothing(plm, make_plm):
    tuned = attach(make_plm(plm), SoftPrompt(length=3, init="random"))
    text = torch.tensor([[9, 8, 7, 6]])
    padded = torch.tensor([[0, 0, 9, 8, 7, 6]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    alone = tuned(input_ids=text, attention_mask=torch.ones_like(text)).logits
    torch.testing.assert_close(tuned(input_ids=padded, attention_mask=mask).logits[:, 2:], alone)
    torch.testing.assert_close(tuned(input_ids=text).logits, alone)


@pytest.mark.parametrize(
    ("plm", "task"),
    [
        ("bert-bare", "FEATURE_EXTRACTION"),
        ("roberta-bare", "FEATURE_EXTRACTION"),
        ("gpt2", "CAUSAL_LM"),
        ("llama", "CAUSAL_LM"),
        ("t5", "SEQ_2_SEQ_LM"),
    ],
)
def test_equals_peft(plm, task, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm, labels=False)
    batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
    batch["input_ids"] = batch["input_ids"].clamp(min=5)  # peft can't tell RoBERTa's padding
    settings = peft.PromptTuningConfig(
        task_type=task, num_virtual_tokens=6, num_transformer_submodules=1
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    ours = attach(model, SoftPrompt(length=6, init="random"))
    vectors = theirs.prompt_encoder["default"].embedding.weight
    set_prompt(ours, vectors)

    def outputs(output):
        return output.logits if "logits" in output else output.last_hidden_state

    expected, got = outputs(theirs(**batch)), outputs(ours(**batch))
    expected = expected if task == "SEQ_2_SEQ_LM" else expected[:, 6:]
    torch.testing.assert_close(got, expected)
    weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(0))
    (expected * weights).sum().backward()
    (got * weights).sum().backward()
    mine = ours.placement.sites.entry.soft_prompt.weight.grad
    torch.testing.assert_close(mine, vectors.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_equals_full_recomputation(plm, use_cache, make_plm):
    model = make_plm(plm, initializer_range=0.5, eos_token_id=None)
    tuned = attach(model, SoftPrompt(length=4, init="random"))
    expected = [token_by_token(tuned, torch.tensor([text]), 8) for text in TEXTS]
    settings = {"max_new_tokens": 8, "do_sample": False, "use_cache": use_cache}
    batch = left_padded(TEXTS)
    together = tuned.generate(**batch, **settings)
    assert together[:, batch["input_ids"].shape[1] :].tolist() == expected
    assert torch.equal(together[:, : batch["input_ids"].shape[1]], batch["input_ids"])
    alone = [tuned.generate(torch.tensor([t]), **settings)[0, len(t) :].tolist() for t in TEXTS]
    assert alone == expected
    bare = attach(tuned.detach(), SoftPrompt(length=4, init="random"), seed=9)
    assert bare.generate(**batch, **settings).tolist() != together.tolist()


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_beams_with_cache_equal_beams_without(plm, make_plm):
    model = make_plm(plm, initializer_range=0.5, eos_token_id=None)
    tuned = attach(model, SoftPrompt(length=4, init="random"))
    settings = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False}
    cached = tuned.generate(**left_padded(TEXTS), **settings)
    assert torch.equal(cached, tuned.generate(**left_padded(TEXTS), **settings, use_cache=False))


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_a_cache_continued_by_hand(plm, make_plm):
    """Two calls with a cache, the second with a left-padded mask, equal one call."""
    tuned = attach(make_plm(plm), SoftPrompt(length=4, init="random"))
    batch = left_padded(TEXTS)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    whole = tuned(input_ids=ids, attention_mask=mask).logits
    first = tuned(input_ids=ids[:, :3], attention_mask=mask[:, :3], use_cache=True)
    assert first.past_key_values.get_seq_length() == 3 + 4
    second = tuned(input_ids=ids[:, 3:], attention_mask=mask, past_key_values=first.past_key_values)
    torch.testing.assert_close(second.logits, whole[:, 3:])


@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_of_an_encoder_decoder(use_cache, make_plm):
    model = make_plm("t5", eos_token_id=None, initializer_factor=2.0)
    tuned = attach(model, SoftPrompt(length=4, init="random"))
    ids = torch.tensor([[7, 8, 9, 10], [21, 22, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    expected = [written_for(tuned, text, 6) for text in ([7, 8, 9, 10], [21, 22])]
    got = tuned.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=use_cache
    )
    assert got.tolist() == expected


def test_only_the_prompt_gets_a_gradient(make_plm, make_batch):
    tuned = attach(make_plm("bert-lm"), SoftPrompt(length=3, init="random"))
    tuned(**make_batch("bert-lm")).loss.backward()
    moved = [name for name, p in tuned.plm.named_parameters() if p.grad is not None]
    assert moved == ["bert.soft_prompt.weight"]
    assert tuned.plm.bert.soft_prompt.weight.grad.abs().sum() > 0


def start_of(model, **settings) -> torch.Tensor:
    tuned = attach(model, SoftPrompt(**settings), tokenizer=NumberedWords(), seed=4)
    start = model.bert.soft_prompt.weight.detach().clone()
    tuned.detach()
    return start


def test_starts(make_plm):
    model = make_plm("bert")
    rows = model.bert.embeddings.word_embeddings.weight.detach()
    text = start_of(model, length=5, init="text", text="w7 w8 w9")
    assert torch.equal(text, rows[[7, 8, 9, 7, 8]])
    assert torch.equal(start_of(model, length=2, init="text", text="w7 w8 w9"), rows[[7, 8]])
    labels = start_of(model, length=4, init="labels", words=("w7", "w8 w9"))
    assert torch.equal(labels[0], rows[7])
    torch.testing.assert_close(labels[1], (rows[8] + rows[9]) / 2)
    common = start_of(model, length=30, init="vocabulary")
    ids = [int((rows == row).all(1).nonzero()) for row in common]
    assert min(ids) > 5
    assert len(set(ids)) == 30
    uniform = start_of(model, length=30, init="random")
    assert -0.5 <= uniform.min() < -0.4
    assert 0.4 < uniform.max() <= 0.5


def test_label_names_of_the_plm_are_the_label_words(make_plm):
    model = make_plm("bert", id2label={0: "w7", 1: "w9"}, label2id={"w7": 0, "w9": 1})
    rows = model.bert.embeddings.word_embeddings.weight.detach()
    assert torch.equal(start_of(model, length=3, init="labels")[:2], rows[[7, 9]])


def test_loading_needs_no_tokenizer(make_plm, make_batch, tmp_path, output_of):
    model, batch = make_plm("bert"), make_batch("bert")
    fresh = copy.deepcopy(model)
    tuned = attach(model, SoftPrompt(length=4, init="text", text="w7"), tokenizer=NumberedWords())
    expected = output_of(tuned, batch)
    tuned.save(tmp_path)
    assert torch.equal(output_of(load_tuned(fresh, tmp_path), batch), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "length"),
        ({"init": "vocabluary"}, "Did you mean 'vocabulary'"),
        ({"init": "text"}, "needs the text"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        SoftPrompt(**settings)


def test_bad_inputs(make_plm, make_batch):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="needs the tokenizer"):
        attach(model, SoftPrompt(length=3))
    with pytest.raises(CourseError, match="needs the label words"):
        attach(model, SoftPrompt(length=3, init="labels"), tokenizer=NumberedWords())
    with pytest.raises(CourseError, match="no room for the 2 label words"):
        attach(
            model,
            SoftPrompt(length=1, init="labels", words=("w7", "w8")),
            tokenizer=NumberedWords(),
        )
    with pytest.raises(CourseError, match="leaves no room"):
        attach(model, SoftPrompt(length=40, init="random"))
    with pytest.raises(CourseError, match="no token"):
        attach(model, SoftPrompt(length=3, init="text", text="!"), tokenizer=NumberedWords())
    assert not hasattr(model, "tuned_with")
    assert not hasattr(model.bert, "soft_prompt")
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("plm", "room"), [("bert", 40), ("roberta", 38), ("gpt2", 40)])
def test_a_text_too_long_is_refused_before_any_work(plm, room, make_plm, make_batch):
    tuned = attach(make_plm(plm), SoftPrompt(length=30, init="random"))
    assert tuned.max_length == room - 30
    tuned(**make_batch(plm, tokens=room - 30, labels=False))
    with pytest.raises(CourseError, match=f"{room - 29} tokens and a soft prompt of 30 do not fit"):
        tuned(**make_batch(plm, tokens=room - 29, labels=False))


def test_generation_too_long_is_refused_before_any_work(make_plm):
    tuned = attach(make_plm("gpt2"), SoftPrompt(length=30, init="random"))
    with pytest.raises(CourseError, match="room for 10"):
        tuned.generate(torch.tensor([[7, 8, 9]]), max_new_tokens=8)
    with pytest.raises(CourseError, match="does not generate"):
        attach(make_plm("bert-lm"), SoftPrompt(length=3, init="random")).generate()


def test_what_can_not_work_is_said(make_plm):
    tuned = attach(make_plm("gpt2"), SoftPrompt(length=3, init="random"))
    with pytest.raises(CourseError, match="static cache"):
        tuned.generate(
            **left_padded(TEXTS), max_new_tokens=4, cache_implementation="static", do_sample=False
        )
    with pytest.raises(CourseError, match=r"shape \(batch, tokens\)"):
        tuned(input_ids=torch.tensor([[7, 8]]), attention_mask=torch.ones(1, 1, 2, 2))


def test_merging_is_refused(make_plm):
    with pytest.raises(CourseError, match="SoftPrompt can't be merged"):
        attach(make_plm("bert"), SoftPrompt(length=3, init="random")).merge()
