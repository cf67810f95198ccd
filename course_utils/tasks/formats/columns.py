"""CoNLL columns with named entities: a word per line, an empty line after each sentence.

    EU NNP B-NP B-ORG          CoNLL-2003: word first, tag last, separated by a blank
    0\\tVery\\tO\\t['N']\\t[0]        CoNLL-2004 as Bekoulis et al. (2018) pass it on, by tabs
    ... (ORG* ...               OntoNotes as CoNLL-2012 has it: see `frames.read_conll2012`

CoNLL-2003's -DOCSTART- and CoNLL-2004's "#doc 12" stand between documents and are not words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.tasks.formats.bio import to_iob2, types
from course_utils.tasks.formats.lines import blocks, fail

BETWEEN = ("-DOCSTART-", "#doc")


def read_columns(
    path: Path, known: Sequence[str], *, word: int = 0, tag: int = -1
) -> list[dict[str, Any]]:
    """Sentences as {"tokens": [...], "tags": [...]}, the tags as names in IOB2.

    Args:
        known: types of entities; one that is not among them is an error.
        word, tag: numbers of their columns; -1 is the last.

    Raises:
        CourseError: a line with too few columns, a tag that is none, an unknown type.
    """
    rows = []
    for block in blocks(path, between=BETWEEN):
        cells = [
            (number, line.split("\t") if "\t" in line else line.split()) for number, line in block
        ]
        least = max(word, tag) + 1 if tag >= 0 else max(word + 1, 2)
        for number, fields in cells:
            if len(fields) < least:
                raise fail(path, number, f"{len(fields)} columns; expected at least {least}.")
        rows.append(
            {
                "tokens": [fields[word] for _, fields in cells],
                "tags": _tags(path, [(number, fields[tag]) for number, fields in cells], known),
            }
        )
    if not rows:
        raise CourseError(f"{path} holds no sentence.")
    return rows


def _tags(path: Path, tags: Sequence[tuple[int, str]], known: Sequence[str]) -> list[str]:
    for number, tag in tags:
        try:
            odd = types(to_iob2([tag])) - set(known)
        except ValueError as problem:
            raise fail(path, number, f"{problem}.") from problem
        if odd:
            raise fail(path, number, f"type {odd.pop()!r}; expected one of {', '.join(known)}.")
    return to_iob2([tag for _, tag in tags])
