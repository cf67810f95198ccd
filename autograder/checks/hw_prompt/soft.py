"""Exercise 2, a soft prompt: the module, the batch, the frozen model."""

from __future__ import annotations

from typing import Any

import torch

from autograder.checks.hw_prompt.frozen import expect_logits
from autograder.judging.judge import Checks, Draw, expect, expect_refusal, expect_tensor
from autograder.judging.plms import small_plm
from autograder.judging.student import Student

check = Checks()


# --- 2a, the module -------------------------------------------------------------------------


def prompt_at(student: Student, draw: Draw, trained: bool = True) -> tuple[Any, ...]:
    """(the student's prompt, its vocabulary there, the rows here, length, start)."""
    length, start, size = draw.between(1, 6), draw.between(0, 6), draw.between(3, 8)
    rows = draw.normal(20, size)
    vocabulary = student.embedding(rows, trained)
    prompt = student.make("SoftPrompt", vocabulary, length, start)
    return prompt, vocabulary, rows, length, start


@check("has one parameter, a copy of the vocabulary's rows", points=2, exercise="soft-prompt")
def _start(student: Student, draw: Draw) -> None:
    for trained in (True, False):
        prompt, vocabulary, rows, length, start = prompt_at(student, draw, trained)
        found = student.parameters(prompt)
        expect(list(found) == ["prompt"], "SoftPrompt: its only parameter is called `prompt`.")
        value, trainable = found["prompt"]
        expect_tensor("SoftPrompt.prompt at the start", value, rows[start : start + length])
        expect(trainable, "SoftPrompt: the prompt can't be trained.")
        frozen = not student.get(vocabulary, "weight.requires_grad")
        expect(frozen != trained, "SoftPrompt: whether the vocabulary is trained was changed.")


@check("puts the prompt before every text", points=2, exercise="soft-prompt")
def _in_front(student: Student, draw: Draw) -> None:
    prompt, _, rows, length, start = prompt_at(student, draw)
    texts = draw.normal(draw.between(1, 4), draw.between(1, 5), rows.shape[1])
    front = rows[start : start + length].expand(len(texts), -1, -1)
    got = student.method(prompt, "__call__", texts)
    expect_tensor("SoftPrompt.forward", got, torch.cat([front, texts], dim=1))


@check("shares no memory with the vocabulary, and uses what it has learnt", points=2,
       exercise="soft-prompt")  # fmt: skip
def _its_own(student: Student, draw: Draw) -> None:
    prompt, vocabulary, rows, length, _ = prompt_at(student, draw)
    learnt = draw.normal(length, rows.shape[1])
    student.put(prompt, {"prompt": learnt})
    weight = student.get(vocabulary, "weight")
    expect_tensor("the vocabulary after the prompt was trained", weight, rows)
    texts = draw.normal(2, 3, rows.shape[1])
    expected = torch.cat([learnt.expand(2, -1, -1), texts], dim=1)
    got = student.method(prompt, "__call__", texts)
    expect_tensor("SoftPrompt.forward after training", got, expected)
    weights = draw.normal(2, length + 3, rows.shape[1])
    found = student.gradients(prompt, "__call__", [texts], weights, inputs=[0], parameters=prompt)
    expect(found.get("prompt") is not None, "SoftPrompt: no gradient reaches the prompt.")
    expect_tensor("SoftPrompt: the prompt's gradient", found["prompt"], weights[:, :length].sum(0))


@check("refuses more rows than the vocabulary has", points=1, exercise="soft-prompt")
def _too_long(student: Student, draw: Draw) -> None:
    vocabulary = student.embedding(draw.normal(10, 4))
    student.make("SoftPrompt", vocabulary, 5, 5)  # the last that fits
    expect_refusal(
        "SoftPrompt longer than the vocabulary",
        lambda: student.make("SoftPrompt", vocabulary, 6, 5),
    )


# --- 2b, the batch --------------------------------------------------------------------------

IN_FRONT = {"attention_mask": 1, "token_type_ids": 0, "labels": -100}


def drawn_batch(draw: Draw, dtype: torch.dtype = torch.int64) -> dict[str, torch.Tensor]:
    rows, tokens = draw.between(2, 4), draw.between(2, 5)
    return {
        "attention_mask": draw.integers(0, 2, rows, tokens).to(dtype),
        "token_type_ids": draw.integers(0, 2, rows, tokens),
        "labels": draw.integers(0, 50, rows, tokens),
        "mask_positions": draw.integers(0, tokens, rows),
        "index": draw.integers(0, 100, rows),
    }


