"""`course run` end to end on a local folder and GLUE files, as a user would call it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import small_plms
import small_tasks as small

import course_utils.loop as loop
from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.records import RunRecord, read_all
from course_utils.run import run
from course_utils.settings import TrainSettings
from course_utils.tuning import LoRA, SoftPrompt, attach, load_tuned

SETTINGS = TrainSettings(epochs=2, batch_size=8, learning_rate=5e-3, precision="float32")
PROMPT = ("{sentence} it was {mask}", {"negative": "bad", "positive": "good"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A PLM folder as others publish them: a masked LM with its tokenizer."""
    place = tmp_path_factory.mktemp("plms") / "small-bert"
    return Path(small_plms.saved(place, small.bert("lm"), small.tokenizer()))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A GLUE folder with the task of the small tests."""
    place = tmp_path_factory.mktemp("glue")
    task = small.sentiment(48, 30)
    for split in ("train", "dev"):
        lines = ["sentence\tlabel", *(f"{r['sentence']}\t{r['label']}" for r in task.split(split))]
        (place / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return place


def go(folder, data, **options):
    said = []
    options = {"settings": SETTINGS, "progress": False, "say": said.append, **options}
    return run(folder, "glue/sst2", data=data, **options), "\n".join(said)


class TestResults:
    def test_plan_records_predictions_and_adapter(self, folder, data, tmp_path):
        records, said = go(folder, data, method="lora", seeds=2, output=tmp_path)
        assert "small-bert" in said
        assert "train 48, dev 30" in said
        assert "majority 0.500" in said
        assert "95 % interval" in said
        assert "2 seeds: accuracy" in said
        assert [r.seed for r in records] == [0, 1]
        assert records[0].method == "LoRA"
        assert records[0].hyperparameters["rank"] == 8
        assert records[0].split == "dev"
        assert read_all(tmp_path) == records
        assert len((tmp_path / "seed-0" / "predictions.jsonl").read_text().splitlines()) == 30
        assert sorted(p.name for p in (tmp_path / "seed-0").iterdir()) == [
            "adapter",
            "last.safetensors",
            "predictions.jsonl",
            "record.json",
            "run.json",
        ]

    def test_no_path_of_this_machine_is_written(self, folder, data, tmp_path):
        go(folder, data, output=tmp_path / "out")
        for path in (tmp_path / "out").rglob("*.json*"):
            assert str(folder.parent) not in path.read_text(), path
            assert str(data) not in path.read_text(), path

    def test_the_adapter_gives_the_written_predictions_again(self, folder, data, tmp_path):
        from course_utils.evaluation import evaluate
        from course_utils.tasks import load_task

        records, _ = go(folder, data, output=tmp_path)
        task = load_task("glue/sst2", data=data)
        model, tokenizer = load_plm(str(folder), head="classifier", labels=task.labels, seed=9)
        tuned = load_tuned(model, tmp_path / "seed-0" / "adapter")
        again = evaluate(tuned, task, tokenizer=tokenizer)
        assert again.score == records[0].score
        lines = (tmp_path / "seed-0" / "predictions.jsonl").read_text()
        assert again.write(tmp_path / "again.jsonl").read_text() == lines

    @pytest.mark.parametrize("method", ["full", "head-only", "soft-prompt"])
    def test_other_methods(self, folder, data, method):
        records, _ = go(folder, data, method=method)
        assert (
            records[0].trainable
            == {
                "full": records[0].total,
                "head-only": 16 * 16 + 16 + 16 * 2 + 2,
                "soft-prompt": 16 * 16 + 16 + 16 * 2 + 2 + 20 * 16,
            }[method]
        )

    def test_through_a_prompt_no_head_is_trained(self, folder, data, tmp_path):
        records, _ = go(folder, data, method=LoRA(rank=2), prompt=PROMPT, output=tmp_path)
        # 2 layers, query and value, rank 2, (16 in + 16 out)
        assert records[0].trainable == 2 * 2 * 2 * 32
        assert records[0].notes["template"] == PROMPT[0]

    def test_zero_shot_trains_nothing(self, folder, data, tmp_path):
        records, said = go(folder, data, method="none", prompt=PROMPT, output=tmp_path)
        assert records[0].method == "ZeroShot"
        assert (records[0].steps, records[0].trainable) == (0, 0)
        assert "no training" in said

    def test_shots_and_examples(self, folder, data):
        assert go(folder, data, shots=4)[0][0].train_examples == 8
        assert "train 8, dev 8" in go(folder, data, shots=4)[1]  # no large dev set either
        assert go(folder, data, examples=10)[0][0].train_examples == 10

    def test_several_learning_rates_are_compared_on_dev(self, folder, data):
        records, said = go(folder, data, learning_rate=[1e-6, 1e-2], method="full")
        assert "dev score by learning rate" in said
        assert records[0].settings["learning_rate"] in (1e-6, 1e-2)

    def test_learning_rates_are_compared_once(self, folder, data, tmp_path, monkeypatch):
        """The chosen one's run is the first seed's; nothing is trained when asked again."""
        rates, trained, real = [1e-6, 1e-2], [], loop.CourseTrainer.train

        def counted(self, *args, **options):
            trained.append(self.args.learning_rate)
            return real(self, *args, **options)

        monkeypatch.setattr(loop.CourseTrainer, "train", counted)
        asked = {"learning_rate": rates, "method": "full", "output": tmp_path / "out", "seeds": 2}
        first, _ = go(folder, data, **asked)
        kept = json.loads((tmp_path / "out" / "learning_rates.json").read_text())
        assert set(kept["dev"]) == {"1e-06", "0.01"}
        assert trained == [*rates, kept["chosen"]]
        assert [r.settings["learning_rate"] for r in first] == [kept["chosen"]] * 2
        assert first[0].dev_score == kept["dev"][f"{kept['chosen']:g}"]
        assert not (tmp_path / "out" / "tried").exists()
        trained.clear()
        again, _ = go(folder, data, **asked)
        assert trained == []
        assert [r.score for r in again] == [r.score for r in first]


class TestAgain:
    def test_a_stopped_run_goes_on_and_ends_as_it_would_have(
        self, folder, data, tmp_path, monkeypatch
    ):
        whole, _ = go(folder, data, output=tmp_path / "whole")
        real = loop.Watch.on_step_end

        def stop(self, args, state, control, **kwargs):
            if state.global_step == 8:
                raise KeyboardInterrupt
            real(self, args, state, control, **kwargs)

        said = []
        with monkeypatch.context() as patch:
            patch.setattr(loop.Watch, "on_step_end", stop)
            with pytest.raises(KeyboardInterrupt):
                go(folder, data, output=tmp_path / "cut", say=said.append)
        assert "goes on from the last checkpoint" in said[-1]
        again, _ = go(folder, data, output=tmp_path / "cut")
        plain = [
            [{k: v for k, v in e.items() if k != "seconds"} for e in r[0].history]
            for r in (whole, again)
        ]
        assert plain[0] == plain[1]
        adapters = [
            (tmp_path / name / "seed-0" / "adapter" / "adapter.safetensors").read_bytes()
            for name in ("whole", "cut")
        ]
        assert adapters[0] == adapters[1]

    def test_a_finished_seed_is_not_repeated(self, folder, data, tmp_path, monkeypatch):
        first, _ = go(folder, data, output=tmp_path)
        monkeypatch.setattr(loop.CourseTrainer, "train", None)
        again, said = go(folder, data, output=tmp_path)
        assert again == first
        assert "done already" in said

    def test_another_run_in_the_same_folder_is_refused(self, folder, data, tmp_path):
        go(folder, data, output=tmp_path)
        with pytest.raises(CourseError, match="another method"):
            go(folder, data, output=tmp_path, method="full")
        with pytest.raises(CourseError, match="another settings"):
            go(folder, data, output=tmp_path, settings=replace(SETTINGS, epochs=3))


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "lorra"}, "'lora'"),
            ({"hyperparameters": {"rang": 4}}, "'rank'"),
            ({"prompt": 99}, "has 3 prompts"),
            ({"method": "none"}, "give a prompt"),
            ({"examples": 5, "shots": 1}, "not both"),
            ({"shots": 999}, "examples per class"),
            ({"learning_rate": 0.0}, "above 0"),
            ({"seeds": 0}, "at least one"),
        ],
    )
    def test_wrong_requests(self, folder, data, options, message):
        with pytest.raises(CourseError, match=message):
            go(folder, data, **options)


def test_soft_prompt_takes_positions_from_the_text(folder):
    from course_utils.model_facts import token_limit

    model, tokenizer = load_plm(str(folder), head="classifier", num_labels=2)
    tuned = attach(model, SoftPrompt(length=20))
    assert token_limit(tuned, tokenizer) == 28


def test_record_of_a_run_is_the_one_on_disk(folder, data, tmp_path):
    records, _ = go(folder, data, output=tmp_path)
    assert RunRecord.read(tmp_path / "seed-0" / "record.json") == records[0]


def test_a_run_that_never_began_leaves_its_folder_free(folder, data, tmp_path):
    """A mistyped PLM, then the right one, with the same --output."""
    with pytest.raises(CourseError):
        go("pocket-brt", data, output=tmp_path / "out")
    records, _ = go(folder, data, output=tmp_path / "out")
    assert records
    with pytest.raises(CourseError, match="holds a run with another plm"):
        go("pocket-bert-tiny", data, output=tmp_path / "out")
