"""The MLP behind a prefix, training, and what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import safetensors.torch
import small_plms
import small_tasks as small
import small_tokenizers
import torch
import transformers
from filled_prefixes import DIRECT, P, fill, prefixes
from full_recomputation import TEXTS, left_padded
from small_tokenizers import NumberedWords

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel
from course_utils.settings import TrainSettings
from course_utils.training import train
from course_utils.tuning import PrefixTuning, PTuningV2, attach, finished, load_tuned
from course_utils.tuning.keys_and_values import attention_blocks

# The MLP, and what is kept of it.


@pytest.mark.parametrize("plm", ["bert", "gpt2", "llama", "t5"])
def test_the_mlp_is_thrown_away(plm, make_plm, make_batch, few_steps, output_of, tmp_path):
    model, batch = make_plm(plm), make_batch(plm)
    fresh = copy.deepcopy(model)
    method = PrefixTuning(length=3, mlp=5, dropout=0.2)
    tuned = attach(model, method)
    few_steps(tuned, batch)
    learnt, head = output_of(tuned, batch), tuned.head_count()
    tuned.save(tmp_path)
    stored = safetensors.torch.load_file(tmp_path / "adapter.safetensors")
    own = {name: t for name, t in stored.items() if ".prefix." in name}
    width = 8 if plm == "llama" else 16
    blocks = 6 if plm == "t5" else 2
    assert sorted({name.rpartition(".")[2] for name in own}) == ["keys", "values"]
    assert [tuple(t.shape) for t in own.values()] == [(3, width)] * 2 * blocks
    loaded = load_tuned(fresh, tmp_path)
    assert loaded.method == replace(method, mlp=0)
    assert loaded.count() == blocks * 2 * 3 * width + head < tuned.count()
    assert torch.equal(output_of(loaded, batch), learnt)
    done = finished(tuned)
    assert done.plm is model
    assert done.count() == loaded.count()
    assert torch.equal(output_of(done, batch), learnt)
    assert finished(done) is done


def test_finishing_keeps_the_mode_and_detaching_the_base(make_plm, make_batch, few_steps):
    model = make_plm("bert")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    tuned = attach(model, PrefixTuning(length=3, mlp=5))
    few_steps(tuned, make_batch("bert"))
    done = finished(tuned.train())
    assert done.training
    assert all(prefix.training for prefix in prefixes(done))
    assert all(torch.equal(t, before[name]) for name, t in done.detach().state_dict().items())


def test_each_kind_of_attention_shares_one_table(make_plm):
    tuned = attach(make_plm("t5"), PrefixTuning(length=3, mlp=5))
    blocks = attention_blocks(tuned.placement.sites)
    trunks = {}
    for (kind, _), prefix in zip(blocks, prefixes(tuned), strict=True):
        trunks.setdefault(kind, set()).add(prefix.trunk)
    assert [len(shared) for shared in trunks.values()] == [1, 1, 1]
    assert len(set.union(*trunks.values())) == 3


def test_starts(make_plm):
    model = make_plm("gpt2", n_embd=64, n_head=4)
    direct = attach(model, PrefixTuning(length=20, mlp=0))
    values = torch.cat([table.flatten() for p in prefixes(direct) for table in p.table()])
    assert values.std().item() == pytest.approx(0.02, rel=0.05)
    direct.detach()
    tuned = attach(model, PrefixTuning(length=20, mlp=32))
    trunk = prefixes(tuned)[0].trunk
    assert trunk.E.std().item() == pytest.approx(1, rel=0.1)
    assert trunk.linear.weight.abs().max().item() == pytest.approx(64**-0.5, rel=0.05)


# Training.


def test_dropout_is_drawn_for_each_row_and_only_in_training(make_plm):
    tuned = attach(make_plm("bert-bare"), PrefixTuning(length=P, mlp=0, dropout=0.5))
    prefix = prefixes(fill(tuned))[0]
    keys = torch.zeros(3, 4, 2, 4)  # (B, h, T, d_h)
    whole = prefix(keys, keys)[0]
    assert whole.shape == (3, 4, P + 2, 4)
    assert torch.equal(whole[0], whole[1])
    prefix.train()
    dropped = prefix(keys, keys)[0]
    assert not torch.equal(dropped[0], dropped[1])
    front = dropped[:, :, :P]
    torch.testing.assert_close(front[front != 0], 2 * whole[:, :, :P][front != 0])
    assert 0.2 < (front == 0).float().mean() < 0.8
    assert (dropped[:, :, P:] == 0).all()


def test_a_task_is_learnt_by_the_trainer():
    """On a PLM that knows nothing, whose head alone gets two thirds right."""
    tuned = attach(small.bert(dropout=0.0), PrefixTuning(length=4, mlp=8))
    assert tuned.max_length == 28
    result = train(
        tuned,
        small.sentiment(256),
        tokenizer=small.tokenizer(),
        settings=TrainSettings(learning_rate=0.1, epochs=15),
        progress=False,
    )
    assert result.dev_score > 0.8
    frozen = tuned.plm.bert.embeddings.word_embeddings.weight
    assert torch.equal(frozen, small.bert(dropout=0.0).bert.embeddings.word_embeddings.weight)


def test_what_training_writes_on_the_way_has_the_mlp(tmp_path):
    task, tokenizer = small.sentiment(), small.tokenizer()

    def run():
        tuned = attach(small.bert(dropout=0.0), PrefixTuning(length=4, mlp=8))
        settings = TrainSettings(learning_rate=1e-2, epochs=3)
        train(tuned, task, tokenizer=tokenizer, settings=settings, output=tmp_path, progress=False)
        return tuned

    tuned, again = run(), run()  # the second finds a finished run and loads it
    names = [name for name in tuned.trained_names() if "prefix" in name]
    assert any("trunk" in name for name in names)
    for name in names:
        assert torch.equal(again.plm.get_parameter(name), tuned.plm.get_parameter(name))


@pytest.mark.parametrize("plm", ["bert", "gpt2"])
def test_behind_a_prompt_in_words(plm):
    tokenizer = getattr(small_tokenizers, plm)()
    model = getattr(small_plms, plm)(tokenizer)
    words = {"negative": "bad", "positive": "great"}
    rows = [{"text": "a dull film", "label": 0}, {"text": "great joy from start", "label": 1}]
    template = "{text} it was {mask}"
    before = PromptModel(model, tokenizer, template, words)
    room, plain = before.max_length, before.predict(rows).scores
    tuned = fill(attach(model, DIRECT))
    prompted = PromptModel(tuned, tokenizer, template, words)
    assert prompted.max_length == room - P
    together = prompted.predict(rows).scores
    alone = torch.cat([prompted.predict([row], batch_size=1).scores for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together - plain).abs().max() > 1e-3
    batch = prompted.collator()([prompted.encode(row) for row in rows])
    prompted(**batch).loss.backward()
    moved = {name for name, p in prompted.named_parameters() if p.grad is not None}
    assert len(moved) == 4
    assert all(".prefix." in name for name in moved)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "whole number from 1"),
        ({"mlp": -1}, "0 is no MLP"),
        ({"dropout": 1.0}, "probability"),
        ({"init": "texts"}, "Did you mean 'text'"),
        ({"init": "text"}, "needs the text"),
    ],
)
def test_bad_hyper_parameters(settings, message):
    with pytest.raises(CourseError, match=message):
        PrefixTuning(**settings)


def test_bad_plms_and_texts(make_plm):
    model = make_plm("bert")
    with pytest.raises(CourseError, match="leaves no room"):
        attach(model, PrefixTuning(length=40))
    with pytest.raises(CourseError, match="needs the tokenizer"):
        attach(model, PrefixTuning(init="text", text="w7"))
    with pytest.raises(CourseError, match="no token"):
        attach(model, PrefixTuning(init="text", text="!"), tokenizer=NumberedWords())
    model.config._attn_implementation = "flex_attention"
    with pytest.raises(CourseError, match="attn_implementation='sdpa'"):
        attach(model, PrefixTuning())
    assert not hasattr(model, "tuned_with")
    assert not any("prefix" in name for name, _ in model.named_modules())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("config", "model", "reason"),
    [
        (transformers.DistilBertConfig, transformers.DistilBertModel, "ignores given keys"),
        (transformers.DebertaV2Config, transformers.DebertaV2Model, "DeBERTa"),
    ],
)
@pytest.mark.parametrize("method", [PrefixTuning(), PTuningV2()])
def test_plms_whose_attention_takes_no_prefix(config, model, reason, method):
    with torch.device("meta"):
        plm = model(config(num_hidden_layers=1) if "Deb" in reason else config(n_layers=1))
    with pytest.raises(CourseError, match=reason):
        attach(plm, method)


def test_what_can_not_work_is_said(make_plm):
    tuned = attach(make_plm("gpt2"), DIRECT)
    with pytest.raises(CourseError, match="static one has no room"):
        tuned.generate(
            **left_padded(TEXTS), max_new_tokens=4, cache_implementation="static", do_sample=False
        )
    with pytest.raises(CourseError, match="PrefixTuning can't be merged"):
        tuned.merge()
