"""The pocket recipes' results are those of the records beside them, and can be had again."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest

from autograder.evidence.packed import read_packed
from autograder.evidence.recompute import check_method, judge_run
from autograder.evidence.replay import FrozenPlm
from course_utils.comparison import compare
from course_utils.recipes import recipe, released
from course_utils.recipes.running import run_recipe
from course_utils.submit import asked_by, pack
from course_utils.tasks import load_task

FOLDER = Path(__file__).parents[2] / "benchmarks" / "pocket_released"
sys.path.insert(0, str(FOLDER))

import measure  # noqa: E402

POCKET = measure.pocket_recipes()
FASTEST = "pocket/ner"
ELSEWHERE = 3.0  # points: another processor rounds otherwise, which is worth another seed


@pytest.mark.parametrize("one", POCKET, ids=lambda one: one.name)
def test_results_are_those_of_the_records(one):
    records = measure.records_of(measure.RELEASED, one.name.split("/")[1])
    assert measure.summary(records) == {
        "result": one.result, "mean": one.mean, "deviation": one.deviation, "seeds": one.seeds,
    }  # fmt: skip
    assert one.seeds >= 5
    assert [r.seed for r in records] == [one.seed + i for i in range(one.seeds)]


@pytest.mark.parametrize("one", POCKET, ids=lambda one: one.name)
def test_records_were_made_with_the_recipes_settings(one):
    settings = {k: getattr(one.settings(), k) for k in ("batch_size", "learning_rate", "warmup")}
    for record in measure.records_of(measure.RELEASED, one.name.split("/")[1]):
        assert (record.task, record.plm, record.split) == (one.task, one.plm, one.split)
        assert (record.n, record.train_examples, record.epochs) == (1000, 5000, one.epochs)
        assert record.hyperparameters == {
            "length": one.length, "mlp": one.mlp, "dropout": one.dropout,
        }  # fmt: skip
        assert settings.items() <= record.settings.items()
        assert record.settings["choose_on"] == "dev", "test is only reported"


@pytest.mark.parametrize("one", POCKET, ids=lambda one: one.name)
def test_a_released_result_is_no_majority_class(one):
    """Of every seed, well outside what n = 1,000 does by chance."""
    for record in measure.records_of(measure.RELEASED, one.name.split("/")[1]):
        assert record.score > record.majority + 0.1


def test_it_can_be_beaten_by_tuning_on_dev():
    """On two tasks at least: a run above the result, and seed by seed better than the recipe."""
    tuned = [one for one in POCKET if one.name.split("/")[1] in measure.CHANGES]
    assert len(tuned) >= 2
    for one in tuned:
        short = one.name.split("/")[1]
        records = measure.records_of(measure.BETTER, short)
        before = measure.records_of(measure.RELEASED, short)[: len(records)]
        (found,) = compare(records)
        assert found.beats
        assert len(records) == measure.BETTER_SEEDS[short]
        for new, old in zip(records, before, strict=True):
            assert new.seed == old.seed
            assert new.score > old.score


def test_the_homework_lists_the_tasks_that_have_a_result():
    assert set(asked_by("hw_prompt").tracks["pocket"]) == {one.task for one in POCKET}
    assert len(POCKET) >= 5
    for one in POCKET:
        assert released(one.task, "pocket-bert-base") == one == recipe(one.name)


@pytest.mark.long
def test_one_seed_again_and_judged(tmp_path):
    """The same numbers on the same processor and versions; about the same elsewhere.

    What a student would hand in of it counts as evidence, and is above just when it should be.
    """
    one = recipe(FASTEST)
    (record,) = run_recipe(FASTEST, output=tmp_path / "runs", progress=False, say=lambda text: None)
    before = measure.records_of(measure.RELEASED, FASTEST.split("/")[1])[0]
    assert record.seed == before.seed == one.seed
    assert record.notes["released"] == one.result
    assert 100 * record.score == pytest.approx(100 * before.score, abs=ELSEWHERE)

    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "hw.ipynb")
    zipped = tmp_path / "hw.zip"
    pack("hw_prompt", notebook=tmp_path / "hw.ipynb", runs=tmp_path / "runs", output=zipped)
    (run,) = read_packed(zipped).runs.values()
    task = load_task(FASTEST)
    evidence = judge_run(run, task)
    expected = FrozenPlm(device="cpu").expected(evidence.record, task)
    check_method(evidence, run, asked_by("hw_prompt").methods, expected)
    assert evidence.counts, evidence.findings
    assert evidence.released == one.result
    assert evidence.beats == (round(100 * record.score, 1) > one.result)
