"""Grading with `course grade` beside stock nbgrader, on the same submissions.

python benchmarks/grading/compare.py                     12 and 60 submissions
python benchmarks/grading/compare.py --sizes 12          a short look

A small homework that imports torch and transformers, with four exercises and a cell that trains for
about three seconds, is handed in by a class: some right, some wrong in one exercise. It is graded

    stock        by `nbgrader autograde` as nbgrader ships it: one kernel for each, tests in it
    executed     by `course grade --training`: training cells run, too
    skipped      by `course grade` as it is meant: results of training are judged, not repeated

each way in a new course folder and by the command that a TA types, start-up included. Before times
are compared, scores are: they must be the same for every student. CPU seconds are those of the
command and all it starts. A child's private memory is read from /proc at its largest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from course_utils.records import versions, write_json, write_text

HOMEWORK = "bench"
WAYS = ("stock", "executed", "skipped")
SETUP = """
import torch
import transformers
from torch import nn

torch.set_num_threads(1)
"""
TRAINING = """
torch.manual_seed(0)
config = transformers.BertConfig(
    vocab_size=500, hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=256,
)
model = transformers.BertForSequenceClassification(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
ids = torch.randint(0, 500, (8, 32))
for step in range(200):
    loss = model(input_ids=ids, labels=ids[:, 0] % 2).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
"""
#: exercise -> (head, right, wrong, assert for stock nbgrader)
EXERCISES = {
    "scale": ("def scale(x, by):", "return x * by", "return x + by",
              "assert torch.equal(scale(torch.arange(4.0), 3.0), torch.arange(4.0) * 3)"),
    "mean-pool": ("def mean_pool(h, mask):",
                  "return (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
                  "return h.mean(1)",
                  "h = torch.arange(12.0).reshape(2, 3, 2)\n"
                  "m = torch.tensor([[1, 1, 0], [1, 1, 1]])\n"
                  "assert torch.allclose(mean_pool(h, m), torch.tensor([[1.0, 2.0], [8.0, 9.0]]))"),
    "low-rank": ("def low_rank(a, b, alpha):", "return b @ a * alpha / a.shape[0]",
                 "return b @ a * alpha",
                 "a = torch.ones(2, 3); b = torch.ones(4, 2)\n"
                 "assert torch.allclose(low_rank(a, b, 6.0), torch.full((4, 3), 6.0))"),
    "count": ("def count(module):",
              "return sum(p.numel() for p in module.parameters() if p.requires_grad)",
              "return sum(p.numel() for p in module.parameters())",
              "layer = nn.Linear(3, 2)\nlayer.bias.requires_grad_(False)\n"
              "assert count(layer) == 6"),
}  # fmt: skip
CHECKS = """
import torch

from autograder.judging.judge import Checks, expect_tensor, expect_value

check = Checks()


@check("scales", points=1, exercise="scale")
def _(student, draw):
    x = draw.normal(5)
    expect_tensor("scale", student.call("scale", x, 3.0), x * 3)


@check("leaves padding out", points=1, exercise="mean-pool")
def _(student, draw):
    h, mask = draw.normal(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    expected = (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expect_tensor("mean_pool", student.call("mean_pool", h, mask), expected)


@check("divides by the rank", points=1, exercise="low-rank")
def _(student, draw):
    a, b = draw.normal(2, 3), draw.normal(4, 2)
    expect_tensor("low_rank", student.call("low_rank", a, b, 6.0), b @ a * 3)


@check("counts what is trained", points=1, exercise="count")
def _(student, draw):
    table = student.embedding(draw.normal(7, 3), trained=False)
    expect_value("count", student.call("count", table), 0)
"""


@dataclass(frozen=True)
class Measured:
    """One way, one class."""

    way: str
    submissions: int
    seconds: float
    cpu_seconds: float
    child_mb: float  #: private memory of one student's process, the largest seen; 0 if not seen

    @property
    def each(self) -> float:
        return self.seconds / self.submissions


def cell(name: str, source: str, points: int | None = None, solution: bool = False) -> NotebookNode:
    about = {
        "grade": points is not None, "grade_id": name, "locked": not solution,
        "schema_version": 3, "solution": solution, "task": False,
    }  # fmt: skip
    if points is not None:
        about["points"] = points
    return new_code_cell(f"# id: {name}\n{source}", id=name, metadata={"nbgrader": about})


def homework() -> NotebookNode:
    """The instructor's version, with the asserts that stock nbgrader scores by."""
    cells = [new_markdown_cell("# A homework", id="title"), cell("setup", SETUP)]
    for name, (head, right, _, test) in EXERCISES.items():
        answer = f"{head}\n    ### BEGIN SOLUTION\n    {right}\n    ### END SOLUTION"
        cells += [cell(name, answer, solution=True), cell(f"{name}-check", test, points=1)]
    cells.append(new_code_cell(TRAINING, id="training", metadata={"tags": ["training"]}))
    made = new_notebook(cells=cells)
    made.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    return made


def hand_in(course: Path, size: int) -> None:
    """The class: every other one right, the others wrong in one exercise each."""
    released = course / "release" / HOMEWORK / f"{HOMEWORK}.ipynb"
    names = list(EXERCISES)
    for number in range(size):
        notebook = nbformat.read(released, as_version=4)
        wrong = names[number // 2 % len(names)] if number % 2 else ""
        for one in notebook.cells:
            name = one.metadata.get("nbgrader", {}).get("grade_id")
            if name in EXERCISES:
                head, right, mistake, _ = EXERCISES[name]
                body = mistake if name == wrong else right
                one.source = f"# id: {name}\n{head}\n    {body}"
        place = course / "submitted" / f"s{number:03d}" / HOMEWORK / f"{HOMEWORK}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)


def stock_course(root: Path) -> Path:
    """A course folder as nbgrader makes it, with none of our settings."""
    place = root / "source" / HOMEWORK / f"{HOMEWORK}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(homework(), place)
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    nbgrader = [sys.executable, "-m", "nbgrader"]
    subprocess.run([*nbgrader, "generate_assignment", HOMEWORK], cwd=root, check=True,
                   capture_output=True)  # fmt: skip
    return root


def our_course(root: Path) -> Path:
    """A course folder of this kit."""
    from autograder.release import release

    assignments = root / "assignments"
    place = assignments / "source" / HOMEWORK / f"{HOMEWORK}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(homework(), place)
    (assignments / "checks").mkdir()
    (assignments / "checks" / f"{HOMEWORK}.py").write_text(CHECKS)
    release(HOMEWORK, root / "course", assignments_dir=assignments, run=False)
    return root / "course"


def commands(way: str) -> list[str]:
    if way == "stock":
        return [sys.executable, "-m", "nbgrader", "autograde", HOMEWORK]
    course = [sys.executable, "-c", "from course_utils.cli import main; main()", "grade", HOMEWORK]
    return [*course, "--course-dir", ".", *(["--training"] if way == "executed" else [])]


def measure(way: str, size: int) -> tuple[Measured, dict[str, float]]:
    """Grades a class one way; (what it cost, student -> score)."""
    with tempfile.TemporaryDirectory() as folder:
        course = stock_course(Path(folder)) if way == "stock" else our_course(Path(folder))
        hand_in(course, size)
        begun = time.monotonic()
        child = subprocess.Popen(
            commands(way), cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        watched = Watch(child.pid, _is_kernel if way == "stock" else _is_worker)
        errors = child.communicate()[1]
        seconds = time.monotonic() - begun
        if child.returncode:
            raise SystemExit(f"{way}: {errors.decode()[-2000:]}")
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            scores = {s.student_id: s.score for s in gradebook.assignment_submissions(HOMEWORK)}
        return Measured(way, size, seconds, watched.cpu_seconds, watched.most), scores


class Watch:
    """Looks at a command and all it starts some times a second, as long as it runs.

    Attributes:
        most: the largest private memory of a student's process, in MB.
    """

    def __init__(self, pid: int, is_students: Callable[[psutil.Process, int], bool]) -> None:
        self.most, self.pid, self.is_students = 0.0, pid, is_students
        self._used: dict[tuple[int, float], float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def cpu_seconds(self) -> float:
        """Of all processes seen, each as it was seen last."""
        return sum(self._used.values())

    def _look(self) -> None:
        while psutil.pid_exists(self.pid):
            try:
                own = psutil.Process(self.pid)
                for process in [own, *own.children(recursive=True)]:
                    self._look_at(process)
            except psutil.Error:
                pass
            time.sleep(0.1)

    def _look_at(self, process: psutil.Process) -> None:
        try:
            times = process.cpu_times()
            self._used[process.pid, process.create_time()] = times.user + times.system
            if self.is_students(process, self.pid):
                self.most = max(self.most, process.memory_full_info().uss / 1e6)
        except psutil.Error:
            return  # gone meanwhile


def _is_kernel(process: psutil.Process, _: int) -> bool:
    return "ipykernel_launcher" in " ".join(process.cmdline())


def _is_worker(process: psutil.Process, grader: int) -> bool:
    """A fork of the warm host: a process whose parent runs the same program, and is not ours."""
    parent = process.parent()
    return (
        parent is not None
        and parent.pid != grader
        and "autograder" in " ".join(process.cmdline())
        and process.cmdline() == parent.cmdline()
    )


def table(found: Sequence[Measured]) -> str:
    """The page."""
    lines = [
        "| class | way | seconds | a submission | times stock | CPU seconds | child, private MB |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        stock = next(m for m in found if m.way == "stock" and m.submissions == one.submissions)
        memory = f"{one.child_mb:.0f}" if one.child_mb else "-"
        lines.append(
            f"| {one.submissions} | {one.way} | {one.seconds:.1f} | {one.each:.2f} s | "
            f"{stock.each / one.each:.1f} | {one.cpu_seconds:.0f} | {memory} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 60])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "cpu")
    options = parser.parse_args(arguments)
    found: list[Measured] = []
    for size in options.sizes:
        scores = {}
        for way in WAYS:
            measured, scores[way] = measure(way, size)
            found.append(measured)
            print(f"{size} submissions, {way}: {measured.seconds:.1f} s", flush=True)
        if not scores["stock"] == scores["executed"] == scores["skipped"]:
            raise SystemExit(f"the scores differ: {json.dumps(scores, indent=1)}")
    page = (
        f"# Grading, beside stock nbgrader\n\n{table(found)}\n\nScores of all ways are the same, "
        f"student by student. {os.cpu_count()} cores, {platform.machine()}, two submissions at a "
        "time.\n"
    )
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    write_json(options.output / "results.json",
               {"versions": versions(), "measured": [asdict(m) for m in found]})  # fmt: skip
    write_text(options.output / "results.md", page)
    print(page)


if __name__ == "__main__":
    main()
