"""A submitted adapter on the grader's own PLM: what it should hold, and what it answers.

One PLM stays in memory and serves run after run, student after student: an adapter is put in,
asked, and taken out again bit for bit. Another PLM, or another set of labels, takes its place only
when a run needs it, so sort a class by task. A run that always gives the same answer is beyond this
check: many adapters do that.
"""

from __future__ import annotations

import operator
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder.evidence.packed import PackedRun
from course_utils.errors import CourseError
from course_utils.records import RunRecord
from course_utils.tasks import Task

SAMPLE = 200  # answers made again, unless all are asked for
# What may differ, since 16-bit arithmetic is another on another card. Seen between bfloat16 on an
# H200 and float32 on a CPU: 0.2 % of answers (boolq), 0.05 % and 0.4 % of tags (ner, srl).
DISAGREE = {"answers": 0.02, "tags": 0.01}


@dataclass(frozen=True)
class Replayed:
    """How many of the answers made again are the submitted ones.

    A tagger's are counted tag by tag: of a whole sentence's tags one may tip in 16 bit, and does in
    one of twenty where the scores are close.
    """

    asked: int
    same: int
    what: str = "answers"

    @property
    def agrees(self) -> bool:
        return self.asked - self.same <= max(1, DISAGREE[self.what] * self.asked)

    def __str__(self) -> str:
        return f"{self.same} of {self.asked} {self.what} are those of the adapter"


class FrozenPlm:
    """The PLM of a class's runs, one at a time.

    Args:
        device: where it computes; the GPU where there is one.
        find: from a PLM's name in a record to what `load_plm` takes, such as a local folder.
    """

    def __init__(
        self, device: str | None = None, find: Callable[[str], str] = lambda name: name
    ) -> None:
        self.device, self.find = device, find
        self._key: tuple[Any, ...] = ()
        self._model: Any = None
        self._tokenizer: Any = None

    def model_for(self, plm: str, task: Task) -> tuple[Any, Any]:
        """(model with the head that the task needs, tokenizer)."""
        import torch

        from course_utils.job import HEADS
        from course_utils.plm import load_plm

        key = (plm, task.kind, task.labels)
        if key != self._key:
            self._key, self._model = (), None  # the old one goes before the new one comes
            head = HEADS[task.kind]
            labels = {"labels": task.labels} if head in ("classifier", "tagger") else {}
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            self._model, self._tokenizer = load_plm(
                self.find(plm), head=head, device=device, **labels
            )
            self._key = key
        return self._model, self._tokenizer

    def expected(self, plm: str, task: Task) -> Callable[[str, Mapping[str, Any]], dict]:
        """(method, settings) -> {tensor name: shape}: what the kit would save of it."""

        def shapes(name: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
            from course_utils.tuning import attach, method_named

            model, tokenizer = self.model_for(plm, task)
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            try:
                tuned = attach(model, method_named(name, **given), tokenizer=tokenizer)
            except (TypeError, ValueError) as odd:  # CourseError is a ValueError
                raise CourseError(f"method.json: {odd}") from odd
            try:
                _, tensors = tuned.kept()
                return {tensor: tuple(value.shape) for tensor, value in tensors.items()}
            finally:
                tuned.detach()

        return shapes

    def replay(
        self,
        run: PackedRun,
        record: RunRecord,
        task: Task,
        *,
        sample: int | None = SAMPLE,
        seed: int = 0,
    ) -> Replayed:
        """Makes answers of a run again, and counts those that are the submitted ones.

        Args:
            sample: how many, drawn with the seed; None makes all again.

        Raises:
            CourseError: an adapter that is missing, broken or of another PLM.
        """  # fmt: skip
        from autograder.evidence.recompute import gold_of, predictions_of
        from course_utils.evaluation import predict
        from course_utils.tuning import load_tuned

        if run.method is None or run.tensors is None or run.predictions is None:
            raise CourseError("the adapter or the predictions are missing, nothing to replay.")
        layout = record.notes.get("layout")
        if layout:
            task = task.laid_out(str(layout))
        ids = list(gold_of(task, record.split))
        chosen = list(range(len(ids)))
        if sample is not None and sample < len(ids):
            chosen = sorted(random.Random(seed).sample(chosen, sample))
        rows = task.split(record.split)
        places = {i: place for place, i in enumerate(task.ids(record.split))}
        some = rows.select([places[ids[i]] for i in chosen])
        smaller = replace(task, splits={**task.splits, record.split: some})
        model, tokenizer = self.model_for(record.plm, task)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "method.json").write_bytes(run.method)
            Path(folder, "adapter.safetensors").write_bytes(run.tensors)
            tuned = load_tuned(model, folder)
        try:
            answers = predict(
                tuned,
                smaller,
                record.split,
                tokenizer=tokenizer,
                max_length=record.settings.get("max_length"),
            )
        finally:
            tuned.detach()
        submitted = dict(predictions_of(run.predictions))
        pairs = [(submitted.get(ids[i]), answer) for i, answer in zip(chosen, answers, strict=True)]
        return counted(pairs)


def counted(pairs: Sequence[tuple[Any, Any]]) -> Replayed:
    """Pairs (submitted, made again); lists of tags place by place, a missing one is all wrong."""
    if not all(isinstance(again, list) for _, again in pairs):
        return Replayed(len(pairs), sum(given == again for given, again in pairs))
    asked = same = 0
    for given, again in pairs:
        given = given if isinstance(given, list) else []
        asked += max(len(given), len(again))
        same += sum(map(operator.eq, given, again))
    return Replayed(asked, same, "tags")
