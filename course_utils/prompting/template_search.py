"""Templates found by a PLM (LM-BFF, Gao et al. 2021, section 5.2).

A frame has gaps, written *, round the mask: "{sentence} * {mask} *". With the right label word in
the mask's place the gaps of every training example are filled with the *same* tokens, those with
the highest mean log-probability over all examples, by beam search:

    sum over examples of log p( gap tokens | example, label word )

* An encoder-decoder PLM (T5) writes the gaps itself, as long as it likes: that is the paper's way.
* A masked PLM fills a given number of masks per gap, left to right.

The best are fine-tuned and chosen on dev: `try_prompts` in prompt_search.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.prompting.pieces import Piece, encode_pieces
from course_utils.prompting.scoring import logits_at, model_kind, position_limit
from course_utils.prompting.template import DEFAULT_LENGTH, Template
from course_utils.prompting.tokens import mask_id
from course_utils.prompting.verbalizer import WORD_MARKS, Verbalizer, word_ids
from course_utils.tasks.batches import collate

GAP = "*"


class FoundTemplate(NamedTuple):
    """A template, and the mean log-probability of its gap tokens (per token and example)."""

    text: str
    score: float


@torch.no_grad()
def search_templates(
    model: nn.Module,
    tokenizer,
    frame: str,
    verbalizer: Verbalizer | Mapping[str, str | Sequence[str]],
    examples: Iterable[Mapping[str, object]],
    *,
    beam: int = 20,
    longest: int = 3,
    keep: int = 20,
) -> list[FoundTemplate]:
    """Fill the gaps of a frame so that it suits labelled examples, best first.

    Args:
        model: an encoder-decoder PLM of T5's kind, or a masked PLM.
        frame: a template with one or two gaps (*) and one {mask}.
        verbalizer: gives the word put where the mask is, the first of each label.
        examples: labelled training examples, ids or names of labels.
        beam: how many part fillings are followed (100 in the paper).
        longest: tokens per gap at most. A masked PLM tries all lengths from 0 to this.

    Raises:
        CourseError: a frame without a gap, a causal PLM, no or unlabelled examples.
    """
    frame = " ".join(frame.replace(GAP, f" {GAP} ").split())
    template = Template(frame)
    if not isinstance(verbalizer, Verbalizer):
        verbalizer = Verbalizer(verbalizer)
    gaps = frame.count(GAP)
    if not 1 <= gaps <= 2 or template.n_masks != 1:
        raise CourseError(
            f"a frame has one or two gaps (*) and one {{mask}}, such as '{{text}} * {{mask}} *'; "
            f"got {frame!r}."
        )
    kind = model_kind(model)
    if kind == "causal":
        raise CourseError("a causal PLM can't fill gaps inside a text: use T5 or a masked PLM.")
    filled = [_filled(template, verbalizer, example) for example in examples]
    if not filled:
        raise CourseError("templates are searched with labelled training examples: give some.")
    was_training = model.training
    model.eval()
    try:
        if kind == "seq2seq":
            found = _written(model, tokenizer, filled, gaps, beam, longest)
        else:
            found = _infilled(model, tokenizer, filled, gaps, beam, longest)
    finally:
        model.train(was_training)
    best: dict[str, float] = {}
    for tokens, score in found:
        if not all(_spelled_out(tokenizer, gap) for gap in tokens):
            continue
        text = _text(frame, tokenizer, tokens)
        best[text] = max(score, best.get(text, score))
    ranked = sorted(best.items(), key=lambda pair: -pair[1])[:keep]
    return [FoundTemplate(text, score) for text, score in ranked]


def _filled(template: Template, verbalizer: Verbalizer, example) -> list[Piece]:
    """An example's pieces with its label word in; gaps are pieces of kind "mask"."""
    if example.get("label") in (None, -1):
        raise CourseError("templates are searched with labelled training examples.")
    label = verbalizer.labels[verbalizer.label_id(example["label"])]
    pieces: list[Piece] = []
    for piece in template.fill(example, word=verbalizer.words[label][0]):
        if piece.kind != "literal" or GAP not in piece.text:
            pieces.append(piece)
            continue
        for number, text in enumerate(piece.text.split(GAP)):
            pieces += [Piece("mask")] * (number > 0) + [Piece("literal", text)]
    return pieces


def _infilled(model, tokenizer, filled, gaps: int, beam: int, longest: int) -> list:
    """Fillings by a masked PLM, for every number of masks per gap."""
    found = []
    for sizes in product(range(longest + 1), repeat=gaps):
        if sum(sizes):
            found += _infill(model, tokenizer, filled, sizes, beam)
    return found


