"""Notebooks 02 to 05: our solutions pass, typical mistakes get advice, empty ones stay open."""

from __future__ import annotations

import math
import re
from types import MappingProxyType

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset

from course_utils.prompting import PromptModel
from course_utils.show.exercises import (
    few_shot,
    semi_supervised,
    templates_and_verbalizers,
    zero_shot,
)
from course_utils.tasks.task import Task


def label_probabilities(logits, words, combine=torch.mean):
    return torch.stack([combine(logits[ids]) for ids in words]).softmax(-1)


def shorten(parts, room, *, cut=lambda parts: max(parts, key=len), from_front=False):
    kept = [list(tokens) for tokens, _ in parts]
    while sum(map(len, kept)) > room:
        allowed = [part for part, (_, may) in zip(kept, parts, strict=True) if may]
        longest = cut(allowed)
        longest.pop(0 if from_front else -1)
    return kept


def calibrated(p, p_free):
    q = p / p_free
    return q / q.sum(-1, keepdim=True)


def draw(query, pool, n_labels, rng, *, keep_query=False, order=1):
    shown = []
    for label in list(range(n_labels))[::order]:
        rows = [r for r in pool if r["label"] == label]
        shown.append(rng.choice([r for r in rows if keep_query or r["text"] != query["text"]]))
    return shown


def most_similar(query, vectors, share, *, alike=F.cosine_similarity, descending=True):
    count = max(1, int(len(vectors) * share))
    likeness = alike(vectors, query[None])
    return likeness.argsort(descending=descending)[:count].tolist()


def candidate_words(logits, labels, n_labels, k):
    return [logits[labels == n].mean(0).topk(k).indices.tolist() for n in range(n_labels)]


def soft_targets(logits, weights, temperature):
    mean = (logits * weights.view(-1, 1, 1)).sum(0) / weights.sum()
    return (mean / temperature).softmax(-1)


def distillation(student, teacher, t):
    log_p = F.log_softmax(student / t, -1)
    return F.kl_div(log_p, F.softmax(teacher / t, -1), reduction="batchmean") * t * t


def sizes(examples, growth, generations):
    return [examples * growth**g for g in range(generations)]


def few_shot_prompt(shown, query, question, words, separator):
    solved = [f"{question.format(**row)} {words[row['label']]}" for row in shown]
    return separator.join([*solved, question.format(**query)])


def global_entropy(predictions, n_labels):
    shares = [predictions.count(n) / len(predictions) for n in range(n_labels)]
    return -sum(p * math.log(p) for p in shares if p > 0)


def train_tasks(families, held_out):
    return [task for family, tasks in families.items() if family != held_out for task in tasks]


def mixing_rates(sizes, most):
    capped = {name: min(size, most) for name, size in sizes.items()}
    return {name: size / sum(capped.values()) for name, size in capped.items()}


