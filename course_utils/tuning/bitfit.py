"""BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models
(Ben Zaken, Goldberg and Ravfogel, ACL 2022, arXiv:2106.10199).

    h = W x + b         W frozen, b trained                                         (paper, sect. 3)

Nothing is added to the PLM: of the numbers it has, the biases are trained, 0.08 % of BERT-large.
Each moves a hidden state by one vector, the same for every token and every text.

In two ways the biases are chosen by what they belong to, and never by finding "bias" in a name.
T5's `relative_attention_bias` is a table of attention scores and no bias of this kind; and
"output.dense.bias" would be two different vectors of a BERT layer. T5 and Llama have no biases at
all, in their maps or their norms: there is nothing to train there, and BitFit says so.

The authors' program trains every bias of the model, the pooler's too, with a learning rate of 1e-3,
a hundred times that of full fine-tuning. Their smaller choice, half the numbers for nearly the same
scores, is BitFit(parts=("query", "ffn_in")).

The trained biases are the PLM's own and of its type: use a PLM in float32 (`load_plm`'s default),
since 16 bit are too coarse for small updates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.architectures import ROLES, Sites, sites
from course_utils.plm.load import head_parameters
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement

PARTS = (*ROLES, "norms", "pooler", "lm_head")


@dataclass(frozen=True)
class BitFit(Method):
    """Train the PLM's biases.

    Args:
        parts: whose biases; () for all. From "query", "key", "value", "attention_output",
            "ffn_in", "ffn_out", "norms", "pooler" and "lm_head" (a language model's head).
    """

    parts: tuple[str, ...] = ()

    name = "bitfit"
    needs_sites = False

    def __post_init__(self) -> None:
        parts = (self.parts,) if isinstance(self.parts, str) else tuple(self.parts)
        object.__setattr__(self, "parts", parts)
        for part in parts:
            if part not in PARTS:
                raise unknown_name("part with biases", part, PARTS)
        require(len(set(parts)) == len(parts), f"BitFit(parts={parts}): a part is named twice.")

    def check(self, model, sites: Sites | None) -> None:
        if not _biases(model):
            raise CourseError(
                f"BitFit() has nothing to train: {type(model).__name__} has no biases, neither in "
                "its maps nor in its norms (T5 and Llama do without). LoRA, IA3 and adapters work."
            )
        for part in self.parts:
            if not _biases(model, (part,)):
                raise CourseError(
                    f"BitFit: {part!r} has no biases of its own in {type(model).__name__} (those "
                    "of a new task head are trained anyway)."
                )
        self._check_fused(model)

    def _check_fused(self, model) -> None:
        named = {"query", "key", "value"} & set(self.parts)
        if 0 < len(named) < 3 and any(s.columns for s in sites(model).at("query")):
            raise CourseError(
                f"BitFit(parts={self.parts}): query, key and value share one bias in "
                f"{type(model).__name__}. Name all three or none."
            )

    def place(self, placement: Placement) -> None:
        placement.train(_biases(placement.model, self.parts))

    def terms(self, model, sites: Sites | None) -> list[Term]:
        sizes = Counter(bias.numel() for bias in _biases(model, self.parts).values())
        return [Term(f"{n} × {size:,} biases", n * size, own=True) for size, n in sizes.items()]

    def weight_changes(self, placement: Placement) -> Iterator:
        return iter(())  # they are in the PLM already


def _biases(model: nn.Module, parts: tuple[str, ...] = ()) -> dict[str, nn.Parameter]:
    """The biases of these parts, of all for (), by name and without the task head's."""
    chosen = [module for part in parts for module in _modules(model, part)]
    biases = (getattr(module, "bias", None) for module in (chosen if parts else model.modules()))
    wanted = {id(bias) for bias in biases if isinstance(bias, nn.Parameter)}
    head = head_parameters(model)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if id(parameter) in wanted and name not in head
    }


def _modules(model: nn.Module, part: str) -> list[nn.Module]:
    """The modules that `part` names."""
    if part == "lm_head":
        inside = set(model.base_model.modules())
        return [module for module in model.modules() if module not in inside]
    found = sites(model)
    if part == "norms":
        return [norm for layer in found for norm in layer.norms] + list(found.norms)
    if part == "pooler":
        return list(found.pooler.modules()) if found.pooler is not None else []
    return [site.module for site in found.at(part)]
