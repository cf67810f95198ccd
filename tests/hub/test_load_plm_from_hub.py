"""PLMs by Hub id: fetched from the stand-in, loaded, found again offline."""

from __future__ import annotations

import json

import pytest
import torch
from huggingface_hub import constants
from small_plms import make, saved
from small_tokenizers import of_words

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.plm.sources import model_files


@pytest.fixture
def repository(tmp_path):
    """A BERT as the Hub has it: exports for other programs beside the weights."""
    folder = tmp_path / "repository"
    saved(folder, make("bert-lm"), of_words(["a", "fine", "film"]))
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x" * 1000)
    (folder / "tf_model.h5").write_bytes(b"x" * 1000)
    (folder / "README.md").write_text("a model")
    return folder


@pytest.fixture
def served(hub, repository):
    hub.add("model", "owner/small-bert", repository)
    return hub


def test_it_is_the_same_model_as_the_folder(served, repository):
    model, tokenizer = load_plm("owner/small-bert")
    direct, _ = load_plm(repository)
    for mine, other in zip(model.parameters(), direct.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert tokenizer("a fine film")["input_ids"]
    assert model.plm_name == "owner/small-bert"
    assert model.plm_revision == served.repositories[0].commit


def test_nothing_but_what_is_read_is_downloaded(served):
    load_plm("owner/small-bert")
    assert not any(odd in r for r in served.requests for odd in ("onnx", ".h5", "README"))


def test_random_weights_need_no_download_of_weights(served):
    load_plm("owner/small-bert", pretrained=False, head="encoder")
    assert not any(".safetensors" in request for request in served.requests)
    load_plm("owner/small-bert")
    assert any(".safetensors" in request for request in served.requests)


def test_offline_afterwards(served, monkeypatch):
    load_plm("owner/small-bert")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    served.requests.clear()
    load_plm("owner/small-bert", head="classifier", num_labels=2)
    assert not served.requests


def test_offline_with_the_configuration_only(served, monkeypatch):
    load_plm("owner/small-bert", pretrained=False, head="encoder")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError, match="not whole, on this machine. .* load_plm.'./small-bert'"):
        load_plm("owner/small-bert")


def test_a_gated_model_names_the_way_in(served):
    served.faults = {"small-bert": 401}
    with pytest.raises(CourseError, match="asks for its licence .* hf auth login"):
        load_plm("owner/small-bert")


def test_damaged_weights_are_not_loaded(served):
    served.faults = {"model.safetensors": "damaged"}
    with pytest.raises(CourseError, match="arrived damaged"):
        load_plm("owner/small-bert")
    served.faults = {}
    load_plm("owner/small-bert")


def test_a_repository_without_weights(hub, repository):
    (repository / "model.safetensors").unlink()
    hub.add("model", "owner/small-bert", repository)
    with pytest.raises(CourseError, match="does not hold the files expected of it; it has README"):
        load_plm("owner/small-bert")


def test_the_config_of_an_unknown_architecture(hub, repository):
    config = json.loads((repository / "config.json").read_text())
    (repository / "config.json").write_text(json.dumps(config | {"model_type": "other"}))
    hub.add("model", "owner/small-bert", repository)
    with pytest.raises(CourseError, match="'owner/small-bert' can't be loaded"):
        load_plm("owner/small-bert")


@pytest.mark.parametrize(
    ("weights", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["pytorch_model.bin"], ["pytorch_model.bin"]),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
             "model.safetensors.index.json", "pytorch_model.bin"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (["model.fp16.safetensors"], []),
    ],
)  # fmt: skip
def test_which_weights_are_read(weights, chosen):
    names = ["config.json", "vocab.txt", "onnx/model.onnx", *weights]
    found = model_files(names)
    assert [n for n in found if not n.endswith((".json", ".txt"))] == chosen
