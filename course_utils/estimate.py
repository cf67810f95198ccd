"""What a run will take, before it is begun: memory on a card, and minutes on this machine.

    print(estimate(Job.make("roberta-large", task, method="lora"), settings))

Memory is weights, gradients, optimizer states and what the forward pass keeps for the backward one.
The last is found by a forward pass of the longest batch with tensors that have shapes and no
numbers (PyTorch's FakeTensorMode), which takes no memory and no arithmetic, so that a laptop can
tell whether a T4 will do. It agrees with a real pass within about 5 %.

Minutes come from real training steps on this machine, on batches of three lengths: seconds grow
nearly linearly with the tokens of a padded batch. A line through the three, summed over the batches
of an epoch, gives the whole.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

from course_utils.device import autocast, choose_precision, device_of
from course_utils.errors import CourseError
from course_utils.evaluation import Prepared, prepare
from course_utils.job import Job
from course_utils.loop import LengthGrouped
from course_utils.model_facts import count_parameters, plm_name, with_prompt
from course_utils.show.memory import bytes_to_train, readable
from course_utils.tasks.batches import Collator, pad_id

T4_BYTES = 15e9  # what Colab's T4 leaves to a program, of its 16 GB
CUDA_BYTES = 0.6e9  # taken by CUDA and its libraries before the first tensor
SESSION_HOURS = 12  # after which Colab may end a session, at the latest
T4_FLOPS = 20e12  # per second in 16 bit, a third of the card's best: assumed, not measured
PROBES = 3
TURNS = 2


@dataclass(frozen=True)
class Estimate:
    """Bytes by purpose, and seconds.

    Attributes:
        weights, gradients, optimizer, activations: bytes; activations of the longest batch.
        precision: of the arithmetic that memory was estimated for.
        seconds: of one run (one seed), training and the scores on the way, on `device`; None
            where it was not probed.
        updates: optimizer steps of the run.
        batch: (examples, tokens) of the longest batch.
    """

    plm: str
    task: str
    method: str
    precision: str
    weights: float
    gradients: float
    optimizer: float
    activations: float
    seconds: float | None
    device: str
    updates: int
    batch: tuple[int, int]

    @property
    def total(self) -> float:
        """Bytes on a graphics card, with what CUDA itself takes."""
        return self.weights + self.gradients + self.optimizer + self.activations + CUDA_BYTES

    @property
    def fits_t4(self) -> bool:
        return self.total <= T4_BYTES

    def __str__(self) -> str:
        rows, tokens = self.batch
        lines = [
            f"{self.method} on {self.plm}, {self.task}: {self.updates:,} updates",
            f"Memory    {readable(self.total)} in {self.precision}: weights "
            f"{readable(self.weights)}, gradients {readable(self.gradients)}, optimizer "
            f"{readable(self.optimizer)}, kept for the backward pass "
            f"{readable(self.activations)} ({rows} texts of {tokens} tokens), CUDA "
            f"{readable(CUDA_BYTES)}",
        ]
        if self.seconds is not None:
            lines.append(
                f"Time      {in_words(self.seconds)} a seed on this machine ({self.device})"
            )
        return "\n".join(lines + self.warnings())

    def warnings(self) -> list[str]:
        """What does not fit Colab's free T4, and what to do about it."""
        found = []
        if not self.fits_t4:
            found.append(
                f"Warning   more than the {readable(T4_BYTES)} of Colab's T4. Halve --batch-size "
                "and double --accumulation, which gives the same updates; or a shorter "
                "--max-length."
            )
        if self.seconds is not None and self.device != "cpu":
            hours = self.seconds / 3600
            if hours > SESSION_HOURS:
                found.append(
                    f"Warning   longer than the {SESSION_HOURS} hours a Colab session may last. "
                    "Keep --output on a Drive: the same command then goes on where it stopped."
                )
        return found


def estimate(job: Job, settings: Any, *, seed: int = 0, minutes: bool = True) -> Estimate:
    """Memory of a run on a graphics card, and its time on this machine.

    Args:
        job: what is run (`Job.make`, as `run` makes it).
        settings: `TrainSettings`.
        minutes: False leaves the real steps out: only memory, in a second or two.

    Raises:
        CourseError: anything wrong with the job, or one that trains nothing.
    """
    if job.method is None:
        raise CourseError("nothing is trained without a method, so there is nothing to estimate.")
    model, tokenizer = job.load(seed)
    task = job.drawn(seed)
    model = with_prompt(model, task, tokenizer, job.prompt, settings.max_length)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    length = settings.max_length
    data = prepare(model, task, "train", tokenizer, max_length=length, training=True)
    dev = prepare(model, task, settings.choose_on, tokenizer, max_length=length)
    filled = settings.filled(model, len(data.encoded.features))
    batches = _batches(data, filled, tokenizer)
    longest = max(batches, key=_size)
    precision = filled.precision
    if precision == "auto":  # a T4's, whatever is here
        precision = choose_precision(device) if device.type == "cuda" else "float16"
    trained, total = count_parameters(model)
    memory = bytes_to_train(total, trained)
    seconds = None
    if minutes:
        seconds = _seconds(model.to(device), batches, filled) + _scoring(model, dev, filled)
        model.cpu()
    return Estimate(
        plm=plm_name(model),
        task=task.name,
        method=str(job.method),
        precision=precision,
        weights=memory.weights,
        gradients=memory.gradients,
        optimizer=memory.optimizer,
        activations=kept_bytes(model, longest, sixteen_bit=precision != "float32"),
        seconds=seconds,
        device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        updates=filled.steps,
        batch=tuple(longest["input_ids"].flatten(0, -2).shape),
    )


