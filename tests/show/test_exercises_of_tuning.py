"""Notebooks 08 and 09: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from course_utils.show.exercises import adamix, lora_and_qlora


def routed(x, down, up, rng, *, same=False, first=False, act=F.relu, residual=False, mean=False):
    j = 0 if first else rng.randrange(len(down))
    k = min(j, len(up) - 1) if same or first else rng.randrange(len(up))
    one, other = (down.mean(0), up.mean(0)) if mean else (down[j], up[k])
    change = act(x @ one.T) @ other.T
    return x + change if residual else change


def kl(p, q):
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def agreement_loss(p, q):
    return 0.5 * (kl(p, q) + kl(q, p)).mean()


def merged_change(a, b, alpha):
    return alpha / a.shape[1] * b.mean(0) @ a.mean(0)


def counts(d, r, experts, share, *, biases=1):
    down, up = d * r + biases * r, r * d + biases * d
    trained = (1 if share == "down" else experts) * down + (1 if share == "up" else experts) * up
    return trained, down + up


def forward(x, w, b, a, up, alpha):
    return x @ w.T + b + alpha / len(a) * (x @ a.T @ up.T)


def merge(w, a, b, alpha, transposed):
    change = alpha / len(a) * b @ a
    return w + (change.T if transposed else change)


def merge_in_place(w, a, b, alpha, transposed):
    w += merge(torch.zeros_like(w), a, b, alpha, transposed)
    return w


def store(weights, book, block, *, constant=lambda blocks: blocks.abs().amax(1), scaled=True):
    blocks = weights.view(-1, block)
    constants = constant(blocks)
    quotients = blocks / constants[:, None] if scaled else blocks
    return (quotients.flatten()[:, None] - book).abs().argmin(1), constants


def below(weights, book, block):
    _, constants = store(weights, book, block)
    scaled = (weights.view(-1, block) / constants[:, None]).flatten()
    return torch.bucketize(scaled, book, right=True) - 1, constants


def bits(block, double):
    return 4 + (8 / block + 32 / (block * 256) if double else 32 / block)


SOLUTIONS = [
    (adamix.check_routed, routed),
    (adamix.check_agreement_loss, agreement_loss),
    (adamix.check_merged_change, merged_change),
    (adamix.check_counts, counts),
    (lora_and_qlora.check_forward, forward),
    (lora_and_qlora.check_merge, merge),
    (lora_and_qlora.check_store, store),
    (lora_and_qlora.check_bits, bits),
]
NAMES = [check.__name__ for check, _ in SOLUTIONS]


@pytest.mark.parametrize(("check", "solution"), SOLUTIONS, ids=NAMES)
def test_our_own_solution_is_right(check, solution):
    verdict = check(solution)
    assert verdict.state == "right", str(verdict)


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("check", [check for check, _ in SOLUTIONS], ids=NAMES)
@pytest.mark.parametrize("answer", [unfinished, lambda *arguments: None])
def test_what_is_not_written_is_open(check, answer):
    assert check(answer).state == "open"


MISTAKES = [
    # routed
    (0, lambda *a: routed(*a, same=True), "by itself"),
    (0, lambda *a: routed(*a, first=True), "draw with rng"),
    (0, lambda *a: routed(*a, mean=True), "after training"),
    (0, lambda *a: routed(*a, act=lambda z: z), "non-linearity"),
    (0, lambda *a: routed(*a, residual=True), "residual"),
    (0, lambda *a: routed(*a, act=torch.tanh), "no pair's answer"),
    (0, lambda x, down, up, rng: x @ down[0].T, "shape"),
    # agreement_loss
    (1, lambda p, q: kl(p, q).mean(), "both|KL\\(p‖q\\) alone"),
    (1, lambda p, q: kl(q, p).mean(), "KL\\(q‖p\\) alone"),
    (1, lambda p, q: (kl(p, q) + kl(q, p)).mean(), "½"),
    (1, lambda p, q: 0.5 * (kl(p, q) + kl(q, p)).sum(), "Mean over the batch"),
    (1, lambda p, q: -agreement_loss(p, q), "never negative"),
    (1, lambda p, q: agreement_loss(p, q) / 3, "Sum over the labels"),
    (1, lambda p, q: 0.5 * F.mse_loss(p, q), "compares logits"),
    (1, lambda p, q: 0.5 * (kl(p, q) + kl(q, p)), "one number"),
    # merged_change
    (2, lambda a, b, alpha: b.mean(0) @ a.mean(0), "factor α / r is missing"),
    (2, lambda a, b, alpha: alpha * b.mean(0) @ a.mean(0), "not α"),
    (2, lambda a, b, alpha: alpha / a.shape[1] * (b @ a).mean(0), "mean of the products"),
    (2, lambda a, b, alpha: alpha / a.shape[1] * b.sum(0) @ a.sum(0), "not added up"),
    (2, lambda a, b, alpha: merged_change(a, b, alpha).T, "5, 7"),
    # counts
    (3, lambda d, r, m, s: counts(d, r, m, s)[:1] * 2, "one adapter"),
    (3, lambda d, r, m, s: counts(d, r, m, s, biases=0), "bias"),
    (3, lambda d, r, m, s: counts(d, r, m, "none"), "'none'"),
    (3, lambda d, r, m, s: (m, counts(d, r, m, s)[1]), "M times"),
    # forward
    (4, lambda x, w, b, a, up, alpha: x @ w.T + b, "add the change"),
    (4, lambda x, w, b, a, up, alpha: forward(x, w, 0 * b, a, up, alpha), "bias"),
    (4, lambda x, w, b, a, up, alpha: forward(x, 0 * w, 0 * b, a, up, alpha), "frozen"),
    (4, lambda x, w, b, a, up, alpha: forward(x, w, b, a, up, 2), "missing"),
    (4, lambda x, w, b, a, up, alpha: forward(x, w, b, a, up, 2 * alpha), "not α"),
    (4, lambda x, w, b, a, up, alpha: forward(x, w, b, a, up, 4 / alpha), "r / α"),
    (4, lambda x, w, b, a, up, alpha: 3 * (x @ w.T + b + x @ a.T @ up.T), "change only"),
    # merge
    (5, merge_in_place, "no way back"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, alpha, False), "transpose of B A"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, alpha, True), "its transpose"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, 2, t), "missing"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, 2 * alpha, t), "not α"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, alpha, t) - w, "ΔW alone"),
    (5, lambda w, a, b, alpha, t: merge(w, a, b, -alpha, t), "sign"),
    # store
    (6, lambda *a: store(*a, constant=lambda blocks: blocks.amax(1)), "ABSOLUTE"),
    (6, lambda *a: store(*a, constant=lambda z: z.abs().max().expand(len(z))), "same for all"),
    (6, lambda *a: store(*a, scaled=False), "divide"),
    (6, below, "next value below"),
    (6, lambda *a: store(*a)[0], "two things"),
    (6, lambda w, book, block: store(w, book, 4), "constants"),
    # bits
    (7, lambda block, double: 32 / block, "4 bits more"),
    (7, lambda block, double: 4 + (8 if double else 32) / block, "scale of their own"),
    (7, lambda b, double: 4 + (8 / b + 32 / 256 if double else 32 / b), "256 ·"),
    (7, lambda block, double: bits(block, False), "with double"),
]


@pytest.mark.parametrize(("number", "answer", "advice"), MISTAKES)
def test_typical_mistakes_get_advice(number, answer, advice):
    verdict = SOLUTIONS[number][0](answer)
    assert verdict.state == "not yet"
    assert re.search(advice, str(verdict)), str(verdict)
