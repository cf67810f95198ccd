"""`load_plm`: heads, what is new, padding, types, seeds, and everything that can be wrong."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers as hf
from huggingface_hub import constants
from safetensors.torch import load_file
from small_plms import make, saved
from small_tokenizers import of_words

from course_utils.errors import CourseError
from course_utils.plm import (
    POCKET_MODELS,
    SHORT_NAMES,
    head_parameters,
    load_plm,
    position_ids,
    sources,
)
from course_utils.plm.names import POCKET_ALIASES, pocket_folder

POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
CLASSIFIER = {"classifier.weight", "classifier.bias"}
LABELLED = {"classifier", "tagger"}


@pytest.mark.parametrize(
    ("name", "head", "model_class", "new"),
    [
        ("bert-lm", "lm", "BertForMaskedLM", set()),
        ("bert-lm", "classifier", "BertForSequenceClassification", CLASSIFIER | POOLER),
        ("bert-lm", "tagger", "BertForTokenClassification", CLASSIFIER),
        ("bert-lm", "choice", "BertForMultipleChoice", CLASSIFIER | POOLER),
        ("bert-lm", "encoder", "BertModel", {"pooler.dense.weight", "pooler.dense.bias"}),
        ("bert-bare", "classifier", "BertForSequenceClassification", CLASSIFIER),
        ("roberta-lm", "lm", "RobertaForMaskedLM", set()),
        ("roberta-lm", "tagger", "RobertaForTokenClassification", CLASSIFIER),
        ("gpt2", "lm", "GPT2LMHeadModel", set()),
        ("gpt2", "classifier", "GPT2ForSequenceClassification", {"score.weight"}),
        ("llama", "lm", "LlamaForCausalLM", set()),
        ("llama", "classifier", "LlamaForSequenceClassification", {"score.weight"}),
        ("t5", "lm", "T5ForConditionalGeneration", set()),
        ("t5", "encoder", "T5EncoderModel", set()),
        ("t5", "tagger", "T5ForTokenClassification", CLASSIFIER),
    ],
)
@pytest.mark.parametrize("pretrained", [True, False])
def test_heads_and_what_is_new(name, head, model_class, new, pretrained, folder_of):
    labels = {"num_labels": 3} if head in LABELLED else {}
    model, _ = load_plm(folder_of(name), head=head, pretrained=pretrained, **labels)
    assert type(model).__name__ == model_class
    assert model.newly_initialised == frozenset(new)
    assert head_parameters(model) == frozenset(new)
    assert not model.training


@pytest.mark.parametrize("name", ["bert-lm", "roberta-lm", "gpt2", "llama", "t5"])
def test_the_weights_are_those_of_the_folder(name, folder_of):
    model, _ = load_plm(folder_of(name))
    stored = load_file(Path(folder_of(name)) / "model.safetensors")
    loaded = model.state_dict()
    assert len(stored) > 10
    assert all(torch.equal(loaded[key], tensor) for key, tensor in stored.items())


def test_always_float32_unless_told(folder_of):
    assert load_plm(folder_of("bert-lm", half=True))[0].dtype == torch.float32
    assert load_plm(folder_of("bert-lm"), dtype=torch.bfloat16)[0].dtype == torch.bfloat16
    control, _ = load_plm(folder_of("bert-lm", half=True), pretrained=False)
    assert control.dtype == torch.float32


def test_without_pre_training_the_same_shapes_and_other_weights(folder_of):
    trained, _ = load_plm(folder_of("bert-lm"))
    control, _ = load_plm(folder_of("bert-lm"), pretrained=False, seed=5)
    again, _ = load_plm(folder_of("bert-lm"), pretrained=False, seed=5)
    word = "bert.embeddings.word_embeddings.weight"
    assert trained.state_dict()[word].shape == control.state_dict()[word].shape
    assert not torch.equal(trained.state_dict()[word], control.state_dict()[word])
    assert all(torch.equal(again.state_dict()[k], t) for k, t in control.state_dict().items())


def test_the_seed_draws_the_head_and_nothing_else(folder_of):
    heads = [
        load_plm(folder_of("bert-lm"), head="classifier", num_labels=2, seed=seed)[0].state_dict()
        for seed in (1, 1, 2)
    ]
    assert torch.equal(heads[0]["classifier.weight"], heads[1]["classifier.weight"])
    assert not torch.equal(heads[0]["classifier.weight"], heads[2]["classifier.weight"])
    new = CLASSIFIER | POOLER
    assert all(torch.equal(heads[0][k], heads[2][k]) for k in heads[0] if k not in new)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_plm(folder_of("bert-lm"), head="classifier", num_labels=2)
    assert torch.equal(torch.rand(1), expected)


def test_label_names_reach_the_config(folder_of):
    model, _ = load_plm(folder_of("bert-lm"), head="classifier", labels=["bad", "fine", "good"])
    assert model.config.id2label == {0: "bad", 1: "fine", 2: "good"}
    assert model.config.label2id == {"bad": 0, "fine": 1, "good": 2}
    assert model.classifier.out_features == 3


def test_a_trained_classifier_keeps_its_head_unless_the_labels_change(tmp_path):
    classifier = make("bert", id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})
    folder = saved(tmp_path, classifier, of_words(["w5"]))
    model, _ = load_plm(folder, head="classifier")
    assert model.newly_initialised == frozenset()
    assert model.config.id2label == {0: "no", 1: "yes"}
    other, _ = load_plm(folder, head="classifier", num_labels=3)
    assert other.newly_initialised == CLASSIFIER


@pytest.mark.parametrize(
    ("name", "head", "side", "pad"),
    [
        ("bert-lm", "lm", "right", "[PAD]"),
        ("gpt2", "lm", "left", "[SEP]"),
        ("gpt2", "classifier", "right", "[SEP]"),
        ("llama", "lm", "left", "[SEP]"),
        ("t5", "lm", "right", "[PAD]"),
    ],
)
def test_padding_is_agreed_on(name, head, side, pad, folder_of):
    labels = {"num_labels": 2} if head in LABELLED else {}
    model, tokenizer = load_plm(folder_of(name), head=head, **labels)
    assert (tokenizer.padding_side, tokenizer.pad_token) == (side, pad)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    batch = tokenizer(["w7 w8 w9", "w7"], padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    assert model(**batch, **({"labels": batch["input_ids"]} if name == "t5" else {})).logits.ndim
    if head == "lm" and name != "bert-lm":
        assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_no_chatter_and_the_verbosity_is_given_back(folder_of, capfd):
    folder = folder_of("bert-lm")
    hf.utils.logging.set_verbosity_warning()
    bars = hf.utils.logging.is_progress_bar_enabled()
    capfd.readouterr()  # what saving said
    load_plm(folder, head="classifier", num_labels=2)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert hf.utils.logging.get_verbosity() == hf.utils.logging.WARNING
    assert hf.utils.logging.is_progress_bar_enabled() == bars


def test_what_the_model_says_of_itself(folder_of):
    model, tokenizer = load_plm(folder_of("bert-lm"))
    assert model.plm_name == folder_of("bert-lm")
    assert model.plm_revision is None
    assert model.plm_tokenizer is tokenizer


def test_a_pocket_model_is_a_folder_known_by_its_weights(folder_of, monkeypatch, tmp_path):
    folder = Path(folder_of("bert-lm"))
    monkeypatch.setattr(sources, "pocket_folder", lambda name: folder)
    model, _ = load_plm("pocket-bert")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert model.plm_revision == f"sha256:{digest[:12]}"
    assert model.plm_name == "pocket-bert"
    monkeypatch.setattr(sources, "pocket_folder", lambda name: tmp_path / "pocket-bert-base")
    with pytest.raises(CourseError, match="course pocket pretrain --model bert-base"):
        load_plm("pocket-bert")


def test_a_language_model_head_that_is_not_there_is_refused(folder_of):
    with pytest.raises(CourseError, match="holds no language-model head"):
        load_plm(folder_of("bert-bare"))
    control, _ = load_plm(folder_of("bert-bare"), pretrained=False)
    assert type(control).__name__ == "BertForMaskedLM"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "clasifier"}, "Did you mean 'classifier'"),
        ({"head": "classifier"}, "how many labels"),
        ({"head": "lm", "num_labels": 2}, "has no labels"),
        ({"head": "tagger", "num_labels": 2, "labels": ["a"]}, "labels names 1"),
        ({"head": "tagger", "labels": ["a", "a"]}, "twice"),
        ({"head": "tagger", "num_labels": 0}, "at least one"),
    ],
)
def test_bad_requests(settings, message, folder_of):
    with pytest.raises(CourseError, match=message):
        load_plm(folder_of("bert-lm"), **settings)


def test_heads_an_architecture_does_not_have(folder_of):
    with pytest.raises(CourseError, match="no head of kind 'choice'"):
        load_plm(folder_of("gpt2"), head="choice")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pocket-bret", "Did you mean 'pocket-bert'"),
        ("roberta-bse", "Did you mean 'roberta-base'"),
        ("./nowhere", "there is no folder './nowhere'"),
        ("some/deep/folder", "there is no folder"),
        ("", "unknown PLM"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(CourseError, match=message):
        load_plm(name)


def test_folders_that_hold_no_whole_model(folder_of, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CourseError, match=r"no config\.json \(found: notes\.txt\)"):
        load_plm(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder_of("bert-lm"), broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(CourseError, match="can't be loaded"):
        load_plm(broken)
    (broken / "model.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(CourseError, match="can't be loaded"):
        load_plm(broken)
    (broken / "config.json").write_text("{")
    with pytest.raises(CourseError, match="can't be loaded"):
        load_plm(broken)


def test_a_config_of_another_model_is_refused(folder_of, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(folder_of("bert-lm"), mixed)
    config = (mixed / "config.json").read_text()
    (mixed / "config.json").write_text(
        config.replace('"intermediate_size": 32', '"intermediate_size": 64')
    )
    with pytest.raises(CourseError, match="do not fit its own config"):
        load_plm(mixed, head="classifier", num_labels=2)
    with pytest.raises(CourseError, match="do not fit its own config"):
        load_plm(mixed)


def test_without_network_one_line_and_the_way_out(monkeypatch, tmp_path):
    """An endpoint where nobody listens; the cache is empty."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    with pytest.raises(CourseError) as caught:
        load_plm("bert-base")
    message = str(caught.value)
    assert "\n" not in message
    assert "hf download google-bert/bert-base-uncased" in message
    assert "can't be reached" in message
    assert "pocket" in message
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_device_that_is_not_here(folder_of):
    with pytest.raises(CourseError, match="can't be used here"):
        load_plm(folder_of("bert-lm"), device="cuda:99")


