"""One run, judged from its files: the score recomputed, the method recognised by its tensors."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from autograder.evidence.packed import PackedRun, parsed
from autograder.evidence.tensors import finite, header
from course_utils.comparison import verdict
from course_utils.errors import CourseError
from course_utils.recipes import released
from course_utils.records import RunRecord
from course_utils.tasks import NO_LABEL, Task
from course_utils.tasks.metrics import score

KEPT_AS = {"PTuning": "SoftPrompt"}  # methods that are saved as another: the encoder goes
TRAINED_ON = ("train", "selection")  # splits that show no skill
TOLERANCE = 0.0005  # a claimed score may differ by rounding


@dataclass
class Evidence:
    """What a run's files show.

    Attributes:
        record: what it claims; None if that can't be read.
        score, n: recomputed; None where the predictions can't be scored.
        released: the published result in per cent; None where there is none.
        said: "above", "within noise", "below" it, or "".
        beats: whether the recomputed score is above the published number.
        findings: what is wrong, in sentences; empty if nothing is.
        digests: checksums of predictions and adapter, to compare submissions with.
    """

    name: str
    record: RunRecord | None = None
    score: float | None = None
    n: int = 0
    released: float | None = None
    said: str = ""
    beats: bool = False
    findings: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether the run can be given points: scored, and nothing is wrong with it."""
        return self.score is not None and not self.findings


def judge_run(run: PackedRun, task: Task) -> Evidence:
    """The evidence of one run, with the grader's own copy of the task.

    Never raises for what a student handed in: what is wrong becomes a finding.
    """
    evidence = Evidence(run.name)
    try:
        evidence.record = read_record(run)
        _score(evidence, run, task)
    except CourseError as wrong:
        evidence.findings.append(str(wrong))
        return evidence
    _compare(evidence)
    return evidence


def read_record(run: PackedRun) -> RunRecord:
    """What a run claims to be.

    Raises:
        CourseError: no record, or one that is none.
    """
    if run.record is None:
        raise CourseError("record.json is missing.")
    claimed = parsed(run.record, "record.json")
    known = {f.name: f for f in fields(RunRecord)}
    required = {"plm": str, "task": str, "method": str, "metric": str, "score": float, "n": int}
    optional = {"split": str, "notes": dict, "settings": dict}
    for name, kind in (required | {k: v for k, v in optional.items() if k in claimed}).items():
        value = claimed.get(name)
        right = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not right or isinstance(value, bool):
            raise CourseError(
                f"record.json: {name} is {repr(value)[:60]}; expected {kind.__name__}."
            )
    if claimed["plm"].startswith(("/", "\\", "~", ".")) or ".." in claimed["plm"]:
        raise CourseError(f"record.json: plm is the path {claimed['plm'][:60]!r}; expected a name.")
    return RunRecord(**{key: value for key, value in claimed.items() if key in known})


def _score(evidence: Evidence, run: PackedRun, task: Task) -> None:
    record = evidence.record
    assert record is not None
    if record.task != task.name:
        raise CourseError(f"the record speaks of {record.task}, not of {task.name}.")
    if record.split in TRAINED_ON:
        raise CourseError(f"it is scored on {record.split!r}, which runs are trained on.")
    if run.predictions is None:
        raise CourseError("predictions.jsonl is missing.")
    evidence.digests["predictions"] = hashlib.sha256(run.predictions).hexdigest()
    gold = gold_of(task, record.split)
    given = predictions_of(run.predictions)
    _check_ids([i for i, _ in given], gold)
    by_id = dict(given)
    predictions = [_answer(task, i, by_id[i], gold[i]) for i in gold]
    evidence.score = score(task.metric, predictions, list(gold.values()))
    evidence.n = len(gold)
    if abs(evidence.score - record.score) > TOLERANCE:
        evidence.findings.append(
            f"the record claims {task.metric} {record.score:.4f}; the predictions give "
            f"{evidence.score:.4f}."
        )


def gold_of(task: Task, split: str) -> dict[Any, Any]:
    """Id -> right answer of a split, rows without one left out; tags as names."""
    answers = task.gold(split)
    if task.kind == "tagging":
        answers = [[task.labels[tag] for tag in tags] for tags in answers]
    return {
        i: answer
        for i, answer in zip(task.ids(split), answers, strict=True)
        if task.kind == "tagging" or answer != NO_LABEL
    }


