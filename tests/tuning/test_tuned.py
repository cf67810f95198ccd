"""`attach` and `Tuned` as their users meet them: mistakes, the Trainer, the tree."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import Trainer, TrainingArguments

from course_utils.errors import CourseError
from course_utils.tuning import FullFineTuning, HeadOnly, LoRA, SoftPrompt, attach


def test_mistakes_get_one_clear_line(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match=r"write LoRA\(\)"):
        attach(model, LoRA)
    with pytest.raises(CourseError, match="needs a method such as"):
        attach(model, "lora")
    with pytest.raises(CourseError, match="needs the transformers model"):
        attach(nn.Linear(2, 2), LoRA())
    with pytest.raises(CourseError, match="nothing to train"):
        attach(make_plm("bert-lm"), HeadOnly())
    tuned = attach(model, LoRA(rank=2))
    with pytest.raises(CourseError, match="already carries LoRA"):
        attach(model, SoftPrompt(length=2, init="random"))
    with pytest.raises(CourseError, match="tuned already"):
        attach(tuned, LoRA(rank=2))
    tuned.detach()
    with pytest.raises(CourseError, match="was detached"):
        tuned(input_ids=torch.tensor([[7]]))
    with pytest.raises(CourseError, match="is detached"):
        tuned.detach()
    with pytest.raises(CourseError, match="is detached"):
        tuned.save("anywhere")


def test_an_architecture_without_described_sites():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=50, dim=16, n_heads=2, n_layers=1, hidden_dim=32)
    model = DistilBertForSequenceClassification(config)
    with pytest.raises(CourseError, match="'distilbert'"):
        attach(model, LoRA(rank=2))
    assert attach(model, HeadOnly()).count() == 16 * 16 + 16 + 2 * 16 + 2


def test_the_state_dict_is_what_is_trained(make_plm, make_batch, few_steps, output_of):
    batch = make_batch("t5")  # its embeddings are tied three ways
    tuned = attach(make_plm("t5"), LoRA(rank=2))
    few_steps(tuned, batch)
    state = tuned.state_dict()
    assert set(state) == {f"plm.{name}" for name in tuned.trained_names()}
    fresh = attach(make_plm("t5"), LoRA(rank=2), seed=8)
    result = fresh.load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert torch.equal(output_of(fresh, batch), output_of(tuned, batch))
    with pytest.raises(RuntimeError, match="Missing key"):
        fresh.load_state_dict(dict(list(state.items())[1:]))


def test_the_state_dict_inside_another_module(make_plm):
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = attach(make_plm("bert"), LoRA(rank=2))
            self.other = nn.Linear(2, 2)

    wrapper = Wrapper()
    state = wrapper.state_dict()
    own = {f"inner.plm.{name}" for name in wrapper.inner.trained_names()}
    assert set(state) == own | {"other.weight", "other.bias"}
    result = Wrapper().load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])


def test_full_fine_tuning_states_share_no_memory(make_plm):
    state = attach(make_plm("t5"), FullFineTuning()).state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_trainer_trains_saves_and_resumes(checkpointing, make_plm, make_batch, tmp_path):
    rows = make_batch("bert", rows=4)
    rows = [{key: value[i] for key, value in rows.items()} for i in range(4)] * 4

    def trainer(steps):
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=steps,
            save_steps=2,
            eval_strategy="steps",
            eval_steps=2,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            gradient_checkpointing=checkpointing,
            learning_rate=1e-2,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            load_best_model_at_end=True,
        )
        tuned = attach(make_plm("bert"), LoRA(rank=2))
        return Trainer(tuned, arguments, train_dataset=rows, eval_dataset=rows[:4])

    whole = trainer(4)
    whole.train()
    tensors = load_file(tmp_path / "checkpoint-4" / "model.safetensors")
    assert set(tensors) == {f"plm.{name}" for name in whole.model.trained_names()}
    assert {"eval_loss", "eval_runtime"} <= whole.evaluate().keys()
    resumed = trainer(4)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    last = load_file(tmp_path / "checkpoint-4" / "model.safetensors")
    for name, tensor in tensors.items():
        torch.testing.assert_close(last[name], tensor)
    base = whole.model.detach()
    assert not whole.model.is_gradient_checkpointing
    assert not any(module._forward_hooks for module in base.modules())


def test_the_trainer_divides_the_loss_over_accumulated_batches(make_plm):
    arguments = TrainingArguments(output_dir="unused", use_cpu=True, report_to="none")
    trainer = Trainer(attach(make_plm("bert"), LoRA(rank=2)), arguments)
    assert trainer.model_accepts_loss_kwargs is False
    assert trainer.label_names == ["labels"]


def test_lora_generates_like_full_recomputation(make_plm, make_batch):
    model = make_plm("gpt2", initializer_range=0.5, eos_token_id=None)
    tuned = attach(model, LoRA(rank=2))
    with torch.no_grad():
        for parameter in tuned.trainable_parameters():
            parameter.normal_()
    ids = torch.tensor([[7, 8, 9]])
    for _ in range(6):
        ids = torch.cat((ids, tuned(input_ids=ids).logits[:, -1:].argmax(-1)), 1)
    written = tuned.generate(torch.tensor([[0, 7, 8, 9]]),
                             attention_mask=torch.tensor([[0, 1, 1, 1]]),
                             max_new_tokens=6, do_sample=False)  # fmt: skip
    assert torch.equal(written[:, 1:], ids)
    assert not torch.equal(
        written, tuned.detach().generate(torch.tensor([[0, 7, 8, 9]]), max_new_tokens=6)
    )


def test_moving_and_modes_reach_the_placed_modules(make_plm):
    tuned = attach(make_plm("bert"), LoRA(rank=2, dropout=0.1))
    update = tuned.plm.bert.encoder.layer[0].attention.self.query.lora
    assert not update.training
    tuned.train()
    assert update.training
    assert update.dropout.training
    tuned.plm.to(torch.float64)
    assert update.A.dtype == torch.float64
    assert tuned.dtype == torch.float64
    assert tuned.device == torch.device("cpu")


def test_the_tree(make_plm):
    tuned = attach(make_plm("bert", num_hidden_layers=3), LoRA(rank=4))
    lines = tuned.summary().splitlines()
    assert lines[0].split() == ["BertForSequenceClassification", "9,250"]
    (layers,) = [line for line in lines if "encoder.layer.0 … 2" in line]
    assert "× 3, each 2,480" in layers
    assert layers.endswith("7,440")
    added = [line for line in lines if "◄ added" in line]
    assert len(added) == 2
    assert all("+ lora" in line and "A (4, 16), B (16, 4)" in line for line in added)
    (trained,) = [line for line in lines if line.endswith("◄ trained")]
    assert "classifier  Linear 16→2" in trained
    assert lines[-1] == (
        "LoRA: 6 maps × 4·(16 + 16) = 768; task head 34; together 802 of 8,482 (9.46 %)"
    )


def test_the_tree_counts_every_parameter_once(make_plm):
    for plm in ("gpt2", "t5", "llama", "bert-lm"):
        tuned = attach(make_plm(plm), SoftPrompt(length=2, init="random"))
        first = tuned.summary().splitlines()[0].split()
        assert int(first[1].replace(",", "")) == tuned.total() + 2 * 16
        assert "(shared)" in tuned.summary() or plm == "llama"


def test_repr_names_method_and_size(make_plm):
    text = repr(attach(make_plm("bert"), LoRA(rank=2)))
    assert text.startswith("Tuned(BertForSequenceClassification with LoRA(rank=2")
    assert "290 trained of" in text
