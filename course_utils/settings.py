"""How to train: `TrainSettings`, and the defaults it is completed with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from course_utils.device import PRECISIONS, choose_precision
from course_utils.errors import CourseError
from course_utils.model_facts import count_parameters, method_of

SCHEDULES = {
    "linear": "linear",
    "constant": "constant_with_warmup",
    "cosine": "cosine",
    "exponential": "constant_with_warmup",  # the decay is put in by CourseTrainer
}
DECAY = 0.95  # of "exponential": P-tuning v2's, for each epoch
EACH_EPOCH = "epoch"
LEAST_STEPS = 120  # fewer updates leave a new head near its random start
MOST_SCORES = 12  # dev evaluations in one training, unless asked for otherwise

# Learning rates for AdamW by the PLM's number of parameters (upper bound of each column).
# Full fine-tuning wants less the larger the PLM; small modules on a frozen PLM want more.
SIZES = (12e6, 60e6, 200e6, math.inf)
LEARNING_RATES: dict[str, tuple[float, ...]] = {
    "FullFineTuning": (2e-4, 1e-4, 3e-5, 1e-5),
    "HeadOnly": (3e-3, 3e-3, 1e-3, 1e-3),
    "TopLayers": (5e-4, 1e-4, 3e-5, 1e-5),
    "Houlsby": (3e-3, 1e-3, 3e-4, 3e-4),
    "Pfeiffer": (3e-3, 1e-3, 1e-4, 1e-4),
    "ParallelAdapter": (1e-3, 5e-4, 1e-4, 1e-4),
    "AdaMix": (3e-3, 1e-3, 4e-4, 3e-4),
    "AdapterBias": (3e-3, 1e-3, 1e-4, 1e-4),
    "BitFit": (3e-3, 3e-3, 1e-3, 1e-3),
    "LoRA": (3e-3, 3e-3, 5e-4, 3e-4),
    "QLoRA": (3e-3, 3e-3, 5e-4, 2e-4),
    "IA3": (1e-2, 5e-3, 3e-3, 3e-3),
    "SoftPrompt": (1e-2, 1e-2, 1e-2, 5e-3),
    "PrefixTuning": (1e-3, 5e-4, 2e-4, 5e-5),
    "PTuningV2": (1e-2, 1e-2, 1e-2, 7e-3),
}
# Ways to train all of a PLM, and small new parts on a frozen one.
LEARNING_RATES |= dict.fromkeys(
    ("JointExits", "AlternatingExits", "LastExit", "Distillation", "MagnitudePruning"),
    LEARNING_RATES["FullFineTuning"],
)
LEARNING_RATES["InnerExits"] = LEARNING_RATES["HeadOnly"]
LEARNING_RATES["ConfidenceOnly"] = (3e-2, 3e-2, 1e-2, 1e-2)
OTHER_METHODS = (3e-3, 1e-3, 5e-4, 3e-4)


@dataclass(frozen=True)
class TrainSettings:
    """How to train. What is None is filled in by `filled` from the method, PLM and data.

    Attributes:
        epochs, steps: how long; at most one of them. Default 5 epochs, at least 120 updates.
        batch_size: examples per forward pass and device; one update sees
            batch_size * accumulation * devices of them.
        learning_rate: peak, for AdamW.
        warmup: share of the updates in which it rises from 0.
        schedule: "linear" or "cosine" decay to 0, "constant", or "exponential", times 0.95 after
            each epoch.
        precision: "auto" is float32 on a CPU, 16 bit on a GPU; or one by name.
        max_length: tokens per example; the model's limit when None.
        evaluate_every: updates between dev scores, or "epoch"; each epoch, at most 12 in all,
            when None.
        keep: "best" on dev or "last".
        choose_on: the split that is scored on the way and that chooses the best; "dev", unless
            dev is what is reported and a part of train shall choose (`Task.with_selection`).
        patience: dev scores without a new best before training stops.
        group_by_length: batches of similar length, so that little is padded.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 16
    learning_rate: float | None = None
    warmup: float = 0.06
    weight_decay: float = 0.01
    schedule: str = "linear"
    seed: int = 0
    precision: str = "auto"
    max_length: int | None = None
    evaluate_every: int | str | None = None
    keep: str = "best"
    choose_on: str = "dev"
    patience: int | None = None
    accumulation: int = 1
    max_grad_norm: float = 1.0
    group_by_length: bool = True
    evaluation_batch_size: int = 64

    def __post_init__(self) -> None:
        _positive(self, "epochs", "steps", "batch_size", "learning_rate")
        if self.evaluate_every != EACH_EPOCH:
            _positive(self, "evaluate_every")
        _positive(self, "patience", "accumulation", "evaluation_batch_size", "max_length")
        if self.epochs is not None and self.steps is not None:
            raise CourseError("TrainSettings: give epochs or steps, not both.")
        for name, known in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("keep", ("best", "last")),
        ):
            if getattr(self, name) not in known:
                raise CourseError(
                    f"TrainSettings: {name} {getattr(self, name)!r}; expected one of "
                    f"{', '.join(known)}."
                )
        if not 0 <= self.warmup < 1:
            raise CourseError(f"TrainSettings: warmup {self.warmup} is a share, 0 to below 1.")

    def filled(self, model: nn.Module, examples: int, processes: int = 1) -> TrainSettings:
        """The same settings with nothing left open, for `examples` training examples."""
        per_epoch = updates_per_epoch(self, examples, processes)
        epochs, steps = self.epochs, self.steps
        if steps is None:
            epochs = epochs or max(5, math.ceil(LEAST_STEPS / per_epoch))
            steps = math.ceil(epochs * per_epoch)
        every = self.evaluate_every
        if every == EACH_EPOCH:
            every = per_epoch
        if every is None:
            every = per_epoch * math.ceil(steps / per_epoch / MOST_SCORES)
            if every > steps:  # less than an epoch in all: score on the way nevertheless
                every = max(1, steps // 5)
        return replace(
            self,
            epochs=None,
            steps=steps,
            evaluate_every=every,
            learning_rate=self.learning_rate or default_learning_rate(model),
        )


def trainer_arguments(settings: TrainSettings, folder: str) -> Any:
    """Filled settings as transformers' TrainingArguments; what the kit does itself is off."""
    from transformers import TrainingArguments

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = choose_precision(device, settings.precision)
    return TrainingArguments(
        output_dir=folder,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=math.ceil(settings.warmup * settings.steps),
        weight_decay=settings.weight_decay,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        use_cpu=device.type == "cpu",
        fp16=precision == "float16",
        bf16=precision == "bfloat16",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        label_names=["labels"],
        ddp_find_unused_parameters=False,
    )


def updates_per_epoch(settings: TrainSettings, examples: int, processes: int = 1) -> int:
    """Optimizer steps in one pass over the training examples."""
    batches = math.ceil(math.ceil(examples / settings.batch_size) / processes)
    return math.ceil(batches / settings.accumulation)


def default_learning_rate(model: nn.Module) -> float:
    """A learning rate to start from, by method and number of parameters of the PLM."""
    size = count_parameters(model)[1]
    rates = LEARNING_RATES.get(method_of(model)[0], OTHER_METHODS)
    return next(rate for rate, bound in zip(rates, SIZES, strict=True) if size <= bound)


def _positive(settings: TrainSettings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, str):
            raise CourseError(f"TrainSettings: {name} {value!r}; expected a number.")
        if value is not None and value <= 0:
            raise CourseError(f"TrainSettings: {name} {value}; expected more than 0.")
