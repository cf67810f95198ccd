"""Notebooks 06 and 07: solutions pass, typical mistakes get advice, open ones stay open.

The bug hunts are taken from the notebook itself: as they stand there they must be "open" and show
the symptom, with the mend they must be "right", and with half a mend "not yet".
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import torch
from torch.nn import functional as F

from course_utils.show.exercises import adapters, symptoms
from course_utils.show.exercises import hidden_representations as hidden
from course_utils.tuning import Houlsby

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "07_adapters.ipynb"


# --- notebook 06 -------------------------------------------------------------------------------


def change_by_layer(h, delta, mask, *, ratio=lambda h, d: d.norm(dim=-1) / h.norm(dim=-1)):
    return ratio(h, delta)[:, mask.bool()].mean(-1)


def directions_needed(vectors, share, *, power=2, more=1):
    values = torch.linalg.svdvals(vectors) ** power
    return int((values.cumsum(0) / values.sum() < share).sum()) + more


def prefix_as_change(q, K, V, P_k, P_v, *, scale=0.5, own=True):
    scores = torch.cat((P_k, K)) @ q * scale
    weights = scores.softmax(0)[: len(P_k)]
    return weights.sum(), (weights / weights.sum() if own else weights) @ P_v


def houlsby_count(n, d, r, *, per_layer=2, norms=1):
    return per_layer * n * (2 * d * r + r + d) + (2 * n + 1) * 2 * d * norms


def unknown_share(tokenizer, texts, *, special=False):
    ids = tokenizer(texts, add_special_tokens=special)["input_ids"]
    return sum(row.count(tokenizer.unk_token_id) for row in ids) / sum(map(len, ids))


def behind_the_prompt(h, longer, length):
    return longer[:, :, length:] - h


SOLUTIONS = [
    (hidden.check_change_by_layer, change_by_layer),
    (hidden.check_behind_the_prompt, behind_the_prompt),
    (hidden.check_directions_needed, directions_needed),
    (hidden.check_prefix_as_change, prefix_as_change),
    (adapters.check_houlsby_count, houlsby_count),
    (adapters.check_unknown_share, unknown_share),
]
CHECKS = {check.__name__: check for check, _ in SOLUTIONS}


@pytest.mark.parametrize(("check", "answer"), SOLUTIONS, ids=list(CHECKS))
def test_right(check, answer):
    assert check(answer).state == "right", str(check(answer))


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("answer", [unfinished, lambda *arguments: None])
def test_open(name, answer):
    assert CHECKS[name](answer).state == "open"


def _each_text_first(h, delta, mask):
    ratio = delta.norm(dim=-1) / h.norm(dim=-1) * mask
    return (ratio.sum(-1) / mask.sum(-1)).mean(-1)


def _centred(vectors, share):
    return directions_needed(vectors - vectors.mean(0), share)


def _mean_of_shares(tokenizer, texts):
    return sum(unknown_share(tokenizer, [text]) for text in texts) / len(texts)


MISTAKES = [
    ("check_change_by_layer", lambda h, d, m: change_by_layer(h, d, m * 0 + 1), "Padding"),
    (
        "check_change_by_layer",
        lambda h, d, m: change_by_layer(h, d, m, ratio=lambda h, d: (d / h).abs().mean(-1)),
        "whole vector",
    ),
    (
        "check_change_by_layer",
        lambda h, d, m: d.norm(dim=-1)[:, m.bool()].mean(-1) / h.norm(dim=-1)[:, m.bool()].mean(-1),
        "token by token",
    ),
    ("check_change_by_layer", _each_text_first, "short text"),
    ("check_change_by_layer", lambda h, d, m: d.norm(dim=-1).mean(), "3 numbers"),
    ("check_behind_the_prompt", lambda h, longer, n: longer[:, :, : h.shape[2]] - h, "in front"),
    ("check_behind_the_prompt", lambda h, longer, n: h - longer[:, :, n:], "after minus before"),
    ("check_behind_the_prompt", lambda h, longer, n: longer, "shape"),
    ("check_directions_needed", lambda v, s: directions_needed(v, s, power=1), "squares"),
    ("check_directions_needed", lambda v, s: directions_needed(v, s, more=0), "one too few"),
    ("check_directions_needed", _centred, "subtracted|expected"),
    ("check_prefix_as_change", lambda *a: prefix_as_change(*a, scale=1), "divided by the root"),
    ("check_prefix_as_change", lambda *a: prefix_as_change(*a, own=False), "twice"),
    (
        "check_prefix_as_change",
        lambda *a: (1 - prefix_as_change(*a)[0], prefix_as_change(*a)[1]),
        "weight of the text",
    ),
    ("check_prefix_as_change", lambda *a: prefix_as_change(*a)[0], "two things"),
    ("check_houlsby_count", lambda *a: houlsby_count(*a, norms=0), "norms train"),
    ("check_houlsby_count", lambda *a: houlsby_count(*a, per_layer=1), "two adapters"),
    ("check_houlsby_count", lambda n, d, r: houlsby_count(n, d, r) - 2 * d, "behind the embed"),
    (
        "check_houlsby_count",
        lambda n, d, r: houlsby_count(n, d, r) - 2 * n * (r + d),
        "biases are missing",
    ),
    ("check_unknown_share", lambda *a: unknown_share(*a, special=True), "CLS"),
    ("check_unknown_share", _mean_of_shares, "all tokens together"),
    ("check_unknown_share", lambda tokenizer, texts: 0.0, "expected 0.333"),
]


@pytest.mark.parametrize(("name", "answer", "advice"), MISTAKES)
def test_typical_mistakes_get_advice(name, answer, advice):
    verdict = CHECKS[name](answer)
    assert verdict.state == "not yet", str(verdict)
    assert re.search(advice, str(verdict)), str(verdict)


def test_the_count_is_what_the_kit_trains():
    plm = symptoms.small_plm()
    assert houlsby_count(2, symptoms.WIDTH, 4) == Houlsby(bottleneck=4).count(plm)


# --- the bug hunts of notebook 07 --------------------------------------------------------------


def _cell(check: str) -> str:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return next(c.source for c in cells if c.cell_type == "code" and f".{check}(" in c.source)


def _verdict(check: str, *changes: tuple[str, str]):
    """What the notebook's cell says with these changes made to it."""
    source = _cell(check)
    for old, new in changes:
        assert source.count(old) == 1, f"{old!r} is not in the cell, or more than once"
        source = source.replace(old, new)
    before, call = source.rsplit("exercises.", 1)
    space = {"torch": torch, "F": F, "exercises": adapters}
    exec(before, space)
    return eval(f"exercises.{call}", space)


