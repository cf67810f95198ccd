"""`course pocket evaluate`: what it measures, that it resumes, and the card it ends on."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.plm import load_plm
from course_utils.plm.pocket import card
from course_utils.plm.pocket import evaluate as evaluation
from course_utils.prompting import PromptModel
from course_utils.tasks import load_task

TINY = "pocket-bert-tiny"


def small_task(name):
    """The task with few texts to be tested on."""
    return load_task(name).subset(300, split="test")


@pytest.fixture
def small_tests(monkeypatch):
    """Evaluations of few texts: what they score does not matter here."""
    monkeypatch.setattr(evaluation, "load_task", small_task)


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_compared_has_equal_chances(causal):
    """Arms of a part see as many examples and try as many learning rates on a task."""
    arms = defaultdict(set)
    for cell in evaluation.cells(causal):
        size = cell.options.get("shots"), cell.options.get("examples")
        arms[cell.part, cell.task].add((size, len(cell.options["learning_rate"])))
    assert all(len(found) == 1 for found in arms.values()), arms


def test_masked_models_have_their_control_on_every_prompted_task():
    names = {(c.part, c.task): set() for c in evaluation.cells(causal=False)}
    for cell in evaluation.cells(causal=False):
        names[cell.part, cell.task].add(cell.name)
    for task in evaluation.PROMPTED:
        assert names["few-shot", task] == set(card.FEW)
        assert names["full-data", task] == set(card.FULL)


def test_zero_shot_is_the_library_s_own_score_and_is_not_measured_twice(small_tests, tmp_path):
    said = []
    options = {"parts": ["zero-shot"], "tasks": ["sst2"], "say": said.append}
    results = evaluation.evaluate_pocket(TINY, tmp_path, **options)
    model, tokenizer = load_plm(TINY)
    task = small_task("pocket/sst2")
    scores = results["zero-shot"]["sst2"]
    assert len(scores["wordings"]) == len(task.prompts)
    for number in (0, len(task.prompts) - 1):
        asked = PromptModel.for_task(model, tokenizer, task, number)
        expected = evaluate(asked, task, "test", tokenizer=tokenizer).score
        assert scores["wordings"][number]["accuracy"] == pytest.approx(expected, abs=1e-4)
    assert len(said) == 1
    assert evaluation.evaluate_pocket(TINY, tmp_path, **options) == results
    assert len(said) == 1


def test_a_causal_model_is_asked_where_the_gap_comes_last(small_tests, monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation, "IN_CONTEXT", (0, 2))
    results = evaluation.evaluate_pocket(
        "pocket-gpt2", tmp_path, seeds=1, parts=["zero-shot", "in-context"], tasks=["sst2"]
    )
    templates = [w["template"] for w in results["zero-shot"]["sst2"]["wordings"]]
    assert templates
    assert all(text.endswith("{mask}") for text in templates)
    shown = results["in-context"]["sst2"]
    assert set(shown["known"]["k"]) == set(shown["kept out"]["k"]) == {"0", "2"}
    page = card.in_context_table(results["in-context"])
    assert f"{shown['known']['k']['2']['mean']:.3f}" in page


@pytest.mark.parametrize("task", evaluation.PROMPTED)
def test_every_task_has_a_wording_for_a_causal_model(task):
    model, tokenizer = load_plm("pocket-gpt2")
    rows = load_task(f"pocket/{task}").split("test").select(range(2))
    prompt = evaluation._first_asked(task, causal=True)
    asked = PromptModel(model, tokenizer, prompt.template, prompt.words)
    assert len(asked.predict(list(rows)).scores) == 2
    assert evaluation._first_asked(task, causal=False) == load_task(f"pocket/{task}").prompts[0]


def test_results_of_other_weights_are_not_mixed(small_tests, tmp_path):
    evaluation.evaluate_pocket(TINY, tmp_path, parts=["zero-shot"], tasks=["sst2"])
    with pytest.raises(CourseError, match="another plm"):
        evaluation.evaluate_pocket("pocket-bert-base", tmp_path, parts=["zero-shot"])
    with pytest.raises(CourseError, match="another seeds"):
        evaluation.evaluate_pocket(TINY, tmp_path, seeds=5)


def test_an_unknown_part_is_named_before_any_work(tmp_path):
    with pytest.raises(CourseError, match="few-shot"):
        evaluation.evaluate_pocket(TINY, tmp_path / "new", parts=["fewshot"])
    assert not (tmp_path / "new").exists()


def test_keeping_adds_parts_of_the_same_weights_only(tmp_path):
    about = {"weights": "sha256:a", "seeds": 3}
    card.keep(TINY, {"about": about, "zero-shot": {"sst2": 1}}, tmp_path)
    path = card.keep(TINY, {"about": about, "few-shot": {"sst2": 2}}, tmp_path)
    assert set(json.loads(path.read_text())) == {"about", "zero-shot", "few-shot"}
    card.keep(TINY, {"about": {**about, "weights": "sha256:b"}, "few-shot": {}}, tmp_path)
    assert set(json.loads(path.read_text())) == {"about", "few-shot"}


def test_tables_show_means_spreads_and_differences_in_points():
    prompt, head = {"mean": 0.9, "std": 0.01}, {"mean": 0.752, "std": 0.2}
    few = card.few_shot_table({"few-shot": {"sst2": {"prompt": prompt, "head": head}}})
    row = [cell.strip() for cell in few.splitlines()[2].strip("|").split("|")]
    assert row == ["sst2", "0.900 ± 0.010", "0.752 ± 0.200", "+14.8"]
    cells = {"full fine-tuning": prompt, "LoRA": head, "no pre-training": prompt}
    full = card.full_data_table({"full-data": {"rte": cells}})
    row = [cell.strip() for cell in full.splitlines()[2].strip("|").split("|")]
    assert row[-2:] == ["-14.8", "+0.0"]
