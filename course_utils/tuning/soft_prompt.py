"""Soft prompts: The Power of Scale for Parameter-Efficient Prompt Tuning (Lester et al., 2021,
arXiv:2104.08691).

A prompt in words is a sequence of word embeddings that somebody found by hand. A soft prompt drops
the words: P vectors that need not be any word's, found by gradient descent, in front of the input,

    [P ; E(x)]          P: (length, d)    E(x): (T, d)                            (paper, sect. 2)

and nothing else: no other layer is touched, so a task costs length · d numbers. They stand where
*word embeddings* stand; the PLM then adds its positions (and BERT its token type 0 and the norm)
to them once, like to words.

Where exactly: before everything, in front of BERT's [CLS] or a causal model's first token, as in
the paper and in P-tuning v2's comparison. Positions 0 .. P-1 belong to the prompt and the text
begins at P. What comes out is cut back to the text, inside the PLM, before any head sees it:
logits, hidden states, the pooled [CLS] and a loss all refer to the original tokens, so
`mask_positions` computed without a prompt still index the logits. (Attention maps keep the prompt.)
In an encoder-decoder the prompt goes before the encoder's input, and the decoder may attend to it.

In generation the prompt enters once, with the first call, and then lives in the key-value cache.
In a left-padded batch it comes before the padding: as nothing attends to padding and positions
count only real tokens, every row is the same as by itself.

Initialisation matters more the smaller the PLM is (paper, sect. 3.2); see `SoftPrompt`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.plm.load import position_ids
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement

INITS = ("vocabulary", "random", "labels", "text")
COMMON_WORDS = 5000


@dataclass(frozen=True)
class SoftPrompt(Method):
    """Train vectors in front of the input; the PLM stays frozen.

    Args:
        length: P, the number of vectors.
        init: where they start.
            "vocabulary": embeddings of tokens drawn from the 5000 most common ones. Tokenizers
                number their tokens roughly by frequency, so these are the first 5000 ids that
                are ordinary tokens.
            "random": uniform between -0.5 and 0.5.
            "labels": the label words' embeddings (a word of several tokens: their mean), the rest
                as with "vocabulary". The paper's best.
            "text": the embeddings of `text`, repeated or cut to length.
        words: the label words for init="labels"; the model's label names if empty.
        text: for init="text".
    """

    length: int = 20
    init: str = "vocabulary"
    words: tuple[str, ...] = ()
    text: str = ""

    name = "soft-prompt"

    def __post_init__(self) -> None:
        words = (self.words,) if isinstance(self.words, str) else tuple(self.words)
        object.__setattr__(self, "words", words)
        require(
            isinstance(self.length, int) and self.length >= 1,
            f"SoftPrompt(length={self.length!r}): the length is a whole number from 1 on.",
        )
        if self.init not in INITS:
            raise unknown_name("soft prompt init", self.init, INITS)
        require(
            self.init != "text" or bool(self.text.strip()),
            "SoftPrompt(init='text') needs the text to start from: SoftPrompt(..., text='...').",
        )

    @property
    def extra_tokens(self) -> int:
        return self.length

    def check(self, model, sites: Sites) -> None:
        if sites.max_positions is not None and self.length >= sites.max_positions:
            raise CourseError(
                f"SoftPrompt(length={self.length}) leaves no room for a text: this PLM has "
                f"{sites.max_positions} positions for prompt and text together."
            )

    def place(self, placement: Placement) -> None:
        sites = placement.sites
        vectors = SoftPromptVectors(
            _start_values(self, placement), sites=sites, config=placement.model.config
        )
        placement.add(sites.entry, "soft_prompt", vectors)
        placement.before(sites.entry, _prepend)
        if sites.decoder is not None:
            placement.before(sites.decoder, partial(_see_prompt, self.length))
        else:
            placement.after(sites.entry, _cut)
        if sites.pooler is not None:
            placement.before(sites.pooler, partial(_pool_text, self.length))

    def terms(self, model, sites: Sites) -> list[Term]:
        width = sites.embeddings[0].out_features
        return [Term(f"{self.length}·{width:,}", self.length * width)]


class SoftPromptVectors(nn.Module):
    """The trained P vectors, and what must be known about the PLM to put them in front.

    `weight` is (P, d). `max_positions` is None where positions have no end.
    """

    def __init__(self, weight: torch.Tensor, *, sites: Sites, config):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.kind = sites.kind
        self.max_positions = sites.max_positions
        self.arguments = tuple(inspect.signature(sites.entry.forward).parameters)
        # RoBERTa numbers positions from padding_idx + 1 and skips padding.
        embeddings = getattr(sites.entry, "embeddings", None)
        self.padding_idx = getattr(embeddings, "padding_idx", None)

    @property
    def length(self) -> int:
        return self.weight.shape[0]

    def forward(self, rows: int, dtype: torch.dtype) -> torch.Tensor:
        """(rows, P, d): the same prompt for every row."""
        return self.weight.to(dtype).expand(rows, -1, -1)

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}"


def _prepend(host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before the PLM reads its input: ids become embeddings with the prompt in front.

    With a filled key-value cache the prompt is in there already; then only mask and positions are
    made to count it.
    """
    prompt: SoftPromptVectors = host.soft_prompt
    inputs = dict(zip(prompt.arguments, args, strict=False)) | kwargs
    ids, embeds = inputs.get("input_ids"), inputs.get("inputs_embeds")
    if (ids is None) == (embeds is None):
        return args, kwargs  # the PLM's own error says it best
    given = ids if ids is not None else embeds
    rows, now = given.shape[:2]
    past = _cached(inputs.get("past_key_values"))
    _check_room(prompt, past + now, first=past == 0)
    mask = inputs.get("attention_mask")
    inputs["attention_mask"] = _with_prompt_seen(mask, prompt.length, rows)
    if past:
        inputs["position_ids"] = _later_positions(prompt, inputs.get("position_ids"), mask, now)
    else:
        inputs["position_ids"] = _first_positions(prompt, inputs.get("position_ids"), mask, ids)
        if inputs.get("token_type_ids") is not None:
            types = inputs["token_type_ids"]
            inputs["token_type_ids"] = torch.cat((types.new_zeros(rows, prompt.length), types), 1)
        if embeds is None:
            embeds = host.get_input_embeddings()(ids)  # (B, T, d)
        inputs["input_ids"] = None
        inputs["inputs_embeds"] = torch.cat((prompt(rows, embeds.dtype), embeds), 1)  # (B, P+T, d)
    if inputs["position_ids"] is None:
        del inputs["position_ids"]
    return (), inputs