def longer(batch: dict[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """The reference."""
    made = dict(batch)
    for name, value in IN_FRONT.items():
        if name in batch:
            front = torch.full((len(batch[name]), length), value).to(batch[name].dtype)
            made[name] = torch.cat([front, batch[name]], dim=1)
    if "mask_positions" in batch:
        made["mask_positions"] = batch["mask_positions"] + length
    return made


def expect_batch(what: str, got: Any, expected: dict[str, torch.Tensor]) -> None:
    expect(type(got) is dict, f"{what}: expected a dict.")
    expect(got.keys() == expected.keys(), f"{what}: keys came or went.")
    for name, value in expected.items():
        expect_tensor(f"{what}: {name}", got[name], value)


@check("makes room in mask, segments and labels", points=2, exercise="extend-batch")
def _room(student: Student, draw: Draw) -> None:
    for _ in range(2):
        batch, length = drawn_batch(draw), draw.between(1, 6)
        expect_batch("extend_batch", student.call("extend_batch", batch, length),
                     longer(batch, length))  # fmt: skip


@check("moves the gap, keeps other keys, adds none", points=2, exercise="extend-batch")
def _some_keys(student: Student, draw: Draw) -> None:
    batch, length = drawn_batch(draw), draw.between(1, 4)
    for names in (("attention_mask",), ("mask_positions", "index"), ("labels",)):
        some = {name: batch[name] for name in names}
        got = student.call("extend_batch", some, length)
        expect_batch(f"extend_batch of {', '.join(names)}", got, longer(some, length))


@check("keeps dtypes", points=1, exercise="extend-batch")
def _dtypes(student: Student, draw: Draw) -> None:
    for dtype in (torch.int32, torch.bool, torch.float32):
        batch = drawn_batch(draw, dtype)
        got = student.call("extend_batch", batch, 2)
        expect_batch(f"extend_batch with a mask of {dtype}", got, longer(batch, 2))


@check("gives a new dict and leaves the given one alone", points=1, exercise="extend-batch")
def _untouched(student: Student, draw: Draw) -> None:
    batch = drawn_batch(draw)
    got, after, same = student.watched("extend_batch", batch, 3)
    expect_batch("extend_batch", got, longer(batch, 3))
    expect(not same, "extend_batch: it gives the very dict back that it was given.")
    expect_batch("the batch that was given", after[0], batch)


# --- 2c, the frozen model -------------------------------------------------------------------


def prompted(
    model: Any, prompt: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The reference."""
    words = model.get_input_embeddings()(ids)
    rows = torch.cat([prompt.expand(len(ids), -1, -1), words], dim=1)
    front = torch.ones(len(ids), len(prompt), dtype=mask.dtype)
    return model(inputs_embeds=rows, attention_mask=torch.cat([front, mask], dim=1)).logits


def drawn_texts(draw: Draw, rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = draw.integers(10, 60, rows, tokens)
    mask = torch.ones_like(ids)
    if tokens > 1:
        mask[-1, -1] = 0
        ids[-1, -1] = 0
    return ids, mask


def asked(student: Student, draw: Draw, family: str, length: int) -> tuple[Any, ...]:
    """The student's answer and the reference's, for a prompt of the judge's own values."""
    sizes = {"num_hidden_layers": draw.between(1, 3), "hidden_size": 2 * draw.between(4, 9)}
    seed = draw.between(0, 999)
    here, there = small_plm(family, sizes, seed), student.plm(family, sizes, seed)
    prompt = student.make("SoftPrompt", student.get(there, "base_model.embeddings.word_embeddings"),
                          length)  # fmt: skip
    values = draw.normal(length, sizes["hidden_size"])
    student.put(prompt, {"prompt": values})
    ids, mask = drawn_texts(draw, draw.between(2, 3), draw.between(2, 5))
    got = student.call("prompted_logits", there, prompt, ids, mask)
    return got, prompted(here, values, ids, mask), torch.cat(
        [torch.ones(len(ids), length, dtype=torch.bool), mask.bool()], dim=1
    )  # fmt: skip


@check("BERT reads the prompt like words, padding left out", points=3, exercise="prompted-logits")
def _bert(student: Student, draw: Draw) -> None:
    for length in draw.random.sample(range(1, 7), 2):
        expect_logits("prompted_logits with BERT", *asked(student, draw, "bert", length))


@check("works with RoBERTa, too", points=2, exercise="prompted-logits")
def _roberta(student: Student, draw: Draw) -> None:
    length = draw.between(1, 6)
    expect_logits("prompted_logits with RoBERTa", *asked(student, draw, "roberta", length))


@check("lets gradients reach the prompt, and the model alone", points=2,
       exercise="prompted-logits")  # fmt: skip
def _trains(student: Student, draw: Draw) -> None:
    here, there = small_plm("bert", seed=5), student.plm("bert", seed=5)
    words = "base_model.embeddings.word_embeddings"
    prompt = student.make("SoftPrompt", student.get(there, words), 4)
    values = draw.normal(4, 16)
    student.put(prompt, {"prompt": values})
    ids, mask = drawn_texts(draw, 2, 4)
    weights = draw.normal(2, 8, 60)
    found = student.gradients(
        None, "prompted_logits", [there, prompt, ids, mask], weights, parameters=prompt
    )
    exact = values.clone().requires_grad_(True)
    read = torch.cat([torch.ones(2, 4), mask], dim=1)[..., None]
    (prompted(here, exact, ids, mask) * weights * read).sum().backward()
    expect(found.get("prompt") is not None, "prompted_logits: no gradient reaches the prompt.")
    again = student.gradients(
        None, "prompted_logits", [there, prompt, ids, mask], weights * read, parameters=prompt
    )
    expect_tensor("the prompt's gradient", again["prompt"], exact.grad, tolerance=1e-3)
    after = student.parameters(there)
    own = dict(here.named_parameters())
    same = all(torch.equal(value, own[name]) for name, (value, _) in after.items())
    expect(same, "prompted_logits: the model's own weights were changed.")
