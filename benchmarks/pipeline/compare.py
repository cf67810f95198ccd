"""A training epoch three ways: this kit's, the original P-tuning v2's, and peft's.

python benchmarks/pipeline/compare.py --tokenizer FOLDER --data FOLDER     BERT-large's shape
python benchmarks/pipeline/compare.py --shape bert-base --rounds 3 ...     BERT-base's

P-tuning v2 (prefix of 20) on RTE, on a model of the published shape with random weights and a real
tokenizer. All three ways train on the same examples with the same updates:

    ours       batches of similar length, padded to their longest; PyTorch's fused attention
    original   every text padded to 128 in random order; attention written out, as in its time
    peft       our batches and fused attention, peft's prefix tuning round the same model

What counts is samples per second, in turns on the same batches' examples, as ratios; and the bytes
that the forward pass keeps for the backward one, of the largest batch. Before anything is timed,
gradients of ours and of the original's way are compared on one batch: padding must not change them.
"""

from __future__ import annotations

import argparse
import platform
import random
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from course_utils.estimate import kept_bytes
from course_utils.loop import LengthGrouped
from course_utils.records import versions, write_json, write_text
from course_utils.show.memory import readable
from course_utils.tasks import load_task
from course_utils.tasks.batches import Collator
from course_utils.tasks.inputs import encode
from course_utils.tuning import PTuningV2, attach

SHAPES = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 128},
    "bert-base": {},
    "bert-large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                   "intermediate_size": 4096},
}  # fmt: skip
LENGTH, MAX_LENGTH, SEED = 20, 128, 0
WAYS = ("ours", "original", "peft")


