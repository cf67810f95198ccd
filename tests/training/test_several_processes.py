"""One run in two processes, as on two GPUs: each takes its part of a batch, one of them writes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from course_utils.records import RunRecord


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What `accelerate launch` starts on GPUs, on the CPU: torch's own launcher, gloo between."""
    folder = tmp_path_factory.mktemp("two")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launcher += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
    run = ["run", "p_tuning_v2/rte", "--plm", "pocket-bert-tiny", "--task", "pocket/rte",
           "--examples", "64", "--epochs", "2", "--batch-size", "8", "--set", "length=4",
           "--output", str(folder)]  # fmt: skip
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    environment["CUDA_VISIBLE_DEVICES"] = ""  # two processes can't share one GPU
    process = subprocess.run(
        [*launcher, "-m", "course_utils.cli", *run], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return folder, process.stdout


def test_an_update_sees_the_batches_of_both(done):
    folder, _ = done
    record = RunRecord.read(folder / "seed-11" / "record.json")
    assert record.steps == 8, "64 examples, 2 x 8 at once, 2 epochs"
    assert [entry["epoch"] for entry in record.history] == [1.0, 2.0]


def test_one_of_them_speaks(done):
    _, said = done
    assert said.count("Seed 11:") == 1
    assert "8 updates of 16 examples" in said


def test_what_is_left_is_that_of_one_run(done):
    folder, _ = done
    assert sorted(p.name for p in (folder / "seed-11").iterdir()) == [
        "adapter", "last.safetensors", "predictions.jsonl", "record.json", "run.json",
    ]  # fmt: skip
