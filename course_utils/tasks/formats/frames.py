"""Sentences with predicates and their arguments (semantic role labelling), in the formats people
have. Every reader gives one row per predicate:

    {"tokens": [...], "verb_index": 4, "tags": ["B-A0", "I-A0", "O", "B-AM-MOD", "B-V", ...]}

    read_conll2005   columns of the shared task: words, and props with stars, in one file or two
    read_conll2012   OntoNotes' *_conll files (gold_conll): word in column 4, arguments in stars
    read_up          CoNLL-U with Universal PropBank's columns, of version 2 or 1
    read_bars        "4 Mr. Stolzman said ||| B-A0 I-A0 B-V", as later work passes CoNLL-2005 on

A predicate without a single argument has a row all the same. A predicate whose own word is not
tagged (it happens in all of these) keeps its verb_index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.tasks.formats.bio import from_spans, from_stars, to_iob2
from course_utils.tasks.formats.lines import Line, blocks, fail, read_lines

Row = dict[str, Any]
VERB = "V"


def read_conll2005(path: Path, props: Path | None = None) -> list[Row]:
    """CoNLL-2005: a word per line, then the predicate's base form or "-", then a column of stars
    for each predicate of the sentence.

    Args:
        path: a file with all columns, the word first (columns between word and props, such as
            part of speech and parse, are passed over); or the words alone, and then
        props: the file with predicates and stars, line by line.

    Raises:
        CourseError: files of different lengths, lines with different numbers of columns, as many
            predicates as there are columns of stars, brackets that do not match.
    """
    if props is not None:
        return [row for block in _beside(path, props) for row in _starred(path, block)]
    rows = []
    for block in blocks(path):
        rows += _starred(path, [(number, line.split()) for number, line in block])
    return _some(rows, path)


def read_conll2012(path: Path) -> list[Row]:
    """OntoNotes 5 as CoNLL-2012 has it: one *_conll file, or all below a folder.

    Column 4 is the word, 7 the predicate's lemma, 8 its frameset ("-" where there is none), 12 and
    on the arguments, the last coreference. Only lemmas with a frameset are predicates.
    """
    rows = []
    for file, block in _sentences2012(path):
        predicates = [at for at, (_, fields) in enumerate(block) if fields[7] != "-"]
        stars = [fields[11:-1] for _, fields in block]
        rows += _rows(file, block, [fields[3] for _, fields in block], predicates, stars)
    return _some(rows, path)


def read_conll2012_names(path: Path) -> list[Row]:
    """Entities of the same files, column 11: {"tokens", "tags"}, every sentence."""
    rows = []
    for file, block in _sentences2012(path):
        try:
            tags = from_stars(fields[10] for _, fields in block)
        except ValueError as odd:
            raise fail(file, block[0][0], f"entities of this sentence: {odd}.") from odd
        rows.append({"tokens": [fields[3] for _, fields in block], "tags": tags})
    return _some(rows, path)


def read_up(path: Path) -> list[Row]:
    """CoNLL-U with Universal PropBank's columns, one .conllu or .conllup file or a folder of them.

    Version 2 has UP:PRED, UP:ARGHEADS and UP:ARGSPANS ("A0:1-3|A1:5-7") after CoNLL-U's ten.
    Version 1 has the roleset and then a column per predicate with labels at the arguments' heads:
    an argument is then its head with all that depends on it, as far as that is in one piece.
    """
    files = [path]
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in (".conllu", ".conllup"))
    rows = []
    for file in files:
        names = _declared(file)
        for block in blocks(file):
            words = [
                (number, line.split("\t")) for number, line in block if not line.startswith("#")
            ]
            words = [(n, f) for n, f in words if f[0].isdigit()]  # no ranges, no empty nodes
            if words:
                rows += _universal(file, words, names)
    return _some(rows, path)


def read_bars(path: Path) -> list[Row]:
    """Lines "verb_index words ||| tags", one for each predicate."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        left, bars, right = line.partition("|||")
        index, *words = left.split()
        tags = right.split()
        if not bars or not index.isdigit() or len(words) != len(tags) or int(index) >= len(words):
            raise fail(
                path,
                number,
                f"{len(words)} words, {len(tags)} tags; expected 'verb_index words ||| tags' with "
                "a tag for each word.",
            )
        try:
            made = to_iob2(tags)
        except ValueError as odd:
            raise fail(path, number, f"{odd}.") from odd
        rows.append({"tokens": words, "verb_index": int(index), "tags": made})
    return _some(rows, path)


def _some(rows: list[Row], path: Path) -> list[Row]:
    if not rows:
        raise CourseError(f"{path} holds no sentence with a predicate.")
    return rows


def _beside(words: Path, props: Path) -> Iterable[list[tuple[int, list[str]]]]:
    left, right = list(blocks(words)), list(blocks(props))
    if len(left) != len(right):
        raise CourseError(
            f"{words} has {len(left)} sentences and {props} {len(right)}; expected the same text."
        )
    for one, other in zip(left, right, strict=True):
        if len(one) != len(other):
            raise fail(
                props,
                other[0][0],
                f"a sentence of {len(other)} lines; it has {len(one)} words in {words}.",
            )
        yield [
            (number, [word.split()[0], *stars.split()])
            for (number, word), (_, stars) in zip(one, other, strict=True)
        ]


