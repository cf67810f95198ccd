"""What a run will take: memory told without numbers, time from a line through a few steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_plms import make
from typer.testing import CliRunner

from course_utils.cli import app
from course_utils.errors import CourseError
from course_utils.estimate import T4_BYTES, _line, estimate, in_words, kept_bytes
from course_utils.job import Job
from course_utils.settings import TrainSettings
from course_utils.tasks import load_task
from course_utils.tuning import (
    FullFineTuning,
    Houlsby,
    LoRA,
    PTuningV2,
    QLoRA,
    SoftPrompt,
    attach,
)

METHODS = [LoRA(), Houlsby(bottleneck=4), PTuningV2(length=3), SoftPrompt(length=3, init="random"),
           FullFineTuning(), QLoRA()]  # fmt: skip
GENERATORS = ("gpt2", "llama", "t5")


def batch_for(name):
    ids = torch.randint(5, 50, (12, 20))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    batch["attention_mask"][3, 12:] = 0
    generates = name in GENERATORS
    return batch | {"labels": ids if generates else torch.zeros(12, dtype=torch.long)}


def really_kept(model, batch):
    """The same by a pass with numbers."""
    own = {p.untyped_storage()._cdata for p in [*model.parameters(), *model.buffers()]}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(**batch)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "t5"])
def test_memory_without_numbers_is_that_of_a_real_pass(name, method):
    if name == "t5" and isinstance(method, PTuningV2):
        method = replace(method, dropout=0.0)
    model, batch = attach(make(name), method), batch_for(name)
    expected = really_kept(model, batch)
    assert kept_bytes(model, batch, sixteen_bit=False) == pytest.approx(expected, rel=0.15)


def test_sixteen_bits_keep_less_and_change_nothing_of_the_model():
    model, batch = attach(make("bert"), LoRA()), batch_for("bert")
    before = {name: p.clone() for name, p in model.named_parameters()}
    whole, half = (kept_bytes(model, batch, sixteen_bit=bits) for bits in (False, True))
    assert 0.4 * whole < half < 0.95 * whole
    assert not model.training
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())
    model.to(torch.float64)  # parameters can still be moved


def test_it_grows_with_the_batch():
    model, batch = attach(make("bert"), LoRA()), batch_for("bert")
    half = {name: tensor[:6] for name, tensor in batch.items()}
    whole = kept_bytes(model, batch, sixteen_bit=False)
    assert kept_bytes(model, half, sixteen_bit=False) == pytest.approx(whole / 2, rel=0.1)


@pytest.fixture(scope="module")
def task():
    return load_task("pocket/sst2").subset(100).subset(40, split="dev")


def made(task, **options):
    return Job.make("pocket-bert-tiny", task, **options)


def test_an_estimate_adds_up(task):
    settings = TrainSettings(epochs=2, batch_size=10, learning_rate=1e-3)
    found = estimate(made(task), settings)
    assert found.updates == 20
    assert found.batch[0] == 10
    assert found.seconds > 0
    assert found.precision == "float16", "Colab's T4, if there is no GPU here"
    parts = found.weights + found.gradients + found.optimizer + found.activations
    assert 0 < found.total - parts < 1e9
    assert found.fits_t4
    assert "Warning" not in str(found)
    assert "a seed on this machine (cpu)" in str(found)


def test_probing_leaves_the_model_out_of_it(task):
    """Half of an estimate needs no step: the same memory without minutes."""
    settings = TrainSettings(epochs=1, batch_size=10)
    with_minutes = estimate(made(task), settings)
    without = estimate(made(task), settings, minutes=False)
    assert without.seconds is None
    assert without.total == with_minutes.total
    assert "Time" not in str(without)


def test_what_does_not_fit_is_said(task):
    found = estimate(made(task), TrainSettings(epochs=1), minutes=False)
    large = replace(found, activations=T4_BYTES)
    assert not large.fits_t4
    assert "Halve --batch-size and double --accumulation" in str(large)
    long = replace(found, seconds=13 * 3600, device="Tesla T4")
    assert "longer than the 12 hours" in str(long)
    assert "longer than" not in str(replace(long, device="cpu"))


def test_nothing_to_train(task):
    with pytest.raises(CourseError, match="nothing to estimate"):
        estimate(made(task, method="none", prompt=0), TrainSettings())


def test_a_line_through_the_probes():
    assert _line([(10, 1.0), (20, 2.0), (30, 3.0)]) == (pytest.approx(0), pytest.approx(0.1))
    assert _line([(10, 2.0), (20, 3.0), (30, 4.0)]) == (pytest.approx(1), pytest.approx(0.1))
    assert _line([(10, 2.0)]) == (2.0, 0.0)
    assert _line([(10, 3.0), (20, 2.0)]) == (2.5, 0.0), "time that falls is noise"
    assert _line([(10, 0.5), (20, 2.0)]) == (0.0, pytest.approx(1.25 / 15)), "nor begins below 0"


def test_seconds_in_words():
    assert [in_words(s) for s in (40, 12 * 60, 200 * 60)] == ["40 s", "12 min", "3 h 20 min"]


def test_from_the_command_line():
    arguments = ["estimate", "p_tuning_v2/rte", "--plm", "pocket-bert-tiny", "--task", "pocket/rte"]
    done = CliRunner().invoke(app, [*arguments, "--memory-only", "--set", "length=4"])
    assert done.exit_code == 0, done.output
    assert "PTuningV2(length=4" in done.output
    assert "kept for the backward pass" in done.output
    assert isinstance(CliRunner().invoke(app, ["estimate"]).exception, CourseError)


def test_a_recipe_has_its_own_method():
    arguments = ["estimate", "p_tuning_v2/rte", "--plm", "pocket-bert-tiny", "--method", "lora"]
    refused = CliRunner().invoke(app, [*arguments, "--memory-only"]).exception
    assert isinstance(refused, CourseError)
    assert "--method does not go with a recipe" in str(refused)


def test_without_a_recipe_the_method_is_lora():
    arguments = ["estimate", "--plm", "pocket-bert-tiny", "--task", "pocket/rte", "--memory-only"]
    done = CliRunner().invoke(app, [*arguments, "--set", "rank=3"])
    assert done.exit_code == 0, done.output
    assert "LoRA(rank=3" in done.output
