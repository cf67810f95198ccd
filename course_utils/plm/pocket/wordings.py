"""How a task is put into words: patterns with their label words, in the template language.

The corpus uses the patterns marked `seen`. The others are kept out of it, word for word: a model
that does well on them has not just recalled a phrase. `{mask}` is where the label word stands.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """A pattern and, label by label, the words that say the label."""

    pattern: str
    words: tuple[tuple[str, ...], ...]
    seen: bool = True


_SENTIMENT = (("terrible", "bad", "awful", "horrible"), ("great", "good", "wonderful", "excellent"))
_NO_YES = (("no",), ("yes",))
_YES_NO = (("yes",), ("no",))
_YES_MAYBE_NO = (("yes",), ("maybe",), ("no",))
_SECTION = (
    ("world", "politics"),
    ("sports", "sport"),
    ("business", "economy"),
    ("science", "technology"),
)

LABELS: dict[str, tuple[str, ...]] = {
    "sst2": ("negative", "positive"),
    "agnews": ("world", "sports", "business", "science"),
    "snli": ("entailment", "neutral", "contradiction"),
    "rte": ("entailment", "not_entailment"),
    "boolq": ("false", "true"),
    "wic": ("different", "same"),
    "wsc": ("no", "yes"),
    "copa": ("choice1", "choice2"),
}

WORDINGS: dict[str, tuple[Wording, ...]] = {
    "sst2": (
        Wording("{sentence} it was {mask} .", _SENTIMENT),
        Wording("{sentence} all in all , it was {mask} .", _SENTIMENT),
        Wording("review : {sentence} verdict : {mask}", (("negative",), ("positive",))),
        Wording("simply {mask} ! {sentence}", _SENTIMENT),
        Wording("{sentence} would i go there again ? {mask} .", _NO_YES),
        Wording("{sentence} in short , {mask} !", _SENTIMENT, seen=False),
        Wording("{sentence} i think that is {mask} news .", _SENTIMENT, seen=False),
    ),
    "agnews": (
        Wording("{text} this is {mask} news .", _SECTION),
        Wording("{mask} : {text}", _SECTION),
        Wording("section : {mask} . {text}", _SECTION),
        Wording("{text} topic : {mask}", _SECTION),
        Wording("a report on {mask} : {text}", _SECTION),
        Wording("{text} in short , it is about {mask} .", _SECTION, seen=False),
        Wording("we talked about {mask} . {text}", _SECTION, seen=False),
    ),
    "snli": (
        Wording("{premise} ? {mask} , {hypothesis}", _YES_MAYBE_NO),
        Wording("{premise} . {mask} , {hypothesis} .", _YES_MAYBE_NO),
        Wording("{premise} . is it true that {hypothesis} ? {mask} .", _YES_MAYBE_NO),
        Wording("{hypothesis} ? {mask} , for {premise} .", _YES_MAYBE_NO),
        Wording(
            "{premise} . that {hypothesis} is {mask} .",
            (("certain",), ("possible",), ("impossible",)),
        ),
        Wording("{premise} . so , {hypothesis} ? {mask} !", _YES_MAYBE_NO, seen=False),
        Wording("i think {premise} . {hypothesis} ? {mask} .", _YES_MAYBE_NO, seen=False),
    ),
    "rte": (
        Wording("{premise} {hypothesis} ? {mask} .", _YES_NO),
        Wording("{premise} does it follow that {hypothesis} ? {mask} .", _YES_NO),
        Wording("{premise} that {hypothesis} is {mask} .", (("true",), ("false",))),
        Wording("{hypothesis} ? {mask} , for {premise}", _YES_NO),
        Wording("{premise} question : {hypothesis} ? answer : {mask}", _YES_NO),
        Wording("{premise} so , {hypothesis} ? {mask} !", _YES_NO, seen=False),
        Wording("i think {premise} {hypothesis} ? {mask} .", _YES_NO, seen=False),
    ),
    "boolq": (
        Wording("{passage} {question} ? {mask} .", _NO_YES),
        Wording("{passage} question : {question} ? answer : {mask}", _NO_YES),
        Wording("{question} ? {mask} , for {passage}", _NO_YES),
        Wording("{passage} tell me , {question} ? {mask} .", _NO_YES),
        Wording("{passage} {question} ? that is {mask} .", (("false",), ("true",))),
        Wording("{passage} so , {question} ? {mask} !", _NO_YES, seen=False),
        Wording("i think {passage} {question} ? {mask} .", _NO_YES, seen=False),
    ),
    "wic": (
        Wording("{sentence1} . {sentence2} . is {word} the same here ? {mask} .", _NO_YES),
        Wording("{word} : {sentence1} . {sentence2} . same meaning ? {mask} .", _NO_YES),
        Wording(
            "{sentence1} . {sentence2} . the meaning of {word} is {mask} .",
            (("different",), ("same",)),
        ),
        Wording(
            "{sentence1} . {sentence2} . so , is {word} alike here ? {mask} !",
            _NO_YES,
            seen=False,
        ),
    ),
    "wsc": (
        Wording("{text} does {span2_text} mean {span1_text} ? {mask} .", _NO_YES),
        Wording("{text} {span2_text} is {span1_text} : {mask}", (("false",), ("true",))),
        Wording("{text} so , {span2_text} is {span1_text} ? {mask} !", _NO_YES, seen=False),
    ),
}
