"""Label words found by the PLM itself (LM-BFF, Gao et al. 2021, section 5.1).

1. Per label, the words the untrained PLM finds likeliest at the mask of that label's training
   examples: the `top_words` with the highest mean logit.
2. Every combination of one word per label, scored by its zero-shot accuracy on the training set.
3. The best combinations are fine-tuned and chosen on dev: `try_prompts` in prompt_search.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.verbalizer import Verbalizer, whole_words

MOST_COMBINATIONS = 1_000_000
_CHUNK = 20_000


class FoundWords(NamedTuple):
    """One word per label, and the zero-shot accuracy with them on the training set."""

    words: dict[str, str]
    accuracy: float

    def verbalizer(self, **options) -> Verbalizer:
        """The words as a `Verbalizer`."""
        return Verbalizer(self.words, **options)


def search_label_words(
    prompt: PromptModel,
    examples: Iterable[Mapping[str, object]],
    *,
    top_words: int = 100,
    keep: int = 100,
    batch_size: int = 32,
) -> list[FoundWords]:
    """The best combinations of label words for a prompt's template, best first.

    Args:
        prompt: gives the PLM, the template and the labels; its own words play no part.
        examples: the labelled training examples.
        top_words: candidates per label, fewer where all combinations would be more than a million.
        keep: how many combinations to return.

    Returns:
        Combinations by accuracy; of equally good ones the PLM's likelier words come first.

    Raises:
        CourseError: no examples, or none of some label.
    """
    examples = list(examples)
    labels = _labels(prompt, examples)
    logits = torch.cat(
        [
            prompt.word_logits(examples[at : at + batch_size]).float().cpu()
            for at in range(0, len(examples), batch_size)
        ]
    )  # (n, V)
    words = whole_words(prompt.tokenizer)
    names, ids = list(words), torch.tensor(list(words.values()))
    count = _affordable(top_words, len(prompt.labels))
    candidates = likeliest_words(logits[:, ids], labels, len(prompt.labels), count)
    ranked = rank_combinations(logits[:, ids], labels, candidates, keep)
    return [
        FoundWords(
            {label: names[word] for label, word in zip(prompt.labels, chosen, strict=True)}, right
        )
        for chosen, right in ranked
    ]


def likeliest_words(logits: Tensor, labels: Tensor, n_labels: int, count: int) -> Tensor:
    """(n_labels, count) columns of `logits` (n, W) with the highest mean over a label's rows."""
    means = torch.stack([logits[labels == label].mean(dim=0) for label in range(n_labels)])
    return means.topk(min(count, logits.shape[1]), dim=1).indices


def rank_combinations(
    logits: Tensor, labels: Tensor, candidates: Tensor, keep: int
) -> list[tuple[tuple[int, ...], float]]:
    """The `keep` most accurate combinations of one candidate per label.

    Args:
        logits: (n, W).
        labels: (n,) ids.
        candidates: (n_labels, k) columns of `logits`, likeliest first.

    Returns:
        (a column per label, accuracy) pairs; a word never stands for two labels.
    """
    n_labels, k = candidates.shape
    scores = logits[:, candidates]  # (n, n_labels, k)
    found: list[tuple[float, int, tuple[int, ...]]] = []
    for chosen in _combinations(n_labels, k):  # (c, n_labels)
        columns = candidates[torch.arange(n_labels), chosen]  # (c, n_labels)
        ordered = columns.sort(dim=1).values
        distinct = (ordered[:, 1:] != ordered[:, :-1]).all(dim=1)
        chosen, columns = chosen[distinct], columns[distinct]
        picked = scores[:, torch.arange(n_labels), chosen]  # (n, c, n_labels)
        right = (picked.argmax(dim=-1) == labels.unsqueeze(1)).float().mean(dim=0)  # (c,)
        ranks = chosen.sum(dim=1)
        order = sorted(range(len(right)), key=lambda i: (-right[i].item(), ranks[i].item()))[:keep]
        found += [(right[i].item(), ranks[i].item(), tuple(columns[i].tolist())) for i in order]
        found = sorted(found, key=lambda entry: (-entry[0], entry[1], entry[2]))[:keep]
    return [(columns, accuracy) for accuracy, _, columns in found]


def _combinations(n_labels: int, k: int) -> Iterator[Tensor]:
    """All (c, n_labels) index combinations below k, in chunks."""
    total = k**n_labels
    powers = k ** torch.arange(n_labels - 1, -1, -1)
    for start in range(0, total, _CHUNK):
        numbers = torch.arange(start, min(start + _CHUNK, total))
        yield numbers.unsqueeze(1) // powers % k


def _affordable(top_words: int, n_labels: int) -> int:
    if top_words < 1:
        raise CourseError(f"top_words must be 1 or more, not {top_words}.")
    while top_words > 1 and top_words**n_labels > MOST_COMBINATIONS:
        top_words -= 1
    return top_words


def _labels(prompt: PromptModel, examples: list[Mapping[str, object]]) -> Tensor:
    given = [example.get("label") for example in examples]
    if not given or any(label in (None, -1) for label in given):
        raise CourseError("label words are searched with labelled training examples: give some.")
    ids = [prompt.verbalizer.label_id(label) for label in given]
    missing = [name for i, name in enumerate(prompt.labels) if i not in set(ids)]
    if missing:
        raise CourseError(f"no example has the label {missing[0]!r}: give one of each label.")
    return torch.tensor(ids)
