"""Self-checks of notebook 05."""

from __future__ import annotations

import math
from collections.abc import Mapping

from course_utils.show.exercises.verdict import expect, open_if_none, self_check

_SHOWN = [
    {"sentence": "the bread was stale .", "label": 0},
    {"sentence": "a joy .", "label": 1},
    {"sentence": "never again .", "label": 0},
]


@self_check
def check_few_shot_prompt(few_shot_prompt) -> str:
    """`few_shot_prompt(shown, query, question, words, separator)` -> what a causal PLM reads."""
    query = {"sentence": "what a soup .", "label": 1}
    words = {0: "bad", 1: "good"}
    for shown, separator in ((_SHOWN, " .\n"), (_SHOWN[:1], " | "), ([], "\n")):
        given = open_if_none(few_shot_prompt(shown, query, "{sentence} it was", words, separator))
        solved = [f"{row['sentence']} it was {words[row['label']]}" for row in shown]
        right = separator.join([*solved, "what a soup . it was"])
        if given == right:
            continue
        expect(isinstance(given, str), f"A text is wanted, not {type(given).__name__}.")
        expect(
            not given.rstrip(" .\n|").endswith("it was good"),
            "The query's own word is in the prompt: there is nothing left to answer.",
        )
        for row in shown:
            expect(row["sentence"] in given, "An example is missing.")
        expect(
            given.count("it was") == len(shown) + 1,
            "The question stands behind every example and behind the query.",
        )
        blank = separator.join(f"{row['sentence']} it was" for row in [*shown, query])
        expect(
            given.split() != blank.split(),
            "The examples shown need their label word, or nothing is shown.",
        )
        expect(
            given.strip() != right.strip(),
            "White space at an end: what stands last decides what comes next.",
        )
        expect(
            "what a soup" in given.split(separator)[-1],
            "The query comes last, and nothing (no separator either) behind it.",
        )
        expect(False, f"Expected {right!r}, got {given!r}.")
    return "No parameter anywhere: the whole training set is a piece of text."


@self_check
def check_global_entropy(global_entropy) -> str:
    """`global_entropy(predictions, n_labels)`: of the share of each label among predictions."""
    for predictions, n_labels in (([0, 1, 0, 1], 2), ([0, 0, 0, 1, 2, 2], 3), ([1, 1, 1], 2)):
        counts = [predictions.count(n) / len(predictions) for n in range(n_labels)]
        right = -sum(p * math.log(p) for p in counts if p > 0)
        given = float(open_if_none(global_entropy(list(predictions), n_labels)))
        expect(
            not math.isnan(given),
            "NaN: a label that is never predicted has share 0, and 0 * log 0 counts as 0.",
        )
        if abs(given - right) < 1e-4:
            continue
        expect(abs(given + right) > 1e-4, "The sign: an entropy is never negative.")
        expect(
            abs(given - right / math.log(2)) > 1e-4,
            "These are bits (log base 2); take the natural logarithm, though both rank alike.",
        )
        expect(False, f"For predictions {predictions} expected {right:.4f}, got {given:.4f}.")
    return "The order with the highest value is the one that does not always say the same word."


@self_check
def check_train_tasks(train_tasks) -> str:
    """`train_tasks(families, held_out)`: the tasks to train on when one family is held out."""
    families = {
        "inference": ("rte", "snli"),
        "sentiment": ("sst2",),
        "topic": ("agnews",),
        "word sense": ("wic",),
    }
    for held_out in families:
        given = list(open_if_none(train_tasks(dict(families), held_out)))
        own = [task for task in given if task in families[held_out]]
        expect(
            not own,
            f"{', '.join(own)} belongs to the family held out ({held_out}): the test would not be "
            "of a new kind of task.",
        )
        right = [t for family, tasks in families.items() if family != held_out for t in tasks]
        names = [name for name in given if name in families]
        expect(not names, f"{', '.join(names)}: families were given, tasks are wanted.")
        expect(
            sorted(given) == sorted(right),
            f"Held out {held_out}: expected {sorted(right)}, got {sorted(map(str, given))}.",
        )
    return "It is families that are held out, not data sets: SNLI in training would give RTE away."


@self_check
def check_mixing_rates(mixing_rates) -> str:
    """`mixing_rates(sizes, most)`: share of each task in a mixture, sizes capped at `most`."""
    cases: list[tuple[Mapping[str, int], int]] = [
        ({"a": 1000, "b": 3000}, 10_000),
        ({"a": 500, "b": 550_000, "c": 30_000}, 3000),
    ]
    for sizes, most in cases:
        given = dict(open_if_none(mixing_rates(dict(sizes), most)))
        capped = {name: min(size, most) for name, size in sizes.items()}
        right = {name: size / sum(capped.values()) for name, size in capped.items()}
        expect(set(given) == set(sizes), f"One rate for each of {', '.join(sizes)}.")
        total = sum(given.values())
        expect(abs(total - 1) < 1e-6, f"The rates are shares and sum to 1; yours to {total:g}.")
        plain = {name: size / sum(sizes.values()) for name, size in sizes.items()}
        expect(
            _alike(given, right) or not _alike(given, plain),
            f"Without the cap of {most:,} the largest task is nearly all of the mixture.",
        )
        even = dict.fromkeys(sizes, 1 / len(sizes))
        expect(
            _alike(given, right) or not _alike(given, even),
            "All tasks alike: below the cap, a task counts by its size.",
        )
        expect(
            _alike(given, right),
            f"For sizes {dict(sizes)} and a cap of {most:,} expected {_rounded(right)}, got "
            f"{_rounded(given)}.",
        )
    return "Without a cap, one huge data set would drown the small ones."


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(abs(one[name] - other[name]) < 1e-6 for name in other)


def _rounded(rates: Mapping[str, float]) -> dict[str, float]:
    return {name: round(rate, 3) for name, rate in rates.items()}
