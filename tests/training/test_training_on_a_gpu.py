"""`train` and `evaluate` on a GPU, in each precision; what is left there works on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_tasks as small
import torch
from test_train import SETTINGS, interrupted, run

from course_utils.evaluation import evaluate
from course_utils.tuning import LoRA, attach, load_tuned

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = "cuda"
PRECISIONS = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_learns_in_every_precision(precision, tokenizer):
    task = small.sentiment(320)
    settings = replace(SETTINGS, epochs=6, precision=precision)
    result = run(task, tokenizer, settings, model=small.bert().to(GPU))
    assert result.record.precision == precision
    assert 0 < result.record.peak_memory_mb < 500
    there = evaluate(result.model, task, "test", tokenizer=tokenizer)
    here = evaluate(result.model.cpu(), task, "test", tokenizer=tokenizer)
    assert there.score > 0.9
    assert here.score == pytest.approx(there.score, abs=0.026)  # one text of 40 may tip


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_method_learns_and_is_read_on_a_cpu(precision, tokenizer, tmp_path):
    task = small.sentiment(320)
    settings = replace(SETTINGS, epochs=8, learning_rate=2e-2, precision=precision)
    tuned = attach(small.bert().to(GPU), LoRA(rank=4))
    result = run(task, tokenizer, settings, model=tuned)
    assert result.record.score > 0.8
    result.model.save(tmp_path)
    read = load_tuned(small.bert(), tmp_path)
    assert evaluate(read, task, "dev", tokenizer=tokenizer).score == pytest.approx(
        result.record.score, abs=0.026
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_stopped_run_goes_on_there(precision, task, tokenizer, tmp_path, monkeypatch):
    """Dropout included: the GPU's generator goes on where it was."""
    settings = replace(SETTINGS, precision=precision)
    whole = run(task, tokenizer, settings, model=small.bert().to(GPU), output=tmp_path / "whole")
    folder = tmp_path / "broken"
    model = small.bert().to(GPU)
    interrupted(monkeypatch, task, tokenizer, folder, settings, 19, model)
    again = run(task, tokenizer, settings, model=small.bert().to(GPU), output=folder)
    assert [e["loss"] for e in again.history] == pytest.approx(
        [e["loss"] for e in whole.history], rel=1e-3
    )
    assert again.record.steps == whole.record.steps