def kept_bytes(model: nn.Module, batch: dict[str, torch.Tensor], sixteen_bit: bool) -> float:
    """Bytes that a forward pass keeps for the backward one, parameters not counted.

    The pass is made with tensors without numbers. In 16 bit the copies of frozen weights that a
    map's backward pass needs are among what is kept, as on a graphics card.

    Args:
        model: on the CPU.
        batch: with labels, on the CPU.
    """
    was_training = model.training
    model.train()
    try:
        return _kept_of_a_pass(model, batch, sixteen_bit)
    finally:
        model.train(was_training)
        gc.collect()  # the mode's references to parameters would keep them from being moved


def _kept_of_a_pass(model: nn.Module, batch: dict[str, torch.Tensor], sixteen_bit: bool) -> float:
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        own = {name: mode.from_tensor(tensor) for name, tensor in named.items()}
        parameters = {tensor.untyped_storage()._cdata for tensor in own.values()}
        kept: dict[int, Any] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in parameters:
                kept[storage._cdata] = storage  # held, so that no other gets its number
            return tensor

        inputs = {name: mode.from_tensor(tensor) for name, tensor in batch.items()}
        with (
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=sixteen_bit),
        ):
            torch.func.functional_call(model, own, kwargs=inputs)
        return float(sum(storage.nbytes() for storage in kept.values()))


def rough_minutes(
    parameters: float, examples: int, tokens: float, epochs: int, dev_examples: int
) -> float:
    """Minutes on a T4 by arithmetic alone, before anything is loaded: right to a factor of two.

    A token costs 2·N operations in the forward pass of a PLM of N parameters, and as many on the
    way back while it is frozen (no gradients of weights); scoring dev costs the first half only.

    Args:
        parameters: N.
        examples, tokens: of the training data, and how long they are on average.
        dev_examples: scored after each epoch.
    """
    per_epoch = 4 * parameters * examples * tokens + 2 * parameters * dev_examples * tokens
    return epochs * per_epoch / T4_FLOPS / 60


def _batches(data: Prepared, settings: Any, tokenizer: Any) -> list[dict[str, torch.Tensor]]:
    """The batches of the first epoch, as training will see them."""
    lengths = data.encoded.lengths()
    order = list(
        LengthGrouped(lengths, settings.batch_size, settings.seed, settings.group_by_length)
    )
    size, features = settings.batch_size, data.encoded.features
    collator = Collator(pad_id(tokenizer))
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    return [collator([features[i] for i in chunk]) for chunk in chunks]


def _size(batch: dict[str, torch.Tensor]) -> int:
    return batch["input_ids"].numel()


def _seconds(model: nn.Module, batches: Sequence[dict], settings: Any) -> float:
    """Of all training steps: a line through timed ones, by the tokens of their batches."""
    device = device_of(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    optimizer = torch.optim.AdamW(trained, lr=1e-9)

    def step(batch: dict[str, torch.Tensor]) -> float:
        inputs = {k: v.to(device) for k, v in batch.items()}
        _wait(device)
        start = time.perf_counter()
        with autocast(device, settings.precision):
            loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)
        return time.perf_counter() - start

    model.train()
    a, b = _line(_probe(batches, step))
    model.eval()
    with torch.no_grad():
        for parameter, value in zip(trained, before, strict=True):
            parameter.copy_(value)
    epoch = sum(a + b * _size(batch) for batch in batches)
    forward_passes = settings.steps * settings.accumulation
    return epoch * forward_passes / len(batches)


def _scoring(model: nn.Module, dev: Prepared, settings: Any) -> float:
    """Of all dev scores on the way."""
    device = device_of(model)
    if dev.task.kind == "generation":
        raise CourseError(
            "the time of writing texts can't be told from a few steps, as it depends on what is "
            "written: estimate with minutes=False (--memory-only)."
        )
    batches = [batch for _, batch in dev.batches(settings.evaluation_batch_size)]

    def step(batch: dict[str, torch.Tensor]) -> float:
        inputs = {k: v.to(device) for k, v in batch.items() if k != "labels"}
        _wait(device)
        start = time.perf_counter()
        with torch.inference_mode(), autocast(device, settings.precision):
            model(**inputs)
        _wait(device)
        return time.perf_counter() - start

    a, b = _line(_probe(batches, step))
    scores = math.ceil(settings.steps / settings.evaluate_every)
    return scores * sum(a + b * _size(batch) for batch in batches)


def _probe(batches: Sequence[dict], step: Any) -> list[tuple[int, float]]:
    """(tokens, seconds) of the shortest, the middle and the longest batch."""
    ordered = sorted(batches, key=_size)
    last = len(ordered) - 1
    places = sorted({round(i * last / (PROBES - 1)) for i in range(PROBES)})
    step(ordered[places[0]])  # the first step is never like the others
    return [
        (_size(ordered[place]), median(step(ordered[place]) for _ in range(TURNS)))
        for place in places
    ]


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Least squares: seconds = a + b · tokens, with neither below 0."""
    tokens, seconds = zip(*points, strict=True)
    mean_t, mean_s = sum(tokens) / len(points), sum(seconds) / len(points)
    spread = sum((t - mean_t) ** 2 for t in tokens)
    if not spread:
        return mean_s, 0.0
    b = sum((t - mean_t) * (s - mean_s) for t, s in points) / spread
    a = mean_s - b * mean_t
    if b < 0:
        return mean_s, 0.0
    return (a, b) if a >= 0 else (0.0, mean_s / mean_t)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_words(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
