"""Reading a PLM's answer: logits at the mask, and scores of label words.

Two savings and one care:

* The LM head is a (d, V) product per token, often a third of a small PLM's work. Only the masks'
  logits are asked for, so `logits_at` hands the head only those hidden vectors.
* It does so with hooks round one ordinary forward of the whole model, so whatever is attached to
  the PLM (LoRA, prefixes, soft prompts in front) takes part as always.
* Words of several tokens are scored as PET scores them (Schick & Schütze 2021b, 3.1): training
  puts in as many masks as the longest word has tokens and reads them at once; evaluation takes as
  many as the word has, fills in the surest token first, then looks again. A causal or
  encoder-decoder PLM reads such a word from left to right.

Symbols: B batch, T tokens, M masks, V vocabulary, K tokens of a word.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.prompting.tokens import Kind
from course_utils.prompting.verbalizer import Verbalizer

# model type -> the first and the last module of its LM head
HEADS = {
    "bert": ("cls", "cls"),
    "roberta": ("lm_head", "lm_head"),
    "xlm-roberta": ("lm_head", "lm_head"),
    "camembert": ("lm_head", "lm_head"),
    "mpnet": ("lm_head", "lm_head"),
    "albert": ("predictions", "predictions"),
    "distilbert": ("vocab_transform", "vocab_projector"),
    "electra": ("generator_predictions", "generator_lm_head"),
    "gpt2": ("lm_head", "lm_head"),
    "llama": ("lm_head", "lm_head"),
    "mistral": ("lm_head", "lm_head"),
    "qwen2": ("lm_head", "lm_head"),
    "qwen3": ("lm_head", "lm_head"),
}


def plm_of(model: nn.Module) -> nn.Module:
    """The transformers model itself, inside whatever wraps it."""
    while not hasattr(model, "config") and hasattr(model, "plm"):
        model = model.plm
    return getattr(model, "plm", model)


def model_kind(model: nn.Module) -> Kind:
    """Whether a PLM is "masked", "causal" or "seq2seq".

    Raises:
        CourseError: for a model without a language-modelling head.
    """
    plm = plm_of(model)
    name, config = type(plm).__name__, getattr(plm, "config", None)
    if getattr(config, "is_encoder_decoder", False) and "ConditionalGeneration" in name:
        return "seq2seq"
    if name.endswith("ForMaskedLM"):
        return "masked"
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal"
    raise CourseError(
        f"a prompt asks the PLM for a word, but {name} has no language-modelling head: load it "
        'with head="lm".'
    )


def position_limit(model: nn.Module) -> int | None:
    """The longest text in tokens the PLM's positions allow; None where they are relative.

    RoBERTa's first pad_token_id + 1 positions are taken; a soft prompt or prefix takes its length.
    """
    config = plm_of(model).config
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None:
        return None
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        limit -= config.pad_token_id + 1
    return limit - getattr(getattr(model, "method", None), "extra_tokens", 0)


def logits_at(model: nn.Module, inputs: Mapping[str, Tensor], positions: Tensor) -> Tensor:
    """The LM's logits at `positions` (B, M) of its input: (B, M, V).

    Equal to `model(**inputs).logits` at those places. A model that puts vectors before the text
    yields more hidden vectors than tokens; positions count from the text's own first token.
    """
    text = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
    plm = plm_of(model)
    if plm.config.model_type not in HEADS:
        logits = model(**inputs).logits
        return take(logits, positions + logits.shape[1] - text.shape[1])
    first, last = (getattr(plm, name) for name in HEADS[plm.config.model_type])
    seen: list[Tensor] = []

    def only_masks(_module, args):
        hidden = args[0]  # (B, P + T, d)
        return (take(hidden, positions + hidden.shape[1] - text.shape[1]), *args[1:])

    handles = [
        first.register_forward_pre_hook(only_masks),
        last.register_forward_hook(lambda _module, _args, output: seen.append(output)),
    ]
    try:
        model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen[-1]


def take(values: Tensor, positions: Tensor) -> Tensor:
    """values (B, T, d) at positions (B, M): (B, M, d)."""
    index = positions.unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index)


def insert(inputs: Mapping[str, Tensor], after: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    """Put `tokens` (B, K) into every row just behind position `after` (B,).

    input_ids grow from (B, T) to (B, T + K); masks and segments take the value at `after`.
    """
    ids = inputs["input_ids"]
    grown = tokens.shape[1]
    column = torch.arange(ids.shape[1] + grown, device=ids.device).unsqueeze(0)  # (1, T + K)
    start = after.unsqueeze(1)  # (B, 1)
    source = torch.where(column <= start, column, torch.maximum(start, column - grown))
    result = {name: value.gather(1, source) for name, value in inputs.items()}
    slots = start + 1 + torch.arange(grown, device=ids.device)
    result["input_ids"] = result["input_ids"].scatter(1, slots, tokens)
    return result


def blank_logits(
    model: nn.Module, inputs: Mapping[str, Tensor], positions: Tensor, kind: Kind, mask: int
) -> Tensor:
    """(B, M, V) logits over the words that could stand at the blanks.

    Args:
        positions: (B, M) where to read: the masks, or the last token for a causal PLM.
        mask: the id at the mask; an encoder-decoder PLM is asked what follows it in the decoder.
    """
    if kind == "seq2seq":
        return decoded(model, inputs, mask, ())
    return logits_at(model, inputs, positions)


def decoded(
    model: nn.Module, inputs: Mapping[str, Tensor], mask: int, given: tuple[int, ...]
) -> Tensor:
    """(B, len(given) + 1, V) logits of a decoder that wrote the sentinel and then `given`."""
    start = plm_of(model).config.decoder_start_token_id
    text = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
    decoder = torch.tensor([start, mask, *given], device=text.device)
    logits = model(**inputs, decoder_input_ids=decoder.expand(text.shape[0], -1)).logits
    return logits[:, -1 - len(given) :]


class WordScorer:
    """Label scores of a batch for one model, tokenizer and verbalizer.

    Args:
        model: the PLM, or anything attached round one.
        kind: "masked", "causal" or "seq2seq".
        mask: the id at the mask (none for a causal PLM).
    """

    def __init__(self, model: nn.Module, tokenizer, verbalizer: Verbalizer, kind: Kind, mask: int):
        self.model = model
        self.verbalizer = verbalizer
        self.kind = kind
        self.mask = mask
        self.tokenizer = tokenizer
        self.lengths = verbalizer.lengths(tokenizer)

    def __call__(self, inputs: Mapping[str, Tensor], positions: Tensor, greedy: bool) -> Tensor:
        """(B, n_labels) scores: mean logits, or log-probabilities where words have several tokens.

        Args:
            inputs: what the PLM reads: input_ids (or inputs_embeds), attention_mask, segments.
            positions: (B, M) where the masks are.
            greedy: fill several masks one after the other (evaluation) or read all at once.
        """
        if self.lengths == (1,):
            logits = blank_logits(self.model, inputs, positions, self.kind, self.mask)  # (B, 1, V)
            return self.verbalizer.scores(logits[:, 0], self.tokenizer)
        words = [ids for label in self.verbalizer.token_ids(self.tokenizer) for ids in label]
        if self.kind == "masked":
            scored = self._masked(inputs, positions, words, greedy)
        else:
            scored = [self._left_to_right(inputs, positions, ids) for ids in words]
        return self.verbalizer.combine_words(torch.stack(scored, dim=-1))

    def _masked(self, inputs, positions: Tensor, words, greedy: bool) -> list[Tensor]:
        if not greedy:
            filled, at = self._with_masks(inputs, positions, max(self.lengths))
            log_p = logits_at(self.model, filled, at).float().log_softmax(-1)  # (B, K, V)
            return [at_once(log_p[:, : len(ids)], ids) for ids in words]
        first = {}
        for length in self.lengths:
            filled, at = self._with_masks(inputs, positions, length)
            first[length] = filled, at, logits_at(self.model, filled, at).float().log_softmax(-1)
        return [self._greedy(*first[len(ids)], ids) for ids in words]

    def _with_masks(self, inputs, positions: Tensor, length: int) -> tuple[dict, Tensor]:
        """Inputs whose one mask became `length` masks, and where they are (B, length)."""
        if positions.shape[1] > 1 or length == 1:
            return dict(inputs), positions
        more = torch.full_like(positions, self.mask).expand(-1, length - 1)
        steps = torch.arange(length, device=positions.device)
        return insert(inputs, positions[:, 0], more), positions + steps

    def _greedy(self, inputs: dict, at: Tensor, log_p: Tensor, ids: tuple[int, ...]) -> Tensor:
        wanted = torch.tensor(ids, device=at.device).expand(at.shape[0], -1)  # (B, K)
        blank = torch.ones_like(wanted, dtype=torch.bool)
        return surest_first(self.model, inputs, at, wanted, blank, log_p)

    def _left_to_right(self, inputs, positions: Tensor, ids: tuple[int, ...]) -> Tensor:
        """(B,) log-probability of `ids`, each token given those before it."""
        if self.kind == "seq2seq":
            logits = decoded(self.model, inputs, self.mask, ids[:-1])
            return at_once(logits.float().log_softmax(-1), ids)
        last = positions[:, 0]
        given = torch.tensor(ids[:-1], dtype=torch.long, device=last.device)
        longer = insert(inputs, last, given.expand(last.shape[0], -1)) if len(ids) > 1 else inputs
        at = positions + torch.arange(len(ids), device=last.device)
        return at_once(logits_at(self.model, longer, at).float().log_softmax(-1), ids)


def at_once(log_p: Tensor, ids: tuple[int, ...]) -> Tensor:
    """(B,) sum over k of log_p (B, K, V) at the k-th token of a word."""
    wanted = torch.tensor(ids, device=log_p.device).view(1, -1, 1).expand(log_p.shape[0], -1, 1)
    return log_p.gather(-1, wanted).sum(dim=(1, 2))


def surest_first(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    at: Tensor,
    wanted: Tensor,
    blank: Tensor,
    log_p: Tensor | None = None,
) -> Tensor:
    """(B,) log-probability of the `wanted` tokens, the surest filled in first, then the next.

    Args:
        at: (B, K) where the masks are.
        wanted: (B, K) the token each should become.
        blank: (B, K) False where a row has fewer masks than K.
        log_p: (B, K, V) of the inputs as they are, if known.
    """
    total = torch.zeros(at.shape[0], device=at.device)
    while blank.any():
        if log_p is None:
            log_p = logits_at(model, inputs, at).float().log_softmax(-1)
        chances = log_p.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)  # (B, K)
        best, which = chances.masked_fill(~blank, -torch.inf).max(dim=1, keepdim=True)  # (B, 1)
        busy = blank.any(dim=1, keepdim=True)
        total = total + torch.where(busy, best, 0.0)[:, 0]
        place, ids = at.gather(1, which), inputs["input_ids"]
        token = torch.where(busy, wanted.gather(1, which), ids.gather(1, place))
        inputs = {**inputs, "input_ids": ids.scatter(1, place, token)}
        blank, log_p = blank.scatter(1, which, False), None
    return total


def margin_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over rows of sum over wrong y' of max(0, 1 - score(y) + score(y')).

    PET's loss for words of several tokens (Schick & Schütze 2021b, 3.1): read all at once, their
    probabilities are no distribution over labels, and cross-entropy would also be lowered by words
    that are nobody's. Labels of -100 are left out.

    Args:
        scores: (B, n_labels) log-probabilities.
        labels: (B,).
    """
    kept = labels >= 0
    scores, labels = scores[kept], labels[kept]
    right = scores.gather(1, labels.unsqueeze(1))  # (B, 1)
    margins = (1 - right + scores).clamp_min(0)
    return margins.scatter(1, labels.unsqueeze(1), 0.0).sum(dim=1).mean()
