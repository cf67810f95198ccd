"""Pre-training of the pocket models: one recipe for every size and both architectures.

    course pocket pretrain --model bert-base --seed 0

1. Short documents with one fact each, nearly all loss on the cues, until no cue's accuracy is
   near chance any more (or a third of the budget is spent).
2. The full mix, cues 60 %, other words 12 %.
3. The same while the learning rate falls to zero: other words 15 %.

Weights start at N(0, 1/d): at BERT's 0.02 small models stay at chance for millions of tokens.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from course_utils.plm.pocket.batches import (
    IGNORE,
    Encoder,
    Masking,
    causal_batches,
    masked_batches,
)
from course_utils.plm.pocket.cues import cue_accuracies
from course_utils.plm.pocket.corpus import documents
from course_utils.plm.pocket.sizes import POCKET_MODELS, Size
from course_utils.plm.pocket.tokenizer import MAX_LENGTH, save_tokenizer
from course_utils.plm.pocket.world import make_world


@dataclass(frozen=True)
class Recipe:
    """The settings of a pre-training run.

    Attributes:
        tokens: budget in tokens (padding counts).
        batch: tokens in a batch, from the first phase to the last.
        peak: learning rate of a model of width 128; others scale by sqrt(128 / d).
        easy_share: most of the budget that phase 1 may take.
        gate: how far every cue must be above chance to leave phase 1 (share of the way to 1).
        decay_share: share of the budget in which the learning rate falls to zero.
    """

    tokens: float
    batch: int = 1280
    peak: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    easy_share: float = 0.33
    gate: float = 0.5
    decay_share: float = 0.5


@dataclass
class Progress:
    """What is measured on the way, and ends in the model card."""

    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    phases: list[dict] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    cues: list[dict] = field(default_factory=list)


def build_model(size: Size, vocabulary: int, seed: int) -> nn.Module:
    """A randomly initialised pocket model.

    Args:
        size: its architecture.
        vocabulary: number of tokens V.
        seed: of the initialisation.
    """
    torch.manual_seed(seed)
    std = 1 / math.sqrt(size.width)
    if size.causal:
        config = GPT2Config(
            vocab_size=vocabulary,
            n_positions=MAX_LENGTH,
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            initializer_range=std,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
        return GPT2LMHeadModel(config)
    config = BertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=MAX_LENGTH,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        initializer_range=std,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
    )
    return BertForMaskedLM(config)


def masked_loss(model: BertForMaskedLM, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy over the words to be guessed; the LM head runs at those only."""
    labels = batch.pop("labels")
    hidden = model.bert(**batch).last_hidden_state  # (B, T, d)
    at = labels != IGNORE
    return F.cross_entropy(model.cls(hidden[at]), labels[at])