def model_for(way: str, shape: str, vocabulary: int) -> nn.Module:
    """The same random PLM with the prefix, by one of the ways; dropout off, so that they agree."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    attention = "eager" if way == "original" else "sdpa"
    config = BertConfig(
        vocab_size=vocabulary, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        **SHAPES[shape],
    )  # fmt: skip
    config._attn_implementation = attention
    torch.manual_seed(SEED)
    plm = BertForSequenceClassification(config)
    if way != "peft":
        return attach(plm, PTuningV2(length=LENGTH, dropout=0.0), seed=SEED).to(device).train()
    import peft

    settings = peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=LENGTH)
    return peft.get_peft_model(plm, settings).to(device).train()


def batches_for(
    way: str, features: Sequence[dict], lengths: Sequence[int], pad: int, size: int, count: int
) -> list[dict[str, torch.Tensor]]:
    """`count` batches that stand for an epoch's: at even distances when sorted by length."""
    if way == "original":
        order = list(range(len(features)))
        random.Random(SEED).shuffle(order)
    else:
        order = list(LengthGrouped(lengths, size, SEED, True))
    chunks = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
    chunks.sort(key=lambda chunk: max(lengths[i] for i in chunk))
    chosen = [chunks[int((i + 0.5) * len(chunks) / count)] for i in range(count)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = []
    for chunk in chosen:
        batch = Collator(pad)([features[i] for i in chunk])
        if way == "original":
            batch = padded(batch, pad)
        made.append({key: value.to(device) for key, value in batch.items()})
    return made


def padded(batch: dict[str, torch.Tensor], pad: int) -> dict[str, torch.Tensor]:
    """The batch with every text padded to MAX_LENGTH."""
    found = {}
    for key, value in batch.items():
        gap = MAX_LENGTH - value.shape[1] if value.dim() == 2 else 0
        fill = pad if key == "input_ids" else 0
        found[key] = nn.functional.pad(value, (0, gap), value=fill) if gap else value
    return found


def steps(model: nn.Module, batches: Sequence[dict]) -> Callable[[int], None]:
    """A training step on the batch of a number: forward, backward, AdamW."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step(number: int) -> None:
        model(**batches[number]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def timed(step: Callable[[int], None], number: int) -> float:
    wait()
    start = time.perf_counter()
    step(number)
    wait()
    return time.perf_counter() - start


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def gradient_difference(shape: str, vocabulary: int, batch: dict, pad: int) -> float:
    """Largest difference of a gradient, ours against the padded way, relative to the largest."""
    found = []
    for way, given in (("ours", batch), ("original", padded(batch, pad))):
        model = model_for(way, shape, vocabulary)
        model(**given).loss.backward()
        found.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
        del model
    largest = max(g.abs().max().item() for g in found[0])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True)) / largest


def page(result: dict[str, Any]) -> str:
    lines = [
        "# A training epoch, three ways",
        "",
        f"P-tuning v2 (prefix of {LENGTH}) on RTE, {result['shape']}'s shape with random weights, "
        f"batches of {result['batch_size']}, {result['device']}, {result['threads']} thread(s).",
        "",
        "| way | samples/s | ours is faster by | kept for the backward pass |",
        "|---|---|---|---|",
    ]
    for way in WAYS:
        row = result["ways"][way]
        factor = "" if way == "ours" else f"{row['factor']:.2f}x"
        if row["low"] is not None:
            factor += f" (batch by batch {row['low']:.2f} to {row['high']:.2f})"
        lines.append(f"| {way} | {row['samples']:.2f} | {factor} | {readable(row['kept'])} |")
    lines += [
        "",
        f"Gradients, ours against the original's padding, on one batch: largest difference "
        f"{result['gradients']:.1e} of the largest gradient.",
        "",
        f"Measured with {result['versions']} on {result['processor']}. The command: "
        "`python benchmarks/pipeline/compare.py --tokenizer FOLDER --data FOLDER`, with the folder "
        "of bert-base-uncased's tokenizer and that of SuperGLUE's RTE.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", required=True, help="folder or Hub id")
    parser.add_argument("--data", type=Path, help="SuperGLUE's RTE; the Hub's if not given")
    parser.add_argument("--shape", default="bert-large", choices=SHAPES)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=8, help="batches timed for each way")
    device = "gpu" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / device)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)

    task = load_task("superglue/rte", data=options.data)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    encoded = encode(task, task.split("train"), tokenizer, max_length=MAX_LENGTH)
    lengths, pad = encoded.lengths(), tokenizer.pad_token_id
    size, count, vocabulary = options.batch_size, options.rounds, len(tokenizer)

    def batches(way: str) -> list[dict[str, torch.Tensor]]:
        return batches_for(way, encoded.features, lengths, pad, size, count)

    small = {key: value[:4] for key, value in batches("ours")[0].items()}
    difference = gradient_difference(options.shape, vocabulary, small, pad)
    print(f"gradients differ by {difference:.1e}", flush=True)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    kept = {}
    for way in WAYS:
        largest = max(batches(way), key=lambda batch: batch["input_ids"].numel())
        on_cpu = {key: value.cpu() for key, value in largest.items()}
        kept[way] = kept_bytes(
            model_for(way, options.shape, vocabulary).cpu(), on_cpu, sixteen_bit=False
        )
    made = {way: (model_for(way, options.shape, vocabulary), batches(way)) for way in WAYS}
    step = {way: steps(*made[way]) for way in WAYS}
    for way in WAYS:
        step[way](0)  # the first is never like the others
    for number in range(count):
        turn = list(WAYS) if number % 2 == 0 else list(reversed(WAYS))
        for way in turn:
            seconds[way].append(timed(step[way], number))
        print({way: round(seconds[way][-1], 2) for way in WAYS}, flush=True)
    result = {
        "shape": options.shape, "batch_size": size, "rounds": count, "device": device,
        "threads": torch.get_num_threads(), "gradients": difference, "processor": processor(),
        "versions": ", ".join(f"{k} {v}" for k, v in versions().items() if k != "peft-course-kit"),
        "seconds": seconds, "ways": {way: summary(way, seconds, kept, size) for way in WAYS},
    }  # fmt: skip
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(options.output / f"{options.shape}.json", result)
    write_text(options.output / f"{options.shape}.md", page(result))
    print(page(result))


def summary(way: str, seconds: dict, kept: dict, size: int) -> dict[str, float | None]:
    """Samples per second, and how many times as long as ours the same epoch takes.

    Batch by batch only peft's can be compared with ours, since the original's hold other examples.
    """
    ours, theirs = seconds["ours"], seconds[way]
    low = high = None
    if way == "peft":
        ratios = sorted(t / o for t, o in zip(theirs, ours, strict=True))
        cut = len(ratios) // 10
        kept_ratios = ratios[cut : len(ratios) - cut] or ratios
        low, high = kept_ratios[0], kept_ratios[-1]
    return {
        "samples": size * len(theirs) / sum(theirs),
        "factor": sum(theirs) / sum(ours),
        "low": low,
        "high": high,
        "kept": kept[way],
    }


def processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if (
        info.is_file()
    ) else []  # fmt: skip
    return names[0].split(":")[1].strip() if names else platform.processor()


if __name__ == "__main__":
    main()
