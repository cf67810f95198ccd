"""Prefix tuning: Optimizing Continuous Prompts for Generation (Li & Liang, 2021, arXiv:2101.00190).

A soft prompt trains P vectors at the input and leaves the layers above to make something of them.
A prefix trains what those layers would have made: for each of the P places the key and the value
that every attention block of every layer sees there (`keys_and_values` says how they get there).
So it reaches every layer directly, and costs 2·P·d numbers per layer instead of P·d once.

Training them directly is unstable (paper, sect. 4.3). While they are trained, they are therefore
the output of a small network, an MLP, on a smaller table E,

    [P_k , P_v] of layer i = tanh(E W + b) W_i + b_i         E: (P, d)    W: (d, k)    W_i: (k, 2·d)

with one E and one W for all layers of a stack, and one W_i for each. This re-parametrisation is a
training aid: its output is the same for every text, so once training is over the output is kept
and the MLP thrown away. `tuned.save` does that: it writes keys and values only, and what
`load_tuned` gives has no MLP. `finished(tuned)` does it in memory, worth its line before a model
generates. Checkpoints that `train` makes on the way keep the MLP, so that an interrupted run goes
on as it began.

With few examples the start decides (sect. 7.4): random vectors do badly, the activations of real
words much better. With `init="text"` the prefix is what the PLM itself computes for `text`; a
causal PLM then begins exactly as if those words stood in front of the input. The paper fits the
MLP to them by gradient descent; here its last layers are solved for in closed form.

An encoder-decoder has three prefixes, as in the paper's code for BART: encoder, decoder and
cross-attention, each with an E and W of its own. There is no identity at the start, and a prefix
of zeros is none either: a key of zeros still scores exp(0) = 1 before the softmax normalises, and
so takes weight from the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.keys_and_values import (
    BlockPrefix,
    activations,
    attention_blocks,
    check_attention,
    put_in_front,
)
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement
from course_utils.tuning.positions import Front

INITS = ("random", "text")


@dataclass(frozen=True)
class Prefix(Method):
    """What prefix tuning and P-tuning v2 have in common.

    Args:
        length: P, the number of places in front of the text.
        mlp: k, the width of the re-parametrisation; 0 trains keys and values directly.
        dropout: probability of dropping a number of a key or value while training.
    """

    length: int
    mlp: int
    dropout: float

    def __post_init__(self) -> None:
        name = type(self).__name__
        require(
            isinstance(self.length, int) and self.length >= 1,
            f"{name}(length={self.length!r}): the length is a whole number from 1 on.",
        )
        require(
            isinstance(self.mlp, int) and self.mlp >= 0,
            f"{name}(mlp={self.mlp!r}): the MLP's width is a whole number; 0 is no MLP.",
        )
        require(
            0 <= self.dropout < 1,
            f"{name}(dropout={self.dropout!r}): dropout is a probability from 0 to below 1.",
        )

    @property
    def extra_tokens(self) -> int:
        return self.length

    def check(self, model, sites: Sites) -> None:
        check_attention(model)
        Front.of(self.length, sites)

    def place(self, placement: Placement) -> None:
        blocks = attention_blocks(placement.sites)
        trunks = {}
        if self.mlp:
            d = placement.sites.hidden_size
            trunks = {kind: Trunk(self.length, d, self.mlp) for kind in _kinds(blocks)}
        prefixes = [
            self._prefix(trunks.get(kind), block.key.out_features, cross=kind == "cross")
            for kind, block in blocks
        ]
        if not placement.loading:
            self.start(placement, prefixes)
        put_in_front(placement, blocks, prefixes)

    def _prefix(self, trunk: Trunk | None, width: int, *, cross: bool) -> BlockPrefix:
        if trunk is None:
            return KeysAndValues(self.length, width, dropout=self.dropout, cross=cross)
        return FromMLP(trunk, width, dropout=self.dropout, cross=cross)

    def start(self, placement: Placement, prefixes: Sequence[BlockPrefix]) -> None:
        """Give the prefixes, one for each of `attention_blocks`, their start values."""
        raise NotImplementedError

    def terms(self, model, sites: Sites) -> list[Term]:
        blocks = attention_blocks(sites)
        P, d, k = self.length, sites.hidden_size, self.mlp
        widths = Counter(block.key.out_features for _, block in blocks)
        if not k:
            return [
                Term(f"{n} attention blocks × 2·{P:,}·{w:,}", n * 2 * P * w)
                for w, n in widths.items()
            ]
        kinds = len(_kinds(blocks))
        shared = Term(
            f"{kinds} shared part{'s' if kinds > 1 else ''} × ({P:,}·{d:,} + ({d:,} + 1)·{k:,})",
            kinds * (P * d + (d + 1) * k),
        )
        return [shared] + [
            Term(f"{n} attention blocks × ({k:,} + 1)·2·{w:,}", n * (k + 1) * 2 * w)
            for w, n in widths.items()
        ]

    def kept(self, placement: Placement) -> tuple[Method, dict[str, torch.Tensor]]:
        """Keys and values alone; the MLP that made them is not kept."""
        hosts = [placement.around(block.key) for _, block in attention_blocks(placement.sites)]
        paths = {id(module): path for path, module in placement.model.named_modules()}
        tensors = {}
        for host in hosts:
            with torch.no_grad():
                keys, values = host.prefix.table()
            tensors[f"{paths[id(host)]}.prefix.keys"] = keys
            tensors[f"{paths[id(host)]}.prefix.values"] = values
        return replace(self, mlp=0), tensors


@dataclass(frozen=True)
class PrefixTuning(Prefix):
    """Train keys and values in front of the text, made by an MLP during training.

    How many numbers are kept in the end: `replace(method, mlp=0).count(model)`.

    Args:
        length: P. The paper's best: 10 for table-to-text, 200 for summaries.
        mlp: k. The paper takes 512, for summaries 800; 0 trains keys and values directly.
        dropout: probability of dropping a number of a key or value while training.
        init: where the prefix starts.
            "random": E standard normal and the layers like any new linear layer. Without an MLP
                normal with standard deviation 0.02.
            "text": the PLM's own keys and values for `text`, repeated or cut to P tokens.
        text: for init="text", best words that say what the task is.
    """

    length: int = 10
    mlp: int = 512
    dropout: float = 0.0
    init: str = "random"
    text: str = ""

    name = "prefix-tuning"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init not in INITS:
            raise unknown_name("prefix init", self.init, INITS)
        require(
            self.init != "text" or bool(self.text.strip()),
            "PrefixTuning(init='text') needs the text to start from: "
            "PrefixTuning(..., text='...').",
        )

    def start(self, placement: Placement, prefixes: Sequence[BlockPrefix]) -> None:
        if self.init == "random" or next(placement.model.parameters()).is_meta:
            if not self.mlp:
                start_small(prefixes)
            return  # new layers are random already
        blocks = attention_blocks(placement.sites)
        ids = _tokens(placement.tokenizer, self.text, self.length)
        for prefix, (keys, values) in zip(
            prefixes, activations(placement, blocks, ids), strict=True
        ):
            prefix.fit(keys, values)


class KeysAndValues(BlockPrefix):
    """The prefix of one attention block as a table: what is used, and what is kept."""

    def __init__(self, length: int, width: int, *, dropout: float = 0.0, cross: bool = False):
        super().__init__(dropout=dropout, cross=cross)
        self.keys = nn.Parameter(torch.zeros(length, width))
        self.values = nn.Parameter(torch.zeros(length, width))

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.keys, self.values

    @property
    def length(self) -> int:
        return len(self.keys)

    @torch.no_grad()
    def fit(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Start from these, (P, h·d_h) each."""
        self.keys.copy_(keys)
        self.values.copy_(values)

    def extra_repr(self) -> str:
        return f"2 × {tuple(self.keys.shape)}"


