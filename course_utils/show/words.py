"""What a PLM puts into a gap, what it says next, and how surprised it is by a text.

Two objectives of pre-training, with w_1 ... w_T the tokens of a text:

    autoregressive   -log p(w_t | w_1 ... w_{t-1})     Radford et al. (2018), equation 1
    masked           -log p(w_t | all the others)      Devlin et al. (2019), section 3.1

The masked score masks one token at a time (the pseudo-log-likelihood of Salazar et al., 2020,
https://arxiv.org/abs/1910.14659): pre-training itself masks about 15 % of them at once.
"""

from __future__ import annotations

import math

import torch

from course_utils.errors import CourseError
from course_utils.prompting.scoring import model_kind


def is_causal(model) -> bool:
    """Whether the model reads only what stands to the left (GPT), or both sides (BERT)."""
    return model_kind(model) == "causal"


@torch.inference_mode()
def top_words(model, tokenizer, text: str, k: int = 5) -> list[tuple[str, float]]:
    """The k likeliest tokens for the mask in `text`, or, for a causal PLM, for its next token.

    Args:
        model, tokenizer: from `load_plm(name)`: a masked or a causal PLM.
        text: for a masked PLM with exactly one mask, written as the tokenizer's own mask token
            or as `{mask}`; for a causal PLM without any.
        k: how many.

    Returns:
        (word, probability) pairs, the likeliest first.

    Raises:
        CourseError: no mask or several, a mask for a causal PLM, or a text that is too long.
    """
    batch = _encode(model, tokenizer, _with_mask(model, tokenizer, text))
    logits = model.eval()(**batch).logits[0]  # (T, V)
    if is_causal(model):
        row = logits[-1]
    else:
        row = logits[batch["input_ids"][0] == tokenizer.mask_token_id][0]
    return named_words(tokenizer, row, k)


def named_words(tokenizer, logits: torch.Tensor, k: int) -> list[tuple[str, float]]:
    """The k likeliest tokens by logits (V,), with their probabilities."""
    likeliest = logits.detach().softmax(-1).topk(min(k, logits.numel()))
    return [
        (tokenizer.decode([token]).strip(), probability)
        for token, probability in zip(
            likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
        )
    ]


@torch.inference_mode()
def surprise(model, tokenizer, text: str) -> tuple[list[str], list[float]]:
    """How many bits each token of a text costs: -log2 p, by the model's own objective.

    Returns:
        the tokens (special ones left out) and their bits, both of length T.
    """
    batch = _encode(model, tokenizer, text)
    ids = batch["input_ids"][0]  # (T,)
    special = set(tokenizer.all_special_ids)
    places = [place for place, token in enumerate(ids.tolist()) if token not in special]
    if is_causal(model):
        places = [place for place in places if place > 0]
        logits = model.eval()(**batch).logits[0, [place - 1 for place in places]]
    else:
        logits = _one_mask_each(model, tokenizer, ids, places)
    chosen = logits.log_softmax(-1)[range(len(places)), ids[places]]  # (T,)
    tokens = [tokenizer.decode([token]).strip() for token in ids[places].tolist()]
    return tokens, (-chosen / math.log(2)).tolist()


def _one_mask_each(model, tokenizer, ids: torch.Tensor, places: list[int]) -> torch.Tensor:
    """The logits (T, V) for every place in `places`, each read from its own masked copy."""
    copies = ids.repeat(len(places), 1)  # (T, length)
    rows = torch.arange(len(places))
    copies[rows, places] = tokenizer.mask_token_id
    return model.eval()(input_ids=copies).logits[rows, places]


def _with_mask(model, tokenizer, text: str) -> str:
    mask = tokenizer.mask_token if not is_causal(model) else None
    given = text.count("{mask}") + (text.count(mask) if mask else 0)
    if mask is None and given:
        raise CourseError("a causal PLM has no mask: end the text where the next word should come.")
    if mask and given != 1:
        raise CourseError(f"the text needs exactly one {{mask}}; it has {given}: {text!r}.")
    return text.replace("{mask}", mask) if mask else text


def _encode(model, tokenizer, text: str) -> dict[str, torch.Tensor]:
    batch = tokenizer(text, return_tensors="pt").to(model.device)
    limit = getattr(model.config, "max_position_embeddings", None)
    length = batch["input_ids"].shape[1]
    if limit and length > limit:
        raise CourseError(f"the text is {length} tokens long; this PLM reads at most {limit}.")
    if length == 0:
        raise CourseError("the text is empty: write at least one word.")
    return {key: batch[key] for key in ("input_ids", "attention_mask") if key in batch}
