"""Pre-training of the pocket models: one recipe for every size and both architectures.

    course pocket pretrain --model bert-base --seed 0

The documents come in the order of a curriculum (curriculum.py); the learning rate falls to zero
while the full mix is read.

Embeddings start as word vectors from counts (word_vectors.py), other weights as N(0, 1/d): at
BERT's 0.02 models this small stay at chance for millions of tokens.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from course_utils.plm.pocket.batches import (
    IGNORE,
    Encoder,
    causal_batches,
    masked_batches,
)
from course_utils.plm.pocket.corpus import documents
from course_utils.plm.pocket.cues import cue_accuracies
from course_utils.plm.pocket.curriculum import CURRICULUM, GATE, Stage
from course_utils.plm.pocket.sizes import SIZES, Size
from course_utils.plm.pocket.tokenizer import MAX_LENGTH, save_tokenizer
from course_utils.plm.pocket.word_vectors import word_vectors
from course_utils.plm.pocket.world import make_world


@dataclass(frozen=True)
class Recipe:
    """The settings of a pre-training run.

    Attributes:
        tokens: budget in tokens (padding counts).
        batch: tokens in a batch.
        peak: learning rate of a model of width 128; others scale by sqrt(128 / d).
        warmup: steps in which the learning rate rises, at the start of each stage.
        weight_decay: on matrices.
        decay_share: share of the budget in which the learning rate falls to zero.
        counted: documents behind the word vectors.
    """

    tokens: float
    batch: int = 640
    peak: float = 5e-4
    warmup: int = 200
    weight_decay: float = 0.01
    decay_share: float = 0.4
    counted: int = 50_000


@dataclass
class Progress:
    """What is measured on the way, and ends in the model card."""

    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
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
    """Learning rate: warm-up, constant, linear to zero.

    Args:
        recipe: the settings.
        width: d.
        step: counted from the start of the stage. Each stage warms up anew: Adam's estimate of
            the gradients' size is that of documents already learnt, and at full rate the first
            new ones would throw the model back to chance.
        done: share of the budget spent.
    """
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
    recipe: Recipe | None = None,
    device: str | None = None,
    report: bool = True,
) -> Progress:
    """Pre-train a pocket model and write it, its tokenizer and its card into `folder`.

    Args:
        name: a key of SIZES.
        folder: where the transformers folder is written.
        seed: of initialisation, corpus stream and masking.
        tokens: budget in millions of tokens; the size's own by default.
        recipe: all settings at once, instead of `tokens`.
        device: "cpu" or "cuda"; CUDA where there is one by default.
        report: show a progress bar.
    """
    size = SIZES[name]
    recipe = recipe or Recipe(tokens=(tokens or size.tokens) * 1e6)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = save_tokenizer(folder, size.causal)
    model = build_model(size, len(tokenizer), seed)
    vectors = word_vectors(
        make_world(), Encoder(tokenizer), size.width, seed=seed, sample=recipe.counted
    )
    model.get_input_embeddings().weight.data.copy_(vectors)
    model.to(device)
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
    smooth = None
    model.train()
    with _bar(report, recipe.tokens) as advance:
        for number, stage in enumerate(CURRICULUM):
            until = progress.tokens + stage.share * recipe.tokens
            if number >= len(CURRICULUM) - 2:  # what the gates saved goes to the full mix
                until = recipe.tokens * (1 - sum(s.share for s in CURRICULUM[number + 1 :]))
            every = 0.1e6 if stage.gate else recipe.tokens / 16
            begun = progress.steps
            stream = _stage_batches(stage, number, tokenizer, size, recipe, seed)
            while progress.tokens < until:
                batch = {k: v.to(device) for k, v in next(stream).items()}
                spent = batch["input_ids"].numel()
                done = progress.tokens / recipe.tokens
                for group in optimizer.param_groups:
                    group["lr"] = rate(recipe, size.width, progress.steps - begun, done)
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    loss = loss_of(model, batch)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                due = progress.tokens // every < (progress.tokens + spent) // every
                progress.tokens += spent
                progress.steps += 1
                smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
                advance(spent, f"stage {number + 1} loss {smooth:.2f}")
                if not due:
                    continue
                only = [stage.gate] if stage.gate else None
                measured = cue_accuracies(model, tokenizer, easy=stage.easy, only=only)
                progress.losses.append((progress.tokens, round(smooth, 4)))
                progress.cues.append({"tokens": progress.tokens, "stage": number + 1, **measured})
                if report:
                    print(_line(progress, smooth, measured), flush=True)
                if stage.gate and measured[stage.gate] > GATE:
                    break
    progress.seconds = time.perf_counter() - started


def _stage_batches(
    stage: Stage, number: int, tokenizer, size: Size, recipe: Recipe, seed: int
) -> Iterator[dict]:
    stream = documents(make_world(), 1000 * (seed + 1) + number, stage.easy, stage.genres())
    encoder = Encoder(tokenizer)
    if size.causal:
        return causal_batches(stream, encoder, stage.cue_weight, 2 * recipe.batch, seed + number)
    return masked_batches(stream, encoder, stage.masking, recipe.batch, seed + number)


def _line(progress: Progress, loss: float, measured: dict) -> str:
    cues = " ".join(f"{k} {v:.2f}" for k, v in measured.items())
    return f"{progress.tokens / 1e6:6.2f}M tokens  loss {loss:.3f}  {cues}"


class _bar:
    """A progress bar over tokens, or nothing."""

    def __init__(self, show: bool, total: float) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(
            total=int(total), unit="tok", unit_scale=True, disable=not show, mininterval=5
        )

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
