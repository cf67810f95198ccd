"""Fine-tuning the top layers only: what methods that touch every layer are compared with.

    f_k+1 ... f_L trained,  f_1 ... f_k and the embeddings frozen

The baseline is as old as transfer learning; Houlsby et al. (2019, arXiv:1902.00751, figure 1) draw
adapters against it and Li and Liang (2021, arXiv:2101.00190, table 1, "FT-TOP2") prefixes: of
GPT-2 medium the top two layers are 25.19M numbers. It costs less time than other methods, since no
gradient goes below the lowest trained layer, and more memory for what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from course_utils.errors import CourseError
from course_utils.plm.architectures import Sites
from course_utils.plm.load import head_parameters
from course_utils.tuning.method import Method, Term, require, terms_of
from course_utils.tuning.placement import Placement


@dataclass(frozen=True)
class TopLayers(Method):
    """Train the `layers` layers nearest to the output, and what the PLM has above them.

    That is the norm behind the last layer, or BERT's pooler; the task head is trained as with
    every method, a language model's head is not. In an encoder-decoder the decoder is on top.

    Args:
        layers: how many.
    """

    layers: int = 2

    name = "top-layers"

    def __post_init__(self) -> None:
        require(
            isinstance(self.layers, int) and self.layers >= 1,
            f"TopLayers(layers={self.layers!r}): a whole number from 1 on.",
        )

    def check(self, model, sites: Sites) -> None:
        if self.layers > len(sites):
            raise CourseError(
                f"TopLayers(layers={self.layers}): {type(model).__name__} has {len(sites)} layers. "
                "FullFineTuning() trains all of them and the embeddings."
            )

    def place(self, placement: Placement) -> None:
        sites = placement.sites
        placement.train_in(self._layers(sites) + self._above(placement.model, sites))

    def terms(self, model, sites: Sites) -> list[Term]:
        kind = "pooler" if sites.post_norm else "norm"
        return terms_of("layer", self._layers(sites)) + terms_of(kind, self._above(model, sites))

    def weight_changes(self, placement: Placement) -> Iterator:
        return iter(())  # they are in the PLM already

    def _layers(self, sites: Sites) -> list[nn.Module]:
        return [layer.module for layer in sites.layers[-self.layers :]]

    def _above(self, model, sites: Sites) -> list[nn.Module]:
        """The last norm of each stack that is trained; or the pooler, unless it is a new one and
        so belongs to the task head."""
        if sites.post_norm:
            head = {id(model.get_parameter(name)) for name in head_parameters(model)}
            pooler = sites.pooler
            new = pooler is None or any(id(p) in head for p in pooler.parameters())
            return [] if new else [pooler]
        stacks = list(dict.fromkeys(layer.stack for layer in sites))
        trained = {layer.stack for layer in sites.layers[-self.layers :]}
        pairs = zip(stacks, sites.norms, strict=True)
        return [norm for stack, norm in pairs if stack in trained]
