"""What is on disk, and what loading refuses."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from course_utils.errors import CourseError
from course_utils.tuning import FullFineTuning, LoRA, SoftPrompt, attach, load_tuned, method_named


@pytest.fixture
def saved(make_plm, tmp_path):
    model = make_plm("bert")
    base = copy.deepcopy(model)
    attach(model, LoRA(rank=2)).save(tmp_path)
    return tmp_path, base


def assert_untouched(model) -> None:
    assert not hasattr(model, "tuned_with")
    assert all(p.requires_grad for p in model.parameters())
    assert not any("lora" in name for name, _ in model.named_modules())


def test_only_own_tensors_and_the_head_are_written(saved):
    folder, base = saved
    tensors = load_file(folder / "adapter.safetensors")
    head = {name for name in tensors if name.startswith("classifier.")}
    assert head == {"classifier.weight", "classifier.bias"}
    assert all(".lora." in name for name in tensors.keys() - head)
    assert len(tensors) == 2 + 2 * 2 * 2  # head; 2 layers, 2 maps, A and B
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.safetensors", "method.json"]
    page = json.loads((folder / "method.json").read_text())
    assert page["method"] == "lora"
    assert page["settings"]["rank"] == 2
    assert set(page["versions"]) == {"course_utils", "torch", "transformers"}
    assert (folder / "adapter.safetensors").stat().st_size < 6000


def test_saving_again_replaces(saved, make_batch, few_steps, output_of):
    folder, base = saved
    tuned, batch = load_tuned(copy.deepcopy(base), folder), make_batch("bert")
    few_steps(tuned, batch)
    tuned.save(folder)
    assert torch.equal(output_of(load_tuned(base, folder), batch), output_of(tuned, batch))


def test_a_write_that_fails_leaves_the_old_files(saved, make_batch, output_of, monkeypatch):
    folder, base = saved
    tuned = load_tuned(copy.deepcopy(base), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CourseError, match="No space left"):
        tuned.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_can_not_be_made(saved, tmp_path):
    folder, base = saved
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="can't make the folder"):
        load_tuned(base, folder).save(tmp_path / "file" / "below")


def test_missing_and_damaged_files(saved, tmp_path):
    folder, base = saved
    with pytest.raises(CourseError, match=r"holds no method\.json"):
        load_tuned(base, tmp_path / "nowhere")
    data = (folder / "adapter.safetensors").read_bytes()
    (folder / "adapter.safetensors").write_bytes(data[:-1] + b"\0")
    with pytest.raises(CourseError, match="damaged"):
        load_tuned(base, folder)
    (folder / "adapter.safetensors").unlink()
    with pytest.raises(CourseError, match=r"holds no adapter\.safetensors"):
        load_tuned(base, folder)
    (folder / "adapter.safetensors").write_bytes(data)
    (folder / "method.json").write_text("{")
    with pytest.raises(CourseError, match="can't be read"):
        load_tuned(base, folder)
    (folder / "method.json").write_text('{"format": 99}')
    with pytest.raises(CourseError, match="format"):
        load_tuned(base, folder)
    assert_untouched(base)


def test_another_plm_is_refused_and_left_alone(saved, make_plm):
    folder, base = saved
    for model, message in (
        (make_plm("bert-lm"), "as BertForSequenceClassification, this model is BertForMaskedLM"),
        (make_plm("bert", hidden_size=32), "hidden_size 16; here hidden_size is 32"),
        (make_plm("bert", num_labels=3), "num_labels 2; here num_labels is 3"),
        (make_plm("bert", seed=1), "whose weights are not this model's"),
        (make_plm("bert", id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1}), "labels"),
    ):
        with pytest.raises(CourseError, match=message):
            load_tuned(model, folder)
        assert_untouched(model)


def test_swapped_labels_are_refused(make_plm, tmp_path):
    def model(*names):
        return make_plm(
            "bert", id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)}
        )

    attach(model("no", "yes"), LoRA(rank=2)).save(tmp_path)
    assert load_tuned(model("no", "yes"), tmp_path).method == LoRA(rank=2)
    with pytest.raises(CourseError, match="same order"):
        load_tuned(model("yes", "no"), tmp_path)


def test_other_weights_of_the_same_shape_only_when_meant(saved, make_plm):
    folder, _ = saved
    assert load_tuned(make_plm("bert", seed=1), folder, check_weights=False).count() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_same_plm_in_16_bit_is_still_the_same(saved, dtype):
    folder, base = saved
    assert load_tuned(base.to(dtype), folder).method == LoRA(rank=2)


def test_full_fine_tuning_carries_its_plm(make_plm, make_batch, few_steps, output_of, tmp_path):
    model, batch = make_plm("bert"), make_batch("bert")
    tuned = attach(model, FullFineTuning())
    few_steps(tuned, batch)
    tuned.save(tmp_path)
    other = load_tuned(make_plm("bert", seed=3), tmp_path)
    assert torch.equal(output_of(other, batch), output_of(tuned, batch))


def test_methods_by_name():
    assert method_named("lora", rank=4) == LoRA(rank=4)
    assert method_named("soft_prompt", length=3) == SoftPrompt(length=3)
    with pytest.raises(CourseError, match="Did you mean 'lora'"):
        method_named("lroa")
    with pytest.raises(CourseError, match="Did you mean 'rank'"):
        method_named("lora", rnak=4)
    with pytest.raises(CourseError, match="no hyper-parameters"):
        method_named("full", rank=4)
    for method in (LoRA(rank=3, sites=("key",)), SoftPrompt(length=2, words=("a", "b"))):
        through_json = json.loads(json.dumps(method.settings()))
        assert method_named(method.name, **through_json) == method