def _cut(host: nn.Module, args: tuple, kwargs: dict, output):
    """After the PLM: give back the text's hidden states only, (B, P+T, d) -> (B, T, d)."""
    embeds, cache = kwargs.get("inputs_embeds"), kwargs.get("past_key_values")
    if embeds is None or (cache is not None and _cached(cache) != embeds.shape[1]):
        return output  # a later step of generation: no prompt in this call
    length = host.soft_prompt.length
    if isinstance(output, tuple):
        return (output[0][:, length:], *output[1:])
    output.last_hidden_state = output.last_hidden_state[:, length:]
    if getattr(output, "hidden_states", None) is not None:
        output.hidden_states = tuple(h[:, length:] for h in output.hidden_states)
    return output


def _pool_text(length: int, host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before BERT's pooler, which reads the first position: make that [CLS], not the prompt."""
    return (args[0][:, length:], *args[1:]), kwargs


def _see_prompt(length: int, host: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Before a decoder: let its cross-attention see the encoder's prompt positions too."""
    mask, memory = kwargs.get("encoder_attention_mask"), kwargs.get("encoder_hidden_states")
    if mask is not None and memory is not None and memory.shape[1] == mask.shape[1] + length:
        kwargs = kwargs | {"encoder_attention_mask": _with_prompt_seen(mask, length, mask.shape[0])}
    return args, kwargs


def _cached(cache) -> int:
    return 0 if cache is None else int(cache.get_seq_length())


def _check_room(prompt: SoftPromptVectors, tokens: int, *, first: bool) -> None:
    total = tokens + (prompt.length if first else 0)
    if prompt.max_positions is not None and total > prompt.max_positions:
        text = total - prompt.length
        raise CourseError(
            f"a text of {text} tokens and a soft prompt of {prompt.length} do not fit: this PLM "
            f"has {prompt.max_positions} positions. Cut texts to "
            f"{prompt.max_positions - prompt.length} tokens (max_length=..., truncation=True) or "
            "use a shorter prompt."
        )


def _with_prompt_seen(mask: torch.Tensor | None, length: int, rows: int) -> torch.Tensor | None:
    """(B, T) -> (B, P+T), the prompt never masked. None means that all is seen, and stays None."""
    if mask is None:
        return None
    if mask.ndim != 2:
        raise CourseError(
            f"a soft prompt needs an attention_mask of shape (batch, tokens), not "
            f"{tuple(mask.shape)}; a static cache, which makes such masks, has no room for it."
        )
    return torch.cat((mask.new_ones(rows, length), mask), dim=1)


def _first_positions(prompt: SoftPromptVectors, given, mask, ids) -> torch.Tensor | None:
    """Positions of prompt and text together, or None where the PLM's own count is right."""
    start = 0 if prompt.padding_idx is None else prompt.padding_idx + 1
    if given is not None:
        text = given + prompt.length
    elif prompt.padding_idx is not None and ids is not None:
        real = ids.ne(prompt.padding_idx)
        text = (real.cumsum(1) + prompt.length) * real + prompt.padding_idx
    elif prompt.kind == "decoder" and mask is not None:
        text = position_ids(mask) + prompt.length
    else:
        return None
    front = torch.arange(start, start + prompt.length, device=text.device)
    return torch.cat((front.expand(text.shape[0], -1), text), dim=1)


def _later_positions(prompt: SoftPromptVectors, given, mask, now: int) -> torch.Tensor | None:
    if given is not None:
        return given + prompt.length
    return None if mask is None else position_ids(mask)[:, -now:] + prompt.length


def _start_values(method: SoftPrompt, placement: Placement) -> torch.Tensor:
    """(P, d) in float32 on the CPU; drawn from torch's global generator, which attach seeds."""
    embedding = placement.sites.embeddings[0].module.weight.detach()
    if placement.loading or embedding.is_meta:
        return torch.zeros(method.length, embedding.shape[1])
    if method.init == "random":
        return torch.empty(method.length, embedding.shape[1]).uniform_(-0.5, 0.5)
    if placement.tokenizer is None:
        raise CourseError(
            f"SoftPrompt(init={method.init!r}) starts from words and needs the tokenizer: "
            "attach(model, method, tokenizer=tokenizer). init='random' does without."
        )
    rows = embedding.float().cpu()
    if method.init == "text":
        ids = _tokens(placement.tokenizer, method.text)
        repeated = (ids * -(-method.length // len(ids)))[: method.length]
        return rows[torch.tensor(repeated)]
    values = _common(placement.tokenizer, rows, method.length)
    if method.init == "labels":
        words = method.words or _label_names(placement.model)
        require(
            len(words) <= method.length,
            f"SoftPrompt(length={method.length}, init='labels') has no room for the "
            f"{len(words)} label words {words}; make it longer.",
        )
        for i, word in enumerate(words):
            values[i] = rows[torch.tensor(_tokens(placement.tokenizer, word))].mean(0)
    return values


def _common(tokenizer, rows: torch.Tensor, count: int) -> torch.Tensor:
    """Embeddings of `count` tokens drawn from the most common ordinary ones, (count, d)."""
    special = set(tokenizer.all_special_ids)
    names = tokenizer.convert_ids_to_tokens(range(min(len(tokenizer), len(rows))))
    ordinary = [
        i
        for i, name in enumerate(names)
        if i not in special and name is not None and not name.startswith("[unused")
    ][:COMMON_WORDS]
    drawn = torch.randperm(len(ordinary)).repeat(-(-count // len(ordinary)))[:count]
    return rows[torch.tensor(ordinary)[drawn]].clone()


def _tokens(tokenizer, text: str) -> list[int]:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise CourseError(f"the tokenizer makes no token of {text!r}; a soft prompt can't start.")
    return list(ids)


def _label_names(model) -> tuple[str, ...]:
    names = tuple(model.config.id2label.values())
    if not names or all(name.startswith("LABEL_") for name in names):
        raise CourseError(
            "SoftPrompt(init='labels') needs the label words: SoftPrompt(..., "
            "words=('negative', 'positive')), or load the PLM with labels=(...)."
        )
    return names
