"""Verbalizers: which words stand for which label (Schick & Schütze 2021).

    >>> verbalizer = Verbalizer({"entailment": "yes", "neutral": "maybe", "contradiction": "no"})
    >>> scores = verbalizer.scores(logits, tokenizer)          # (B, V) -> (B, 3)

A label's score is the mean of its words' logits (PET, equation 2, with several words per label);
the softmax over label scores is the probability. Labels keep the order given: position = id.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from course_utils.errors import CourseError, unknown_name
from course_utils.prompting.tokens import encode_text

WORD_MARKS = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write the space before a word


class Verbalizer:
    """Words for every label.

    Args:
        words: label -> one word or several. The order of the labels is the order of their ids.
        multi_token: allow words of several tokens. Such words are scored by their probability
            instead of their logit, see scoring.py.
        leading_space: whether a byte-level BPE tokenizer sees " great" or "great". Inside a
            sentence it is the former, at the very start of a text the latter. Other tokenizers
            don't care.
        combine: how several words make one score: "mean" (PET) or "max".

    Raises:
        CourseError: fewer than two labels, a label without words, a word used twice.
    """

    def __init__(
        self,
        words: Mapping[str, str | Sequence[str]],
        *,
        multi_token: bool = False,
        leading_space: bool = True,
        combine: Literal["mean", "max"] = "mean",
    ):
        if not isinstance(words, Mapping):
            raise CourseError(
                "a verbalizer maps labels to words, for instance "
                f"{{'positive': 'great', 'negative': 'terrible'}}; got {type(words).__name__}."
            )
        if combine not in ("mean", "max"):
            raise unknown_name("way to combine words", combine, ("mean", "max"))
        self.words = {str(label): _words(label, given) for label, given in words.items()}
        self.labels = tuple(self.words)
        self.multi_token = multi_token
        self.leading_space = leading_space
        self.combine = combine
        self._ids: WeakKeyDictionary = WeakKeyDictionary()
        if len(self.labels) < 2:
            raise CourseError(
                f"a verbalizer needs two labels or more to choose between; got {list(self.labels)}."
            )
        _refuse_duplicates(self.words)

    def __repr__(self) -> str:
        return f"Verbalizer({self.to_dict()!r})"

    def to_dict(self) -> dict[str, list[str]]:
        """Label -> its words, as plain data."""
        return {label: list(words) for label, words in self.words.items()}

    def ordered(self, labels: Iterable[str]) -> Verbalizer:
        """The same verbalizer with its labels in the order of `labels` (a task's ids).

        Raises:
            CourseError: for a label without words, or words for a label the task does not have.
        """
        labels = [str(label) for label in labels]
        for label in self.labels:
            if label not in labels:
                raise unknown_name("label in the verbalizer", label, labels)
        missing = [label for label in labels if label not in self.words]
        if missing:
            raise CourseError(
                f"the verbalizer has no word for label {missing[0]!r}; it has words for "
                f"{', '.join(self.labels)}. Give every label of the task a word."
            )
        return Verbalizer(
            {label: self.words[label] for label in labels},
            multi_token=self.multi_token,
            leading_space=self.leading_space,
            combine=self.combine,
        )

    def label_id(self, label: int | str) -> int:
        """A label's id, from its id or its name."""
        if isinstance(label, str):
            if label not in self.words:
                raise unknown_name("label", label, self.labels)
            return self.labels.index(label)
        if not 0 <= int(label) < len(self.labels):
            raise CourseError(
                f"label id {label} is outside 0 to {len(self.labels) - 1}, the ids of "
                f"{', '.join(self.labels)}."
            )
        return int(label)

    def token_ids(self, tokenizer) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Per label, per word, the ids of its tokens.

        Raises:
            CourseError: a word of several tokens (unless `multi_token`), naming its pieces and
                near words of one token; a word the tokenizer does not know; two labels whose words
                become the same token.
        """
        if tokenizer not in self._ids:
            self._ids[tokenizer] = self._tokenize(tokenizer)
        return self._ids[tokenizer]

    def lengths(self, tokenizer) -> tuple[int, ...]:
        """The different numbers of tokens its words have, shortest first."""
        return tuple(sorted({len(ids) for label in self.token_ids(tokenizer) for ids in label}))

    def scores(self, logits: Tensor, tokenizer) -> Tensor:
        """Label scores from the logits at the mask.

        Args:
            logits: (..., V), the PLM's logits over its vocabulary.

        Returns:
            (..., n_labels).
        """
        ids = self.token_ids(tokenizer)
        if self.lengths(tokenizer) != (1,):
            raise CourseError(
                "this verbalizer has words of several tokens, which one mask's logits can't score; "
                "use PromptModel, which fills as many masks as a word has tokens."
            )
        columns = torch.tensor([token for label in ids for (token,) in label], device=logits.device)
        return self.combine_words(logits.index_select(-1, columns))

    def probabilities(self, logits: Tensor, tokenizer) -> Tensor:
        """Softmax over the label scores: (..., V) -> (..., n_labels), each row sums to 1."""
        return self.scores(logits, tokenizer).softmax(dim=-1)

    def predictions(self, logits: Tensor, tokenizer) -> list[str]:
        """The name of the best label per row: (B, V) -> B names."""
        best = self.scores(logits, tokenizer).argmax(dim=-1)
        return [self.labels[i] for i in best.reshape(-1).tolist()]

    def combine_words(self, word_scores: Tensor) -> Tensor:
        """(..., n_words), words of the first label first, to (..., n_labels)."""
        groups = word_scores.split([len(words) for words in self.words.values()], dim=-1)
        if self.combine == "max":
            return torch.stack([group.amax(dim=-1) for group in groups], dim=-1)
        return torch.stack([group.mean(dim=-1) for group in groups], dim=-1)

    def _tokenize(self, tokenizer) -> tuple[tuple[tuple[int, ...], ...], ...]:
        seen: dict[tuple[int, ...], tuple[str, str]] = {}
        result = []
        for label, words in self.words.items():
            rows = []
            for word in words:
                ids = self._word_ids(tokenizer, label, word)
                if ids in seen:
                    other_label, other = seen[ids]
                    raise CourseError(
                        f"to this tokenizer {word!r} (label {label!r}) and {other!r} (label "
                        f"{other_label!r}) are the same word: choose another for one of them."
                    )
                seen[ids] = (label, word)
                rows.append(ids)
            result.append(tuple(rows))
        return tuple(result)

    def _word_ids(self, tokenizer, label: str, word: str) -> tuple[int, ...]:
        ids = word_ids(tokenizer, word, leading_space=self.leading_space)
        if not ids or tokenizer.unk_token_id in ids:
            raise CourseError(
                f"the word {word!r} of label {label!r} is not in this PLM's vocabulary."
                f"{_near(tokenizer, word)}"
            )
        if len(ids) > 1 and not self.multi_token:
            pieces = " ".join(tokenizer.convert_ids_to_tokens(list(ids)))
            raise CourseError(
                f"the word {word!r} of label {label!r} is {len(ids)} tokens for this PLM "
                f"({pieces}), but a label word must be one.{_near(tokenizer, word)} Or allow it "
                "with Verbalizer(..., multi_token=True)."
            )
        return ids


def word_ids(tokenizer, word: str, *, leading_space: bool = True) -> tuple[int, ...]:
    """The ids of a word as it stands inside a sentence (or, without the space, at its start)."""
    spaced, _ = encode_text(tokenizer, f" {word}")
    if leading_space and spaced:
        first = tokenizer.convert_ids_to_tokens(spaced[0])
        if first.startswith("Ġ"):
            return tuple(spaced)
    return tuple(encode_text(tokenizer, word)[0])


def word_of(tokenizer, token_id: int) -> str:
    """The readable word of one token: "Ġgreat" and "▁great" are "great", "##ing" stays marked."""
    token = tokenizer.convert_ids_to_tokens(int(token_id))
    if token.startswith("##"):
        return token
    return tokenizer.decode([int(token_id)]).strip() or token


def whole_words(tokenizer) -> dict[str, int]:
    """The vocabulary's tokens that are whole words of letters, and their ids."""
    vocabulary = tokenizer.get_vocab()
    marked = {t[1:]: i for t, i in vocabulary.items() if t.startswith(WORD_MARKS)}
    found = marked if len(marked) > 1 else vocabulary
    special = set(tokenizer.all_special_tokens)
    return {w: i for w, i in found.items() if w.isalpha() and w not in special}


def _near(tokenizer, word: str) -> str:
    """A sentence naming words of one token spelled like `word`, or nothing."""
    known = [
        w for w in whole_words(tokenizer) if w[:1] == word[:1] and abs(len(w) - len(word)) <= 4
    ]
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f" Near words of one token: {', '.join(near)}." if near else ""


def _words(label: Any, given: str | Sequence[str]) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else tuple(given)
    if not words:
        raise CourseError(f"label {label!r} has no words: give it at least one.")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise CourseError(f"label {label!r} has {word!r} among its words, which is no word.")
    return tuple(word.strip() for word in words)


def _refuse_duplicates(words: Mapping[str, tuple[str, ...]]) -> None:
    owner: dict[str, str] = {}
    for label, group in words.items():
        for word in group:
            if word in owner:
                where = "twice for" if owner[word] == label else f"for {owner[word]!r} and"
                raise CourseError(
                    f"the word {word!r} is given {where} {label!r}: every label word must stand "
                    "for one label, once."
                )
            owner[word] = label
