"""Training a model on a task.

    result = train(model, task, tokenizer=tokenizer, settings=TrainSettings(epochs=5))
    print(result)                      # what was trained, the best epoch, its dev score
    evaluate(model, task, "test", tokenizer=tokenizer)

`train` trains whatever parameters have requires_grad: all of a model, a LoRA, a soft prompt.
The loop is transformers' Trainer (see `course_utils.loop` for what is changed): mixed precision,
accumulation, several GPUs through `accelerate launch`, checkpoints and resume. The epoch is
chosen on dev, never on test.
"""

from __future__ import annotations

import datetime
import gc
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from course_utils.device import choose_precision, peak_memory, reset_peak_memory
from course_utils.errors import CourseError
from course_utils.evaluation import Evaluation, Prepared, prepare
from course_utils.loop import (
    LAST,
    PARAMETERS,
    CourseTrainer,
    LengthGrouped,
    Watch,
    checkpoints,
    clean,
    load_trained,
    save_tensors,
    trained_state,
)
from course_utils.model_facts import (
    count_parameters,
    method_of,
    plain,
    plain_json,
    plm_name,
    with_prompt,
)
from course_utils.records import RunRecord, processes, read_json, versions, write_json
from course_utils.settings import (
    DECAY,
    TrainSettings,
    trainer_arguments,
    updates_per_epoch,
)
from course_utils.tasks.batches import Collator, pad_id
from course_utils.tasks.task import Task


@dataclass(frozen=True)
class TrainResult:
    """What `train` gives back: the model with its chosen parameters, and the record.

    `model` is the object that was passed in, or the `PromptModel` made for `prompt`.
    """

    model: nn.Module = field(repr=False)
    record: RunRecord
    evaluation: Evaluation = field(repr=False)
    output: Path | None = None

    @property
    def history(self) -> tuple[Any, ...]:
        return tuple(self.record.history)

    @property
    def dev_score(self) -> float:
        return self.record.dev_score

    def __str__(self) -> str:
        r = self.record
        return (
            f"{r.method} on {r.plm}, {r.task}: {r.trainable:,} of {r.total:,} parameters trained "
            f"on {r.train_examples:,} examples in {r.seconds:.0f} s; dev {r.metric} "
            f"{r.dev_score:.3f} at epoch {r.best_epoch:g} of {r.epochs:g}"
        )


def train(
    model: nn.Module,
    task: Task,
    *,
    tokenizer: Any,
    prompt: Any = None,
    settings: TrainSettings | None = None,
    examples: int | None = None,
    output: str | Path | None = None,
    plm: str | None = None,
    progress: bool | None = None,
) -> TrainResult:
    """Trains what requires a gradient on the task's "train", choosing the epoch on "dev".

    (Or on another split: `settings.choose_on`.)

    Args:
        model: transformers model with the task's head, `Tuned`, or `PromptModel`.
        prompt: (template, verbalizer) to train the PLM through a prompt (`with_prompt`).
        examples: train on that many examples, drawn with the settings' seed.
        output: a folder for checkpoints, the record and the trained parameters. An interrupted
            run with the same settings goes on from its last checkpoint and ends as it would
            have; a finished one is loaded, not repeated.
        plm: name for the record, when the model doesn't know it.
        progress: a bar; shown in a terminal or notebook when None.

    Raises:
        CourseError: before any work, if nothing is trainable, a split is missing, a text does
            not fit, or `output` belongs to another run; during it, if the loss diverges.
    """
    settings = settings or TrainSettings()
    model = with_prompt(model, task, tokenizer, prompt, settings.max_length)
    if not any(p.requires_grad for p in model.parameters()):
        raise CourseError("nothing to train: no parameter of the model requires a gradient.")
    if examples is not None:
        task = task.subset(examples, seed=settings.seed)
    length = settings.max_length
    data = prepare(model, task, "train", tokenizer, max_length=length, training=True)
    dev = prepare(model, task, settings.choose_on, tokenizer, max_length=length)
    folder = None if output is None else Path(output)
    shared = _Run(model, task, tokenizer, settings, data, dev, folder, plm)
    return shared.go(progress)


