"""From pieces of text to the ids a PLM reads, with nothing real mistaken for a special token.

A filled-in template is a list of `Piece`s. Neighbouring texts are tokenized together, exactly as
the PLM's tokenizer would inside the whole sentence, so the ids equal `tokenizer(rendered text)`;
masks, soft tokens and segment boundaries are put in as ids. A "[MASK]" or "</s>" that somebody
typed inside an example is therefore ordinary text.

When the sequence is too long, tokens go one at a time from the end of the longest shortenable
piece (PET, Schick & Schütze 2021); masks, literals and kept fields always stay.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from typing import Literal as OneOf

from course_utils.errors import CourseError
from course_utils.prompting.tokens import (
    Frame,
    Kind,
    encode_text,
    frame_of,
    mask_id,
    placeholder_id,
)

PieceKind = OneOf["literal", "field", "mask", "soft", "sep"]
_TEXT = ("literal", "field")


@dataclass(frozen=True)
class Piece:
    """One stretch of a filled-in template.

    Attributes:
        kind: "literal" and "field" carry `text`; "mask", "soft" and "sep" stand for themselves.
        text: the words (a label word filled in for a mask is a literal).
        name: the column a field came from.
        shortenable: whether tokens may be cut from its end.
        count: how many soft tokens.
    """

    kind: PieceKind
    text: str = ""
    name: str = ""
    shortenable: bool = False
    count: int = 0


@dataclass
class _Stretch:
    """Ids that are kept or cut together; `role` says what they are."""

    ids: list[int]
    role: str
    segment: int = 0


def encode_pieces(
    pieces: list[Piece],
    tokenizer,
    *,
    kind: Kind,
    max_length: int,
    reserve: int = 0,
) -> dict[str, list[int]]:
    """The ids of `pieces`, framed by special tokens and cut to `max_length`.

    Args:
        kind: what the PLM does. A causal PLM's mask is the token after the last one: it gets no id,
            and no end-of-text token follows.
        reserve: places to leave free, for label words of several tokens.

    Returns:
        input_ids, attention_mask, token_type_ids (where the tokenizer's PLM reads them),
        mask_positions (for a causal PLM the last token, whose next word is asked for), and, where
        there are soft tokens, soft_positions: row i of a soft prompt belongs at soft_positions[i].

    Raises:
        CourseError: if what must stay does not fit into `max_length`.
    """
    stretches = _frame(_stretches(pieces, tokenizer, kind), frame_of(tokenizer), kind)
    _shorten(stretches, max_length - reserve, reserve)
    ids = [token for stretch in stretches for token in stretch.ids]
    roles = [stretch.role for stretch in stretches for _ in stretch.ids]
    if kind == "causal" and not ids:
        # A causal PLM needs something to continue; its start token says "a new text".
        if tokenizer.bos_token_id is None:
            raise CourseError(
                "the prompt is empty and this tokenizer has no start token, so a causal PLM has "
                "nothing to continue: put some text before {mask}."
            )
        stretches = [_special((tokenizer.bos_token_id,))]
        ids, roles = [tokenizer.bos_token_id], ["special"]
    encoded = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    if "token_type_ids" in tokenizer.model_input_names:
        encoded["token_type_ids"] = [s.segment for s in stretches for _ in s.ids]
    masks = [at for at, role in enumerate(roles) if role == "mask"]
    encoded["mask_positions"] = [len(ids) - 1] if kind == "causal" else masks
    soft = [at for at, role in enumerate(roles) if role == "soft"]
    if soft:
        encoded["soft_positions"] = soft
    return encoded


def _stretches(pieces: list[Piece], tokenizer, kind: Kind) -> list[list[_Stretch]]:
    """The stretches of each segment, before framing."""
    segments: list[list[_Stretch]] = [[]]
    pieces = _strip_texts(pieces, tokenizer, kind)
    n_masks = 0
    for is_text, group in groupby(pieces, key=lambda piece: piece.kind in _TEXT):
        run = list(group)
        if is_text:
            segments[-1].extend(_text_stretches(run, tokenizer))
            continue
        for piece in run:
            if piece.kind == "sep":
                segments.append([])
            elif piece.kind == "soft":
                segments[-1].append(_Stretch([placeholder_id(tokenizer)] * piece.count, "soft"))
            elif kind != "causal":
                segments[-1].append(_Stretch([mask_id(tokenizer, kind, n_masks)], "mask"))
                n_masks += 1
    return segments


def _strip_texts(pieces: list[Piece], tokenizer, kind: Kind) -> list[Piece]:
    """Drop the white space that a special token swallows on its left or right.

    RoBERTa's mask takes the space before it; a segment begins and ends without one; a causal PLM's
    label word brings its own.
    """
    texts = [piece.text for piece in pieces]
    left = {"sep"} | ({"mask"} if kind == "causal" or _strips(tokenizer, kind, "lstrip") else set())
    right = {"sep"} | ({"mask"} if _strips(tokenizer, kind, "rstrip") else set())
    for at, piece in enumerate(pieces):
        step, strip = at - 1, str.rstrip
        while piece.kind in left and step >= 0 and pieces[step].kind in _TEXT:
            texts[step] = strip(texts[step])
            if texts[step]:
                break
            step -= 1
        step, strip = at + 1, str.lstrip
        while piece.kind in right and step < len(pieces) and pieces[step].kind in _TEXT:
            texts[step] = strip(texts[step])
            if texts[step]:
                break
            step += 1
    return [
        piece if piece.text == text else Piece(piece.kind, text, piece.name, piece.shortenable)
        for piece, text in zip(pieces, texts, strict=True)
    ]


def _strips(tokenizer, kind: Kind, side: str) -> bool:
    if kind == "causal":
        return False
    token = tokenizer.added_tokens_decoder.get(mask_id(tokenizer, kind))
    return bool(getattr(token, side, False))


def _text_stretches(run: list[Piece], tokenizer) -> list[_Stretch]:
    """Tokenize neighbouring texts as one, then give every token to the piece it ends in."""
    ids, offsets = encode_text(tokenizer, "".join(piece.text for piece in run))
    ends, total = [], 0
    for piece in run:
        total += len(piece.text)
        ends.append(total)
    owners = [min(bisect_right(ends, max(0, e - 1)), len(run) - 1) for _, e in offsets]
    return [
        _Stretch(
            [token for token, owner in zip(ids, owners, strict=True) if owner == at],
            "shortenable" if piece.shortenable else "fixed",
        )
        for at, piece in enumerate(run)
    ]


def _frame(segments: list[list[_Stretch]], frame: Frame, kind: Kind) -> list[_Stretch]:
    """Put the special tokens round the segments and between them, and number them."""
    if len(segments) == 1:
        before, after, last = frame.before, frame.after, 0
    else:
        before, after, last = frame.pair_before, frame.pair_after, frame.second_type
    framed = [_special(before), *segments[0]]
    for segment in segments[1:]:
        for stretch in segment:
            stretch.segment = last
        framed += [_special(frame.between, 0 if segment is segments[1] else last), *segment]
    return [*framed, _special(() if kind == "causal" else after, last)]


def _shorten(stretches: list[_Stretch], room: int, reserve: int) -> None:
    """Cut one token at a time from the longest shortenable stretch until all fits in `room`."""
    cuttable = [stretch for stretch in stretches if stretch.role == "shortenable"]
    total = sum(len(stretch.ids) for stretch in stretches)
    fixed = total - sum(len(stretch.ids) for stretch in cuttable)
    if fixed > room:
        extra = f", {reserve} places for label words of several tokens" if reserve else ""
        raise CourseError(
            f"the template's fixed parts take {fixed + reserve} tokens (masks, literals, kept "
            f"fields, special tokens{extra}), but only {room + reserve} fit: raise the maximum "
            "length, shorten the template, or let fields be shortened."
        )
    lengths = [len(stretch.ids) for stretch in cuttable]
    for _ in range(total - room):
        # Of equally long ones the last is cut, as in PET.
        longest = max(range(len(lengths)), key=lambda i: (lengths[i], i))
        lengths[longest] -= 1
    for stretch, length in zip(cuttable, lengths, strict=True):
        del stretch.ids[length:]


def _special(ids: tuple[int, ...], segment: int = 0) -> _Stretch:
    return _Stretch(list(ids), "special", segment)
