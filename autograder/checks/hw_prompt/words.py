"""Exercise 1, a prompt of words: the template, the verbalizer, probabilities."""

from __future__ import annotations

from typing import Any

import torch

from autograder.judging.judge import (
    Checks,
    Draw,
    expect,
    expect_refusal,
    expect_tensor,
    expect_value,
)
from autograder.judging.student import Student

check = Checks()
PATTERN = "{premise} ? {mask} , {hypothesis}"
WORDS = ("shop", "closed", "bread", "warm", "street", "river", "teacher", "late", "empty", "song")


# --- 1a, the template -----------------------------------------------------------------------


def text_of(draw: Draw, words: int) -> str:
    return " ".join(draw.random.choice(WORDS) for _ in range(words))


@check("writes both texts and the gap into the template", points=2, exercise="fill-template")
def _fills(student: Student, draw: Draw) -> None:
    premise, hypothesis = text_of(draw, 3), text_of(draw, 4)
    got = student.call("fill_template", PATTERN, premise, hypothesis, "[MASK]")
    expect_value("fill_template", got, f"{premise} ? [MASK] , {hypothesis}")


@check("takes blanks and closing marks off the texts", points=1, exercise="fill-template")
def _trims(student: Student, draw: Draw) -> None:
    premise, hypothesis = text_of(draw, 2), text_of(draw, 3)
    got = student.call("fill_template", PATTERN, f"  {premise} . ", f"{hypothesis} ?!", "<mask>")
    expect_value("fill_template", got, f"{premise} ? <mask> , {hypothesis}")
    inside = f"{premise} . {hypothesis}"
    got = student.call("fill_template", "{mask} : {hypothesis}", "", f"{inside} .", "<mask>")
    expect_value("fill_template, a full stop inside a text", got, f"<mask> : {inside}")


@check("leaves braces and names of places in a text alone", points=1, exercise="fill-template")
def _braces(student: Student, draw: Draw) -> None:
    word = text_of(draw, 1)
    odd = f"{word} {{mask}} {{hypothesis}} {{}}"
    got = student.call("fill_template", PATTERN, odd, word, "[MASK]")
    expect_value("fill_template with braces in a text", got, f"{odd} ? [MASK] , {word}")


@check("refuses a template without a gap, or with two", points=2, exercise="fill-template")
def _refuses(student: Student, draw: Draw) -> None:
    for template in ("{premise} , {hypothesis}", "{mask} {premise} {mask}"):
        expect_refusal(
            f"fill_template with {template.count('{mask}')} gaps",
            lambda template=template: student.call("fill_template", template, "a", "b", "[MASK]"),
        )


# --- 1b, scores -----------------------------------------------------------------------------


def scores_of(logits: torch.Tensor, gaps: torch.Tensor, words: list[list[int]]) -> torch.Tensor:
    """The reference: the mean logit of each label's words, at each text's gap."""
    found = [[logits[b, gaps[b], ids].mean() for ids in words] for b in range(len(logits))]
    return torch.stack([torch.stack(row) for row in found])


def drawn_scores(draw: Draw, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, Any]:
    batch, tokens, size = draw.between(2, 5), draw.between(2, 7), draw.between(6, 11)
    logits = draw.normal(batch, tokens, size, dtype=dtype)
    words = [draw.random.sample(range(size), draw.between(1, 4)) for _ in range(draw.between(2, 4))]
    return logits, draw.integers(0, tokens, batch), words


@check("gives the mean logit of each label's words", points=3, exercise="label-scores")
def _scores(student: Student, draw: Draw) -> None:
    for _ in range(3):
        logits, gaps, words = drawn_scores(draw)
        got = student.call("label_scores", logits, gaps, words)
        expect_tensor("label_scores", got, scores_of(logits, gaps, words))


@check("works for one text, one token, one label", points=1, exercise="label-scores")
def _one(student: Student, draw: Draw) -> None:
    logits = draw.normal(1, 1, 5)
    got = student.call("label_scores", logits, torch.tensor([0]), [[2]])
    expect_tensor("label_scores of one text", got, logits[:, 0, 2:3])


