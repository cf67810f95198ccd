"""What a model costs in memory: to store, to answer with, and to train.

Plain arithmetic, so that notebooks, the playground and reports agree. Sizes are in bytes; GB means
10^9 bytes, as on the label of a disk (a graphics card's "16 GB" are 2^30 bytes each: 7 % more).
Activations are left out: they grow with batch and length, not with the number of parameters.

Sources: AdamW's two moments, Loshchilov and Hutter (2019), https://arxiv.org/abs/1711.05101;
16 bytes per parameter in mixed precision, Rajbhandari et al., "ZeRO" (2020),
https://arxiv.org/abs/1910.02054, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from course_utils.errors import CourseError, unknown_name

BYTES_PER_NUMBER = {
    "float32": 4.0,
    "float16": 2.0,
    "bfloat16": 2.0,
    "int8": 1.0,
    "nf4": (4 + 8 / 64 + 32 / (64 * 256)) / 8,  # QLoRA's, with the constants of its blocks
    "4-bit": 0.5,
}
MOMENTS = {"adamw": 2, "sgd with momentum": 1, "sgd": 0}

# Parameters of models the course speaks of, as their papers give them.
KNOWN_SIZES = {
    "GPT (2018)": 117e6,
    "BERT-base (2018)": 110e6,
    "BERT-large (2018)": 340e6,
    "GPT-2 (2019)": 1.5e9,
    "RoBERTa-large (2019)": 355e6,
    "T5-11B (2019)": 11e9,
    "GPT-3 (2020)": 175e9,
    "PaLM (2022)": 540e9,
}


def bytes_to_store(parameters: float, kind: str = "float32") -> float:
    """Bytes of one copy of the weights, in numbers of this kind."""
    _not_negative(parameters, "parameters")
    if kind not in BYTES_PER_NUMBER:
        raise unknown_name("kind of number", kind, BYTES_PER_NUMBER)
    return parameters * BYTES_PER_NUMBER[kind]


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that stay allocated while a model is trained, by what they are for."""

    weights: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer


def bytes_to_train(
    parameters: float,
    trained: float | None = None,
    *,
    frozen_kind: str = "float32",
    mixed: bool = False,
    optimizer: str = "adamw",
) -> TrainingMemory:
    """Bytes of weights, gradients and optimizer states.

    A trained number needs itself (4), its gradient (4) and AdamW's two moments (8). With `mixed`
    precision the copy that computes and its gradient are 2 bytes each, and the optimizer keeps a
    float32 master copy (4) beside its moments: 16 bytes again, fewer only for the activations.
    A frozen number needs only itself.

    Args:
        parameters: how many the model has.
        trained: how many of them (or besides them) are trained; default: all.
        frozen_kind: how frozen numbers are stored, a key of BYTES_PER_NUMBER.
        mixed: 16-bit computing with a float32 master copy of what is trained.
        optimizer: a key of MOMENTS.

    Raises:
        CourseError: a negative number, or a name that is not known.
    """
    trained = parameters if trained is None else trained
    _not_negative(trained, "trained")
    if optimizer not in MOMENTS:
        raise unknown_name("optimizer", optimizer, MOMENTS)
    frozen = bytes_to_store(max(parameters - trained, 0), frozen_kind)
    working = 2 if mixed else 4
    states = 4 * MOMENTS[optimizer] + (4 if mixed else 0)
    return TrainingMemory(
        weights=frozen + working * trained,
        gradients=working * trained,
        optimizer=states * trained,
    )


def bytes_for_tasks(
    tasks: int, parameters: float, added: float | None = None, kind: str = "float32"
) -> float:
    """Bytes on disk for `tasks` tasks.

    With `added` given, one shared PLM and that many parameters per task; without, a full copy of
    the PLM per task, which is what fine-tuning leaves behind.
    """
    _not_negative(tasks, "tasks")
    if added is None:
        return tasks * bytes_to_store(parameters, kind)
    return bytes_to_store(parameters, kind) + tasks * bytes_to_store(added, kind)


def readable(size: float) -> str:
    """Bytes in words: 1.42 GB, 350 GB, 3.2 MB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            value = size / factor
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{size:.0f} bytes"


def _not_negative(value: float, name: str) -> None:
    if value < 0:
        raise CourseError(f"{name} must not be negative; {value} was given.")
