"""P-tuning (v1): peft's prompt encoder, the encoder worked out by hand, and what is kept."""

from __future__ import annotations

import copy

import numpy as np
import peft
import pytest
import torch
from small_plms import make

from course_utils.errors import CourseError
from course_utils.tuning import PTuning, SoftPrompt, attach, finished, load_tuned

ENCODERS = ("lstm", "mlp")
OURS = {"lstm_head": "encoder.lstm", "mlp_head": {"lstm": "encoder.mlp", "mlp": "encoder"}}


def encoder_of(tuned):
    return tuned.placement.sites.entry.soft_prompt


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("plm", "task"), [("bert-bare", "FEATURE_EXTRACTION"), ("gpt2", "CAUSAL_LM")]
)
def test_equals_peft(plm, task, encoder, make_batch):
    model, batch = make(plm), make_batch(plm, labels=False)
    settings = peft.PromptEncoderConfig(
        task_type=task,
        num_virtual_tokens=5,
        encoder_reparameterization_type=encoder.upper(),
        encoder_hidden_size=6,
    )
    theirs = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    reference = theirs.prompt_encoder["default"]
    ours = attach(model, PTuning(length=5, encoder=encoder, hidden=6)).eval()
    pairs = []
    for name, p in reference.named_parameters():
        head, _, rest = name.partition(".")
        place = OURS.get(head, "start")
        place = place if isinstance(place, str) else place[encoder]
        mine = "start" if place == "start" else f"{place}.{rest}"
        pairs.append((encoder_of(ours).get_parameter(mine), p))
    assert len(pairs) == len(list(encoder_of(ours).parameters()))
    with torch.no_grad():
        for mine, p in pairs:
            mine.copy_(p)
    outputs = []
    for tuned in (theirs, ours):
        output = tuned(**batch)
        hidden = output.logits if "logits" in output else output.last_hidden_state
        outputs.append(hidden[:, 5:] if tuned is theirs else hidden)
    mask = batch["attention_mask"].bool()
    torch.testing.assert_close(outputs[1][mask], outputs[0][mask])
    weights = torch.randn(outputs[0][mask].shape, generator=torch.Generator().manual_seed(0))
    for output in outputs:
        (output[mask] * weights).sum().backward()
    for mine, p in pairs:
        torch.testing.assert_close(mine.grad, p.grad, rtol=1e-4, atol=1e-5)


def test_the_mlp_by_hand():
    tuned = attach(make("bert"), PTuning(length=3, encoder="mlp", hidden=4))
    vectors = encoder_of(tuned)
    (w1, b1), (w2, b2), (w3, b3) = (
        (vectors.encoder[i].weight.detach().numpy(), vectors.encoder[i].bias.detach().numpy())
        for i in (0, 2, 4)
    )
    h = np.maximum(vectors.start.detach().numpy() @ w1.T + b1, 0)
    expected = np.maximum(h @ w2.T + b2, 0) @ w3.T + b3
    np.testing.assert_allclose(vectors.table().detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_lstm_couples_the_places_and_the_mlp_does_not():
    reached = {}
    for encoder in ENCODERS:
        vectors = encoder_of(attach(make("bert"), PTuning(length=4, encoder=encoder)))
        vectors.table()[0].sum().backward()
        reached[encoder] = vectors.start.grad.abs().sum(1).gt(0).tolist()
    assert reached == {"lstm": [True] * 4, "mlp": [True, False, False, False]}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("plm", ["bert", "gpt2", "t5"])
def test_what_is_kept_is_a_soft_prompt(plm, encoder, tmp_path, make_batch, few_steps, output_of):
    batch = make_batch(plm)
    tuned = attach(make(plm), PTuning(length=4, encoder=encoder))
    few_steps(tuned, batch)
    before = output_of(tuned, batch)
    loaded = load_tuned(make(plm), tuned.save(tmp_path / "kept")).eval()
    assert loaded.method == SoftPrompt(length=4, init="random")
    assert torch.equal(output_of(loaded, batch), before)
    width = tuned.placement.sites.embeddings[0].out_features
    assert loaded.count() == 4 * width + tuned.head_count()
    done = finished(tuned)
    assert done.method == loaded.method
    assert torch.equal(output_of(done, batch), before)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"length": 0}, "PTuning.length=0.*whole number"),
        ({"encoder": "gru"}, "unknown P-tuning encoder 'gru'"),
        ({"hidden": -1}, "hidden=-1"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(CourseError, match=says):
        PTuning(**settings)


def test_no_room_for_a_text():
    with pytest.raises(CourseError, match="leaves no room for a text"):
        attach(make("bert"), PTuning(length=512))
