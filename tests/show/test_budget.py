"""The calculator: equal to what attaching really trains, and to published counts."""

from __future__ import annotations

import pytest
from transformers import AutoModel

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.show.budget import (
    SHAPES,
    added_by,
    budget_playground,
    budget_row,
    budget_table,
    choices,
    parameters_of,
    share,
    trained_by,
    training_memory,
)
from course_utils.tuning import attach


@pytest.mark.parametrize("method", choices())
def test_it_counts_what_attaching_trains(method):
    """On a PLM without a head, with numbers this time."""
    plm, tokenizer = load_plm("pocket-bert-base")
    bare = AutoModel.from_config(plm.config)
    for size in (4, 16):
        tuned = attach(bare, choices()[method].make(size), tokenizer=tokenizer)
        assert trained_by("pocket-bert-base", method, size)[0] == tuned.count()
        in_all = sum(p.numel() for p in tuned.parameters())
        added = added_by("pocket-bert-base", method, size)
        assert parameters_of("pocket-bert-base") + added == in_all
        tuned.detach()


@pytest.mark.parametrize(
    ("plm", "method", "size", "published"),
    [
        ("BERT-large", "AdapterBias", 0, 122_904 + 51_200),
        ("RoBERTa-large", "LoRA", 8, 786_432),  # "0.8M", Hu et al. 2021
        ("RoBERTa-base", "LoRA", 8, 294_912),  # "0.3M"
        ("BERT-large", "P-tuning v2", 20, 2 * 20 * 24 * 1024),
        ("RoBERTa-large", "P-tuning v2", 128, 2 * 128 * 24 * 1024),
        ("GPT-2 medium", "LoRA", 4, 393_216),  # "0.35M" counts in millions of 2^20
        ("BERT-large", "soft prompt", 100, 102_400),
    ],
)
def test_published_counts(plm, method, size, published):
    assert trained_by(plm, method, size)[0] == published


@pytest.mark.parametrize(
    ("plm", "millions"),
    [("BERT-base", 110), ("BERT-large", 335), ("RoBERTa-large", 355), ("GPT-2 medium", 355),
     ("T5-large", 738), ("Llama-2-7B", 6607)],
)  # fmt: skip
def test_shapes_have_the_sizes_of_their_namesakes(plm, millions):
    assert parameters_of(plm) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_row_by_hand():
    row = budget_row("RoBERTa-large", "LoRA", 8, tasks=100, stored_as="float32")
    assert row["of the PLM"] == "0.22 %"
    assert row["kept per task"] == "3.15 MB"  # 786,432 · 4
    assert row["100 tasks"] == "1.74 GB"  # 355,359,744 · 4 + 100 · 3.15 MB
    assert row["memory to train"] == "1.43 GB"  # the PLM, and 16 bytes for each number of LoRA
    full = budget_row("RoBERTa-large", "full fine-tuning", None, tasks=100, stored_as="float16")
    assert full["of the PLM"] == "100 %"
    assert full["100 tasks"] == "71.1 GB"
    assert full["memory to train"] == "5.69 GB"


@pytest.mark.parametrize(
    ("method", "size", "added"),
    [
        ("BitFit", 0, 0),
        ("AdapterBias", 0, 122_904),
        ("LoRA", 8, 786_432),
        ("full fine-tuning", 0, 0),
    ],
)
def test_memory_counts_trained_norms_and_biases_once(method, size, added):
    """The PLM's own numbers take 12 bytes more when they are trained, those beside it 16."""
    trained = trained_by("BERT-large", method, size)[0]
    expected = 4 * parameters_of("BERT-large") + 12 * (trained - added) + 16 * added
    assert training_memory("BERT-large", method, size).total == expected


def test_small_shares_are_not_zero():
    assert [share(n, 1e6) for n in (1e6, 123_000, 2_200, 3)] == [
        "100 %", "12 %", "0.22 %", "0.0003 %"
    ]  # fmt: skip


def test_every_plm_has_a_table_of_most_methods():
    for plm in SHAPES:
        assert len(budget_table(plm).rows) >= 9


def test_the_knobs_move_the_numbers():
    box = budget_playground("BERT-base")
    assert "294,912" in box.page.text
    box.knobs["size"].value = 16
    assert "589,824" in box.page.text
    box.knobs["plm"].value = "Llama-2-7B"
    assert "6,607,343,616 parameters" in box.page.text
    box.knobs["method"].value = "BitFit"  # Llama has no biases: said, not raised
    assert "bias" in box.page.text.lower()
    box.knobs["method"].value = "full fine-tuning"
    assert box.page.text.count("full fine-tuning") == 1


def test_unknown_names_are_told_the_near_ones():
    with pytest.raises(CourseError, match="BERT-large"):
        parameters_of("BERT-larg")
    with pytest.raises(CourseError, match="Houlsby"):
        trained_by("BERT-base", "Houlsbi", 8)
