"""WSC's spans: the words they name must be the words that stand in the text.

In the published files some spans differ from their place in the text: by a capital letter, a full
stop, a line break, a missing space. SuperGLUE's "fixed" version takes the words as they stand in
the text; so do we. Two spans have other words between theirs ("Kamenev and Zinoviev") and can't be
had from the text in one piece: they stay as they were written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

REACH = 2  # words that a span may lie beside its index


def arranged(found: dict[str, Any]) -> dict[str, Any]:
    """A line of the file with its nested target taken out and its spans repaired.

    Raises:
        KeyError, TypeError, ValueError: not of WSC's form, or an index outside the text.
    """
    row = {key: found[key] for key in ("text", "idx", "label") if key in found}
    target = found["target"]
    for span in ("span1", "span2"):
        row[f"{span}_text"] = str(target[f"{span}_text"])
        row[f"{span}_index"] = target[f"{span}_index"]
    return repaired(row)


def repaired(row: dict[str, Any]) -> dict[str, Any]:
    """The row with spans as they stand in its text, and the column "starred"."""
    words = row["text"].split()
    for span in ("span1", "span2"):
        index = row[f"{span}_index"]
        if not isinstance(index, int) or not 0 <= index < len(words):
            raise ValueError(f"{span}_index {index!r} in a text of {len(words)} words")
        row[f"{span}_text"] = _as_it_stands(row["text"], row[f"{span}_text"], index)
    row["starred"] = _with_stars(words, row["span2_text"], row["span2_index"])
    return row


def starred(rows: Dataset, split: str) -> Dataset:
    """The same for rows from the Hub."""
    return rows.map(repaired, load_from_cache_file=False, desc=None)


def _as_it_stands(text: str, span: str, index: int) -> str:
    """The span's words as the text writes them at or near that word; the span if they are not."""
    if span in text:
        return span
    wanted = [_bare(word) for word in span.split()]
    words = text.split()
    joined = "".join(wanted)
    for start in sorted(range(len(words)), key=lambda place: abs(place - index)):
        if abs(start - index) > REACH:
            break
        for end in range(start + 1, min(len(words), start + len(wanted) + 2) + 1):
            if "".join(_bare(word) for word in words[start:end]) == joined:
                return " ".join(words[start:end]).strip(".,;:!?\"' ")
    return span


def _bare(word: str) -> str:
    return re.sub(r"[^\w]", "", word).casefold()


def _with_stars(words: list[str], span: str, index: int) -> str:
    """The text with its pronoun between stars, as P-tuning v2's other template writes it."""
    at = index
    near = [
        p for p in range(len(words)) if abs(p - index) <= REACH and _bare(words[p]) == _bare(span)
    ]
    if near:
        at = min(near, key=lambda place: abs(place - index))
    return " ".join(f"*{word}*" if place == at else word for place, word in enumerate(words))
