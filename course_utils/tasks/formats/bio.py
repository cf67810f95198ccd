"""Spans as tags, one for each word: B-X begins a span of type X, I-X continues it, O is outside.

That is IOB2, which the kit and seqeval speak. Files have other ways to say the same: IOB1 (B- only
where two spans of a type touch), IOBES or BILOU (a last word and a single word of their own), and
CoNLL's stars, "(ARG0*", "*", "*)". `to_iob2` and `from_stars` turn them into IOB2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_BEGINS, _INSIDE = "BSU", "IEL"
_CELL = re.compile(r"(?:\(([^\s()*]+))?\*?([^\s()*]*)(\)?)")


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The same spans in IOB2; IOB2 itself stays as it is.

    Raises:
        ValueError: a tag that is neither O nor a mark (B, I, E, S, L, U), a hyphen and a type.
    """
    made, before = [], ""
    for tag in tags:
        mark, hyphen, kind = tag.partition("-")
        if tag == "O":
            kind = ""
        elif not hyphen or not kind or mark not in {*_BEGINS, *_INSIDE}:
            raise ValueError(f"tag {tag!r}; expected O, B-TYPE or I-TYPE")
        elif mark in _BEGINS or before != kind:
            made.append(f"B-{kind}")
        else:
            made.append(f"I-{kind}")
        if not kind:
            made.append("O")
        before = "" if mark in "SULE" else kind
    return made


def from_stars(cells: Iterable[str]) -> list[str]:
    """CoNLL's column of brackets as IOB2: "(A0*", "*)", "(V*)" gives B-A0, I-A0, B-V.

    Entities of OntoNotes leave the star out of a single word, "(GPE)"; that is read too, and the
    label that older files repeat at the closing bracket, "(V*V)".

    Raises:
        ValueError: brackets that do not match, or one span inside another.
    """
    made, kind = [], None
    for cell in cells:
        found = _CELL.fullmatch(cell)
        if found is None:
            raise ValueError(f"{cell!r}; expected brackets and a star such as (A0*, * or *)")
        opened, _, closed = found.groups()
        if opened:
            if kind is not None:
                raise ValueError(f"{cell!r} begins inside a span of type {kind}")
            kind = opened
            made.append(f"B-{kind}")
        else:
            if closed and kind is None:
                raise ValueError(f"{cell!r} ends a span that never began")
            made.append("O" if kind is None else f"I-{kind}")
        if closed:
            kind = None
    if kind is not None:
        raise ValueError(f"a span of type {kind} never ends")
    return made


def from_spans(spans: Iterable[tuple[int, int, str]], words: int) -> list[str]:
    """Spans (first word, one after the last, type) as IOB2.

    Raises:
        ValueError: a span outside the sentence, an empty one, or two that overlap.
    """
    tags = ["O"] * words
    for start, end, kind in spans:
        if not 0 <= start < end <= words:
            raise ValueError(f"span {start} to {end} ({kind}) in a sentence of {words} words")
        if any(tag != "O" for tag in tags[start:end]):
            raise ValueError(f"span {start} to {end} ({kind}) overlaps another")
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def types(tags: Iterable[str]) -> set[str]:
    """The types of the spans."""
    return {tag.partition("-")[2] for tag in tags if tag != "O"}


def labels(types: Iterable[str]) -> tuple[str, ...]:
    """O, then B-X and I-X of each type in the order given: the labels of a tagging task."""
    return ("O", *(f"{mark}-{kind}" for kind in types for mark in "BI"))