SOLUTIONS = [
    (templates_and_verbalizers.check_label_probabilities, label_probabilities),
    (templates_and_verbalizers.check_shorten, shorten),
    (templates_and_verbalizers.check_calibrated, calibrated),
    (few_shot.check_draw, draw),
    (few_shot.check_most_similar, most_similar),
    (few_shot.check_candidate_words, candidate_words),
    (semi_supervised.check_soft_targets, soft_targets),
    (semi_supervised.check_distillation, distillation),
    (semi_supervised.check_set_sizes, sizes),
    (zero_shot.check_few_shot_prompt, few_shot_prompt),
    (zero_shot.check_global_entropy, global_entropy),
    (zero_shot.check_train_tasks, train_tasks),
    (zero_shot.check_mixing_rates, mixing_rates),
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


def test_a_template_that_is_none_is_explained_without_the_name_of_an_error():
    check = templates_and_verbalizers.check_own_template
    verdict = check("{sentence it was", lambda text: 1.0, 0.5, ())
    assert verdict.state == "not yet"
    assert "Error" not in str(verdict)
    assert "^</pre>" in verdict.html


MISTAKES = [
    # label_probabilities
    (0, lambda z, w: label_probabilities(z, w, torch.sum), "add up"),
    (0, lambda z, w: label_probabilities(z, w, torch.max), "likeliest word"),
    (0, lambda z, w: label_probabilities(z.softmax(-1), w).new_tensor([0.5] * len(w)), "expected"),
    (0, lambda z, w: torch.stack([z.softmax(-1)[i].mean() for i in w]), "over the labels"),
    (0, lambda z, w: z[w[0]].softmax(-1), "should give"),
    # shorten
    (1, lambda p, r: shorten(p, r, cut=lambda parts: next(x for x in parts if x)), "longest"),
    (1, lambda p, r: shorten([(t, True) for t, _ in p], r), "mask"),
    (1, lambda p, r: shorten(p, r, from_front=True), "end of a part"),
    (1, lambda p, r: [tokens for tokens, _ in p], "don't fit"),
    (1, lambda p, r: [t if not may else t[:1] for t, may in p], "only"),
    # calibrated
    (2, lambda p, f: p / f, "sum to 1"),
    (2, lambda p, f: p - f, "subtract"),
    (2, lambda p, f: (p / f) / (p / f).sum(), "distribution of its own"),
    (2, lambda p, f: p, "expected"),
    # draw
    (3, lambda *a: draw(*a, keep_query=True), "query itself"),
    (3, lambda *a: draw(*a, order=-1), "label order"),
    (3, lambda q, p, n, rng: draw(q, p, n, __import__("random").Random(0)), "at\\s+random"),
    (3, lambda q, p, n, rng: rng.sample(p, n), "One of each|query|order"),
    # most_similar
    (4, lambda q, v, s: most_similar(q, v, s, alike=lambda a, b: (a * b).sum(-1)), "dot product"),
    (4, lambda q, v, s: most_similar(q, v, s, descending=False), "least similar"),
    (4, lambda q, v, s: most_similar(q, v, 1.0), "share"),
    # candidate_words
    (5, lambda z, y, n, k: [z.mean(0).topk(k).indices.tolist()] * n, "one label at a time"),
    (
        5,
        lambda z, y, n, k: [z[y == i].max(0).values.topk(k).indices.tolist() for i in range(n)],
        "mean over",
    ),
    (5, lambda z, y, n, k: [row[::-1] for row in candidate_words(z, y, n, k)], "come first"),
    (5, lambda z, y, n, k: candidate_words(z, y, n, 1), "two word ids"),
    # soft_targets
    (6, lambda z, w, t: soft_targets(z, w, 1.0), "temperature is missing"),
    (6, lambda z, w, t: soft_targets(z, torch.ones(3), t), "weigh them"),
    (6, lambda z, w, t: ((z * w.view(-1, 1, 1)).sum(0) / t).softmax(-1), "divided by their sum"),
    (
        6,
        lambda z, w, t: (z.softmax(-1) * (w / w.sum()).view(-1, 1, 1)).sum(0),
        "averages the logits",
    ),
    # distillation
    (7, lambda s, q, t: distillation(s, q, t) / t**2, "T²"),
    (7, lambda s, q, t: distillation(q, s, t), "other way round"),
    (7, lambda s, q, t: distillation(s, q, t) / 3, "batchmean"),
    (
        7,
        lambda s, q, t: F.cross_entropy(s / t, (q / t).softmax(-1)) * t * t,
        "cross-entropy",
    ),
    # sizes
    (8, lambda n, growth, g: [n * growth**i for i in range(1, g + 1)], "first generation"),
    (8, lambda n, growth, g: [n + growth * n * i for i in range(g)], "same amount"),
    (8, lambda n, growth, g: [n * growth**g], "sizes"),
    # few_shot_prompt
    (9, lambda s, q, t, w, sep: few_shot_prompt([*s, q], q, t, w, sep), "behind every"),
    (9, lambda s, q, t, w, sep: few_shot_prompt(s, q, t, {0: "", 1: ""}, sep), "label word|White"),
    (9, lambda s, q, t, w, sep: few_shot_prompt(s, q, t, w, sep) + " good", "own word"),
    (9, lambda s, q, t, w, sep: few_shot_prompt(s, q, t, w, sep) + sep, "end|nothing"),
    (9, lambda s, q, t, w, sep: few_shot_prompt(s[1:], q, t, w, sep), "missing"),
    # global_entropy
    (10, lambda p, n: global_entropy(p, n) / math.log(2), "base 2"),
    (10, lambda p, n: -global_entropy(p, n), "sign"),
    (10, lambda p, n: _with_nan(p, n), "NaN"),
    (10, lambda p, n: len(set(p)), "expected"),
    # train_tasks
    (11, lambda f, h: [t for tasks in f.values() for t in tasks], "held out"),
    (11, lambda f, h: [family for family in f if family != h], "tasks are wanted"),
    (11, lambda f, h: f[h], "held out"),
    (11, lambda f, h: train_tasks(f, h)[:-1], "expected"),
    # mixing_rates
    (12, lambda s, m: mixing_rates(s, 10**9), "cap"),
    (12, lambda s, m: dict.fromkeys(s, 1 / len(s)), "alike"),
    (12, lambda s, m: {k: min(v, m) for k, v in s.items()}, "sum to 1"),
]


def _with_nan(predictions, n_labels):
    shares = torch.bincount(torch.tensor(predictions), minlength=n_labels) / len(predictions)
    return -(shares * shares.log()).sum()


@pytest.mark.parametrize(("which", "answer", "advice"), MISTAKES)
def test_typical_mistakes_get_advice(which, answer, advice):
    verdict = SOLUTIONS[which][0](answer)
    assert verdict.state == "not yet", str(verdict)
    assert re.search(advice, str(verdict)), str(verdict)


def test_every_exercise_has_three_mistakes_tried():
    for which, name in enumerate(NAMES):
        assert sum(case[0] == which for case in MISTAKES) >= 3, name


class TestYourOwnTemplate:
    KNOWN = ("{sentence} it was {mask} .",)

    @staticmethod
    def check(text, to_beat=0.6):
        scores = {"{sentence} , {mask} !": 0.7}
        return templates_and_verbalizers.check_own_template(
            text, lambda t: scores.get(t, 0.5), to_beat, TestYourOwnTemplate.KNOWN
        )

    def test_right(self):
        assert self.check("{sentence} , {mask} !").state == "right"

    @pytest.mark.parametrize(
        ("text", "advice"),
        [
            ("{sentence}  it was {mask} .", "write another"),
            ("{mask} {sentence}", "0.600 is to be beaten"),
            ("{sentence} it was .", "mask"),
            ("{sentence} {mask} {mask}", "One"),
        ],
    )
    def test_not_yet(self, text, advice):
        verdict = self.check(text)
        assert verdict.state == "not yet"
        assert advice in str(verdict)

    def test_open(self):
        assert self.check(...).state == "open"


class TestCombinations:
    def test_all(self):
        check = few_shot.check_combinations
        assert check(10_000, 100, 2).state == "right"
        assert check(..., 100, 2).state == "open"
        for wrong, advice in ((200, "candidates"), (9900, "and so on"), (4950, "and so on")):
            verdict = check(wrong, 100, 2)
            assert verdict.state == "not yet"
            assert advice in str(verdict)


class TestPatternWeight:
    PATTERN = "{sentence} it was the {mask}"
    WORDS = MappingProxyType({"negative": "bad", "positive": "good"})

    @pytest.fixture
    def task(self):
        rows = [
            {"sentence": "the soup was stale", "label": 0},
            {"sentence": "the waiter was rude", "label": 0},
            {"sentence": "the soup was fresh", "label": 1},
        ]
        splits = {"train": Dataset.from_list(rows)}
        labels = ("negative", "positive")
        return Task("few", "classification", ("sentence",), labels, "accuracy", splits)

    @pytest.fixture
    def right(self, masked, task):
        asked = PromptModel(*masked, self.PATTERN, self.WORDS)
        return asked.predict(task.split("train")).accuracy(task.gold("train"))

    @pytest.fixture
    def check(self, masked, task):
        def checked(weight, pattern=self.PATTERN):
            verdict = semi_supervised.check_pattern_weight(
                weight, pattern, *masked, self.WORDS, task
            )
            return verdict.state, str(verdict)

        return checked

    def test_right_and_open(self, check, right):
        assert check(right)[0] == "right"
        assert check(...)[0] == "open"

    def test_not_yet(self, check, right):
        for wrong in (100 * right, right + 0.01, 1 - right):
            state, advice = check(wrong)
            assert state == "not yet"
            assert "*before*" in advice
        assert "its field" in check(right, "the {mask}")[1]
        assert "Write a pattern" in check(right, ...)[1]
        assert "no {mask}" in check(right, "{sentence} it was")[1]
