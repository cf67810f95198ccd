"""The measurements. Both libraries take turns, so a slow minute of the machine hits both.

python benchmarks/methods/measures.py MODEL METHOD LIBRARY    the peak memory of one of them, in MB
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from pairs import LIBRARIES, PAIRS, Pair, load
from torch import nn

from course_utils.tuning import SeveralTasks

AT_LEAST = 0.05  # seconds that one timing takes, repeating what is quicker


def training_step(tuned: nn.Module, batch: dict) -> Callable[[], None]:
    """Forward, backward, AdamW."""
    tuned.train()
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        tuned(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def inference(tuned: nn.Module, batch: dict) -> Callable[[], None]:
    """Forward, no gradients."""
    tuned.eval()
    given = {key: value for key, value in batch.items() if key != "labels"}

    def forward() -> None:
        with torch.no_grad():
            tuned(**given)

    return forward


def in_turns(ours: Callable[[], None], theirs: Callable[[], None], rounds: int) -> list:
    """Seconds of one call, as pairs (ours, theirs), the order changing from pair to pair."""
    calls = (ours, theirs)
    repeat = [_repetitions(call) for call in calls]
    found = []
    for number in range(rounds):
        pair = [0.0, 0.0]
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            pair[which] = _timed(calls[which], repeat[which])
        found.append(tuple(pair))
    return found


def _repetitions(call: Callable[[], None]) -> int:
    call()  # the first allocates
    once = max(_timed(call, 1), 1e-6)
    return max(1, round(AT_LEAST / once))


def _timed(call: Callable[[], None], times: int) -> float:
    _wait()
    started = time.perf_counter()
    for _ in range(times):
        call()
    _wait()
    return (time.perf_counter() - started) / times


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def attaching(model_name: str, pair: Pair, rounds: int) -> list:
    """Seconds to attach, as pairs; taking off again is not counted."""
    models = {library: load(model_name)[0] for library in LIBRARIES}
    found = []
    for number in range(rounds + 1):
        taken = {}
        for library in LIBRARIES if number % 2 == 0 else LIBRARIES[::-1]:
            gc.collect()
            _wait()
            started = time.perf_counter()
            tuned = pair.attach(library, models[library])
            _wait()
            taken[library] = time.perf_counter() - started
            models[library] = pair.detach(library, tuned)
        found.append((taken["ours"], taken["peft"]))
    return found[1:]  # the first loads modules


def switching(model_name: str, pair: Pair, rounds: int) -> list:
    """Seconds to go from one task to another on one PLM, as pairs."""
    model, _ = load(model_name)
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("a", "b")]
        for place in places:
            tuned = pair.attach("ours", model)
            tuned.save(place)
            model = tuned.detach()
        tasks = SeveralTasks(model, {place.name: place for place in places})
    model, _ = load(model_name)
    theirs = pair.attach("peft", model)
    theirs.add_adapter("b", pair.peft_config(model))

    def ours() -> None:
        tasks.use("b")
        tasks.use("a")

    def peft() -> None:
        theirs.set_adapter("b")
        theirs.set_adapter("default")

    return [(a / 2, b / 2) for a, b in in_turns(ours, peft, rounds)]


def file_size(pair: Pair, library: str, model_name: str) -> int:
    """Bytes of the tensors' file that stands for the task."""
    tuned = pair.attach(library, load(model_name)[0])
    with tempfile.TemporaryDirectory() as folder:
        (tuned.save if library == "ours" else tuned.save_pretrained)(folder)
        return sum(path.stat().st_size for path in Path(folder).glob("*.safetensors"))


def memory(model_name: str, method: str, library: str) -> float:
    """Peak megabytes of three training steps above the loaded PLM.

    On a CPU in a process of its own; a GPU's allocator tells apart what is whose.
    """
    if torch.cuda.is_available():
        return memory_here(model_name, method, library)
    command = [sys.executable, __file__, model_name, method, library]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_here(model_name: str, method: str, library: str) -> float:
    """The same, in this process; on a CPU it must be Linux, which can reset its high mark."""
    if library == "peft":
        import peft  # noqa: F401  imported before the mark is set
    model, batch = load(model_name)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    step = training_step(PAIRS[method].attach(library, model), batch)
    for _ in range(3):
        step()
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _status("VmHWM")
    return (peak - before) / 2**20


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, and the bounds that hold the middle 80 %."""
    ordered = sorted(values)
    tenth = round(0.1 * (len(ordered) - 1))
    return median(ordered), ordered[tenth], ordered[-1 - tenth]


if __name__ == "__main__":
    print(f"{memory_here(*sys.argv[1:4]):.2f}")
