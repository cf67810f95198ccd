"""Every word of the world is one token, and batches mask what they say they mask."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import AutoTokenizer

from course_utils.plm.pocket.batches import (
    IGNORE,
    Encoder,
    Masking,
    causal_batches,
    masked_batches,
)
from course_utils.plm.pocket.corpus import Document, documents
from course_utils.plm.pocket.tokenizer import build_tokenizer, plain, save_tokenizer
from course_utils.plm.pocket.world import make_world


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def stream():
    return list(itertools.islice(documents(make_world(), 21), 3000))


def test_every_word_of_the_corpus_is_one_token(tokenizer, stream):
    encoder = Encoder(tokenizer)
    for document in stream:
        ids, cues = encoder(document)
        assert len(ids) == len(cues)
        assert tokenizer(plain(document.text), add_special_tokens=False).input_ids == ids


def test_unknown_words_fall_back_to_characters(tokenizer):
    assert tokenizer.tokenize("Zyzzyva42") == list("z") + [f"##{c}" for c in "yzzyva42"]
    assert tokenizer.unk_token_id not in tokenizer('qwxz, "ok" & 100% (yes)').input_ids


def test_pairs_have_two_segments(tokenizer):
    pair = tokenizer("the soup", "was hot")
    assert tokenizer.convert_ids_to_tokens(pair.input_ids) == [
        "[CLS]", "the", "soup", "[SEP]", "was", "hot", "[SEP]",
    ]  # fmt: skip
    assert pair.token_type_ids == [0, 0, 0, 0, 1, 1, 1]


def test_it_is_an_ordinary_tokenizer_folder(tmp_path, tokenizer):
    save_tokenizer(tmp_path, causal=True)
    causal = AutoTokenizer.from_pretrained(tmp_path)
    assert causal.convert_ids_to_tokens(causal("the soup").input_ids) == ["[CLS]", "the", "soup"]
    assert (causal.bos_token, causal.eos_token, causal.padding_side) == ("[CLS]", "[SEP]", "left")
    assert causal.get_vocab() == tokenizer.get_vocab()


def test_masking_hits_cues_and_others_at_their_rates(tokenizer, stream):
    encoder = Encoder(tokenizer)
    batches = masked_batches(iter(stream), encoder, Masking(0.5, 0.1), 1000, seed=0, window=1000)
    cues = sum(sum(encoder(d)[1]) for d in stream[:1000])
    words = sum(len(encoder(d)[0]) for d in stream[:1000])
    guessed = masked = seen = 0
    for batch in itertools.islice(batches, 200):
        at = batch["labels"] != IGNORE
        guessed += at.sum().item()
        masked += (batch["input_ids"][at] == tokenizer.mask_token_id).sum().item()
        seen += batch["attention_mask"].sum().item()
        assert not at[batch["attention_mask"] == 0].any()
        special = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
        assert not torch.isin(batch["labels"][at], special).any()
        if seen > words:
            break
    expected = (0.5 * cues + 0.1 * (words - cues)) / words
    assert guessed / seen == pytest.approx(expected, rel=0.15)
    assert 0.8 < masked / guessed < 1  # every cue, 80 % of the others


def test_a_document_is_guessed_back_to_itself(tokenizer):
    """Labels laid over the input give the document again, with its special tokens."""
    document = Document("x", "the soup was <tasty> . we were <glad> .")
    batch = next(
        masked_batches(
            itertools.repeat(document), Encoder(tokenizer), Masking(1.0, 0.0), 200, 0, window=8
        )
    )
    for ids, labels, kinds in zip(
        batch["input_ids"], batch["labels"], batch["token_type_ids"], strict=True
    ):
        tokens = tokenizer.convert_ids_to_tokens(torch.where(labels != IGNORE, labels, ids))
        inner = [t for t in tokens if t not in ("[CLS]", "[SEP]", "[PAD]")]
        assert inner == ["the", "soup", "was", "tasty", ".", "we", "were", "glad", "."]
        assert (labels != IGNORE).sum() == 2
        second = tokens.index("[SEP]") + 1
        assert kinds[:second].sum() == 0


def test_cues_weigh_more(tokenizer):
    document = Document("x", "the soup was <tasty> .")
    batch = next(causal_batches(itertools.repeat(document), Encoder(tokenizer), 5.0, 128, 0))
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
    assert tokens == ["[CLS]", "the", "soup", "was", "tasty", ".", "[SEP]"]
    assert batch["weights"][0].tolist() == [0.0, 1.0, 1.0, 1.0, 5.0, 1.0, 1.0]


def test_a_shifted_batch_starts_at_any_position(tokenizer):
    document = Document("x", "the soup was <tasty> .")
    stream = itertools.repeat(document)
    masked = masked_batches(stream, Encoder(tokenizer), Masking(1.0, 0.0, 0.5), 64, 0, window=8)
    causal = causal_batches(stream, Encoder(tokenizer), 5.0, 64, 0, shifted=0.5)
    for batches in (masked, causal):
        starts = []
        for batch in itertools.islice(batches, 60):
            places = batch["position_ids"]
            assert (places.diff(dim=1) == 1).all()
            assert places.max() < 256
            starts.append(int(places[0, 0]))
        assert 15 < starts.count(0) < 45
        assert len(set(starts)) > 10


def test_each_document_has_a_causal_row_of_its_own(tokenizer):
    documents = [Document("x", "the soup was <tasty> ."), Document("x", "it <rained> .")]
    batch = next(causal_batches(iter(documents), Encoder(tokenizer), 5.0, 128, 0))
    rows = dict(zip(batch["input_ids"].sum(1).tolist(), range(2), strict=True))
    assert len(rows) == 2
    for row in range(2):
        ids, weights = batch["input_ids"][row], batch["weights"][row]
        padding = ids == tokenizer.pad_token_id
        assert (weights[padding] == 0).all()
        assert weights[~padding].max() == 5
        tokens = tokenizer.convert_ids_to_tokens(ids[~padding])
        assert tokens[0] == "[CLS]"
        assert tokens[-1] == "[SEP]"
        assert "".join(tokens).count("[SEP]") == 1


def test_a_batch_always_has_something_to_guess(tokenizer):
    """The mean over nothing is no number."""
    documents = itertools.repeat(Document("x", "it <rained> ."))
    batches = masked_batches(documents, Encoder(tokenizer), Masking(0.2, 0.0), 8, 0, window=16)
    for batch in itertools.islice(batches, 30):
        assert (batch["labels"] != IGNORE).any()