CHOOSE = ('= "adapter" in name\n', '= "adapter" in name or name.startswith("classifier")\n')
LORA = ('"adapter" in name', '"lora" in name')
START = ("init.normal_(linear.weight, std=1.0)", "init.normal_(linear.weight, std=0.001)")
FFN = ("return self.up(", "return h + self.up(")
CONV = (
    ("Conv1d(length, size", "Conv1d(width, size"),
    ("Conv1d(size, length", "Conv1d(size, width"),
    (
        "return h + self.up(F.relu(self.down(h)))",
        "return h + self.up(F.relu(self.down(h.transpose(1, 2)))).transpose(1, 2)",
    ),
)
HUNTS = {
    "check_choose_trained": (CHOOSE,),
    "check_add_lora": (LORA,),
    "check_adapter": (START,),
    "check_adapted_ffn": (FFN,),
    "check_conv_adapter": CONV,
}


@pytest.mark.parametrize("check", HUNTS)
def test_as_given_it_is_open_and_shows_its_symptom(check):
    verdict = _verdict(check)
    assert verdict.state == "open", str(verdict)
    assert "<--" in str(verdict)
    assert "expected" in str(verdict)


@pytest.mark.parametrize("check", HUNTS)
def test_mended_it_is_right(check):
    verdict = _verdict(check, *HUNTS[check])
    assert verdict.state == "right", str(verdict)
    assert "<--" not in str(verdict)


HALVES = [
    ("check_choose_trained", [('= "adapter" in name', "= True")], "elsewhere"),
    ("check_choose_trained", [('"adapter" in name', '"classifier" in name')], "in adapters"),
    ("check_choose_trained", [('"adapter" in name', '"er" in name')], "elsewhere"),
    ("check_add_lora", [('"adapter" in name or "classifier"', '"lora"')], "in the classifier"),
    ("check_add_lora", [('"adapter" in name', 'name.startswith("bert")')], "elsewhere"),
    ("check_add_lora", [LORA, ("torch.zeros(linear.out", "torch.ones(linear.out")], "step 0"),
    (
        "check_adapter",
        [("init.normal_(linear.weight, std=1.0)", "init.zeros_(linear.weight)")],
        "W1 moved",
    ),
    ("check_adapter", [START, ("self.down(h)", "self.down(h)[..., :2]")], "RuntimeError"),
    ("check_adapter", [START, ("return h + self", "return self")], "The mistake|step 0"),
    ("check_adapted_ffn", [("return self.up(", "return h + 2 * h + self.up(")], "step 0"),
    ("check_adapted_ffn", [("return self.up(F.gelu(self.down(h)))", "return h")], "W2 moved"),
    ("check_conv_adapter", [CONV[0], CONV[1]], "RuntimeError"),
    ("check_conv_adapter", [*CONV[:2], (CONV[2][0], CONV[2][1][:-16])], "RuntimeError|shape"),
    (
        "check_conv_adapter",
        [*CONV, ("size, kernel_size=3, padding=1", "size, kernel_size=1")],
        "numbers",
    ),
]


@pytest.mark.parametrize(("check", "changes", "advice"), HALVES)
def test_half_a_mend_is_not_right(check, changes, advice):
    verdict = _verdict(check, *changes)
    assert verdict.state != "right", str(verdict)
    assert re.search(advice, str(verdict)), str(verdict)


def test_other_good_mends_are_right_too():
    zero_up = (
        "torch.nn.init.zeros_(linear.bias)\n",
        "torch.nn.init.zeros_(linear.bias)\n        torch.nn.init.zeros_(self.up.weight)\n",
    )
    assert _verdict("check_adapter", zero_up).state == "right"
    by_module = (
        '    for name, parameter in model.named_parameters():\n'
        '        parameter.requires_grad = "adapter" in name\n',
        "    model.requires_grad_(False)\n    model.classifier.requires_grad_(True)\n"
        "    for layer in model.bert.encoder.layer:\n"
        "        layer.output.adapter.requires_grad_(True)\n",
    )  # fmt: skip
    assert _verdict("check_choose_trained", by_module).state == "right"
