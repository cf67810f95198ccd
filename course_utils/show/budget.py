"""What a method costs on a PLM: trained numbers, bytes, shares. Exact, and without the weights.

A PLM of any size is built on torch's meta device, which knows shapes and holds no numbers; the
method counts what it would train there. The task head is left out: it is the same for all methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from course_utils.errors import CourseError, unknown_name
from course_utils.show import memory
from course_utils.show.tables import Page, Table
from course_utils.show.widgets import WIDE, Playground, playground

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from course_utils.tuning import Method
    from course_utils.tuning.method import Term

_ROBERTA = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "pocket-bert-base": ("pocket", {}),
    "BERT-base": ("bert", _BASE),
    "BERT-large": ("bert", _LARGE),
    "RoBERTa-base": ("roberta", _BASE | _ROBERTA),
    "RoBERTa-large": ("roberta", _LARGE | _ROBERTA),
    "GPT-2 medium": ("gpt2", {"n_embd": 1024, "n_layer": 24, "n_head": 16}),
    "T5-large": ("t5", {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16}),
    "Llama-2-7B": ("llama", {"vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
                             "num_attention_heads": 32, "intermediate_size": 11008}),
}  # fmt: skip
"""Name -> architecture and what its configuration has other than the default."""


@dataclass(frozen=True)
class Choice:
    """A method with one number to choose.

    Attributes:
        make: from that number.
        knob: what the number is; "" where there is none to choose.
        usual: what its paper takes.
    """

    make: Callable[[int], Method]
    knob: str
    usual: int


@cache
def choices() -> dict[str, Choice]:
    """The methods of the calculator, those that train most first."""
    from course_utils import tuning as t

    everywhere = t.QLoRA().sites
    return {
        "full fine-tuning": Choice(lambda n: t.FullFineTuning(), "", 0),
        "Houlsby": Choice(lambda n: t.Houlsby(bottleneck=n), "bottleneck", 64),
        "Pfeiffer": Choice(lambda n: t.Pfeiffer(bottleneck=n), "bottleneck", 64),
        "LoRA, all places": Choice(lambda n: t.LoRA(rank=n, sites=everywhere), "rank", 8),
        "LoRA": Choice(lambda n: t.LoRA(rank=n), "rank", 8),
        "P-tuning v2": Choice(lambda n: t.PTuningV2(length=n), "length", 20),
        "BitFit": Choice(lambda n: t.BitFit(), "", 0),
        "AdapterBias": Choice(lambda n: t.AdapterBias(), "", 0),
        "IA3": Choice(lambda n: t.IA3(), "", 0),
        "soft prompt": Choice(lambda n: t.SoftPrompt(length=n), "length", 20),
    }


@cache
def empty_plm(name: str) -> PreTrainedModel:
    """A PLM of that shape without its numbers, for counting.

    Raises:
        CourseError: an unknown name.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    if name not in SHAPES:
        raise unknown_name("PLM of the calculator", name, SHAPES)
    kind, options = SHAPES[name]
    if kind == "pocket":
        from course_utils.plm import load_plm

        config = load_plm(name)[0].config
    else:
        config = AutoConfig.for_model(kind, **options)
    with torch.device("meta"):
        return AutoModel.from_config(config)


@cache
def parameters_of(plm: str) -> int:
    """All parameters of the PLM, without a head."""
    return sum(p.numel() for p in empty_plm(plm).parameters())


def trained_by(plm: str, method: str, size: int) -> tuple[int, str]:
    """(how many numbers the method trains in the PLM, the formula), without the head.

    Raises:
        CourseError: unknown names, or a method that does not fit the PLM.
    """
    terms = _terms(plm, method, size)
    return sum(term.count for term in terms), " + ".join(term.text for term in terms)


def added_by(plm: str, method: str, size: int) -> int:
    """How many of those numbers the PLM does not have anyway: not its norms, not its biases."""
    return sum(term.count for term in _terms(plm, method, size) if not term.own)


