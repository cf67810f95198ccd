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
from course_utils.tasks import Prompt, Task

SAMPLE = 200  # answers made again, unless all are asked for
# What may differ, since 16-bit arithmetic is another on another card. Seen between bfloat16 on an
# H200 and float32 on a CPU: 0.2 % of answers (boolq), 0.05 % and 0.4 % of tags (ner, srl).
DISAGREE = {"answers": 0.02, "tags": 0.01}
MOST_SETTING = 5_000  # no length, rank or number of experts is larger


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

    def model_for(self, plm: str, task: Task, *, prompted: bool = False) -> tuple[Any, Any]:
        """(model with the head that the task needs, or its own if it is prompted; tokenizer)."""
        import torch

        from course_utils.job import HEADS
        from course_utils.plm import load_plm

        head = "lm" if prompted else HEADS[task.kind]
        key = (plm, head, () if prompted else task.labels)
        if key != self._key:
            self._key, self._model = (), None  # the old one goes before the new one comes
            labels = {"labels": task.labels} if head in ("classifier", "tagger") else {}
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            self._model, self._tokenizer = load_plm(
                self.find(plm), head=head, device=device, **labels
            )
            self._key = key
        return self._model, self._tokenizer

    def expected(
        self, record: RunRecord, task: Task
    ) -> Callable[[str, Mapping[str, Any]], dict[str, tuple[int, ...]]]:
        """(method, settings) -> {tensor name: shape}: what the kit would save of it."""

        def shapes(name: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
            import torch

            from course_utils.tuning import method_named
            from course_utils.tuning.attaching import attach_empty

            _check_settings(settings)
            model, _ = self.model_for(record.plm, task, prompted="template" in record.notes)
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            try:
                with torch.device("meta"):  # shapes take no memory, however large
                    shell = type(model)(model.config)
                    shell.newly_initialised = model.newly_initialised
                    tuned = attach_empty(shell, method_named(name, **given))
            except (TypeError, ValueError, AttributeError) as odd:  # CourseError is a ValueError
                raise CourseError(f"method.json: {odd}") from odd
            _, tensors = tuned.kept()
            return {tensor: tuple(value.shape) for tensor, value in tensors.items()}

        return shapes

    def replay(
        self,
        run: PackedRun,
        record: RunRecord,
        task: Task,
        *,
        sample: int | None = SAMPLE,
        seed: int | str = 0,
    ) -> Replayed:
        """Makes answers of a run again, and counts those that are the submitted ones.

        Args:
            sample: how many, drawn with the seed; None makes all again.
            seed: a secret one, or a student could forge just those that are not asked for.

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
        prompt = _prompt_of(record, task)
        ids = list(gold_of(task, record.split))
        chosen = list(range(len(ids)))
        if sample is not None and sample < len(ids):
            chosen = sorted(random.Random(seed).sample(chosen, sample))
        rows = task.split(record.split)
        places = {i: place for place, i in enumerate(task.ids(record.split))}
        some = rows.select([places[ids[i]] for i in chosen])
        smaller = replace(task, splits={**task.splits, record.split: some})
        model, tokenizer = self.model_for(record.plm, task, prompted=prompt is not None)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "method.json").write_bytes(run.method)
            Path(folder, "adapter.safetensors").write_bytes(run.tensors)
            try:
                tuned = load_tuned(model, folder)
            except (TypeError, KeyError, AttributeError, ValueError, RuntimeError) as odd:
                # CourseError is a ValueError; the folder is ours, and means nothing to a student
                said = str(odd).replace(repr(folder), "the zip")
                said = said if isinstance(odd, CourseError) else repr(odd)
                raise CourseError(f"method.json: {said}") from odd
        try:
            answers = predict(
                tuned,
                smaller,
                record.split,
                tokenizer=tokenizer,
                prompt=prompt,
                max_length=_max_length(record),
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


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Numbers that would keep the grader busy for ever are no method's.

    Raises:
        CourseError: which one.
    """
    for name, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int | float) and abs(one) > MOST_SETTING:
                raise CourseError(
                    f"method.json: {name} is {one:g}; at most {MOST_SETTING:,} is taken."
                )


def _prompt_of(record: RunRecord, task: Task) -> Prompt | None:
    """The task's own prompt that a run went through; None if it used a head.

    Raises:
        CourseError: another wording; its label words are in no record.
    """
    text = record.notes.get("template")
    if text is None:
        return None
    for prompt in task.prompts:
        if prompt.template == text:
            return prompt
    raise CourseError(
        f"it went through a prompt of its own, {str(text)[:80]!r}; only those of {task.name} can "
        "be asked again."
    )


def _max_length(record: RunRecord) -> int | None:
    given = record.settings.get("max_length")
    if given is not None and (type(given) is not int or given < 1):
        raise CourseError(f"record.json: max_length is {str(given)[:40]}; expected a number.")
    return given
