"""Self-checks of notebook 02."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from course_utils.prompting import Template
from course_utils.show.exercises.verdict import expect, open_if_none, self_check


@self_check
def check_label_probabilities(label_probabilities) -> str:
    """`label_probabilities(logits, words)`: logits (V,), per label a list of word ids."""
    logits = torch.tensor([0.5, 2.0, -1.0, 3.0, 0.0, 0.4])
    for words in ([[1], [2]], [[1, 4], [3, 2, 5]], [[0], [1, 2], [3]]):
        given = torch.as_tensor(open_if_none(label_probabilities(logits.clone(), words)))
        groups = [logits[ids] for ids in words]
        right = torch.stack([group.mean() for group in groups]).softmax(-1)
        expect(
            given.shape == right.shape,
            f"{len(words)} labels should give {len(words)} probabilities; yours have shape "
            f"{tuple(given.shape)}.",
        )
        if given.allclose(right, atol=1e-4):
            continue
        p = logits.softmax(-1)
        mean_p = torch.stack([p[ids].mean() for ids in words])
        wrong = {
            "You add up the logits of a label's words: a label with more words is then favoured. "
            "Take their mean.": torch.stack([group.sum() for group in groups]).softmax(-1),
            "You take the likeliest word of each label; PET takes the mean over its words.": (
                torch.stack([group.max() for group in groups]).softmax(-1)
            ),
            "You average probabilities over the whole vocabulary; average the logits first, then "
            "take one softmax over the labels.": mean_p / mean_p.sum(),
            "These are probabilities among all words; the softmax goes over the labels' scores "
            "only.": mean_p,
        }
        for advice, other in wrong.items():
            expect(not given.allclose(other, atol=1e-4), advice)
        expect(False, f"For words {words} expected {_short(right)}, got {_short(given)}.")
    return "Only the label words compete: all other words of the vocabulary are left out."


@self_check
def check_shorten(shorten) -> str:
    """`shorten(parts, room)`: parts is a list of (tokens, may_be_cut); returns token lists."""
    cases = [
        ([("abc", True), ("?M,", False), ("de", True)], 20, [3, 3, 2]),
        ([("abcdefgh", True), ("?M,", False), ("xy", True)], 9, [4, 3, 2]),
        ([("ab", True), ("?M,", False), ("qrstuvwxyz", True)], 10, [2, 3, 5]),
        ([("abcdefg", True), ("?M,longfixed", False), ("vwxyz", True)], 20, [4, 12, 4]),
    ]
    for parts, room, lengths in cases:
        tokens = [(list(letters), may) for letters, may in parts]
        given = [list(part) for part in open_if_none(shorten(tokens, room))]
        before = [list(letters) for letters, _ in parts]
        about = f"For parts of {[len(part) for part in before]} tokens and room for {room}: "
        got = [len(part) for part in given]
        expect(len(given) == len(parts), about + f"expected {len(parts)} parts, got {len(given)}.")
        kept = all(g == b for g, b, (_, may) in zip(given, before, parts, strict=True) if not may)
        expect(kept, about + "the part with the mask (M) was cut. It may not be.")
        starts = all(g == b[: len(g)] for g, b in zip(given, before, strict=True))
        expect(starts, about + "tokens go from the end of a part, so its beginning stays.")
        expect(sum(got) <= room, about + f"you leave {sum(got)}, which don't fit.")
        expect(
            sum(got) == min(room, sum(map(len, before))),
            about + f"you leave only {sum(got)}: stop as soon as they fit.",
        )
        expect(
            got == lengths,
            about + f"you leave {got}; {lengths} is right. One token at a time goes, each time "
            "from the part that is longest then.",
        )
    return "The short part, often the hypothesis or the question, survives whole."


@self_check
def check_calibrated(calibrated) -> str:
    """`calibrated(p, p_free)`: p (n, n_labels), p_free (n_labels,)."""
    p = torch.tensor([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]])
    free = torch.tensor([0.75, 0.25])
    given = torch.as_tensor(open_if_none(calibrated(p.clone(), free.clone())))
    right = p / free
    right = right / right.sum(-1, keepdim=True)
    expect(
        given.shape == p.shape, f"Expected shape {tuple(p.shape)}, yours is {tuple(given.shape)}."
    )
    expect(
        not given.allclose(p / free, atol=1e-4),
        "Nearly: the rows must sum to 1 again. Divide each by its own sum.",
    )
    expect(
        not given.allclose((p / free) / (p / free).sum(), atol=1e-4),
        "You divide by the sum of everything; every row is a distribution of its own.",
    )
    subtracted = (p - free).clamp_min(0)
    expect(
        not given.allclose(p - free, atol=1e-4) and not given.allclose(subtracted, atol=1e-4),
        "You subtract the prior from probabilities. Divide: a label said twice as readily counts "
        "half.",
    )
    expect(
        given.allclose(right, atol=1e-4),
        f"For p = {_short(p[0])} and p_free = {_short(free)} expected {_short(right[0])}, got "
        f"{_short(given[0])}.",
    )
    even = torch.as_tensor(calibrated(free[None].clone(), free.clone()))
    expect(even.allclose(torch.full((1, 2), 0.5), atol=1e-4), "An input that says nothing: 0.5?")
    return "An input that says nothing is now answered evenly, whatever words stand for the labels."


@self_check
def check_own_template(
    text: str, score: Callable[[str], float], to_beat: float, known: Sequence[str]
) -> str:
    """A template of the student's own, scored on dev.

    Args:
        score: template text -> accuracy on dev; raises CourseError for what is no template.
        to_beat: the accuracy it should exceed.
        known: templates that are not the student's own.
    """
    template = Template(text)
    expect(template.n_masks == 1, "One {mask}, please: one word is asked for.")
    same = {" ".join(other.split()) for other in known}
    expect(" ".join(text.split()) not in same, "This one stands in the lists above: write another.")
    reached = score(text)
    expect(
        reached > to_beat,
        f"{reached:.3f} on dev; {to_beat:.3f} is to be beaten. Look at the likeliest words in the "
        "playground: would one of the label words come naturally there?",
    )
    return f"{reached:.3f} on dev, {to_beat:.3f} was to be beaten. Now score it on test, once."


def _short(values: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in values.flatten().tolist()]
