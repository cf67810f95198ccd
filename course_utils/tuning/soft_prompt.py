"""Soft prompts: The Power of Scale for Parameter-Efficient Prompt Tuning (Lester et al., 2021,
arXiv:2104.08691).

A prompt in words is a sequence of word embeddings that somebody found by hand. A soft prompt drops
the words: P vectors that need not be any word's, found by gradient descent, in front of the input,

    [P ; E(x)]          P: (length, d)    E(x): (T, d)                            (paper, sect. 2)

and nothing else: no other layer is touched, so a task costs length · d numbers. They stand where
*word embeddings* stand; the PLM then adds its positions (and BERT its token type 0 and the norm)
to them once, like to words. Where exactly is in input_prompt.py.

Initialisation matters more the smaller the PLM is (paper, sect. 3.2); see `SoftPrompt`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.input_prompt import InputPrompt, PromptVectors
from course_utils.tuning.method import Term, require
from course_utils.tuning.placement import Placement
from course_utils.tuning.positions import Front

INITS = ("vocabulary", "random", "labels", "text")
COMMON_WORDS = 5000


@dataclass(frozen=True)
class SoftPrompt(InputPrompt):
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

    init: str = "vocabulary"
    words: tuple[str, ...] = ()
    text: str = ""

    name = "soft-prompt"

    def __post_init__(self) -> None:
        words = (self.words,) if isinstance(self.words, str) else tuple(self.words)
        object.__setattr__(self, "words", words)
        super().__post_init__()
        if self.init not in INITS:
            raise unknown_name("soft prompt init", self.init, INITS)
        require(
            self.init != "text" or bool(self.text.strip()),
            "SoftPrompt(init='text') needs the text to start from: SoftPrompt(..., text='...').",
        )

    def vectors(self, placement: Placement, front: Front) -> SoftPromptVectors:
        return SoftPromptVectors(_start_values(self, placement), front)

    def terms(self, model, sites: Sites) -> list[Term]:
        width = sites.embeddings[0].out_features
        return [Term(f"{self.length}·{width:,}", self.length * width)]


class SoftPromptVectors(PromptVectors):
    """P itself: `weight` is (P, d)."""

    def __init__(self, weight: torch.Tensor, front: Front):
        super().__init__(front)
        self.weight = nn.Parameter(weight)

    def table(self) -> torch.Tensor:
        return self.weight

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}"


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
