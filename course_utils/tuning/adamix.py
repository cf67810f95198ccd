"""AdaMix: Mixture-of-Adaptations for Parameter-efficient Model Tuning (Wang et al., EMNLP 2022,
arXiv:2205.12410).

Train M experts wherever a method would train one small module, and keep their average. A module
has two halves, the projection down and the projection up (an adapter's W1 and W2, LoRA's A and B):

    training    Δh = up_k(σ(down_j(x)))         j, k drawn anew for each batch and place (sect. 3.1)
    afterwards  Δh = up(σ(down(x)))             each the mean of the experts' weights    (sect. 3.3)

Since a batch meets one pair, it costs what one module costs. Since the weights are averaged, and
not the outputs, so does inference: what `save` writes, and `finished(tuned)` gives, is the single
adapter or LoRA, of the same size and as mergeable. Dev scores and generation use the average, too:
in eval mode a `Mixture` computes with it.

Why the average of networks is a good network at all: the experts start from different values, but
any of them may be drawn to work with any other, and each must do. One more loss asks for it. The
batch goes through the PLM twice, with two draws, and the two answers p and q shall agree:

    loss = cross-entropy(p) + ½ (KL(p ‖ q) + KL(q ‖ p))                                  (sect. 3.2)

`AdaMix.training_output` below is this equation; `train` calls it for every batch. A loop of one's
own that takes `tuned(**batch).loss` gets the routing without the second term; to have both, let it
take `tuned.method.training_output(tuned, batch).loss`. A step then takes twice the time.

"share" holds one half in common: the authors' program shares `up` and keeps 4 experts of `down`,
in Pfeiffer's place with r = d / 16. It trains BERT-base with a learning rate of 4e-4, weight decay
0.1 and 40 epochs: an expert sees only each M-th batch.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.func import functional_call

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tasks.batches import IGNORED
from course_utils.tuning.adapters import Adapter, Pfeiffer
from course_utils.tuning.lora import LoRA
from course_utils.tuning.merging import WeightChange
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement

SHARES = ("up", "down", "none")


@dataclass(frozen=True)
class AdaMix(Method):
    """Train several experts of an adapter or a LoRA by chance, and average them.

    Args:
        of: the method whose modules are multiplied: an adapter or a LoRA, or its name.
        experts: M, how many of each half that is not shared.
        share: the half all experts have in common: "up", "down" or "none".
        consistency: weight of the second loss; 0 leaves it and the second pass out.
    """

    of: Method = Pfeiffer()
    experts: int = 4
    share: str = "up"
    consistency: float = 1.0

    name = "adamix"

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", _method(self.of))
        require(
            isinstance(self.of, (Adapter, LoRA)),
            f"AdaMix(of={self.of!r}): only an adapter (Houlsby, Pfeiffer, ParallelAdapter) or a "
            "LoRA has the two projections that experts are made of.",
        )
        require(
            isinstance(self.experts, int) and self.experts >= 2,
            f"AdaMix(experts={self.experts!r}): a mixture needs at least 2 experts.",
        )
        if self.share not in SHARES:
            raise unknown_name("half to share", self.share, SHARES)
        require(
            self.consistency >= 0,
            f"AdaMix(consistency={self.consistency!r}): the weight of a loss is not below 0.",
        )

    def check(self, model, sites: Sites) -> None:
        self.of.check(model, sites)

    def place(self, placement: Placement) -> None:
        placement.wrapper = partial(Mixture, down=self._copies("down"), up=self._copies("up"))
        self.of.place(placement)

    def training_output(self, model: nn.Module, batch: Mapping) -> object:
        """The model's output, with the loss of the equation above.

        Args:
            model: the `Tuned`, or whatever answers through it, such as a prompt; in train mode.
            batch: inputs with labels.
        """
        first = model(**batch)
        if self.consistency and model.training and first.logits.shape[-1] > 1:
            second = model(**batch)  # other experts
            p, q = (_labelled(model, out.logits, batch["labels"]) for out in (first, second))
            first.loss = first.loss + self.consistency * disagreement(p, q)
        return first

    def terms(self, model, sites: Sites) -> list[Term]:
        of, down, up = self.of, self._copies("down"), self._copies("up")
        if isinstance(of, LoRA):
            shapes = Counter((s.in_features, s.out_features) for s in sites.at(*of.sites))
            return [
                Term(f"{n} maps × {of.rank}·({down}·{i:,} + {up}·{o:,})",
                     n * of.rank * (down * i + up * o))
                for (i, o), n in shapes.items()
            ]  # fmt: skip
        d, r, n = sites.hidden_size, of.size(sites), len(of.places(sites))
        text = f"{n} adapters × ({down}·({d:,}·{r:,} + {r:,}) + {up}·({r:,}·{d:,} + {d:,}))"
        count = n * (down * (d * r + r) + up * (r * d + d))
        return [Term(text, count), *of.terms(model, sites)[1:]]  # and the norms, if they train

    def weight_changes(self, placement: Placement) -> Iterator[WeightChange]:
        return self.of.weight_changes(placement)

    def kept(self, placement: Placement) -> tuple[Method, dict[str, torch.Tensor]]:
        """The single module, whose weights are the averages."""
        paths = {id(module): path for path, module in placement.model.named_modules()}
        return self.of, {
            f"{paths[id(mixture)]}.{name}": tensor
            for mixture in placement.modules()
            for name, tensor in mixture.averages().items()
        }

    def settings(self) -> dict:
        return super().settings() | {"of": {"name": self.of.name, **self.of.settings()}}

    def _copies(self, half: str) -> int:
        return 1 if self.share == half else self.experts


class Mixture(nn.Module):
    """Experts of one small module; in training each half is one of them, else their average.

    The tensors of the module get a first dimension for the experts, of length `down` or `up`:
    W1 (r, d) becomes (M, r, d), and if the half is shared (1, r, d). Each expert draws its own
    start values.
    """

    def __init__(self, module: nn.Module, *, down: int, up: int):
        super().__init__()
        self.copies = {"down": down, "up": up}
        drawn = [module]
        for _ in range(max(down, up) - 1):
            drawn.append(copy.deepcopy(module))
            drawn[-1].reset_parameters()
        self.experts = copy.deepcopy(module)
        for name, _ in module.named_parameters():
            few = drawn[: self.copies[_half(name)]]
            stacked = torch.stack([one.get_parameter(name).detach() for one in few])
            _put(self.experts, name, nn.Parameter(stacked))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        weights = self.one_draw() if self.training else self.averages()
        return functional_call(self.experts, weights, inputs)

    def one_draw(self) -> dict[str, torch.Tensor]:
        """The weights of one expert per half. (Drawn on the CPU, whose random state a checkpoint
        of the training and one of activations both keep.)"""
        chosen = {half: torch.randint(n, ()).item() for half, n in self.copies.items()}
        return {name: p[chosen[_half(name)]] for name, p in self.experts.named_parameters()}

    def averages(self) -> dict[str, torch.Tensor]:
        """The mean weights, by the names they have in a single module."""
        return {name: p.mean(0) for name, p in self.experts.named_parameters()}

    def weight_change(self) -> torch.Tensor:
        """ΔW of the average LoRA, (out, in)."""
        single = copy.deepcopy(self.experts)
        for name, mean in self.averages().items():
            _put(single, name, nn.Parameter(mean.detach()))
        return single.weight_change()

    def extra_repr(self) -> str:
        single = self.experts.extra_repr() or type(self.experts).__name__
        return f"{self.copies['down']} down, {self.copies['up']} up of {single}"


def disagreement(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """½ (KL(p ‖ q) + KL(q ‖ p)), the mean over the rows of logits p and q: (N, classes)."""
    log_p, log_q = p.float().log_softmax(-1), q.float().log_softmax(-1)
    return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1).mean()


def _labelled(model: nn.Module, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The logits that the cross-entropy reads, (N, classes): those with a label."""
    if logits.ndim == 3 and _predicts_the_next(model):
        logits, labels = logits[:, :-1], labels[:, 1:]
    if labels.shape != logits.shape[:-1]:
        return logits.flatten(0, -2)
    return logits[labels != IGNORED]


def _predicts_the_next(model: nn.Module) -> bool:
    """Whether position t of the logits speaks of token t + 1, as in a causal language model."""
    from course_utils.model_facts import plain

    plm = plain(model)
    return plm.can_generate() and not plm.config.is_encoder_decoder


def _method(of) -> Method:
    """`of` may be a name, or what `settings` wrote."""
    from course_utils.tuning.methods import method_named

    if isinstance(of, str):
        return method_named(of)
    if isinstance(of, Mapping):
        return method_named(**of)
    if isinstance(of, Method):
        return of
    raise CourseError(f"AdaMix(of={of!r}): give a method such as LoRA(rank=8), or its name.")


def _half(name: str) -> str:
    """Which projection a tensor of Bottleneck or LowRankUpdate belongs to."""
    return {"down": "down", "A": "down", "up": "up", "B": "up"}[name.split(".")[0]]


def _put(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    owner, _, last = name.rpartition(".")
    setattr(module.get_submodule(owner), last, parameter)