def test_names():
    for alias, name in POCKET_ALIASES.items():
        assert name in POCKET_MODELS
        assert pocket_folder(alias) == pocket_folder(name)
    assert pocket_folder("Pocket-BERT") == pocket_folder("pocket-bert-base")
    assert pocket_folder("bert-base") is None
    assert all(full.count("/") == 1 for full in SHORT_NAMES.values())


def test_names_are_known_without_torch():
    code = (
        "import sys; from course_utils.plm import POCKET_MODELS, SHORT_NAMES; "
        "import course_utils.tuning; "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_function_sites_is_not_hidden_by_a_module():
    code = (
        "import course_utils.plm.architectures; from course_utils.plm import sites, load_plm; "
        "import course_utils.tuning.attaching; from course_utils.tuning import attach; "
        "assert callable(sites) and callable(load_plm) and callable(attach)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_head_of_a_model_that_load_plm_did_not_make():
    assert head_parameters(make("bert")) == CLASSIFIER
    assert head_parameters(make("bert-lm")) == frozenset()
    assert head_parameters(make("t5")) == frozenset()
    assert head_parameters(make("bert-bare")) == frozenset()


def test_positions_start_at_the_first_real_token():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]])
    expected = [[0, 0, 0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert position_ids(mask).tolist() == expected


def test_gpt2_knows_its_loss():
    """transformers finds the loss by the class's name, which GPT-2's does not tell: it warned."""
    model, _ = load_plm("pocket-gpt2")
    assert model.loss_type == "ForCausalLM"
    ids = torch.arange(5, 11)[None]
    output = model(input_ids=ids, labels=ids)
    expected = torch.nn.functional.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    torch.testing.assert_close(output.loss, expected)
