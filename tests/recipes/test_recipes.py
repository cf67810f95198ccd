"""Published runs as data: complete, usable, and run again."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from course_utils.cli import app
from course_utils.errors import CourseError
from course_utils.recipes import published, recipe, recipes, released, tables
from course_utils.recipes.running import run_recipe
from course_utils.records import RunRecord
from course_utils.tasks import TASKS
from course_utils.tasks.real import REAL

# (BERT-large, RoBERTa-large) as the published table has them
TABLE = {
    "boolq": (74.3, 84.0), "copa": (77.0, 92.0), "rte": (80.1, 86.6), "wic": (75.1, 73.7),
    "wsc": (68.3, 64.4), "conll03": (None, 91.8), "conll04": (84.5, 88.4),
    "ontonotes": (86.4, 90.1), "conll05": (None, 89.4), "conll12": (85.3, 84.7),
}  # fmt: skip


@pytest.mark.parametrize("task", TABLE)
def test_every_released_result_is_here(task):
    for family, result in zip(("bert-large", "roberta-large"), TABLE[task], strict=True):
        found = recipe(f"p_tuning_v2/{task}", family)
        if result is None:
            assert not found.plm.startswith(family)
        else:
            assert found.plm.startswith(family)
            assert found.result == result


@pytest.mark.parametrize("one", recipes(), ids=lambda r: f"{r.name}-{r.plm}")
def test_every_recipe_can_be_made(one):
    assert one.task in TASKS
    if one.task in REAL:
        real = REAL[one.task]
        assert one.layout is None or one.layout in real.layouts
        assert one.split in real.files.names
        assert 1 <= one.best_epoch <= one.epochs
    method, settings = one.method(), one.settings()
    assert (method.length, method.mlp, method.dropout) == (one.length, one.mlp, one.dropout)
    assert settings.epochs == one.epochs
    assert one.summary().startswith(one.name)


def test_the_settings_of_one_row_by_hand():
    rte = recipe("p_tuning_v2/rte", "google-bert/bert-large-uncased")
    assert (rte.learning_rate, rte.length, rte.epochs, rte.best_epoch, rte.batch_size) == (
        1e-2, 20, 60, 31, 32,
    )  # fmt: skip
    assert (rte.seed, rte.max_length, rte.schedule) == (11, 128, "linear")
    names = recipe("p_tuning_v2/conll04", "bert-large")
    assert (names.dropout, names.schedule, names.split) == (0.2, "exponential", "test")


def test_another_plm_gets_robertas_settings():
    assert recipe("p_tuning_v2/rte", "pocket-bert-base").plm == "roberta-large"
    assert recipe("p_tuning_v2/rte").plm == "roberta-large"


def test_unknown_names():
    with pytest.raises(CourseError, match="unknown recipe 'p_tuning_v2/rtf'. Did you mean"):
        recipe("p_tuning_v2/rtf")
    with pytest.raises(CourseError, match="unknown published table"):
        published("glue")


def test_a_result_belongs_to_task_and_plm():
    assert released("superglue/rte", "FacebookAI/roberta-large").result == 86.6
    assert released("pocket/rte", "roberta-large") is None
    assert released("superglue/rte", "pocket-bert-base") is None


def test_above_is_above_at_the_digit_that_is_printed():
    rte = released("superglue/rte", "roberta-large")
    assert not rte.beaten_by(240 / 277, "dev"), "86.64 per cent is what was published as 86.6"
    assert rte.beaten_by(241 / 277, "dev")
    assert not rte.beaten_by(1.0, "test"), "nothing is published there"
    arguments = released("srl/conll05", "roberta-large")
    assert (arguments.result_on("test"), arguments.result_on("ood")) == (89.4, 83.9)
    assert arguments.beaten_by(0.84, "ood")


def test_published_tables_are_whole():
    for name in tables():
        rows = published(name)
        assert rows
        assert all(row.keys() == rows[0].keys() for row in rows)
    adamix = published("glue_roberta_large")[-1]
    scores = [v for k, v in adamix.items() if k not in ("method", "parameters", "mean")]
    assert sum(scores) / len(scores) == pytest.approx(adamix["mean"], abs=0.06)


FAST = {"epochs": 2, "batch_size": 16}


def run(folder, **options):
    given = {"task": "pocket/rte", "examples": 64, "settings": FAST, "output": folder}
    return run_recipe(
        "p_tuning_v2/rte", "pocket-bert-tiny", say=lambda text: None, **given | options
    )


def test_run_leaves_record_predictions_adapter_best_and_last(tmp_path):
    (record,) = run(tmp_path)
    assert record.seed == 11
    assert record.split == "dev"
    assert [entry["epoch"] for entry in record.history] == [1, 2]
    assert record.hyperparameters == {"length": 128, "mlp": 0, "dropout": 0.1}
    assert record.notes["recipe"] == "p_tuning_v2/rte"
    assert record.notes["flattered"]
    assert "released" not in record.notes, "no published result on this PLM"
    place = tmp_path / "seed-11"
    assert RunRecord.read(place / "record.json") == record
    assert (place / "last.safetensors").is_file()
    assert (place / "adapter" / "method.json").is_file()
    lines = (place / "predictions.jsonl").read_text().splitlines()
    assert len(lines) == record.n
    assert set(json.loads(lines[0])) == {"id", "prediction", "label"}


def test_honest_chooses_on_a_part_of_train(tmp_path):
    (record,) = run(tmp_path, honest=True, examples=None, settings=FAST | {"epochs": 0.05})
    assert record.settings["choose_on"] == "selection"
    assert record.notes["chosen_on"] == "a part of train"
    assert "flattered" not in record.notes
    assert record.split == "dev"


def test_seeds_follow_the_published_one(tmp_path):
    records = run(tmp_path, seeds=2, settings=FAST | {"epochs": 1})
    assert [record.seed for record in records] == [11, 12]


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Stopped after the first epoch and run again: the same parameters as without a stop."""
    from safetensors.torch import load_file

    from course_utils.loop import Watch

    (whole,) = run(tmp_path / "whole")
    scored = Watch._score

    def stops(self, *args):
        scored(self, *args)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(Watch, "_score", stops)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped")
    (resumed,) = run(tmp_path / "stopped")
    assert resumed.score == whole.score
    one, other = (
        load_file(tmp_path / name / "seed-11" / "last.safetensors") for name in ("whole", "stopped")
    )
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_what_is_given_takes_the_place_of_the_published(tmp_path):
    (record,) = run(
        tmp_path, hyperparameters={"length": 4}, settings=FAST | {"learning_rate": 1e-3}
    )
    assert record.hyperparameters["length"] == 4
    assert record.settings["learning_rate"] == 1e-3


