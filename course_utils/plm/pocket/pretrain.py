"""Pre-training of the pocket models: one recipe for every size and both architectures.

    course pocket pretrain --model bert-base --seed 0

The documents come in the order of a curriculum (curriculum.py); the learning rate falls to zero
while the last of them are read.

Embeddings start as word vectors from counts (word_vectors.py), other weights as N(0, 1/d): at
BERT's 0.02 models this small stay at chance for millions of tokens.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils.device import has_bfloat16
from course_utils.errors import CourseError
from course_utils.plm.pocket.batches import Encoder, causal_batches, masked_batches
from course_utils.plm.pocket.corpus import documents, mix
from course_utils.plm.pocket.cues import cue_accuracies
from course_utils.plm.pocket.curriculum import CURRICULUM, GATE, Stage
from course_utils.plm.pocket.objectives import build_model, causal_loss, masked_loss, optimiser
from course_utils.plm.pocket.sizes import SIZES
from course_utils.plm.pocket.tokenizer import save_tokenizer
from course_utils.plm.pocket.word_vectors import word_vectors
from course_utils.plm.pocket.world import make_world

CHECKPOINT = "pretraining.pt"
CHECKPOINT_SECONDS = 60


@dataclass(frozen=True)
class Recipe:
    """The settings of a pre-training run.

    Attributes:
        tokens: read in the full mix (padding counts); each step before it reads a fifth of that
            at most.
        batch: tokens in a batch.
        peak: learning rate at a width of 128. Wider models' falls as 128 / d (Yang et al. 2022),
            narrower ones' rises as the root of that.
        warmup: steps in which the learning rate rises, at the start of each stage.
        weight_decay: on matrices.
        counted: documents behind the word vectors.
    """

    tokens: float
    batch: int = 640
    peak: float = 5e-4
    warmup: int = 200
    weight_decay: float = 0.01
    counted: int = 50_000


@dataclass
class Progress:
    """What is measured on the way, and ends in the model card."""

    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    cues: list[dict] = field(default_factory=list)


def rate(recipe: Recipe, width: int, step: int, left: float = 1.0) -> float:
    """Learning rate: warm-up, constant, linear to zero where a stage settles.

    Args:
        recipe: the settings.
        width: d.
        step: counted from the start of the stage. Each stage warms up anew: Adam's estimate of
            the gradients' size is that of documents already learnt, and at full rate the first
            new ones would throw the model back to chance.
        left: share of a settling stage that is left.
    """
    peak = recipe.peak * (128 / width) ** (1 if width > 128 else 0.5)
    return peak * min(1.0, (step + 1) / recipe.warmup) * left


def pretrain(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    tokens: float | None = None,
    recipe: Recipe | None = None,
    device: str | None = None,
    report: bool = True,
) -> Progress:
    """Pre-train a pocket model and write it, its tokenizer and its card into `folder`.

    An interrupted run goes on from its last checkpoint and ends as it would have.

    Args:
        name: a key of SIZES.
        folder: where the transformers folder is written.
        seed: of initialisation, corpus stream and masking.
        tokens: read in the full mix, in millions; the size's own by default.
        recipe: all settings at once, instead of `tokens`.
        device: "cpu" or "cuda"; CUDA where there is one by default.
        report: show a progress bar.

    Raises:
        CourseError: the folder holds the checkpoint of another run.
    """
    recipe = recipe or Recipe(tokens=(tokens or SIZES[name].tokens) * 1e6)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(name, folder, recipe, seed, device, report)
    run.go()
    save(run.model, folder, run.progress, recipe, seed)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return run.progress


class _Run:
    """One pre-training: the model, how far it is, and how it goes on after a break."""

    def __init__(
        self, name: str, folder: Path, recipe: Recipe, seed: int, device: str, report: bool
    ) -> None:
        self.size, self.folder, self.recipe, self.seed = SIZES[name], folder, recipe, seed
        self.device, self.report = torch.device(device), report
        self.identity = {"model": name, "seed": seed, **asdict(recipe)}
        self.tokenizer = save_tokenizer(folder, self.size.causal)
        self.model = build_model(self.size, len(self.tokenizer), seed)
        self.progress, self.smooth = Progress(), math.nan
        self.stage, self.begun, self.entered, self.until = 0, 0, 0, 0.0
        kept = self._checkpoint()
        if kept is None:
            vectors = word_vectors(
                make_world(),
                Encoder(self.tokenizer),
                self.size.width,
                seed=seed,
                sample=recipe.counted,
            )
            self.model.get_input_embeddings().weight.data.copy_(vectors)
        self.model.to(self.device).train()
        self.optimizer = optimiser(self.model, recipe.weight_decay)
        if kept is not None:
            self._restore(kept)
        self.resumed = kept is not None

    def go(self) -> None:
        """Train through the stages that are left."""
        torch.set_flush_denormal(True)
        with _Bar(self.report, self.progress.tokens) as bar:
            for number in range(self.stage, len(CURRICULUM)):
                if not self.resumed:
                    self._begin(number)
                bar.until(self.until + self.recipe.tokens * _share(CURRICULUM[number + 1 :]))
                self._train_stage(CURRICULUM[number], bar)
                self.resumed = False

    def _begin(self, number: int) -> None:
        stage, self.stage = CURRICULUM[number], number
        self.begun, self.entered = self.progress.steps, self.progress.tokens
        self.until = self.entered + stage.share * self.recipe.tokens

    def _train_stage(self, stage: Stage, bar: _Bar) -> None:
        stream = self._batches(stage)
        for _ in range(self.progress.steps - self.begun):  # read before the break
            next(stream)
        every = 0.1e6 if stage.gate else self.recipe.tokens / 16
        clock = kept = time.perf_counter()
        while self.progress.tokens < self.until:
            before = self.progress.tokens
            self._step(next(stream))
            bar.step(
                self.progress.tokens - before, f"stage {self.stage + 1} loss {self.smooth:.2f}"
            )
            now = time.perf_counter()
            self.progress.seconds += now - clock
            clock = now
            passed = False
            if before // every < self.progress.tokens // every:
                passed = self._measure(stage)
            if passed:
                return
            if now - kept > CHECKPOINT_SECONDS:
                self._keep()
                kept = now

    def _step(self, batch: dict[str, torch.Tensor]) -> None:
        batch = {k: v.to(self.device) for k, v in batch.items()}
        spent = batch["input_ids"].numel()
        left = 1.0
        if CURRICULUM[self.stage].settle:
            left = max(0.0, (self.until - self.progress.tokens) / (self.until - self.entered))
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.recipe, self.size.width, self.progress.steps - self.begun, left)
        # bf16 pays from a width of about 160, where the hardware has it
        half = self.size.width >= 160 and has_bfloat16(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = (causal_loss if self.size.causal else masked_loss)(self.model, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.progress.tokens += spent
        self.progress.steps += 1
        value = loss.item()
        self.smooth = value if math.isnan(self.smooth) else 0.98 * self.smooth + 0.02 * value

    def _measure(self, stage: Stage) -> bool:
        """Note the cues' accuracies; whether the stage's gate is passed."""
        only = [stage.gate] if stage.gate else None
        measured = cue_accuracies(
            self.model, self.tokenizer, easy=stage.easy, few=stage.few, only=only
        )
        at = self.progress.tokens
        self.progress.losses.append((at, round(self.smooth, 4)))
        self.progress.cues.append({"tokens": at, "stage": self.stage + 1, **measured})
        if self.report:
            cues = " ".join(f"{k} {v:.2f}" for k, v in measured.items())
            print(f"{at / 1e6:6.2f}M tokens  loss {self.smooth:.3f}  {cues}", flush=True)
        return stage.gate is not None and measured[stage.gate] > GATE

    def _batches(self, stage: Stage) -> Iterator[dict[str, torch.Tensor]]:
        number, batch = self.stage, self.recipe.batch
        world = make_world().few() if stage.few else make_world()
        genres = stage.genres() or mix(self.size.causal and not stage.easy)
        stream = documents(world, 1000 * (self.seed + 1) + number, stage.easy, genres)
        encoder, seed = Encoder(self.tokenizer), self.seed + number
        if self.size.causal:
            shifted = stage.masking.shifted
            return causal_batches(stream, encoder, stage.cue_weight, 2 * batch, seed, shifted)
        return masked_batches(stream, encoder, stage.masking, batch, seed)

    def _keep(self) -> None:
        state = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "run": {n: getattr(self, n) for n in ("stage", "begun", "entered", "until", "smooth")},
        }
        half_written = self.folder / f"{CHECKPOINT}.tmp"
        torch.save(state, half_written)
        os.replace(half_written, self.folder / CHECKPOINT)

    def _checkpoint(self) -> dict[str, Any] | None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if kept["identity"] != self.identity:
            raise CourseError(
                f"{str(path)!r} is the checkpoint of another pre-training ({kept['identity']}); "
                "name another folder, or delete it."
            )
        return kept

    def _restore(self, kept: dict[str, Any]) -> None:
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.progress = Progress(**kept["progress"])
        for name, value in kept["run"].items():
            setattr(self, name, value)


def _share(stages: Sequence[Stage]) -> float:
    return sum(stage.share for stage in stages)


class _Bar:
    """A progress bar over tokens; its end comes nearer whenever a stage ends early."""

    def __init__(self, show: bool, done: int) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(
            total=done, initial=done, unit="tok", unit_scale=True, disable=not show, mininterval=5
        )

    def __enter__(self) -> _Bar:
        return self

    def until(self, total: float) -> None:
        self.bar.total = int(total)

    def step(self, tokens: int, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(tokens)

    def __exit__(self, *exc: object) -> None:
        self.bar.close()


def save(model: nn.Module, folder: Path, progress: Progress, recipe: Recipe, seed: int) -> None:
    """Write the model in fp16 and its card."""
    model.to("cpu").half().save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for its owner alone; a package is for everyone
    card = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "world_seed": 0,
        "seed": seed,
        "tokens": progress.tokens,
        "steps": progress.steps,
        "minutes": round(progress.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "recipe": vars(recipe),
        "stages": [asdict(stage) for stage in CURRICULUM],
        "loss_curve": progress.losses,
        "cue_accuracy": progress.cues,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
