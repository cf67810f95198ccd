"""What every tuning method is: its hyper-parameters, where it goes, and what it costs.

A method is a frozen dataclass. Its fields are its hyper-parameters, checked when it is made; it is
written to and read from `method.json` by its `name` and fields. The maths lives in small modules
beside it, one method per file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from course_utils.errors import CourseError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

    from course_utils.plm.architectures import Sites
    from course_utils.tuning.merging import WeightChange
    from course_utils.tuning.placement import Placement


@dataclasses.dataclass(frozen=True)
class Term:
    """One summand of a method's parameter count: how it is computed, and what it comes to.

    `own` are parameters that the PLM has anyway, trained in their place; others are added to it.
    """

    text: str
    count: int
    own: bool = False


class Method:
    """Base of all methods. A method overrides `place` and `terms`, and what else it needs."""

    name: ClassVar[str]
    """The name in method.json and on the command line."""

    needs_sites: ClassVar[bool] = True
    """False for baselines that never look inside a layer; they then work on any architecture."""

    @property
    def extra_tokens(self) -> int:
        """How many of the PLM's positions the method takes from the text."""
        return 0

    def check(self, model: PreTrainedModel, sites: Sites | None) -> None:
        """Refuse, with a CourseError, a model this method can't tune. Changes nothing."""

    def place(self, placement: Placement) -> None:
        """Put the method's modules into the PLM through `placement`, which can undo it."""
        raise NotImplementedError

    def terms(self, model: PreTrainedModel, sites: Sites | None) -> list[Term]:
        """The parameter count as a formula, from the shapes alone and without the task head."""
        raise NotImplementedError

    def count(self, model: PreTrainedModel) -> int:
        """Parameters this method would train in `model`, without the head and without attaching.

        A model on the meta device will do, so that budgets of large models cost no memory.
        """
        from course_utils.plm.architectures import sites

        return sum(t.count for t in self.terms(model, sites(model) if self.needs_sites else None))

    def weight_changes(self, placement: Placement) -> Iterator[WeightChange]:
        """For `merge`: each site whose weight changes, with ΔW and Δb in float32.

        Raises:
            CourseError: for a method whose effect is no change of weights.
        """
        raise CourseError(
            f"{type(self).__name__} can't be merged: what it does to a hidden state is not a "
            "change of the PLM's weights. Keep it attached, or save() it."
        )

    def training_output(self, model: nn.Module, batch: Mapping[str, torch.Tensor]):
        """For `train`: the output for a batch, whose `.loss` is the loss to train on.

        `model` is the `Tuned`, or what asks it, such as a prompt. A method with a loss of its own
        adds it here.
        """
        return model(**batch)

    def kept(self, placement: Placement) -> tuple[Method, dict[str, torch.Tensor]]:
        """What is kept of this method after training, and what `save` writes: the method to attach
        again, and its tensors by their names in the PLM. For a method that trains in another form
        than it is used in, not itself."""
        names = placement.added_names()
        return self, {n: p for n, p in placement.model.named_parameters() if n in names}

    def settings(self) -> dict:
        """The hyper-parameters as plain data."""
        return dataclasses.asdict(self)


def require(condition: bool, message: str) -> None:
    """Raise CourseError(message) unless `condition`; for the checks of hyper-parameters."""
    if not condition:
        raise CourseError(message)


def terms_of(kind: str, modules: Iterable[nn.Module]) -> list[Term]:
    """Parameters of whole modules of the PLM, by size, such as "49 norms × 2,048"."""
    sizes = Counter(sum(p.numel() for p in module.parameters()) for module in modules)
    return [
        Term(f"{n} {kind if n == 1 else kind + 's'} × {size:,}", n * size, own=True)
        for size, n in sizes.items()
    ]
