"""From a Hub id to a record: models and data downloaded, cached, trained on, scored, offline again.

Each in a process of its own that knows the Hub by HF_ENDPOINT only, as a user's does.
"""

from __future__ import annotations

import os
import subprocess
import sys

import datasets
import pytest
from hub_stand_in import StandInHub
from small_plms import bert, gpt2, roberta, saved, t5
from small_tokenizers import bert as bert_tokenizer
from small_tokenizers import gpt2 as gpt2_tokenizer
from small_tokenizers import roberta as roberta_tokenizer
from small_tokenizers import t5 as t5_tokenizer

from course_utils.records import RunRecord

MODELS = {
    "bert": (bert, bert_tokenizer), "roberta": (roberta, roberta_tokenizer),
    "gpt2": (gpt2, gpt2_tokenizer), "t5": (t5, t5_tokenizer),
}  # fmt: skip
PAIRS = [("a film of men", "a film"), ("a good film", "no film")] * 12
TABLES = [("name[X], area[Y]", "X is in Y."), ("name[Z]", "Z it is.")] * 12


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub with four models and two data sets, in the folders that the tasks expect."""
    place = tmp_path_factory.mktemp("hub")
    with StandInHub() as running:
        for name, (model, tokenizer) in MODELS.items():
            words = tokenizer()
            saved(place / name, model(words), words)
            running.add("model", f"owner/small-{name}", place / name)
        premises, hypotheses = map(list, zip(*PAIRS, strict=True))
        columns = {"premise": premises, "hypothesis": hypotheses, "label": [0, 1] * 12}
        for split in ("train", "validation", "test"):
            rows = columns | ({"label": [-1] * 24} if split == "test" else {})
            file = place / "glue" / "rte" / f"{split}-00000-of-00001.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_dict(rows).to_parquet(file)
        running.add("dataset", "aps/super_glue", place / "glue")
        tables, texts = map(list, zip(*TABLES, strict=True))
        for split in ("train", "validation", "test"):
            file = place / "e2e" / "default" / split / "0000.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = {"meaning_representation": tables, "human_reference": texts}
            datasets.Dataset.from_dict(rows).to_parquet(file)
        running.add("dataset", "tuetschek/e2e_nlg", place / "e2e", "refs/convert/parquet")
        yield running


def course(hub, home, *arguments, **environment):
    """What a user types, on a machine that has nothing yet but `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    kept |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    kept |= {"NO_PROXY": "127.0.0.1", "COLUMNS": "1000"} | environment
    command = [sys.executable, "-m", "course_utils.cli", *map(str, arguments)]
    return subprocess.run(command, env=kept, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("model", "task", "method", "revision"),
    [
        ("bert", "superglue/rte", "lora", "main"),
        ("roberta", "superglue/rte", "p-tuning-v2", "main"),
        ("gpt2", "e2e", "prefix-tuning", "refs/convert/parquet"),
        ("t5", "e2e", "lora", "refs/convert/parquet"),
    ],
)
def test_train_and_score_by_hub_id(hub, tmp_path, model, task, method, revision):
    run = ["run", "--plm", f"owner/small-{model}", "--task", task, "--method", method,
           "--data-revision", revision, "--steps", 3, "--batch-size", 4]  # fmt: skip
    if method.startswith("p"):
        run += ["--set", "length=3"]
    done = course(hub, tmp_path / "home", *run, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    record = RunRecord.read(tmp_path / "out" / "seed-0" / "record.json")
    assert record.plm == f"owner/small-{model}"
    served = {one.name: one.commit for one in hub.repositories}
    assert record.revision == served[f"owner/small-{model}"]
    assert record.task_revision in served.values()
    assert (record.split, record.n) == (("dev", 24) if "rte" in task else ("test", 2))
    assert set(record.others) == (
        set() if "rte" in task else {"nist", "meteor", "rouge_l", "cider"}
    )
    if model != "bert":
        return
    before = hub.requests.total()
    again = course(hub, tmp_path / "home", *run, "--output", tmp_path / "again", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert hub.requests.total() == before, "offline nothing is asked"
    repeated = RunRecord.read(tmp_path / "again" / "seed-0" / "record.json")
    assert (repeated.score, repeated.revision) == (record.score, record.revision)


def test_a_refusal_is_one_paragraph_and_status_2(hub, tmp_path):
    done = course(hub, tmp_path, "run", "--plm", "owner/none", "--task", "pocket/sst2")
    assert done.returncode == 2
    assert done.stderr.startswith("course: there is no model 'owner/none' on the Hub")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 3