def causal_loss(model: GPT2LMHeadModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Weighted mean cross-entropy of the next token."""
    logits = model(input_ids=batch["input_ids"]).logits[:, :-1]  # (B, T-1, V)
    weights = batch["weights"][:, 1:].reshape(-1)
    targets = batch["labels"][:, 1:].reshape(-1)
    losses = F.cross_entropy(logits.reshape(len(targets), -1), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def rate(recipe: Recipe, width: int, step: int, done: float) -> float:
    """Learning rate at a step, `done` of the budget spent: warm-up, constant, linear to zero."""
    peak = recipe.peak * math.sqrt(128 / width)
    fall = min(1.0, (1.0 - done) / recipe.decay_share)
    return peak * min(1.0, (step + 1) / recipe.warmup) * fall


def optimiser(model: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only (not on biases and norms)."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)


def pretrain(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    tokens: float | None = None,
    device: str | None = None,
    report: bool = True,
) -> Progress:
    """Pre-train a pocket model and write it, its tokenizer and its card into `folder`.

    Args:
        name: a key of POCKET_MODELS.
        folder: where the transformers folder is written.
        seed: of initialisation, corpus stream and masking.
        tokens: budget in millions of tokens; the size's own by default.
        device: "cpu" or "cuda"; CUDA where there is one by default.
        report: show a progress bar.
    """
    size = POCKET_MODELS[name]
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = save_tokenizer(folder, size.causal)
    model = build_model(size, len(tokenizer), seed).to(device)
    recipe = Recipe(tokens=(tokens or size.tokens) * 1e6)
    progress = Progress()
    _train(model, tokenizer, size, recipe, progress, seed, report)
    save(model, folder, progress, recipe, seed)
    return progress


def _train(model, tokenizer, size, recipe, progress, seed, report) -> None:
    optimizer = optimiser(model, recipe.weight_decay)
    loss_of = causal_loss if size.causal else masked_loss
    device = next(model.parameters()).device
    torch.set_flush_denormal(True)
    # bf16 pays from a width of about 160 on processors and GPUs that have it
    half = size.width >= 160
    started = time.perf_counter()
    phase, stream = 0, _phase_batches(0, tokenizer, size, recipe, seed)
    check_every = max(1, int(recipe.tokens / recipe.batch / 24))
    smooth = None
    model.train()
    with _bar(report, recipe.tokens) as advance:
        while progress.tokens < recipe.tokens:
            batch = {k: v.to(device) for k, v in next(stream).items()}
            spent = batch["input_ids"].numel()
            done = progress.tokens / recipe.tokens
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, size.width, progress.steps, done)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                loss = loss_of(model, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            progress.tokens += spent
            progress.steps += 1
            smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
            advance(spent, f"phase {phase + 1} loss {smooth:.2f}")
            if progress.steps % check_every == 0:
                progress.losses.append((progress.tokens, round(smooth, 4)))
                measured = cue_accuracies(model, tokenizer, easy=phase == 0)
                progress.cues.append({"tokens": progress.tokens, **measured["accuracy"]})
                if report:
                    print(_line(progress, smooth, measured), flush=True)
                if phase == 0 and _leave(measured, recipe, done):
                    progress.phases.append({"phase": 1, "until_tokens": progress.tokens})
                    phase, stream = 1, _phase_batches(1, tokenizer, size, recipe, seed)
            if phase == 1 and done > 1 - recipe.decay_share / 2:
                progress.phases.append({"phase": 2, "until_tokens": progress.tokens})
                phase, stream = 2, _phase_batches(2, tokenizer, size, recipe, seed)
    progress.phases.append({"phase": phase + 1, "until_tokens": progress.tokens})
    progress.seconds = time.perf_counter() - started


def _leave(measured: dict, recipe: Recipe, done: float) -> bool:
    way = [
        (value - measured["chance"][cue]) / (1 - measured["chance"][cue])
        for cue, value in measured["accuracy"].items()
    ]
    return done >= recipe.easy_share or min(way) > recipe.gate


def _phase_batches(phase: int, tokenizer, size: Size, recipe: Recipe, seed: int) -> Iterator[dict]:
    stream = documents(make_world(), seed=1000 * (seed + 1) + phase, easy=phase == 0)
    encoder = Encoder(tokenizer)
    if size.causal:
        return causal_batches(stream, encoder, (8.0, 4.0, 3.0)[phase], recipe.batch, seed)
    masking = (Masking(0.8, 0.03), Masking(0.6, 0.12), Masking(0.5, 0.15))[phase]
    return masked_batches(stream, encoder, masking, recipe.batch, seed + phase)


def _line(progress: Progress, loss: float, measured: dict) -> str:
    cues = " ".join(f"{k} {v:.2f}" for k, v in measured["accuracy"].items())
    return f"{progress.tokens / 1e6:6.2f}M tokens  loss {loss:.3f}  {cues}"


class _bar:
    """A progress bar over tokens, or nothing."""

    def __init__(self, show: bool, total: float) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(total=int(total), unit="tok", unit_scale=True, disable=not show, mininterval=5)

    def __enter__(self):
        return self.step

    def step(self, tokens: int, text: str) -> None:
        self.bar.update(tokens)
        self.bar.set_postfix_str(text, refresh=False)

    def __exit__(self, *exc: object) -> None:
        self.bar.close()


def save(model: nn.Module, folder: Path, progress: Progress, recipe: Recipe, seed: int) -> None:
    """Write the model in fp16 and its card."""
    model.to("cpu").half().save_pretrained(folder)
    card = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "world_seed": 0,
        "seed": seed,
        "tokens": progress.tokens,
        "steps": progress.steps,
        "minutes": round(progress.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "recipe": vars(recipe),
        "phases": progress.phases,
        "loss_curve": progress.losses,
        "cue_accuracy": progress.cues,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