@cache
def _terms(plm: str, method: str, size: int) -> list[Term]:
    if method not in choices():
        raise unknown_name("method of the calculator", method, choices())
    from course_utils.plm import sites

    model, made = empty_plm(plm), choices()[method].make(size)
    found = sites(model) if made.needs_sites else None
    made.check(model, found)
    return made.terms(model, found)


def training_memory(plm: str, method: str, size: int) -> memory.TrainingMemory:
    """Of the PLM in float32 and of what is added to it: trained norms and biases count once."""
    whole = parameters_of(plm) + added_by(plm, method, size)
    return memory.bytes_to_train(whole, trained_by(plm, method, size)[0])


def budget_row(plm: str, method: str, size: int | None, tasks: int, stored_as: str) -> dict:
    """One row: what is trained, what it takes to train, to keep, and to keep for many tasks."""
    choice = choices().get(method)
    size = choice.usual if choice and (size is None or not choice.knob) else size
    whole = parameters_of(plm)
    trained, _ = trained_by(plm, method, size or 0)
    full = trained >= whole
    train = training_memory(plm, method, size or 0)
    return {
        "method": f"{method}, {choice.knob} {size}" if choice.knob else method,
        "trained": trained,
        "of the PLM": share(trained, whole),
        "kept per task": memory.readable(memory.bytes_to_store(trained, stored_as)),
        f"{tasks} tasks": memory.readable(
            memory.bytes_for_tasks(tasks, whole, None if full else trained, stored_as)
        ),
        "memory to train": memory.readable(train.total),
    }


def share(trained: float, whole: float) -> str:
    """A share in per cent, with digits enough to tell it from 0."""
    value = 100 * trained / whole
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def budget_playground(plm: str = "RoBERTa-large") -> Playground:
    """Choose a PLM, a method and its size; see what it trains and what that takes.

    Raises:
        CourseError: an unknown PLM.
    """
    if plm not in SHAPES:
        raise unknown_name("PLM of the calculator", plm, SHAPES)

    def answer(plm: str, method: str, size: int, tasks: int, stored_as: str) -> Page:
        row = budget_row(plm, method, size, tasks, stored_as)
        choice = choices()[method]
        _, formula = trained_by(plm, method, size if choice.knob else 0)
        rows = [row]
        if method != "full fine-tuning":
            rows.append(budget_row(plm, "full fine-tuning", None, tasks, stored_as))
        caption = f"{plm}, {parameters_of(plm):,} parameters; without the task head"
        table = Table(rows, caption=caption)
        knob = f"size is the {choice.knob}" if choice.knob else "this method has no size to choose"
        said = f"{formula} = {row['trained']:,} ({knob})"
        return Page(f"{table.html}<p style='font-size:1.1em'>{said}</p>", f"{table}\n{said}")

    return playground(
        answer,
        plm=ipw.Dropdown(options=list(SHAPES), value=plm, description="PLM", **WIDE),
        method=ipw.Dropdown(options=list(choices()), value="LoRA", **WIDE),
        size=ipw.SelectionSlider(
            options=[1, 2, 4, 8, 16, 20, 32, 64, 100, 128, 256], value=8, **WIDE
        ),
        tasks=ipw.IntSlider(value=100, min=1, max=1000, description="tasks", **WIDE),
        stored_as=ipw.Dropdown(
            options=list(memory.BYTES_PER_NUMBER), value="float32", description="stored as", **WIDE
        ),
    )


def budget_table(plm: str, tasks: int = 100, stored_as: str = "float32") -> Table:
    """All methods of the calculator at their usual sizes, on one PLM."""
    rows = []
    for method in choices():
        try:
            rows.append(budget_row(plm, method, None, tasks, stored_as))
        except CourseError:  # not every method fits every architecture
            continue
    return Table(rows, caption=f"{plm}: {parameters_of(plm):,} parameters, {stored_as}")
