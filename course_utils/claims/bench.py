"""The bench measurements are made on: the PLM, the data of a seed, and what is known already.

Every measurement is kept as a RunRecord under a name made of all that decides its result: the
PLM's weights, the task's examples, the measure with its hyper-parameters. So a finished one is
read and not repeated, two claims with a cell in common share it, and a change of any of the
three is measured anew instead of being mixed with what came before.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from course_utils.claims.claim import Measure, Scale
from course_utils.errors import CourseError
from course_utils.records import RunRecord
from course_utils.tasks import Prompt, Task, load_task

if TYPE_CHECKING:
    from course_utils.prompting.tokens import Kind

PROTOCOL = 1  # raise it when a measure's code changes what it measures
KNOWN, NEW, NEW_TOO = "known", "new", "new too"
Words = tuple[tuple[str, tuple[str, ...]], ...]
Wording = int | str | tuple[str, Words]


@dataclass(frozen=True)
class Bench:
    """Where one PLM is measured.

    Attributes:
        plm: any name `load_plm` takes.
        scale: how large the measurements are.
        folder: where records are kept.
    """

    plm: str
    scale: Scale
    folder: Path

    def measure(self, measure: Measure, task: str, seed: int) -> RunRecord:
        """The record of that measurement: read where it is there, else made and kept.

        Of several processes that want it at the same time one makes it, the others wait.
        """
        path = self.place(measure, task, seed)
        if path.is_file():
            return RunRecord.read(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with FileLock(lock):
            if path.is_file():
                return RunRecord.read(path)
            record = measure(self, task, seed)
            record.write(path)
            shutil.rmtree(self.work(measure, task, seed), ignore_errors=True)
        lock.unlink(missing_ok=True)
        return record

    def work(self, measure: Measure, task: str, seed: int) -> Path:
        """A folder for what a measurement of many trainings keeps until it is done."""
        path = self.place(measure, task, seed)
        return path.with_name(path.name.replace("record.json", "work"))

    def place(self, measure: Measure, task: str, seed: int) -> Path:
        """The file a measurement is kept in."""
        decides = (PROTOCOL, self.kind_and_print()[1], task_print(task, self.scale), repr(measure))
        key = hashlib.sha256("\n".join(map(str, decides)).encode()).hexdigest()[:12]
        name = f"{type(measure).__name__}-{key}"
        return self.folder / slug(self.plm) / slug(task) / name / f"seed-{seed}.record.json"

    def load(self, **options: Any) -> tuple[Any, Any]:
        """(model, tokenizer) as `load_plm` gives them, on the GPU where there is one."""
        import torch

        from course_utils.plm import load_plm

        device = "cuda" if torch.cuda.is_available() else None
        return load_plm(self.plm, device=device, **options)

    def task(self, name: str, seed: int) -> Task:
        """The task as that seed draws it: pocket data anew, real data are what they are.

        Dev and test have the scale's sizes at most.
        """
        return _drawn(name, seed, self.scale)

    @property
    def kind(self) -> Kind:
        """Whether the PLM is "masked", "causal" or "seq2seq"."""
        return self.kind_and_print()[0]

    def kind_and_print(self) -> tuple[Kind, str]:
        """The PLM's kind, and what tells its weights from others of the same name."""
        return _look_at(self.plm)

    def prompt(self, task: Task, wording: Wording) -> Prompt:
        """A wording of the task, fit for the PLM.

        Args:
            wording: the number of one of the task's own prompts; `KNOWN`, the first that was in
                the pocket models' corpus; `NEW`, the first that was kept out of it, `NEW_TOO` the
                second; or a pair (template, ((label, words), ...)).

        Raises:
            CourseError: the task has no such prompt, or none with its mask last for a causal PLM.
        """
        if isinstance(wording, tuple):
            return Prompt(wording[0], dict(wording[1]))
        found = [self._fit(prompt) for prompt in task.prompts]
        if isinstance(wording, int):
            chosen = found[wording : wording + 1]
        else:
            held_out = wording != KNOWN
            chosen = [p for p in found if p is not None and p.held_out == held_out]
            chosen = chosen[1:] if wording == NEW_TOO else chosen
        if not chosen or chosen[0] is None:
            raise CourseError(
                f"task {task.name!r} has no prompt {wording!r} that a {self.kind} PLM can answer."
            )
        return chosen[0]

    def wordings(self, task: Task) -> list[Prompt]:
        """All the task's own prompts that the PLM can answer."""
        return [p for prompt in task.prompts if (p := self._fit(prompt)) is not None]

    def _fit(self, prompt: Prompt) -> Prompt | None:
        """The prompt; for a causal PLM without what follows the mask, None if that is text."""
        if self.kind != "causal":
            return prompt
        from course_utils.prompting import Template

        try:
            return prompt._replace(template=Template(prompt.template).ending_in_mask().text)
        except CourseError:
            return None


def as_wording(template: str, words: dict) -> Wording:
    """A template with its words as a value a measure can hold."""
    pairs = ((k, (v,) if isinstance(v, str) else tuple(v)) for k, v in words.items())
    return template, tuple(pairs)


def slug(name: str) -> str:
    """A name as one part of a path; folders by their last part."""
    plain = Path(name).name if Path(name).is_dir() else name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._") or "plm"


@lru_cache(maxsize=64)
def _drawn(name: str, seed: int, scale: Scale) -> Task:
    task = load_task(name, seed=seed) if name.startswith("pocket/") else load_task(name)
    for split, most in (("dev", scale.dev), (task.evaluation_split, scale.tests)):
        if len(task.split(split)) > most:
            rows = task.split(split).select(range(most))
            task = replace(task, splits={**task.splits, split: rows})
    return task


@lru_cache(maxsize=64)
def task_print(name: str, scale: Scale) -> str:
    """What tells a task's data from those of another version of its generator."""
    task = _drawn(name, 0, scale)
    seen = hashlib.sha256()
    for split, rows in task.splits.items():
        seen.update(f"{split} {len(rows)} {rows[:200]}".encode())
    seen.update(repr(task.prompts).encode())
    return seen.hexdigest()[:12]


@lru_cache(maxsize=16)
def _look_at(plm: str) -> tuple[Kind, str]:
    from course_utils.plm import load_plm
    from course_utils.prompting.scoring import model_kind

    model, _ = load_plm(plm)
    files = sorted(Path(plm).glob("*.safetensors")) if Path(plm).is_dir() else []
    stamps = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return model_kind(model), f"{slug(plm)} {model.plm_revision} {stamps or ''}".strip()