def _infill(model, tokenizer, filled, sizes: Sequence[int], beam: int) -> list:
    """Beam search over the masks of gaps of these sizes, all examples at once."""
    limit = position_limit(model) or DEFAULT_LENGTH
    encoded = []
    for pieces in filled:
        gap = iter(sizes)
        sized = [p for q in pieces for p in ([q] * next(gap) if q.kind == "mask" else [q])]
        encoded.append(encode_pieces(sized, tokenizer, kind="masked", max_length=limit))
    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in collate(encoded, tokenizer).items()}
    positions = batch.pop("mask_positions")  # (n, slots)
    never, not_first = _forbidden(tokenizer, device)
    first = {sum(sizes[:i]) for i in range(len(sizes))}
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for slot in range(sum(sizes)):
        forbidden = not_first if slot in first else never
        grown = []
        for tokens, score in beams:
            ids = batch["input_ids"].clone()
            if tokens:
                given = torch.tensor(tokens, device=device).expand(len(ids), -1)
                ids.scatter_(1, positions[:, :slot], given)
            logits = logits_at(model, {**batch, "input_ids": ids}, positions[:, slot : slot + 1])
            grown += _grow(tokens, score, logits[:, 0], forbidden, beam)
        beams = sorted(grown, key=lambda b: -b[1])[:beam]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [
        (
            [t[end - size : end] for end, size in zip(ends, sizes, strict=True)],
            score / sum(sizes),
        )
        for t, score in beams
    ]


def _written(model, tokenizer, filled, gaps: int, beam: int, longest: int) -> list:
    """Fillings written by an encoder-decoder PLM between its sentinels."""
    encoded = [
        encode_pieces(pieces, tokenizer, kind="seq2seq", max_length=2 * DEFAULT_LENGTH)
        for pieces in filled
    ]
    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in collate(encoded, tokenizer).items()}
    batch.pop("mask_positions")
    memory = model.get_encoder()(**batch)
    sentinels = [mask_id(tokenizer, "seq2seq", nth) for nth in range(gaps + 1)]
    never, not_first = _forbidden(tokenizer, device)
    start = model.config.decoder_start_token_id
    beams: list[tuple[tuple[int, ...], float]] = [((sentinels[0],), 0.0)]
    done = []
    for _ in range(gaps * (longest + 1)):
        grown = []
        for tokens, score in beams:
            decoder = torch.tensor([[start, *tokens]], device=device).expand(len(filled), -1)
            logits = model(
                encoder_outputs=memory,
                attention_mask=batch["attention_mask"],
                decoder_input_ids=decoder,
            ).logits[:, -1]  # (n, V)
            gap = sum(token in sentinels for token in tokens)  # the gap being written, from 1
            size = len(tokens) - 1 - max(i for i, t in enumerate(tokens) if t in sentinels)
            closing = logits.log_softmax(-1)[:, sentinels[gap]].mean().item()
            ended = ((*tokens, sentinels[gap]), score + closing)
            if gap == gaps:
                done.append(ended)
            else:
                grown.append(ended)
            if size < longest:
                forbidden = never if size else not_first
                grown += _grow(tokens, score, logits, forbidden, beam)
        beams = sorted(grown, key=lambda b: -b[1])[:beam]
        if not beams:
            break
    return [_between(tokens, score, sentinels) for tokens, score in done]


def _forbidden(tokenizer, device) -> tuple[Tensor, Tensor]:
    """Ids that may stand nowhere in a gap, and those that may not begin one: pieces of words."""
    special = set(tokenizer.all_special_ids)
    vocabulary = tokenizer.get_vocab()
    marked = sum(token.startswith(WORD_MARKS) for token in vocabulary) > 1
    pieces = {
        number
        for token, number in vocabulary.items()
        if token.startswith("##") or (marked and not token.startswith(WORD_MARKS))
    }
    both = (sorted(special), sorted(special | pieces))
    return tuple(torch.tensor(ids, device=device) for ids in both)


def _spelled_out(tokenizer, gap: tuple[int, ...]) -> bool:
    """Whether a gap's tokens are those of its text: only then is the score the template's own."""
    return not gap or word_ids(tokenizer, tokenizer.decode(list(gap)).strip()) == tuple(gap)


def _grow(
    tokens: tuple[int, ...], score: float, logits: Tensor, forbidden: Tensor, beam: int
) -> list[tuple[tuple[int, ...], float]]:
    """A part filling with each of the `beam` next tokens that suit all examples (n, V) best."""
    mean = logits.float().log_softmax(-1).mean(dim=0)
    mean[forbidden] = -torch.inf
    values, ids = mean.topk(min(beam, len(mean)))
    steps = zip(ids.tolist(), values.tolist(), strict=True)
    return [((*tokens, i), score + v) for i, v in steps if v > -torch.inf]


def _between(tokens: tuple[int, ...], score: float, sentinels: list[int]) -> tuple[list, float]:
    """The tokens of each gap out of "sentinel tokens sentinel tokens sentinel"."""
    gaps: list[tuple[int, ...]] = []
    for token in tokens[:-1]:
        if token in sentinels:
            gaps.append(())
        else:
            gaps[-1] = (*gaps[-1], token)
    return gaps, score / (len(tokens) - 1)


def _text(frame: str, tokenizer, gaps: Sequence[tuple[int, ...]]) -> str:
    """The frame with its gaps written out, spaces tidied, braces doubled."""
    for tokens in gaps:
        words = tokenizer.decode(list(tokens)).strip().replace("{", "{{").replace("}", "}}")
        frame = frame.replace(GAP, words, 1)
    return " ".join(frame.split())