def predictions_of(data: bytes) -> list[tuple[Any, Any]]:
    """(id, prediction) of each line.

    Raises:
        CourseError: the number of the line that is none.
    """
    found = []
    for number, line in enumerate(data.splitlines(), start=1):
        row = parsed(line, f"predictions.jsonl, line {number}")
        if not {"id", "prediction"} <= row.keys():
            raise CourseError(f"predictions.jsonl, line {number}: no id or no prediction.")
        identity = row["id"]
        if not isinstance(identity, int | str) or isinstance(identity, bool):
            raise CourseError(f"predictions.jsonl, line {number}: id {identity!r}.")
        found.append((identity, row["prediction"]))
    return found


def _check_ids(given: Sequence[Any], gold: dict[Any, Any]) -> None:
    counted = Counter(given)
    doubled = [i for i, times in counted.items() if times > 1]
    unknown = [i for i in counted if i not in gold]
    missing = [i for i in gold if i not in counted]
    problems = [
        f"{len(some)} {word} (the first: {some[0]!r})"
        for word, some in (("doubled", doubled), ("unknown", unknown), ("missing", missing))
        if some
    ]
    if problems:
        raise CourseError(f"predictions.jsonl: ids {', '.join(problems)}; expected {len(gold):,}.")


def _answer(task: Task, identity: Any, given: Any, right: Any) -> Any:
    """A prediction of the kind that the task has.

    Raises:
        CourseError: another kind, a label that is none, tags for another number of words.
    """
    where = f"predictions.jsonl: id {identity!r}"
    if task.kind == "tagging":
        if not isinstance(given, list) or len(given) != len(right):
            raise CourseError(f"{where}: expected {len(right)} tags.")
        odd = [tag for tag in given if tag not in task.labels]
        if odd:
            raise CourseError(f"{where}: {odd[0]!r} is no tag of {task.name}.")
        return given
    if type(given) is not int or not 0 <= given < len(task.labels):
        raise CourseError(f"{where}: {json.dumps(given)[:40]} is no label of {task.name}.")
    return given


def _compare(evidence: Evidence) -> None:
    record = evidence.record
    found = released(record.task, record.plm)
    if found is None or evidence.score is None:
        return
    result = found.result_on(record.split)
    if result is None:
        return
    evidence.released = result
    evidence.beats = found.beaten_by(evidence.score, record.split)
    evidence.said, _ = verdict([100 * evidence.score], result, record.metric, evidence.n)


def check_method(evidence: Evidence, run: PackedRun, methods: Sequence[str], expected: Any) -> None:
    """Whether the adapter is what the record says, told from its tensors; adds findings.

    Args:
        methods: class names that count for the homework.
        expected: (method name in method.json, hyper-parameters) -> {tensor name: shape}, as the
            kit itself would save that method on that PLM.
    """
    try:
        _check_method(evidence, run, methods, expected)
    except CourseError as wrong:
        evidence.findings.append(str(wrong))


def _check_method(evidence, run, methods, expected) -> None:
    from course_utils.tuning.methods import METHODS  # imports torch

    record = evidence.record
    if record is None:
        return
    if record.method not in methods:
        known = ", ".join(methods)
        raise CourseError(f"{record.method[:60]} does not count here; {known} do.")
    if run.method is None or run.tensors is None:
        raise CourseError("the adapter is missing (method.json and adapter.safetensors).")
    evidence.digests["adapter"] = hashlib.sha256(run.tensors).hexdigest()
    page = parsed(run.method, "method.json")
    entries = header(run.tensors)
    if page.get("sha256") != evidence.digests["adapter"]:
        raise CourseError("method.json was written for another adapter (its checksum differs).")
    name, settings = page.get("method"), page.get("settings")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise CourseError("method.json names no method with settings.")
    claimed = KEPT_AS.get(record.method, record.method)
    if METHODS.get(name) is None or METHODS[name].__name__ != claimed:
        raise CourseError(
            f"the record speaks of {record.method}, but method.json was written by {name[:40]!r}."
        )
    wanted = expected(name, settings)
    got = {name: entry.shape for name, entry in entries.items()}
    if wanted.keys() != got.keys():
        odd = sorted(wanted.keys() ^ got.keys())[0]
        there = "is not among" if odd in wanted else "does not belong among"
        raise CourseError(
            f"{odd!r} {there} the adapter's tensors: this is not {name} alone on a frozen PLM."
        )
    for tensor, shape in wanted.items():
        if got[tensor] != tuple(shape):
            raise CourseError(f"{tensor!r} has the shape {got[tensor]}; expected {tuple(shape)}.")
    if not finite(run.tensors):
        raise CourseError("the adapter holds numbers that are not finite.")
