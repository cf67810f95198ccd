"""Asking a PLM directly: fill a blank, name the next words, continue a text."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.scoring import blank_logits, model_kind, plm_of, position_limit
from course_utils.prompting.template import DEFAULT_LENGTH
from course_utils.prompting.tokens import encode_text, mask_id
from course_utils.prompting.verbalizer import word_of
from course_utils.tasks.batches import collate, pad_id


class Word(NamedTuple):
    """A word the PLM would put in, and how sure it is."""

    word: str
    probability: float


@torch.no_grad()
def fill_mask(
    model: nn.Module, tokenizer, text: str, top: int = 5
) -> list[Word] | list[list[Word]]:
    """The `top` words a masked PLM would write in the blank of `text`.

    Args:
        text: plain text with the blank written {mask}, or as the PLM itself writes it ([MASK]).

    Returns:
        Words with their probabilities, likeliest first; for several blanks one such list each
        (every blank is filled as if the others stayed blank).

    Raises:
        CourseError: no blank in the text, a causal PLM, or a text longer than the PLM allows.
    """
    kind = model_kind(model)
    if kind == "causal":
        raise CourseError(
            "this PLM is causal: it continues a text and can't look behind a blank. Use "
            "next_words(...) or continue_text(...), or a masked PLM."
        )
    blanks = {"{mask}", tokenizer.mask_token or "{mask}"}
    parts = re.split("|".join(map(re.escape, blanks)), text)
    if len(parts) < 2:
        raise CourseError(f"the text has no blank: write {{mask}} in it. It was {text[:60]!r}.")
    if len(parts) > 2 and kind == "seq2seq":
        raise CourseError("an encoder-decoder PLM is asked for one blank at a time: keep one.")
    pieces = [Piece("literal", parts[0])]
    for part in parts[1:]:
        pieces += [Piece("mask"), Piece("literal", part)]
    inputs, positions = _inputs(pieces, tokenizer, model)
    words = [_top(row, tokenizer, top) for row in _ask(model, tokenizer, inputs, positions)]
    return words[0] if len(words) == 1 else words


@torch.no_grad()
def next_words(model: nn.Module, tokenizer, text: str, top: int = 5) -> list[Word]:
    """The `top` tokens a causal PLM would write behind `text`, with their probabilities."""
    _need_causal(model)
    pieces = [Piece("literal", text), Piece("mask")]
    inputs, positions = _inputs(pieces, tokenizer, model)
    return _top(_ask(model, tokenizer, inputs, positions)[0], tokenizer, top)


@torch.no_grad()
def continue_text(
    model: nn.Module,
    tokenizer,
    text: str,
    *,
    max_new_tokens: int = 30,
    temperature: float = 0.0,
    top_k: int = 50,
    seed: int = 0,
) -> str:
    """`text` and what a causal PLM writes behind it.

    Args:
        max_new_tokens: at most so many; the PLM's end token stops earlier.
        temperature: 0 takes the likeliest token each time; above 0 tokens are drawn.
        top_k: drawn only from so many likeliest tokens (0: from all).
        seed: of the draw; PyTorch's own random state is left as it was.

    Raises:
        CourseError: a masked PLM, or text and continuation longer than the PLM allows.
    """
    _need_causal(model)
    if temperature < 0 or max_new_tokens < 1:
        raise CourseError("temperature must be 0 or more and max_new_tokens 1 or more.")
    room = _room(model)
    pieces = [Piece("literal", text), Piece("mask")]
    inputs, _ = _inputs(pieces, tokenizer, model)
    start = inputs["input_ids"].shape[1]
    if start + max_new_tokens > room:
        raise CourseError(
            f"{start} tokens of text and {max_new_tokens} new ones are more than the {room} this "
            f"PLM allows: ask for {room - start} or shorten the text."
        )
    options = {"do_sample": False}
    if temperature > 0:
        options = {"do_sample": True, "temperature": temperature, "top_k": top_k}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ids = model.generate(
            **inputs, max_new_tokens=max_new_tokens, pad_token_id=pad_id(tokenizer), **options
        )
    return _join(text, tokenizer, ids[0, start:].tolist())


def _join(text: str, tokenizer, new: list[int]) -> str:
    """Text and continuation, with the space between them that the tokenizer means."""
    old, _ = encode_text(tokenizer, text)
    before = tokenizer.decode(old, skip_special_tokens=True)
    both = tokenizer.decode([*old, *new], skip_special_tokens=True)
    if both.startswith(before):
        return text + both[len(before) :]
    return f"{text} {tokenizer.decode(new, skip_special_tokens=True).lstrip()}"


def _ask(model: nn.Module, tokenizer, inputs: dict[str, Tensor], positions: Tensor) -> Tensor:
    """(M, V) logits at the blanks of one text; the model's mode is left as it was."""
    kind = model_kind(model)
    mask = -1 if kind == "causal" else mask_id(tokenizer, kind)
    was_training = model.training
    model.eval()
    try:
        return blank_logits(model, inputs, positions, kind, mask)[0]
    finally:
        model.train(was_training)


def _top(logits: Tensor, tokenizer, top: int) -> list[Word]:
    chances, ids = logits.float().softmax(-1).topk(min(top, logits.shape[-1]))
    pairs = zip(ids.tolist(), chances.tolist(), strict=True)
    return [Word(word_of(tokenizer, i), p) for i, p in pairs]


def _inputs(pieces: list[Piece], tokenizer, model: nn.Module) -> tuple[dict[str, Tensor], Tensor]:
    """What the PLM reads, and where its answer stands (1, M)."""
    encoded = encode_pieces(pieces, tokenizer, kind=model_kind(model), max_length=sys.maxsize)
    length, room = len(encoded["input_ids"]), _room(model)
    if length > room:
        raise CourseError(
            f"the text is {length} tokens long, but this PLM reads {room} at most: shorten it."
        )
    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in collate([encoded], tokenizer).items()}
    return batch, batch.pop("mask_positions")


def _room(model: nn.Module) -> int:
    return position_limit(model) or 2 * DEFAULT_LENGTH


def _need_causal(model: nn.Module) -> None:
    if model_kind(model) != "causal":
        raise CourseError(
            f"{type(plm_of(model)).__name__} does not continue texts: use a causal PLM such as "
            '"pocket-gpt2" or "gpt2", or fill_mask(...).'
        )
