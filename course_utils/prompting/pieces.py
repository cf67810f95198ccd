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
from weakref import WeakKeyDictionary

from course_utils.errors import CourseError

Kind = OneOf["masked", "causal", "seq2seq"]
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


@dataclass(frozen=True)
class Frame:
    """The special tokens a tokenizer puts round a text and between two."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    pair_before: tuple[int, ...]
    between: tuple[int, ...]
    pair_after: tuple[int, ...]
    second_type: int


@dataclass
class _Stretch:
    """Ids that are kept or cut together; `role` says what they are."""

    ids: list[int]
    role: str
    segment: int = 0


_FRAMES: WeakKeyDictionary = WeakKeyDictionary()


def kind_of(tokenizer) -> Kind:
    """What a tokenizer's PLM does, judged by the tokenizer: it has a mask, sentinels, or neither.

    A model says it better: `PromptModel` passes its model's kind instead.
    """
    if tokenizer.mask_token_id is not None:
        return "masked"
    sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    return "seq2seq" if sentinel not in (None, tokenizer.unk_token_id) else "causal"


def mask_id(tokenizer, kind: Kind, nth: int = 0) -> int:
    """The id standing at the `nth` mask: the mask token, or T5's sentinel <extra_id_n>."""
    if kind == "masked":
        if tokenizer.mask_token_id is None:
            raise CourseError(
                "this PLM is masked but its tokenizer has no mask token; load both from one place."
            )
        return tokenizer.mask_token_id
    sentinel = tokenizer.convert_tokens_to_ids(f"<extra_id_{nth}>")
    if sentinel in (None, tokenizer.unk_token_id):
        raise CourseError(
            f"the tokenizer has no <extra_id_{nth}>; of encoder-decoder PLMs only T5's kind, which "
            "marks a blank with a sentinel, can fill a {mask}."
        )
    return sentinel


def encode_text(tokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids of real text and the characters each came from; never a special token.

    SentencePiece vocabularies hold "</s>" as a piece of its own: where such an id would come out,
    the text is cut inside it and its two halves are tokenized apart.
    """
    if not text:
        return [], []
    encoded = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ids, offsets = list(encoded["input_ids"]), [tuple(o) for o in encoded["offset_mapping"]]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for token, (start, end) in zip(ids, offsets, strict=True):
        if token in special and end - start > 1:
            cut = start + 1
            left, left_at = encode_text(tokenizer, text[:cut])
            right, right_at = encode_text(tokenizer, text[cut:])
            return left + right, left_at + [(a + cut, b + cut) for a, b in right_at]
    return ids, offsets


def frame_of(tokenizer) -> Frame:
    """The special tokens of this tokenizer, found by encoding "a" and the pair "a", "b"."""
    if tokenizer in _FRAMES:
        return _FRAMES[tokenizer]
    first, second = encode_text(tokenizer, "a")[0], encode_text(tokenizer, "b")[0]
    single = tokenizer("a", verbose=False)["input_ids"]
    start, end = _find(single, first)
    pair = tokenizer("a", "b", return_token_type_ids=True, verbose=False)
    pair_start, pair_end = _find(pair["input_ids"], first)
    second_start, second_end = _find(pair["input_ids"], second, pair_end)
    frame = Frame(
        before=tuple(single[:start]),
        after=tuple(single[end:]),
        pair_before=tuple(pair["input_ids"][:pair_start]),
        between=tuple(pair["input_ids"][pair_end:second_start]),
        pair_after=tuple(pair["input_ids"][second_end:]),
        second_type=pair["token_type_ids"][second_start],
    )
    _FRAMES[tokenizer] = frame
    return frame


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
        raise CourseError(
            "the prompt is empty and this tokenizer adds no start token, so a causal PLM has "
            "nothing to continue: put some text before {mask}."
        )
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
                segments[-1].append(_Stretch([_placeholder(tokenizer)] * piece.count, "soft"))
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
    """Put the special tokens round the segments and number them."""
    if len(segments) == 1:
        after = () if kind == "causal" else frame.after
        return [_special(frame.before), *segments[0], _special(after)]
    for stretch in segments[1]:
        stretch.segment = frame.second_type
    after = () if kind == "causal" else frame.pair_after
    return [
        _special(frame.pair_before),
        *segments[0],
        _special(frame.between),
        *segments[1],
        _special(after, frame.second_type),
    ]


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


def _placeholder(tokenizer) -> int:
    """The id under a soft token; its embedding is always replaced."""
    for token in (tokenizer.unk_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return token
    return 0


def _find(ids: list[int], wanted: list[int], after: int = 0) -> tuple[int, int]:
    """Start and end of `wanted` inside `ids`, looking from `after` on."""
    for start in range(after, len(ids) - len(wanted) + 1):
        if ids[start : start + len(wanted)] == wanted:
            return start, start + len(wanted)
    raise CourseError(
        "this tokenizer changes a text when it adds its special tokens, which the kit cannot "
        "reproduce; use a fast tokenizer of BERT's, RoBERTa's, GPT-2's, T5's or Llama's kind."
    )
