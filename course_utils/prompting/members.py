"""The members of PET's ensemble, as they are kept in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from course_utils.records import read_json, write_json


@dataclass(frozen=True)
class Member:
    """One trained prompt of the ensemble.

    Attributes:
        generation, pattern, repetition: which one, counted from 0.
        weight: the pattern's training accuracy before training.
        train_examples: how many examples it learnt from.
        dev_score: after training.
        logits: (n, n_labels) its answers over the unlabelled texts.
    """

    generation: int
    pattern: int
    repetition: int
    weight: float
    train_examples: int
    dev_score: float
    logits: Tensor = field(repr=False)


def write_member(folder: Path, member: Member) -> None:
    """The answers first, the page last: a page says that both are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"logits": member.logits.contiguous()}, folder / "logits.safetensors")
    page = {name: getattr(member, name) for name in Member.__dataclass_fields__}
    del page["logits"]
    write_json(folder / "member.json", page)


def read_member(folder: Path) -> Member:
    logits = load_file(folder / "logits.safetensors")["logits"]
    return Member(**read_json(folder / "member.json"), logits=logits)
