"""The template language: from one line of text to a tuple of parts.

    {premise} ? {mask} , {hypothesis}        two fields, a mask, the rest is literal
    {text:keep}                              never shortened (fields are shortened by default)
    {premise:strip,lower}                    without its final punctuation; first letter lower-cased
    {soft:20}                                twenty soft tokens, vectors that belong to no word
    {sep}                                    ends BERT's first segment, begins the second
    {{ and }}                                a literal brace

Nothing is evaluated: a template is data, and may come from a file or a text box. Every error shows
the template with a caret under the place.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from course_utils.errors import CourseError

FIELD_OPTIONS = ("keep", "strip", "lower")
RESERVED = ("mask", "soft", "sep")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MASK_SPELLINGS = re.compile(r"\[MASK\]|<mask>|<extra_id_\d+>|\[mask\]")
MAX_SOFT = 512


@dataclass(frozen=True)
class Literal:
    """Text that is the same in every example."""

    text: str
    at: int


@dataclass(frozen=True)
class Field:
    """A column of the example, put in with its options."""

    name: str
    options: tuple[str, ...]
    at: int

    @property
    def keep(self) -> bool:
        return "keep" in self.options


@dataclass(frozen=True)
class Mask:
    """The place the PLM fills with a word."""

    at: int


@dataclass(frozen=True)
class Soft:
    """`count` soft tokens."""

    count: int
    at: int


@dataclass(frozen=True)
class Separator:
    """The boundary between the first and the second segment."""

    at: int


Part = Literal | Field | Mask | Soft | Separator


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a template, in order.

    Raises:
        CourseError: with a caret under the place, for an unclosed or unexpected brace, an empty or
            malformed name, an unknown option, a second {sep}, a template without a mask.
    """
    if not isinstance(text, str):
        raise CourseError(f"a template is a text, not {type(text).__name__}: {text!r}.")
    parts = _scan(text)
    if not any(isinstance(part, Mask) for part in parts):
        raise _no_mask(text)
    separators = [part for part in parts if isinstance(part, Separator)]
    if len(separators) > 1:
        raise error_at(
            text, separators[1].at, "a second {sep}; a PLM reads two segments at most: drop one"
        )
    return parts


def error_at(text: str, at: int, problem: str) -> CourseError:
    """The error for `problem` at character `at` of a template, with the place marked."""
    shown = text.replace("\n", " ").replace("\t", " ")
    start = max(0, at - 60)
    window = shown[start : at + 40]
    before, after = "..." * (start > 0), "..." * (at + 40 < len(shown))
    caret = " " * (len(before) + at - start) + "^"
    return CourseError(f"the template has {problem}.\n  {before}{window}{after}\n  {caret}")


def _scan(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    literal, literal_at = "", 0
    at = 0
    while at < len(text):
        char = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            literal, at = literal + char, at + 2
        elif char == "}":
            raise error_at(text, at, "a } that nothing opened; a literal brace is written }}")
        elif char == "{":
            if literal:
                parts.append(Literal(literal, literal_at))
            end = _closing(text, at)
            parts.append(_braced(text, at, text[at + 1 : end]))
            literal, at = "", end + 1
            literal_at = at
        else:
            literal, at = literal + char, at + 1
    if literal:
        parts.append(Literal(literal, literal_at))
    return tuple(parts)


def _closing(text: str, opened: int) -> int:
    """The index of the } that closes the { at `opened`."""
    for at in range(opened + 1, len(text)):
        if text[at] == "}":
            return at
        if text[at] == "{":
            raise error_at(text, at, "a { inside braces; a literal brace is written {{")
    raise error_at(text, opened, "a { that is never closed; a literal brace is written {{")


def _braced(text: str, at: int, inside: str) -> Part:
    """The part that `{inside}` at position `at` stands for."""
    name, colon, after = inside.partition(":")
    name, after = name.strip(), after.strip()
    if not name:
        raise error_at(text, at, "empty braces; write a column's name or {mask}")
    if not _NAME.match(name):
        raise error_at(
            text, at + 1, f"{name!r} in braces; a column's name has letters, digits and _ only"
        )
    if name.lower() in RESERVED and name not in RESERVED:
        raise error_at(text, at + 1, f"{name!r} in braces; write {name.lower()!r} in lower case")
    if name in ("mask", "sep"):
        if colon:
            raise error_at(text, at + 1 + len(name), f"an option on {{{name}}}, which takes none")
        return Mask(at) if name == "mask" else Separator(at)
    if name == "soft":
        return Soft(_soft_count(text, at, after), at)
    return Field(name, _options(text, at, name, after, bool(colon)), at)


def _soft_count(text: str, at: int, after: str) -> int:
    count = int(after) if after.isascii() and after.isdigit() else 0
    if not 1 <= count <= MAX_SOFT:
        raise error_at(
            text, at, f"soft tokens without their number; write {{soft:20}} (1 to {MAX_SOFT})"
        )
    return count


def _options(text: str, at: int, name: str, after: str, colon: bool) -> tuple[str, ...]:
    if not colon:
        return ()
    options = tuple(option.strip() for option in after.split(","))
    for option in options:
        if option not in FIELD_OPTIONS:
            near = difflib.get_close_matches(option, FIELD_OPTIONS, n=1, cutoff=0.5)
            did_you_mean = f"; did you mean {near[0]!r}?" if near else ";"
            raise error_at(
                text,
                at + 1 + len(name),
                f"the unknown option {option!r}{did_you_mean} known: {', '.join(FIELD_OPTIONS)}",
            )
    return options


def _no_mask(text: str) -> CourseError:
    spelled = _MASK_SPELLINGS.search(text)
    if spelled:
        return error_at(
            text,
            spelled.start(),
            f"no {{mask}}; {spelled.group()!r} is one PLM's spelling of it: write {{mask}} instead",
        )
    return error_at(
        text, len(text), "no {mask}; put {mask} where the PLM should fill in the label word"
    )