def test_a_setting_that_is_none(tmp_path):
    with pytest.raises(CourseError, match="unexpected keyword argument 'speed'"):
        run(tmp_path, settings={"speed": 3})


def test_the_learning_rate_falls_after_each_epoch(tmp_path, monkeypatch):
    """NER's schedule: times 0.95, as the optimizer gets it."""
    from torch.optim.lr_scheduler import LambdaLR

    seen = []
    made = LambdaLR.step

    def step(self, *args):
        made(self, *args)
        seen.append(self.get_last_lr()[0])

    monkeypatch.setattr(LambdaLR, "step", step)
    settings = FAST | {"schedule": "exponential", "epochs": 3, "learning_rate": 1.0}
    run(tmp_path, settings=settings)
    per_epoch = 4
    at_start, updates = seen[0], seen[1:]
    assert at_start == 1.0
    assert updates[: per_epoch - 1] == [1.0] * (per_epoch - 1)
    assert updates[per_epoch - 1] == pytest.approx(0.95)
    assert updates[2 * per_epoch - 1] == pytest.approx(0.95**2)
    assert len(updates) == 3 * per_epoch


@pytest.mark.parametrize(
    "option", [["--method", "lora"], ["--split", "test"], ["--prompt", "0"], ["--no-pretraining"]]
)
def test_what_does_not_go_with_a_recipe(option):
    done = CliRunner().invoke(app, ["run", "p_tuning_v2/rte", "--plm", "pocket-bert-tiny", *option])
    assert isinstance(done.exception, CourseError)
    assert f"{option[0]} does not go with a recipe" in str(done.exception)


def test_from_the_command_line(tmp_path):
    arguments = ["run", "p_tuning_v2/rte", "--plm", "pocket-bert-tiny", "--task", "pocket/rte"]
    arguments += ["--examples", "32", "--epochs", "1", "--set", "length=4", "--output"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert RunRecord.read(tmp_path / "seed-11" / "record.json").hyperparameters["length"] == 4
    shown = CliRunner().invoke(app, ["compare", str(tmp_path)]).output
    assert "pocket/rte  pocket-bert-tiny  PTuningV2" in shown


def test_the_list_of_recipes():
    shown = CliRunner().invoke(app, ["recipes", "p_tuning_v2/rte"]).output
    assert "86.6 dev" in shown
    assert "course run p_tuning_v2/rte --plm bert-large-cased" in shown
    assert isinstance(CliRunner().invoke(app, ["recipes", "x"]).exception, CourseError)


def test_neither_recipe_nor_task():
    done = CliRunner().invoke(app, ["run", "--plm", "pocket-bert-tiny"])
    assert "needs --plm and --task, or the name of a recipe" in str(done.exception)