class Trunk(nn.Module):
    """tanh(E W + b), what the prefixes of all layers of a stack have in common."""

    def __init__(self, length: int, width: int, hidden: int):
        super().__init__()
        self.E = nn.Parameter(torch.randn(length, width))
        self.linear = nn.Linear(width, hidden)

    def forward(self) -> torch.Tensor:
        """(P, k)"""
        return torch.tanh(self.linear(self.E))


class FromMLP(BlockPrefix):
    """The prefix of one attention block while it is the output of an MLP."""

    def __init__(self, trunk: Trunk, width: int, *, dropout: float, cross: bool):
        super().__init__(dropout=dropout, cross=cross)
        self.trunk = trunk
        self.linear = nn.Linear(trunk.linear.out_features, 2 * width)

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        inner = self.trunk().to(self.linear.weight.device)  # a PLM may be spread over several
        return self.linear(inner).chunk(2, dim=-1)  # (P, 2·h·d_h)

    @property
    def length(self) -> int:
        return len(self.trunk.E)

    @torch.no_grad()
    def fit(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Solve tanh(E W + b) W_i = [keys, values] for the smallest W_i, with b_i = 0.

        Exact where k is at least P, else as near as can be.
        """
        inputs = self.trunk().double()  # (P, k)
        weight = torch.linalg.pinv(inputs) @ torch.cat((keys, values), dim=1).double()
        self.linear.weight.copy_(weight.T)
        self.linear.bias.zero_()


@torch.no_grad()
def start_small(prefixes: Sequence[BlockPrefix], std: float = 0.02) -> None:
    """All matrices normal with this standard deviation, all biases 0: as BERT's own start."""
    for parameter in nn.ModuleList(prefixes).parameters():  # shared ones once
        if parameter.ndim == 2:
            parameter.normal_(0, std)
        else:
            parameter.zero_()


def _kinds(blocks) -> list[str]:
    """The kinds of attention there are, each once, in order."""
    return list(dict.fromkeys(kind for kind, _ in blocks))


def _tokens(tokenizer, text: str, count: int) -> list[int]:
    """The first `count` tokens of the text, which is repeated if need be."""
    if tokenizer is None:
        raise CourseError(
            "PrefixTuning(init='text') starts from words and needs the tokenizer: "
            "attach(model, method, tokenizer=tokenizer). init='random' does without."
        )
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise CourseError(f"the tokenizer makes no token of {text!r}; a prefix can't start there.")
    return (ids * -(-count // len(ids)))[:count]
