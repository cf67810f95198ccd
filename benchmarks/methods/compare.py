"""This kit's methods beside peft's: one command, one table, one chart.

python benchmarks/methods/compare.py                        everything; minutes on two cores
python benchmarks/methods/compare.py --model pocket-bert-base --method LoRA --rounds 5

Same PLM, same data, same settings, same number of trained parameters, in one process and in turns;
what counts is the ratio ours / peft, pair by pair: its median and the middle 80 % of the pairs. A
ratio whose range holds 1 is a tie. Memory is measured in processes of its own.
"""

from __future__ import annotations

import argparse
import platform
import sys
import warnings
from pathlib import Path

import torch
from measures import (
    attaching,
    file_size,
    in_turns,
    inference,
    memory,
    spread,
    switching,
    training_step,
)
from pairs import LIBRARIES, MODELS, PAIRS, load
from report import chart, page
from tqdm.auto import tqdm

from course_utils.records import versions, write_json

MEASURES = ("training step", "inference", "attach", "task switch", "peak memory", "file size")


def compared(model: str, method: str, rounds: int) -> list[dict]:
    """All measurements of one method on one PLM: rows with ours, peft, ratio and its range.

    Raises:
        SystemExit: the two libraries do not train equally many parameters.
    """
    pair = PAIRS[method]
    tuned, batches = {}, {}
    for library in LIBRARIES:
        plm, batches[library] = load(model)
        tuned[library] = pair.attach(library, plm)
    trained = {
        library: sum(p.numel() for p in one.parameters() if p.requires_grad)
        for library, one in tuned.items()
    }
    if len(set(trained.values())) > 1:
        sys.exit(f"{method} on {model}: {trained} parameters are trained, so nothing is compared.")
    found = {}
    for name, make in (("inference", inference), ("training step", training_step)):
        ours, theirs = (make(tuned[library], batches[library]) for library in LIBRARIES)
        found[name] = in_turns(ours, theirs, rounds)
    del tuned, ours, theirs
    found["attach"] = attaching(model, pair, max(3, rounds // 3))
    found["task switch"] = switching(model, pair, rounds)
    times = 1 if torch.cuda.is_available() else 3  # a GPU's allocator always says the same
    found["peak memory"] = [
        tuple(memory(model, method, library) for library in LIBRARIES) for _ in range(times)
    ]
    found["file size"] = [tuple(file_size(pair, lib, model) / 2**20 for lib in LIBRARIES)]
    return [_row(model, method, name, found[name], trained["ours"]) for name in MEASURES]


def _row(model: str, method: str, measure: str, pairs: list, trained: int) -> dict:
    ratio, low, high = spread([ours / theirs for ours, theirs in pairs])
    unit = "MB" if measure in ("peak memory", "file size") else "ms"
    scale = 1 if unit == "MB" else 1000
    ours, theirs = (scale * spread([p[i] for p in pairs])[0] for i in (0, 1))
    return {
        "model": model,
        "method": method,
        "measure": measure,
        "unit": unit,
        "ours": ours,
        "peft": theirs,
        "ratio": ratio,
        "low": low,
        "high": high,
        "pairs": len(pairs),
        "trained": trained,
    }


def machine() -> dict[str, str]:
    """What it was measured on."""
    import peft

    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    threads = str(torch.get_num_threads())
    return {"processor": processor, "threads": threads, "GPU": gpu, "peft": peft.__version__} | (
        versions()
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--method", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=15, help="pairs behind each ratio")
    device = "gpu" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / device)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks it
    rows = []
    cases = [(model, method) for model in options.model for method in options.method]
    for model, method in (bar := tqdm(cases)):
        bar.set_description(f"{method} on {model}")
        rows += compared(model, method, options.rounds)
        write_json(options.output / "results.json", {"machine": machine(), "rows": rows})
    (options.output / "README.md").write_text(page(rows, machine()), encoding="utf-8")
    (options.output / "chart.png").write_bytes(chart(rows).png())
    print(page(rows, machine()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
