"""Prefixes in generation: caches, positions, padding, and the room there is."""

from __future__ import annotations

import pytest
import torch
from filled_prefixes import DIRECT, fill
from full_recomputation import TEXTS, left_padded, token_by_token, written_for

from course_utils.errors import CourseError
from course_utils.tuning import PrefixTuning, attach


def loud(plm: str, make_plm, **changes):
    """A PLM whose choices are far apart, with a prefix that changes them."""
    settings = {"eos_token_id": None} | changes
    settings |= {"initializer_factor": 2.0} if plm == "t5" else {"initializer_range": 0.5}
    return fill(attach(make_plm(plm, **settings), DIRECT))


@pytest.mark.parametrize("plm", ["gpt2", "llama", "mistral", "qwen2"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_equals_full_recomputation(plm, use_cache, make_plm):
    changes = {"sliding_window": 4} if plm == "mistral" else {}
    tuned = loud(plm, make_plm, **changes)
    expected = [token_by_token(tuned, torch.tensor([text]), 8) for text in TEXTS]
    settings = {"max_new_tokens": 8, "do_sample": False, "use_cache": use_cache}
    batch = left_padded(TEXTS)
    together = tuned.generate(**batch, **settings)
    assert together[:, batch["input_ids"].shape[1] :].tolist() == expected
    assert torch.equal(together[:, : batch["input_ids"].shape[1]], batch["input_ids"])
    alone = [tuned.generate(torch.tensor([t]), **settings)[0, len(t) :].tolist() for t in TEXTS]
    assert alone == expected
    assert tuned.detach().generate(**batch, **settings).tolist() != together.tolist()


@pytest.mark.parametrize("plm", ["gpt2", "llama", "t5"])
def test_beams_with_cache_equal_beams_without(plm, make_plm):
    tuned = loud(plm, make_plm)
    batch = left_padded(TEXTS)
    settings = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False}
    cached = tuned.generate(**batch, **settings)
    assert torch.equal(cached, tuned.generate(**batch, **settings, use_cache=False))


def test_generation_of_an_encoder_decoder_computes_its_memory_once(make_plm):
    """... and equals full recomputation."""
    tuned = loud("t5", make_plm)
    ids = torch.tensor([[7, 8, 9, 10], [21, 22, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    expected = [written_for(tuned, text, 6) for text in ([7, 8, 9, 10], [21, 22])]
    calls = []
    cross = tuned.plm.decoder.block[1].layer[1].EncDecAttention
    cross.k.register_forward_hook(lambda *_: calls.append(1))
    got = tuned.generate(input_ids=ids, attention_mask=mask, max_new_tokens=6, do_sample=False)
    assert got.tolist() == expected
    assert len(calls) == 1


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_a_cache_holds_the_text_alone_and_can_be_continued(plm, make_plm):
    """Two calls with a cache, the second with a left-padded mask, equal one call."""
    tuned = fill(attach(make_plm(plm), DIRECT))
    batch = left_padded(TEXTS)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    whole = tuned(input_ids=ids, attention_mask=mask).logits
    first = tuned(input_ids=ids[:, :3], attention_mask=mask[:, :3], use_cache=True)
    assert first.past_key_values.get_seq_length() == 3
    second = tuned(input_ids=ids[:, 3:], attention_mask=mask, past_key_values=first.past_key_values)
    torch.testing.assert_close(second.logits, whole[:, 3:])
    again = tuned(input_ids=ids, attention_mask=mask)
    assert torch.equal(again.logits, whole)


# Positions.


def test_roberta_counts_from_its_padding_and_skips_it(make_plm):
    model = make_plm("roberta-bare")
    seen = []
    model.embeddings.position_embeddings.register_forward_hook(lambda m, a, o: seen.append(a[0]))
    tuned = attach(model, DIRECT)
    ids = torch.tensor([[7, 8, 9], [7, 1, 1]])
    mask = ids.ne(1).long()
    tuned(input_ids=ids, attention_mask=mask)
    tuned(inputs_embeds=torch.zeros(1, 3, 16))
    tuned(input_ids=ids, position_ids=torch.tensor([[5, 6, 7], [5, 1, 1]]))
    assert seen[0].tolist() == [[6, 7, 8], [6, 1, 1]]
    assert seen[1].tolist() == [[6, 7, 8]]
    assert seen[2].tolist() == [[9, 10, 11], [9, 1, 1]]


@pytest.mark.parametrize("plm", ["gpt2", "llama"])
def test_left_padding_changes_nothing(plm, make_plm):
    tuned = fill(attach(make_plm(plm), DIRECT))
    text = torch.tensor([[9, 8, 7, 6]])
    padded, mask = torch.tensor([[0, 0, 9, 8, 7, 6]]), torch.tensor([[0, 0, 1, 1, 1, 1]])
    alone = tuned(input_ids=text, attention_mask=torch.ones_like(text)).logits
    torch.testing.assert_close(tuned(input_ids=padded, attention_mask=mask).logits[:, 2:], alone)
    torch.testing.assert_close(tuned.plm(input_ids=text).logits, alone)


@pytest.mark.parametrize(("plm", "room"), [("bert", 40), ("roberta", 38), ("gpt2", 40)])
def test_a_text_too_long_is_refused_before_any_work(plm, room, make_plm, make_batch):
    tuned = attach(make_plm(plm), PrefixTuning(length=30, mlp=0))
    assert tuned.max_length == room - 30
    tuned(**make_batch(plm, tokens=room - 30, labels=False))
    with pytest.raises(CourseError, match=f"{room - 29} tokens and a prefix of 30 do not fit"):
        tuned(**make_batch(plm, tokens=room - 29, labels=False))


def test_generation_too_long_is_refused_before_any_work(make_plm):
    tuned = attach(make_plm("gpt2"), PrefixTuning(length=30, mlp=0))
    with pytest.raises(CourseError, match="room for 10"):
        tuned.generate(torch.tensor([[7, 8, 9]]), max_new_tokens=8)