def _starred(path: Path, block: list[tuple[int, list[str]]]) -> list[Row]:
    """Rows of a sentence whose last columns are its predicates: a lemma, then stars."""
    width = len(block[0][1])
    for number, fields in block:
        if len(fields) != width:
            raise fail(path, number, f"{len(fields)} columns; the sentence began with {width}.")
    lemma = _column_of_predicates(block, width)
    if lemma is None:
        raise fail(
            path,
            block[0][0],
            "no column with as many predicates (a base form, else '-') as there are columns "
            "of stars after it.",
        )
    predicates = [at for at, (_, fields) in enumerate(block) if fields[lemma] != "-"]
    words = [fields[0] for _, fields in block]
    stars = [fields[lemma + 1 :] for _, fields in block]
    return _rows(path, block, words, predicates, stars)


def _column_of_predicates(block: list[tuple[int, list[str]]], width: int) -> int | None:
    """The last column that has as many entries other than "-" as columns follow it."""
    for column in range(width - 1, 0, -1):
        after = width - 1 - column
        named = sum(fields[column] != "-" for _, fields in block)
        starred = all("*" in cell for _, fields in block for cell in fields[column + 1 :])
        if named == after and starred and not any("*" in f[column] for _, f in block):
            return column
    return None


def _rows(
    path: Path,
    block: Sequence[tuple[int, Any]],
    words: list[str],
    predicates: list[int],
    stars: list[list[str]],
) -> list[Row]:
    """One row per predicate; the n-th column of stars belongs to the n-th predicate."""
    columns = len(stars[0])
    if columns != len(predicates) or any(len(cells) != columns for cells in stars):
        raise fail(
            path,
            block[0][0],
            f"a sentence with {len(predicates)} predicates and {columns} columns of arguments; "
            "expected one column for each.",
        )
    rows = []
    for column, verb in enumerate(predicates):
        try:
            tags = from_stars(cells[column] for cells in stars)
        except ValueError as odd:
            raise fail(path, block[verb][0], f"arguments of {words[verb]!r}: {odd}.") from odd
        rows.append({"tokens": words, "verb_index": verb, "tags": tags})
    return rows


def _sentences2012(path: Path) -> Iterable[tuple[Path, list[tuple[int, list[str]]]]]:
    files = sorted(path.rglob("*_conll")) if path.is_dir() else [path]
    if not files:
        raise CourseError(f"{path} holds no file whose name ends in _conll.")
    for file in files:
        for block in blocks(file):
            cells = [(number, line.split()) for number, line in block if line[0] != "#"]
            for number, fields in cells:
                if len(fields) < 12:
                    raise fail(file, number, f"{len(fields)} columns; CoNLL-2012 has at least 12.")
                if len(fields) != len(cells[0][1]):
                    raise fail(
                        file,
                        number,
                        f"{len(fields)} columns; the sentence began with {len(cells[0][1])}.",
                    )
            if cells:
                yield file, cells


def _declared(file: Path) -> list[str]:
    """The columns that a CoNLL-U Plus file names in its first lines."""
    for line in read_lines(file)[:5]:
        if line.startswith("# global.columns"):
            return line.partition("=")[2].split()
    return []


def _universal(file: Path, block: list[tuple[int, list[str]]], names: list[str]) -> list[Row]:
    width = len(names) or len(block[0][1])
    for number, fields in block:
        if len(fields) != width or width < 11:
            raise fail(
                file,
                number,
                f"{len(fields)} columns; expected {max(width, 11)}: CoNLL-U's ten, then the "
                "predicate's roleset and its arguments.",
            )
    words = [fields[1] for _, fields in block]
    at = {fields[0]: place for place, (_, fields) in enumerate(block)}
    roles = names.index("UP:PRED") if "UP:PRED" in names else 10
    if "UP:ARGSPANS" in names:
        column = names.index("UP:ARGSPANS")
    else:
        column = 12 if not names and width == 13 and _spans(block, 12) else None
    predicates = [place for place, (_, fields) in enumerate(block) if fields[roles] != "_"]
    rows = []
    for turn, verb in enumerate(predicates):
        number, fields = block[verb]
        try:
            if column is not None:
                spans = _named_spans(fields[column], at)
            else:
                spans = _below_heads(file, block, at, roles + 1 + turn)
            spans = [span for span in spans if not span[0] <= verb < span[1]]
            tags = from_spans(_apart([*spans, (verb, verb + 1, VERB)]), len(words))
        except (ValueError, KeyError, IndexError) as odd:
            raise fail(file, number, f"arguments of {words[verb]!r}: {odd}.") from odd
        rows.append({"tokens": words, "verb_index": verb, "tags": tags})
    return rows


def _spans(block: Sequence[Line | tuple[int, list[str]]], column: int) -> bool:
    """Whether a column holds spans such as A0:1-3 (version 2) and not single labels."""
    return any(":" in fields[column] for _, fields in block)


def _named_spans(cell: str, at: dict[str, int]) -> list[tuple[int, int, str]]:
    spans = []
    for part in cell.split("|") if cell != "_" else []:
        label, _, place = part.rpartition(":")
        first, _, last = place.partition("-")
        spans.append((at[first], at[last or first] + 1, label))
    return spans


def _below_heads(
    file: Path, block: Sequence[tuple[int, list[str]]], at: dict[str, int], column: int
) -> list[tuple[int, int, str]]:
    """Version 1: from labels at heads, each with the connected words that depend on it."""
    heads = [at.get(fields[6]) for _, fields in block]
    spans = []
    for place, (_, fields) in enumerate(block):
        if fields[column] == "_":
            continue
        below = {place}
        while True:
            more = {w for w, head in enumerate(heads) if head in below} | below
            if more == below:
                break
            below = more
        start = end = place
        while start - 1 in below:
            start -= 1
        while end + 1 in below:
            end += 1
        spans.append((start, end + 1, fields[column]))
    return spans


def _apart(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Without those that overlap a shorter one: a word has one role."""
    kept: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: span[1] - span[0]):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept)
