"""The measures that claims about tuning bring along, each against the library asked directly."""

from __future__ import annotations

import pytest
from told_claims import told_claim

from course_utils.claims.bench import Bench
from course_utils.claims.claim import CAUSAL, Cell, Scale
from course_utils.claims.measures import FineTuned, OnSplit, usual_rate
from course_utils.claims.running import run_claims
from course_utils.claims.tuning import few_parameters_suffice
from course_utils.claims.tuning.exits_trained_together import LayersSaved
from course_utils.claims.tuning.many_tasks_one_plm import Storage
from course_utils.claims.tuning.merged_lora_is_free import AnswerTime
from course_utils.claims.writing import Written
from course_utils.evaluation import evaluate
from course_utils.plm import load_plm
from course_utils.settings import TrainSettings
from course_utils.tasks.metrics import score
from course_utils.tasks.text_metrics import TEXT_METRICS
from course_utils.training import train
from course_utils.tuning import LoRA, SoftPrompt, attach

TASK, SMALL = "pocket/sst2", Scale(seeds=2, tests=60, dev=30)


@pytest.fixture
def bench(tmp_path):
    return Bench("pocket-bert-tiny", SMALL, tmp_path)


def test_one_training_is_scored_on_test_and_on_another_domain(bench):
    tuned = FineTuned(shots=None, examples=32, method="lora", updates=4, rate=0.01, splits=("ood",))
    inside, outside = tuned(bench, TASK, 1), OnSplit(tuned, "ood")(bench, TASK, 1)
    task = bench.task(TASK, 1).subset(32, seed=1)
    model, tokenizer = load_plm(bench.plm, head="classifier", labels=task.labels, seed=1)
    model = attach(model, LoRA(), tokenizer=tokenizer, seed=1)
    settings = TrainSettings(
        steps=4, batch_size=16, learning_rate=0.01, keep="last", evaluate_every=4, seed=1
    )
    train(model, task, tokenizer=tokenizer, settings=settings)
    assert inside.score == evaluate(model, task, "test", tokenizer=tokenizer).score
    assert outside.score == evaluate(model, task, "ood", tokenizer=tokenizer).score
    assert (inside.split, outside.split) == ("test", "ood")
    assert outside.n == len(task.split("ood"))


def test_another_domain_costs_no_second_training(bench):
    tuned = FineTuned(shots=None, examples=16, updates=2, rate=1e-4, splits=("ood",))
    OnSplit(tuned, "ood")(bench, TASK, 0)
    made = bench.place(tuned, TASK, 0)
    before = made.stat().st_mtime_ns
    OnSplit(tuned, "ood")(bench, TASK, 0)
    assert made.stat().st_mtime_ns == before


def test_tables_are_written_in_the_form_asked_and_scored_in_every_metric(tmp_path, clock):
    """From training to the rows of results.json, against the library asked directly."""
    tuned = Written(
        shots=None, examples=8, updates=2, rate=1e-3, tries=(), splits=("ood",), tables=6
    )
    claim = told_claim(
        cells=lambda scale: [
            Cell("ours", "pocket/e2e", tuned, 8, CAUSAL),
            Cell("theirs", "pocket/e2e", OnSplit(tuned, "ood"), 8, CAUSAL),
        ],
        x_title="tables",
    )
    found = run_claims([claim], tmp_path, scale=SMALL, say=clock.said.append, clock=clock)
    rows = {row["arm"]: row for row in found["claims"][0]["rows"]}
    bench = Bench("pocket-gpt2", SMALL, tmp_path / "again")
    task = tuned.drawn(bench, "pocket/e2e", 0)
    assert task.segments == ("{meaning_representation} .",)
    assert {name: len(task.split(name)) for name in ("train", "dev", "test", "ood")} == {
        "train": 8, "dev": 3, "test": 6, "ood": 6
    }  # fmt: skip
    model, tokenizer = load_plm("pocket-gpt2", seed=0)
    train(model, task, tokenizer=tokenizer, settings=tuned.settings(0))
    for arm, split in (("ours", "test"), ("theirs", "ood")):
        one = evaluate(model, task, split, tokenizer=tokenizer)
        assert rows[arm]["scores"][0] == pytest.approx(one.score, abs=1e-6)
        assert set(rows[arm]["also"]) == set(TEXT_METRICS)
        for name, values in rows[arm]["also"].items():
            expected = score(name, one.predictions, one.labels)
            assert values[0] == pytest.approx(expected, abs=1e-6)
            assert len(values) == SMALL.seeds


def test_storage_is_one_plm_and_a_file_for_each_task(bench, tmp_path):
    task = bench.task(TASK, 0)
    model, tokenizer = load_plm(bench.plm, head="classifier", labels=task.labels)
    plm = 4 * model.num_parameters()
    folder = attach(model, SoftPrompt(), tokenizer=tokenizer).save(tmp_path / "one")
    file = sum(path.stat().st_size for path in folder.iterdir())
    score = Storage("soft-prompt", 10)(bench, TASK, 0).score
    assert score == pytest.approx((plm + 10 * file) / 1e6, abs=2e-3)
    copies = [Storage("full", count)(bench, TASK, 0).score for count in (1, 10)]
    assert copies[1] == pytest.approx(10 * copies[0], rel=1e-3)
    assert copies[0] > plm / 1e6


def test_time_is_told_as_a_multiple_of_the_bare_plm_s(bench):
    """That it is a ratio and who trains what; no test says how fast anything is."""
    bare = AnswerTime(None, rounds=2)(bench, TASK, 0)
    lora = AnswerTime("lora", merged=True, rounds=2)(bench, TASK, 0)
    assert bare.score > 0
    assert lora.score > 0
    assert bare.trainable == 0 < lora.trainable


def test_layers_saved_is_the_chosen_rule_on_test(bench):
    record = LayersSaved("joint", examples=32, updates=4, rate=1e-3, tries=())(bench, TASK, 0)
    assert 0 <= record.score < 1
    assert record.n == SMALL.tests
    assert (record.notes["found"] == "all layers") == (record.score == 0)


@pytest.mark.parametrize("method", sorted(few_parameters_suffice.METHODS.values()))
def test_every_method_of_the_course_has_a_rate_to_start_from(method):
    assert 1e-6 < usual_rate("pocket-bert-tiny", method) < 1
