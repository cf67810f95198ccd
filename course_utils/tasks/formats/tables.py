"""Tables with texts that say them: E2E's csv, and WebNLG's xml.

A row is {"meaning_representation": ..., "human_reference": ...}, one for each pair of a table and
a text, as E2E lists them; evaluation puts the texts of one table together again.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from course_utils.errors import CourseError
from course_utils.tasks.formats.lines import fail, read_lines

TRIPLE = " | "


def read_e2e(path: Path) -> list[dict[str, Any]]:
    """E2E's csv with the header "mr,ref"; a text may stretch over several lines.

    Raises:
        CourseError: another header, another number of fields, an empty table or text.
    """
    text = "\n".join(read_lines(path))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    try:
        header = next(reader, [])
        if header != ["mr", "ref"]:
            raise fail(path, 1, f"the header is {','.join(header)!r}; expected 'mr,ref'.")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != 2 or not all(field.strip() for field in fields):
                raise fail(
                    path,
                    reader.line_num,
                    f"{len(fields)} fields; expected a table and its text, both in quotation "
                    "marks, separated by a comma.",
                )
            rows.append({"meaning_representation": fields[0], "human_reference": fields[1]})
    except csv.Error as broken:
        raise fail(path, reader.line_num, f"broken csv ({broken}).") from broken
    if not rows:
        raise CourseError(f"{path} has a header but no example.")
    return rows


def read_webnlg(path: Path) -> list[dict[str, Any]]:
    """One of WebNLG's xml files, or all below a folder (1triples, 2triples, ...).

    A table is its modified triples, "subject | property | object", with " ; " between two. Rows
    keep the entry's "category" and, as "id", which entry it was.

    Raises:
        CourseError: no xml there, broken xml, an entry without triples or without a text.
    """
    files = sorted(path.rglob("*.xml")) if path.is_dir() else [path]
    if not files:
        raise CourseError(f"{path} holds no .xml file; expected those of WebNLG, such as 1triples.")
    rows = []
    for file in files:
        rows += _entries(file)
    return rows


def linearised(triples: list[str]) -> str:
    """Triples as one text: how a PLM reads a table of WebNLG."""
    parts = [TRIPLE.join(part.strip().replace("_", " ") for part in t.split("|")) for t in triples]
    return " ; ".join(parts)


def _entries(file: Path) -> list[dict[str, Any]]:
    read_lines(file)  # says which line is not UTF-8, or that there is no such file
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as broken:
        line = broken.position[0]
        raise fail(file, line, f"broken xml ({broken}).") from broken
    rows = []
    for entry in root.iter("entry"):
        name = f"{file.stem}/{entry.get('eid', '?')}"
        triples = [t.text or "" for t in entry.findall("modifiedtripleset/mtriple")]
        texts = [(t.text or "").strip() for t in entry.findall("lex")]
        if not triples or any(t.count("|") != 2 for t in triples):
            raise CourseError(
                f"{file}, entry {name}: expected <mtriple>s of the form subject | property | "
                f"object, found {triples[:1] or 'none'}."
            )
        texts = [text for text in texts if text]
        if not texts:
            raise CourseError(f"{file}, entry {name}: no <lex> with a text.")
        table = linearised(triples)
        rows += [
            {
                "meaning_representation": table,
                "human_reference": text,
                "category": entry.get("category", ""),
                "id": name,
            }
            for text in texts
        ]
    if not rows:
        raise CourseError(f"{file} holds no <entry>.")
    return rows
