"""Training in 16 bit beside float32: finite, and the same within the arithmetic's tolerance.

python benchmarks/precision/compare.py                    on a GPU: BERT-large, GPT-2 medium
python benchmarks/precision/compare.py --shape pocket     on a CPU, to see that it runs

For each method, from the same start on the same batches: loss and gradient of the first step
against float32 (difference, cosine), the loss after some updates, whether everything stayed finite,
the time of a step and the peak memory. Random weights of the published shapes; the PLM's parameters
stay float32 and the arithmetic is 16 bit, as `train` does it, with gradient scaling for float16.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from course_utils import load_plm
from course_utils.device import autocast, has_bfloat16, peak_memory, reset_peak_memory
from course_utils.records import aligned, versions, write_json, write_text
from course_utils.tuning import (
    BitFit,
    Houlsby,
    LoRA,
    Method,
    Pfeiffer,
    PrefixTuning,
    PTuningV2,
    SoftPrompt,
    attach,
)

BERT_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
              "intermediate_size": 4096}  # fmt: skip
GPT2_MEDIUM = {"n_embd": 1024, "n_layer": 24, "n_head": 16}
SHAPES = ("pocket", "bert-large", "gpt2-medium")
ROWS, TOKENS = 8, 64
METHODS: tuple[Method, ...] = (
    LoRA(), Houlsby(), Pfeiffer(), BitFit(), PTuningV2(length=20, dropout=0.0),
    PrefixTuning(length=20, dropout=0.0), SoftPrompt(length=20, init="random"),
)  # fmt: skip
COSINE, LOSS = 0.99, 0.02  # what a 16-bit gradient and loss may differ by
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def plm(shape: str) -> nn.Module:
    torch.manual_seed(0)
    if shape == "pocket":
        return load_plm("pocket-bert-base", head="classifier", num_labels=2)[0]
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with torch.device(DEVICE):  # random weights are drawn there, in no time on a GPU
        if shape == "bert-large":
            return BertForSequenceClassification(BertConfig(num_labels=2, **BERT_LARGE, **off))
        off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2LMHeadModel(GPT2Config(**GPT2_MEDIUM, **off))


def batches(shape: str, count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count):
        ids = torch.randint(5, 600, (ROWS, TOKENS), generator=generator)
        mask = torch.ones_like(ids)
        mask[0, TOKENS // 2 :] = 0
        labels = torch.randint(0, 2, (ROWS,), generator=generator)
        if shape == "gpt2-medium":
            labels = ids.masked_fill(mask == 0, -100)
        found.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return [{k: v.to(DEVICE) for k, v in batch.items()} for batch in found]


def trained(shape: str, method: Method, precision: str, given: Sequence[dict]) -> dict:
    """First loss and gradient, last loss, seconds of a step, megabytes."""
    model = attach(plm(shape), method, seed=0).to(DEVICE).eval()  # without dropout
    reset_peak_memory()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=precision == "float16")
    losses, gradient, times = [], None, []
    for batch in given:
        start = time.perf_counter()
        with autocast(DEVICE, precision):
            loss = model(**batch).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if gradient is None:
            gradient = torch.cat([p.grad.flatten().float().cpu() for p in parameters])
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    finite = all(map(math.isfinite, losses)) and all(p.isfinite().all() for p in parameters)
    return {
        "losses": losses, "gradient": gradient, "finite": bool(finite),
        "seconds": sorted(times)[len(times) // 2], "megabytes": peak_memory(DEVICE),
    }  # fmt: skip


def compared(shape: str, method: Method, steps: int) -> list[dict]:
    given = batches(shape, steps)
    precisions = ["float32", "bfloat16"]
    if DEVICE.type == "cuda":
        precisions += ["float16"]
        if not has_bfloat16(DEVICE):
            precisions.remove("bfloat16")
    reference, rows = None, []
    for precision in precisions:
        found = trained(shape, method, precision, given)
        reference = reference or found
        gradient, exact = found.pop("gradient"), reference.get("gradient")
        if precision == "float32":
            reference["gradient"] = exact = gradient
        cosine = float(nn.functional.cosine_similarity(gradient, exact, dim=0))
        first = abs(found["losses"][0] - reference["losses"][0]) / abs(reference["losses"][0])
        last = abs(found["losses"][-1] - reference["losses"][-1]) / abs(reference["losses"][-1])
        rows.append(
            {
                "shape": shape, "method": type(method).__name__, "precision": precision,
                "cosine": cosine, "first loss": first, "last loss": last,
                "finite": found["finite"], "ms": 1000 * found["seconds"],
                "MB": found["megabytes"],
                "holds": found["finite"] and cosine > COSINE and max(first, last) < LOSS,
            }
        )  # fmt: skip
    return rows


def page(rows: Sequence[dict], about: str) -> str:
    head = (
        "shape",
        "method",
        "precision",
        "cosine",
        "first loss",
        "last loss",
        "finite",
        "ms",
        "MB",
    )
    lines = [head]
    for r in rows:
        lines.append(
            (
                r["shape"], r["method"], r["precision"], f"{r['cosine']:.5f}",
                f"{r['first loss']:.1e}", f"{r['last loss']:.1e}", str(r["finite"]),
                f"{r['ms']:.0f}", f"{r['MB']:,.0f}",
            )
        )  # fmt: skip
    odd = [f"{r['method']} in {r['precision']}" for r in rows if not r["holds"]]
    verdict = f"Outside the tolerance: {', '.join(odd)}." if odd else "All within the tolerance."
    return (
        f"# 16 bit beside float32\n\n```\n{aligned(lines)}\n```\n\nCosine of the first gradient "
        f"with float32's, and relative difference of the first and the last loss. {verdict}\n\n"
        f"{about}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = ["bert-large", "gpt2-medium"] if DEVICE.type == "cuda" else ["pocket"]
    parser.add_argument("--shape", nargs="+", default=usual, choices=SHAPES)
    parser.add_argument("--steps", type=int, default=20)
    where = "gpu" if DEVICE.type == "cuda" else "cpu"
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / where)
    options = parser.parse_args()
    rows = []
    for shape in options.shape:
        for method in METHODS:
            rows += compared(shape, method, options.steps)
            print(rows[-1], flush=True)
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "a CPU"
    about = f"On {name}, with {', '.join(f'{k} {v}' for k, v in versions().items())}."
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(options.output / "results.json", {"about": about, "rows": rows})
    write_text(options.output / "README.md", page(rows, about))
    print(page(rows, about))


if __name__ == "__main__":
    main()
