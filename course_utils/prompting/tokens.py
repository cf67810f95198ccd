"""What the kit must know of a tokenizer: mask, frame of special tokens, ids of real text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from course_utils.errors import CourseError

Kind = Literal["masked", "causal", "seq2seq"]


@dataclass(frozen=True)
class Frame:
    """The special tokens a tokenizer puts round a text and between two."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    pair_before: tuple[int, ...]
    between: tuple[int, ...]
    pair_after: tuple[int, ...]
    second_type: int


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


def placeholder_id(tokenizer) -> int:
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
