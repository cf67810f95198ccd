"""The training loop under `train`: transformers' Trainer with five changes.

1. Batches of similar length in an order that depends on seed and epoch only, so a resumed run
   sees the batches an uninterrupted one would have seen.
2. Dev is scored with the kit's own evaluation; the best parameters are kept in memory and, with
   an output folder, in best-STEP.safetensors.
3. A checkpoint holds only what is trained, and appears under its name when it is complete.
4. The loss is the mean over the batch the model itself returns, for any kind of model, or the
   tuning method's own (`Method.training_output`).
5. Nothing is computed or written per step that nobody reads: short runs on small PLMs would
   spend much of their time there.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback

from course_utils.errors import CourseError
from course_utils.model_facts import tuned_in
from course_utils.records import read_json, write_json

PARAMETERS = "trained.safetensors"
LAST = "last.safetensors"  # beside the best: what training ended with
HISTORY = "history.json"
POOL = 50  # batches among which texts are sorted by length


def trained_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy, on the CPU, of every parameter that is trained."""
    return {
        name: p.detach().to("cpu", copy=True).contiguous()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def load_trained(model: nn.Module, state: dict[str, torch.Tensor], where: str = "state") -> None:
    """Puts a `trained_state` back.

    Raises:
        CourseError: the model trains other parameters than the state holds.
    """
    own = {name: p for name, p in model.named_parameters() if p.requires_grad}
    odd = sorted(own.keys() ^ state.keys())
    if odd:
        raise CourseError(
            f"{where} was made by another model or method: {odd[0]!r} is in only one of them."
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(state[name])


class DivergedError(CourseError):
    """The loss became infinite or not a number."""


class LengthGrouped(Sampler):
    """Indices such that `batch_size` in a row have similar length, anew each epoch.

    The examples are shuffled, cut into pools of `POOL` batches, sorted by length inside each
    pool and cut into batches, whose order is shuffled; the incomplete batch comes last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, group: bool) -> None:
        self.lengths, self.batch_size, self.seed, self.group = lengths, batch_size, seed, group
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed}/{self.epoch}")
        order = list(range(len(self.lengths)))
        draw.shuffle(order)
        if not self.group:
            return iter(order)
        size = self.batch_size * POOL
        batches = []
        for start in range(0, len(order), size):
            pool = sorted(order[start : start + size], key=lambda i: self.lengths[i])
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        short = [b for b in batches if len(b) < self.batch_size]
        full = [b for b in batches if len(b) == self.batch_size]
        draw.shuffle(full)
        return iter([i for batch in full + short for i in batch])


class Watch(TrainerCallback):
    """Scores dev every so many steps, remembers the best parameters, stops early, shows it.

    Args:
        score_dev: scores the model now.
        every: optimizer steps between two scores; the last step is always scored.
        per_epoch: optimizer steps in an epoch.
        patience: scores without a new best before training stops; None never stops.
        keep_best: False keeps the last parameters instead.
        folder: where checkpoints and the best parameters go; None keeps nothing on disk.
        bar: a tqdm bar to advance, or None.
    """

    def __init__(
        self,
        score_dev: Callable[[], float],
        *,
        every: int,
        per_epoch: int,
        patience: int | None,
        keep_best: bool,
        folder: Path | None,
        bar: Any,
    ) -> None:
        self.score_dev, self.every, self.per_epoch = score_dev, every, per_epoch
        self.patience, self.keep_best, self.folder, self.bar = patience, keep_best, folder, bar
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.loss_sum: torch.Tensor | float = 0.0
        self.loss_count = 0
        self.start = time.perf_counter()
        self.earlier = 0.0  # seconds spent before the resume

    def add_loss(self, loss: torch.Tensor) -> None:
        self.loss_sum = self.loss_sum + loss
        self.loss_count += 1

    def seconds(self) -> float:
        return self.earlier + time.perf_counter() - self.start

    def best_entry(self) -> dict[str, Any] | None:
        """The first entry with the highest dev score."""
        return max(self.history, key=lambda e: e["dev_score"]) if self.history else None

    def on_train_begin(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.total = state.max_steps
            self.bar.update(state.global_step - self.bar.n)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if self.bar is not None:
            self.bar.update(1)
        if state.global_step % self.every and state.global_step != state.max_steps:
            return
        loss = float(self.loss_sum) / max(self.loss_count, 1)
        self.loss_sum, self.loss_count = 0.0, 0
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss is not finite at step {state.global_step}: the learning rate "
                f"{args.learning_rate:g} is too high for this model and method. Lower it."
            )
        self._score(loss, state, model)
        control.should_save = self.folder is not None
        if self.patience is not None and self._waited() >= self.patience:
            control.should_training_stop = True

    def _score(self, loss: float, state: Any, model: nn.Module) -> None:
        before = self.best_entry()
        value = self.score_dev()
        self.history.append(
            {
                "step": state.global_step,
                "epoch": round(state.global_step / self.per_epoch, 4),
                "loss": loss,
                "dev_score": value,
                "seconds": round(self.seconds(), 2),
            }
        )
        if self.keep_best and (before is None or value > before["dev_score"]):
            self.best = trained_state(model)
            if self.folder is not None and state.is_world_process_zero:
                save_tensors(self.best, best_file(self.folder, state.global_step))
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{loss:.3f}", dev=f"{value:.3f}")

    def _waited(self) -> int:
        scores = [entry["dev_score"] for entry in self.history]
        return len(scores) - 1 - scores.index(max(scores))


class CourseTrainer(Trainer):
    """Trainer with the changes this module's docstring lists."""

    def __init__(
        self,
        *args: Any,
        order: LengthGrouped,
        watch: Watch,
        decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.order, self.watch, self.decay = order, watch, decay
        super().__init__(*args, callbacks=[watch], **kwargs)
        # The models' own mean over the batch is what this loop divides and averages.
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, *_: Any) -> LengthGrouped:
        return self.order

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The settings' own; with `decay`, warm-up and then times that after each epoch."""
        if self.decay is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)

        def factor(step: int) -> float:
            if step < warmup:
                return step / warmup
            return self.decay ** (step // self.watch.per_epoch)

        chosen = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, factor)
        return self.lr_scheduler

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        begin_step = getattr(self.model, "begin_step", None)
        if begin_step is not None:  # a model whose loss differs from step to step
            begin_step(self.state.global_step)
        outputs = self.training_output(model, inputs)
        self.watch.add_loss(outputs.loss.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def training_output(self, model: nn.Module, inputs: dict) -> Any:
        """The model's output; of a method with a loss of its own, with that loss."""
        method = getattr(tuned_in(self.model), "method", None)
        own = getattr(method, "training_output", None)
        return model(**inputs) if own is None else own(model, inputs)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # counting parameters at every step costs more than it tells

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trained_state(self.model), folder / PARAMETERS)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Written beside its place, then renamed: a killed run leaves no half checkpoint."""
        final = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        partial = final.with_name(f"partial-{final.name}")
        if self.args.should_save:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._save(str(partial))
        self._save_optimizer_and_scheduler(str(partial))
        self._save_scaler(str(partial))
        self._save_rng_state(str(partial))
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        write_json(
            partial / HISTORY, {"seconds": self.watch.seconds(), "entries": self.watch.history}
        )
        self.state.save_to_json(str(partial / "trainer_state.json"))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        for old in checkpoints(final.parent)[:-1]:
            shutil.rmtree(old, ignore_errors=True)
        # Only now: had the run died before, the former checkpoint would want its own best.
        for old in final.parent.glob("best-*"):
            if old != best_file(final.parent, self.watch.best_entry()["step"]):
                old.unlink()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_trained(self.model, load_file(folder / PARAMETERS), where=str(folder))
        saved = read_json(folder / HISTORY)
        self.watch.history, self.watch.earlier = saved["entries"], saved["seconds"]
        if self.watch.keep_best:
            best = best_file(folder.parent, self.watch.best_entry()["step"])
            self.watch.best = load_file(best)


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a folder, oldest first."""
    found = [p for p in folder.glob("checkpoint-*") if (p / HISTORY).is_file()]
    return sorted(found, key=lambda p: int(p.name.rsplit("-", 1)[1]))


def clean(folder: Path) -> None:
    """Removes what only a resume needs."""
    for path in [*folder.glob("checkpoint-*"), *folder.glob("partial-checkpoint-*")]:
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob("best-*"):
        path.unlink()


def best_file(folder: Path, step: int) -> Path:
    """Where the parameters of the best step are kept until the run is done."""
    return folder / f"best-{step}.safetensors"


def save_tensors(state: dict[str, torch.Tensor], path: Path) -> None:
    """Tensors to a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    save_file(state, temporary)
    os.replace(temporary, path)