@check("keeps the dtype of the logits", points=1, exercise="label-scores")
def _dtype(student: Student, draw: Draw) -> None:
    for dtype in (torch.float64, torch.float16):
        logits, gaps, words = drawn_scores(draw, dtype)
        got = student.call("label_scores", logits, gaps, words)
        expect_tensor(f"label_scores of {dtype}", got, scores_of(logits, gaps, words))


@check("lets gradients flow back to the logits", points=2, exercise="label-scores")
def _score_gradients(student: Student, draw: Draw) -> None:
    logits, gaps, words = drawn_scores(draw)
    weights = draw.normal(len(logits), len(words))
    found = student.gradients(None, "label_scores", [logits, gaps, words], weights, inputs=[0])
    exact = logits.clone().requires_grad_(True)
    (scores_of(exact, gaps, words) * weights).sum().backward()
    expect(found["input 0"] is not None, "label_scores: no gradient reaches the logits.")
    expect_tensor("label_scores: the gradient of the logits", found["input 0"], exact.grad)


@check("leaves logits and positions as they were", points=1, exercise="label-scores")
def _scores_untouched(student: Student, draw: Draw) -> None:
    logits, gaps, words = drawn_scores(draw)
    got, after, _ = student.watched("label_scores", logits, gaps, words)
    expect_tensor("label_scores", got, scores_of(logits, gaps, words))
    expect(torch.equal(after[0], logits), "label_scores: the logits were changed.")
    expect(torch.equal(after[1], gaps), "label_scores: the positions were changed.")


# --- 1c, probabilities ----------------------------------------------------------------------


@check("gives probabilities over the labels", points=2, exercise="label-probabilities")
def _probabilities(student: Student, draw: Draw) -> None:
    for _ in range(3):
        scores = draw.normal(draw.between(2, 5), draw.between(2, 5))
        got = student.call("label_probabilities", scores)
        expect_tensor("label_probabilities", got, scores.softmax(-1))


@check("divides the content-free probabilities out", points=2, exercise="label-probabilities")
def _calibrated(student: Student, draw: Draw) -> None:
    for _ in range(3):
        labels = draw.between(2, 5)
        scores, free = draw.normal(draw.between(2, 5), labels), 2 * draw.normal(labels)
        ratio = scores.softmax(-1) / free.softmax(-1)
        got = student.call("label_probabilities", scores, content_free=free)
        what = "label_probabilities, calibrated"
        expect_tensor(what, got, ratio / ratio.sum(-1, keepdim=True))


@check("stands scores as large as 1000", points=1, exercise="label-probabilities")
def _large(student: Student, draw: Draw) -> None:
    scores = torch.tensor([[1000.0, 0.0], [-1000.0, -1000.0]])
    got = student.call("label_probabilities", scores)
    expect_tensor("label_probabilities of 1000", got, torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    free = draw.normal(2)
    got = student.call("label_probabilities", scores, free)
    expected = torch.stack([torch.tensor([1.0, 0.0]), (-free).softmax(-1)])
    expect_tensor("label_probabilities of 1000, calibrated", got, expected)


@check("lets gradients flow and leaves the scores alone", points=1, exercise="label-probabilities")
def _probability_gradients(student: Student, draw: Draw) -> None:
    scores, weights = draw.normal(3, 4), draw.normal(3, 4)
    found = student.gradients(None, "label_probabilities", [scores], weights, inputs=[0])
    exact = scores.clone().requires_grad_(True)
    (exact.softmax(-1) * weights).sum().backward()
    expect(found["input 0"] is not None, "label_probabilities: no gradient reaches the scores.")
    expect_tensor("label_probabilities: the gradient", found["input 0"], exact.grad)
    _, after, _ = student.watched("label_probabilities", scores, draw.normal(4))
    expect(torch.equal(after[0], scores), "label_probabilities: the scores were changed.")
