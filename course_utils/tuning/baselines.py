"""The two ends every method is compared with: train everything, or only the task head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from course_utils.errors import CourseError
from course_utils.plm.load import head_parameters
from course_utils.tuning.method import Method, Term
from course_utils.tuning.placement import Placement


@dataclass(frozen=True)
class FullFineTuning(Method):
    """Train all parameters of the PLM and the head.

    What is saved is as large as the PLM, and while attached a copy of it waits in main memory for
    `detach`: this is what the other methods spare.
    """

    name = "full"
    needs_sites = False

    def place(self, placement: Placement) -> None:
        placement.train(name for name, _ in placement.model.named_parameters())

    def terms(self, model, sites) -> list[Term]:
        head = head_parameters(model)
        count = sum(p.numel() for name, p in model.named_parameters() if name not in head)
        return [Term("every parameter of the PLM", count, own=True)]

    def weight_changes(self, placement: Placement) -> Iterator:
        return iter(())  # they are in the weights already


@dataclass(frozen=True)
class HeadOnly(Method):
    """Train the task head alone; the PLM serves as a fixed reader ("linear probing")."""

    name = "head-only"
    needs_sites = False

    def check(self, model, sites) -> None:
        if not head_parameters(model):
            raise CourseError(
                f"HeadOnly() has nothing to train: {type(model).__name__} has no new task head. "
                "Load the PLM with head='classifier', 'tagger' or 'choice'."
            )

    def place(self, placement: Placement) -> None:
        """The head is trained with every method; there is nothing else to do."""

    def terms(self, model, sites) -> list[Term]:
        return [Term("nothing of the PLM", 0)]

    def weight_changes(self, placement: Placement) -> Iterator:
        return iter(())