class _Run:
    """One training, between its inputs and its record."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        tokenizer: Any,
        settings: TrainSettings,
        data: Prepared,
        dev: Prepared,
        folder: Path | None,
        plm: str | None,
    ) -> None:
        self.model, self.task, self.tokenizer = model, task, tokenizer
        self.data, self.dev, self.folder = data, dev, folder
        count = len(data.encoded.features)
        self.settings = settings.filled(model, count, processes())
        self.per_epoch = updates_per_epoch(settings, count, processes())
        self.plm = plm or plm_name(model)
        self.trainable, self.total = count_parameters(model)

    def go(self, progress: bool | None) -> TrainResult:
        resume = self._claim()
        if self.folder is not None and (self.folder / PARAMETERS).is_file():
            return self._finished()
        config = getattr(plain(self.model), "config", None)
        use_cache = getattr(config, "use_cache", None)
        reset_peak_memory()
        with tempfile.TemporaryDirectory() as scratch:
            watch = self._watch(progress)
            trainer = self._trainer(watch, str(self.folder or scratch))
            gc.freeze()  # Trainer collects garbage first: 0.3 s over libraries that never is any
            try:
                trainer.train(resume_from_checkpoint=str(resume) if resume else None)
            finally:
                gc.unfreeze()
        if watch.bar is not None:
            watch.bar.close()
        if use_cache is not None:
            config.use_cache = use_cache  # Trainer turns it off; generation wants it
        if watch.best is not None:
            if self.folder is not None and trainer.is_world_process_zero():
                save_tensors(trained_state(self.model), self.folder / LAST)
            load_trained(self.model, watch.best)
        self.model.eval()
        evaluation = self._score()
        record = self._record(watch, evaluation, trainer.args.device)
        if self.folder is not None and trainer.is_world_process_zero():
            self._leave(record)
        return TrainResult(self.model, record, evaluation, self.folder)

    def _finished(self) -> TrainResult:
        load_trained(self.model, load_file(self.folder / PARAMETERS), where=str(self.folder))
        self.model.eval()
        record = RunRecord.read(self.folder / "record.json")
        return TrainResult(self.model, record, self._score(), self.folder)

    def _score(self) -> Evaluation:
        return self.dev.evaluate(
            self.model, self.settings.evaluation_batch_size, self.settings.precision
        )

    def _watch(self, progress: bool | None) -> Watch:
        return Watch(
            lambda: self._score().score,
            every=self.settings.evaluate_every,
            per_epoch=self.per_epoch,
            patience=self.settings.patience,
            keep_best=self.settings.keep == "best",
            folder=self.folder,
            bar=_bar(progress, f"{method_of(self.model)[0]} on {self.task.name}"),
        )

    def _trainer(self, watch: Watch, folder: str) -> CourseTrainer:
        from transformers import PrinterCallback

        s = self.settings
        order = LengthGrouped(self.data.encoded.lengths(), s.batch_size, s.seed, s.group_by_length)
        args = trainer_arguments(s, folder)
        args._n_gpu = min(args.n_gpu, 1)  # more GPUs through accelerate, never DataParallel
        trainer = CourseTrainer(
            model=self.model,
            args=args,
            data_collator=Collator(pad_id(self.tokenizer)),
            train_dataset=self.data.encoded.features,
            order=order,
            watch=watch,
            decay=DECAY if s.schedule == "exponential" else None,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _claim(self) -> Path | None:
        """Makes the folder this run's own; the checkpoint to go on from, if there is one."""
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        name, values = method_of(self.model)
        mine = {
            "plm": self.plm,
            "task": self.task.name,
            "method": name,
            "hyperparameters": values,
            "train_examples": len(self.data.encoded.features),
            "settings": asdict(self.settings),
        }
        found, marker = checkpoints(self.folder), self.folder / "run.json"
        done = (self.folder / PARAMETERS).is_file() and (self.folder / "record.json").is_file()
        if marker.is_file() and (found or done):
            theirs = read_json(marker)
            odd = [key for key in mine if theirs.get(key) != plain_json(mine[key])]
            if odd:
                raise CourseError(
                    f"{self.folder} holds a run with another {odd[0].replace('_', ' ')}. "
                    "Use another folder for this one, or delete that one."
                )
            return found[-1] if found else None
        clean(self.folder)
        (self.folder / PARAMETERS).unlink(missing_ok=True)
        write_json(marker, mine)
        return None

    def _record(self, watch: Watch, dev: Evaluation, device: torch.device) -> RunRecord:
        name, values = method_of(self.model)
        best = watch.best_entry() if self.settings.keep == "best" else watch.history[-1]
        base = plain(self.model)
        return RunRecord(
            plm=self.plm,
            revision=getattr(base, "plm_revision", None) or "",
            task=self.task.name,
            task_revision=self.task.revision,
            method=name,
            hyperparameters=values,
            settings=asdict(self.settings),
            seed=self.settings.seed,
            train_examples=len(self.data.encoded.features),
            epochs=watch.history[-1]["epoch"],
            steps=watch.history[-1]["step"],
            best_epoch=best["epoch"],
            dev_score=best["dev_score"],
            split=dev.split,
            metric=dev.metric,
            score=dev.score,
            n=dev.n,
            majority=dev.majority,
            interval=dev.interval,
            others=dev.others,
            trainable=self.trainable,
            total=self.total,
            seconds=round(watch.seconds(), 2),
            evaluation_seconds=round(dev.seconds, 2),
            peak_memory_mb=peak_memory(device),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            precision=choose_precision(device, self.settings.precision),
            versions=versions(),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            history=tuple(watch.history),
            notes={"truncated": self.data.encoded.truncated} if self.data.encoded.truncated else {},
        )

    def _leave(self, record: RunRecord) -> None:
        """The record and the trained parameters stay; what only a resume needs goes."""
        record.write(self.folder / "record.json")
        save_tensors(trained_state(self.model), self.folder / PARAMETERS)
        clean(self.folder)


def _bar(progress: bool | None, title: str) -> Any:
    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not progress:
        return None
    from tqdm.auto import tqdm

    return tqdm(desc=title, unit="step", mininterval=0.5)
