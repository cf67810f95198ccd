"""The measurements of training: they compare the same, and their pages say what came out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from course_utils.tuning import LoRA, PTuningV2

FOLDER = Path(__file__).parents[2] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / name / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pipeline, precision = script("pipeline"), script("precision")
FEATURES = [{"input_ids": [2, *range(5, 5 + n), 3]} for n in (3, 30, 8, 12, 50, 5, 6, 7)]
LENGTHS = [len(f["input_ids"]) for f in FEATURES]


def labelled():
    return [f | {"labels": i % 2} for i, f in enumerate(FEATURES)]


def test_padding_to_the_full_length_changes_no_gradient():
    batch = pipeline.Collator(0)(labelled()[:4])
    assert pipeline.padded(batch, 0)["input_ids"].shape == (4, pipeline.MAX_LENGTH)
    assert pipeline.gradient_difference("tiny", 100, batch, 0) < 1e-5


def test_padding_without_a_mask_would_be_seen(monkeypatch):
    batch = pipeline.Collator(0)(labelled()[:4])
    right = pipeline.padded

    def unmasked(batch, pad):
        made = right(batch, pad)
        return made | {"attention_mask": torch.ones_like(made["attention_mask"])}

    monkeypatch.setattr(pipeline, "padded", unmasked)
    assert pipeline.gradient_difference("tiny", 100, batch, 0) > 1e-3


@pytest.mark.parametrize("way", pipeline.WAYS)
def test_every_way_trains_on_batches_of_its_kind(way):
    batches = pipeline.batches_for(way, labelled(), LENGTHS, 0, size=4, count=2)
    widths = {b["input_ids"].shape[1] for b in batches}
    assert len(batches) == 2
    assert (widths == {pipeline.MAX_LENGTH}) == (way == "original")
    model = pipeline.model_for(way, "tiny", 100)
    step = pipeline.steps(model, batches)
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    step(0)
    after = [p for p in model.parameters() if p.requires_grad]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_factors_are_sums_over_the_same_epoch():
    seconds = {"ours": [1.0, 2.0], "original": [2.0, 4.0], "peft": [1.0, 2.0]}
    kept = dict.fromkeys(pipeline.WAYS, 1e6)
    ways = {way: pipeline.summary(way, seconds, kept, 16) for way in pipeline.WAYS}
    assert ways["original"]["factor"] == 2.0
    assert ways["peft"]["factor"] == 1.0
    assert ways["ours"]["samples"] == pytest.approx(32 / 3)


@pytest.mark.parametrize("method", [LoRA(), PTuningV2(length=4, dropout=0.0)])
def test_sixteen_bits_agree_with_thirty_two(method):
    exact, half = precision.compared("pocket", method, steps=2)
    assert exact["precision"] == "float32"
    assert exact["cosine"] == pytest.approx(1.0)
    assert half["holds"], half
    assert half["cosine"] < 1.0, "16 bits are not 32"


def test_what_is_outside_the_tolerance_is_named():
    row = {"shape": "s", "method": "LoRA", "precision": "float16", "cosine": 0.5, "first loss": 0.0,
           "last loss": 0.0, "finite": True, "ms": 1.0, "MB": 1.0, "holds": False}  # fmt: skip
    assert "Outside the tolerance: LoRA in float16." in precision.page([row], "here")
    assert "All within" in precision.page([row | {"holds": True}], "here")
