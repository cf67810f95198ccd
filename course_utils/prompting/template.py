"""Templates: an example becomes a sentence with a blank (Schick & Schütze 2021).

    >>> template = Template("{premise} ? {mask} , {hypothesis}")
    >>> template.render({"premise": "No weapons found", "hypothesis": "Weapons found"})
    'No weapons found ? [MASK] , Weapons found'

A masked PLM reads the words on both sides of the mask; a causal PLM continues a text, so for it
the mask must be the last thing: "{text} In one word , it was {mask}". The language itself is
described in parsing.py, the way to ids in pieces.py.
"""

from __future__ import annotations

import difflib
import numbers
import string
from collections.abc import Iterable, Mapping

from course_utils.errors import CourseError
from course_utils.prompting.parsing import (
    Field,
    Literal,
    Mask,
    Part,
    Separator,
    Soft,
    error_at,
    parse,
)
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.tokens import Kind, kind_of

DEFAULT_LENGTH = 256


class Template:
    """A text with fields and one mask or more.

    Args:
        text: the template, see parsing.py for the language.

    Attributes:
        text: as given.
        parts: its parts in order.
        fields: the names of the columns it needs, in order of appearance.
        n_masks: how many masks it has.
        n_soft: how many soft tokens it has.

    Raises:
        CourseError: for a text that is no template, with a caret under the place.
    """

    def __init__(self, text: str):
        self.text = text
        self.parts: tuple[Part, ...] = parse(text)
        self.fields = tuple(dict.fromkeys(p.name for p in self.parts if isinstance(p, Field)))
        self.n_masks = sum(isinstance(part, Mask) for part in self.parts)
        self.n_soft = sum(part.count for part in self.parts if isinstance(part, Soft))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def check(
        self,
        tokenizer=None,
        *,
        kind: Kind | None = None,
        columns: Iterable[str] | None = None,
        max_length: int | None = None,
    ) -> None:
        """Find what can't work with this PLM or these columns, before any work.

        Args:
            tokenizer: the PLM's tokenizer.
            kind: what the PLM does; without it the tokenizer decides.
            columns: the columns the examples have.
            max_length: the longest sequence in tokens.

        Raises:
            CourseError: for a column the examples lack, a causal PLM whose mask is not at the end,
                a special token spelled out in the template, fixed parts that can't fit.
        """
        if columns is not None:
            for part in self.parts:
                if isinstance(part, Field):
                    self._known(part, columns)
        if tokenizer is None:
            return
        kind = kind or kind_of(tokenizer)
        self._check_specials(tokenizer)
        if kind == "causal":
            self._check_causal()
        elif kind == "seq2seq" and self.n_masks > 1:
            raise error_at(self.text, self._masks()[1].at, _SECOND_MASK_SEQ2SEQ)
        if max_length is not None:
            empty = dict.fromkeys(self.fields, "")
            self.encode(empty, tokenizer, kind=kind, max_length=max_length)

    def fill(
        self, example: Mapping[str, object], *, word: str | None = None, spaced: bool = True
    ) -> list[Piece]:
        """The template's pieces for one example.

        Args:
            example: a value for every field; texts and numbers.
            word: put this word where the mask is, as in a demonstration.
            spaced: whether a space goes before `word` where the template has none.

        Raises:
            CourseError: for a missing column (naming near ones) or a value that is no text.
        """
        pieces: list[Piece] = []
        for part in self.parts:
            if isinstance(part, Literal):
                pieces.append(Piece("literal", part.text))
            elif isinstance(part, Field):
                text = field_text(self._value(part, example), part.options)
                pieces.append(Piece("field", text, part.name, not part.keep))
            elif isinstance(part, Soft):
                pieces.append(Piece("soft", count=part.count))
            elif isinstance(part, Separator):
                pieces.append(Piece("sep"))
            elif word is None:
                pieces.append(Piece("mask"))
            else:
                before = pieces[-1] if pieces else None
                bare = before is None or before.kind == "sep" or before.text[-1:].isspace()
                pieces.append(Piece("literal", word if bare or not spaced else f" {word}"))
        return pieces

    def ending_in_mask(self) -> Template:
        """The template as a causal PLM can use it: cut behind the mask.

        Punctuation there only ends the sentence, as in "it was {mask} ."; it is left out.

        Raises:
            CourseError: if words, fields or a second mask stand behind it.
        """
        mask = self._masks()[0]
        behind = self.parts[self.parts.index(mask) + 1 :]
        for part in behind:
            wordless = string.punctuation + string.whitespace
            if not (isinstance(part, Literal) and not part.text.strip(wordless)):
                raise error_at(self.text, part.at, _TEXT_AFTER_MASK)
        return Template(self.text[: self.text.index("}", mask.at) + 1])

    def render(
        self, example: Mapping[str, object], *, mask: str = "[MASK]", word: str | None = None
    ) -> str:
        """The filled-in template as a person would read it.

        Masks are shown as `mask` (or as `word`, filled in), twenty soft tokens as "[soft 20]", the
        boundary between segments as "[SEP]".
        """
        shown = {"mask": mask, "sep": "[SEP]"}
        return "".join(
            f"[soft {p.count}]" if p.kind == "soft" else shown.get(p.kind, p.text)
            for p in self.fill(example, word=word)
        )

    def encode(
        self,
        example: Mapping[str, object],
        tokenizer,
        *,
        max_length: int | None = None,
        kind: Kind | None = None,
        reserve: int = 0,
    ) -> dict[str, list[int]]:
        """The ids of one example; see `pieces.encode_pieces` for what comes back.

        Args:
            max_length: tokens at most, special ones included; the tokenizer's own limit or 256,
                whichever is less, if not given.
            kind: "masked", "causal" or "seq2seq"; the tokenizer decides if not given.
            reserve: places to leave free for label words of several tokens.

        Raises:
            CourseError: a missing field, or fixed parts that don't fit.
        """
        kind = kind or kind_of(tokenizer)
        if kind == "causal":
            self._check_causal()
        if max_length is None:
            max_length = min(tokenizer.model_max_length, DEFAULT_LENGTH)
        return encode_pieces(
            self.fill(example), tokenizer, kind=kind, max_length=max_length, reserve=reserve
        )

    def _value(self, part: Field, example: Mapping[str, object]) -> object:
        self._known(part, example)
        return example[part.name]

    def _known(self, part: Field, columns: Iterable[str]) -> None:
        columns = [str(column) for column in columns]
        if part.name in columns:
            return
        near = difflib.get_close_matches(part.name, columns, n=3, cutoff=0.5)
        suggestion = f" did you mean {' or '.join('{' + n + '}' for n in near)}?" if near else ""
        raise error_at(
            self.text,
            part.at + 1,
            f"the field {part.name!r}, which the example lacks;{suggestion} "
            f"its columns: {', '.join(columns) or 'none'}",
        )

    def _masks(self) -> list[Mask]:
        return [part for part in self.parts if isinstance(part, Mask)]

    def _check_causal(self) -> None:
        masks = self._masks()
        if len(masks) > 1:
            raise error_at(self.text, masks[1].at, _SECOND_MASK_CAUSAL)
        behind = self.parts[self.parts.index(masks[0]) + 1 :]
        for part in behind:
            if not (isinstance(part, Literal) and not part.text.strip()):
                raise error_at(self.text, part.at, _TEXT_AFTER_MASK)

    def _check_specials(self, tokenizer) -> None:
        for part in self.parts:
            if not isinstance(part, Literal):
                continue
            for special in tokenizer.all_special_tokens:
                if len(special) > 2 and special in part.text:
                    raise error_at(
                        self.text,
                        part.at + part.text.index(special),
                        f"the special token {special!r} written out, which would be read as "
                        "ordinary characters; write {mask} or {sep}, or leave it out: the "
                        "tokenizer's own start and end tokens are added by themselves",
                    )


_TEXT_AFTER_MASK = (
    "something after {mask}, but this PLM is causal: it reads from left to right and can only "
    "fill in the end; move {mask} to the end, or use a masked PLM"
)
_SECOND_MASK_CAUSAL = (
    "a second {mask}, but this PLM is causal and fills in only what comes next: keep one, at the "
    "end, or use a masked PLM"
)
_SECOND_MASK_SEQ2SEQ = (
    "a second {mask}; an encoder-decoder PLM is asked for one blank (which may be several tokens "
    "long): keep one"
)


def field_text(value: object, options: tuple[str, ...]) -> str:
    """A column's value as text: outer white space dropped, then the field's options."""
    if isinstance(value, bool) or not isinstance(value, str | numbers.Number):
        raise CourseError(
            f"a field needs a text or a number, but the example has "
            f"{type(value).__name__}: {str(value)[:60]!r}. Turn the column into text first."
        )
    text = str(value).strip()
    if "strip" in options:
        text = text.rstrip(string.punctuation + string.whitespace + "。！？，、")
    if "lower" in options:
        text = text[:1].lower() + text[1:]
    return text
