"""Several tasks on one frozen PLM: for each only what its method trained, the PLM once for all.

    tasks = SeveralTasks(plm, {"sst2": "runs/sst2/adapter", "agnews": "runs/agnews/adapter"})

    tasks.use("agnews")                    switch in place: tasks.tuned is now the agnews model
    tasks.logits(batch, ["sst2", "agnews", "sst2"])           one batch, each row its own task
    with tasks.rows(["sst2", "agnews", "sst2"]):              the same around any call
        tasks.tuned.generate(**batch, max_new_tokens=20)

This is what the few trained numbers are for (Lester et al. 2021, fig. 2; Houlsby et al. 2019,
sect. 1): a hundred fine-tuned copies of a PLM are a hundred PLMs; here they are one PLM and a
hundred small files.

How a mixed batch runs. Everything frozen sees the whole batch. A module that holds trained
numbers (an adapter, the two matrices of LoRA, a prefix, a LayerNorm whose bias BitFit trained, the
task head) runs once for each task, on that task's rows with that task's numbers, and the parts are
put together again: h ← h + Δh with the row's own Δh. So every row gets what it would get alone.

The tasks share one method with the same hyper-parameters. Their heads may differ in the number of
labels; `logits` gives each row as many numbers as its task has labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel

from course_utils.errors import CourseError, unknown_name
from course_utils.tuning import saving
from course_utils.tuning.attaching import attach_empty
from course_utils.tuning.methods import method_named
from course_utils.tuning.qlora import memory


@dataclass(frozen=True)
class OneTask:
    """What one task adds to the PLM: tensors by their names in it, and the labels of its head."""

    tensors: dict[str, torch.Tensor]
    labels: tuple[str, ...]


class SeveralTasks:
    """One frozen PLM and, by name, what was trained on it for each of several tasks.

    Args:
        plm: from `load_plm`, with the head (`head=`) that the tasks were trained with. It belongs
            to this object until `detach()` gives it back as it was.
        folders: name of a task -> folder that `tuned.save` wrote.
        check_weights: False allows a PLM with other weights of the same shapes.

    Attributes:
        tuned: the PLM with the method, as `load_tuned` gives it, carrying the task in use.

    Raises:
        CourseError: no task; a folder that can't be read or was made on another PLM; two methods.
            The PLM is then unchanged.
    """

    def __init__(
        self,
        plm: PreTrainedModel,
        folders: Mapping[str, str | os.PathLike],
        *,
        check_weights: bool = True,
    ):
        if not folders:
            raise CourseError("SeveralTasks: give at least one task, {name: folder}.")
        read = {name: saving.read(folder) for name, folder in folders.items()}
        method = _one_method(read, folders)
        self.tuned = attach_empty(plm, method)
        self.tasks: dict[str, OneTask] = {}
        self._own = {n: plm.get_parameter(n) for n in self.tuned.trained_names()}
        self._before = {name: p.data for name, p in self._own.items()}
        self._labels_before = dict(plm.config.id2label)
        try:
            for name, (tensors, page) in read.items():
                self._check(name, tensors, page, folders[name], check_weights)
                here = {n: t.to(self._own[n]) for n, t in tensors.items()}
                self.tasks[name] = OneTask(here, tuple(page["plm"]["labels"]))
        except BaseException:
            self.tuned.detach()
            raise
        self.use(next(iter(self.tasks)))

    def use(self, name: str) -> None:
        """Make `tuned` the model of this task. No number is copied, so it takes no time."""
        self._known(name)
        self._carry(self.tasks[name].tensors)
        self._say_labels(self.tasks[name].labels)
        self.name = name

    @contextmanager
    def rows(self, names: Sequence[str]) -> Iterator[None]:
        """Within it, row i of every batch is of the task names[i]. Inference only.

        Beams and the choices of a multiple-choice example follow their row.
        """
        if not names:
            raise CourseError("rows: give the task of each row.")
        for name in names:
            self._known(name)
        rows, owners, used = _Rows(names), self._owners(), self.name
        for module, own in owners:
            module.forward = partial(self._row_by_row, module, own, rows)
        try:
            with torch.no_grad():
                yield
        finally:
            for module, _ in owners:
                del module.forward
            self.use(used)

    def logits(self, batch: Mapping[str, torch.Tensor], names: Sequence[str]) -> list[torch.Tensor]:
        """The logits of each row from its own task's model.

        Args:
            batch: inputs of len(names) rows, on the PLM's device.
            names: the task of each row.

        Returns:
            For each row (labels of its task,), or (tokens, labels of its task) from a tagger; of a
            language model (tokens, vocabulary).
        """
        given = {key: value for key, value in batch.items() if key != "labels"}
        count = next(iter(given.values())).shape[0]
        if count != len(names):
            raise CourseError(f"logits: {count} rows and {len(names)} task names; give one each.")
        with self.rows(names):
            logits = self.tuned(**given).logits  # (B, ..., labels of the task with most)
        sizes = [len(self.tasks[name].labels) or logits.shape[-1] for name in names]
        return [row[..., :size] for row, size in zip(logits, sizes, strict=True)]

    def storage(self) -> dict[str, int]:
        """Bytes kept for the PLM and for each task, as they are now in memory."""
        frozen = [p for n, p in self.tuned.plm.named_parameters() if n not in self._own]
        kept = {"PLM": _bytes(frozen) + memory(self.tuned.plm).stored}
        return kept | {name: _bytes(task.tensors.values()) for name, task in self.tasks.items()}

    def detach(self) -> PreTrainedModel:
        """Give the PLM back exactly as it was."""
        self._carry(self._before)
        config = self.tuned.config
        config.id2label = self._labels_before
        config.label2id = {label: i for i, label in self._labels_before.items()}
        if hasattr(self.tuned.plm, "num_labels"):
            self.tuned.plm.num_labels = len(self._labels_before)
        return self.tuned.detach()

    def __repr__(self) -> str:
        plm, method = type(self.tuned.plm).__name__, self.tuned.method
        return f"SeveralTasks({', '.join(self.tasks)} on one {plm} with {method})"

    def _known(self, name: str) -> None:
        if name not in self.tasks:
            raise unknown_name("task", name, self.tasks)

    def _check(self, name: str, tensors, page, folder, check_weights: bool) -> None:
        here = saving.identity(self.tuned.plm, set(self._own))["labels"]  # each task brings its own
        plm = dict(page["plm"]) if check_weights else {**page["plm"], "values": {}}
        sizes = {key: value for key, value in plm["sizes"].items() if key != "num_labels"}
        saving.check_identity(
            {**plm, "sizes": sizes, "labels": here}, self.tuned.plm, set(self._own), folder
        )
        if set(tensors) != set(self._own):
            odd = sorted(set(tensors) ^ set(self._own))
            raise CourseError(
                f"task {name!r}: the tensors in {str(folder)!r} are not those of "
                f"{self.tuned.method} on this PLM ({odd[0]} is in only one of the two)."
            )

    def _carry(self, tensors: Mapping[str, torch.Tensor]) -> None:
        for name, parameter in self._own.items():
            parameter.data = tensors[name]
        for module in self.tuned.plm.modules():  # a head of another number of labels
            if type(module) is nn.Linear:
                module.out_features = module.weight.shape[0]

    def _owners(self) -> list[tuple[nn.Module, list[str]]]:
        """The modules that hold trained numbers, with the numbers' names."""
        plm, names = self.tuned.plm, {id(p): n for n, p in self._own.items()}
        placed = {
            id(part) for module in self.tuned.placement.modules() for part in module.modules()
        }
        found = list(self.tuned.placement.modules())
        for module in plm.modules():
            if id(module) not in placed and any(
                id(p) in names for p in module._parameters.values()
            ):
                if isinstance(module, nn.Embedding):
                    raise CourseError(
                        f"rows: {self.tuned.method} trains the PLM's embeddings, which rows of "
                        "other tasks read too. Use `use(name)` and one task at a time."
                    )
                found.append(module)
        return [(m, [names[id(p)] for p in m.parameters() if id(p) in names]) for m in found]

    def _row_by_row(self, module: nn.Module, own: list[str], rows: _Rows, *args, **kwargs):
        """module(...) with each row's own numbers, task by task."""
        total = _rows_of((*args, *kwargs.values()))
        parts = []
        for name, index in rows.of(total, next(module.parameters()).device):
            for n in own:
                self._own[n].data = self.tasks[name].tensors[n]
            mine = [_take(value, index, total) for value in args]
            named = {key: _take(value, index, total) for key, value in kwargs.items()}
            parts.append((index, type(module).forward(module, *mine, **named)))
        return _together(parts, total)

    def _say_labels(self, labels: tuple[str, ...]) -> None:
        if labels:
            plm = self.tuned.plm
            plm.config.id2label = dict(enumerate(labels))
            plm.config.label2id = {label: i for i, label in enumerate(labels)}
            if hasattr(plm, "num_labels"):
                plm.num_labels = len(labels)


class _Rows:
    """Which rows of a batch are of which task."""

    def __init__(self, names: Sequence[str]):
        self.count = len(names)
        self.at = {one: [i for i, name in enumerate(names) if name == one] for one in names}
        self._indices: dict = {}

    def of(self, total: int, device: torch.device) -> list[tuple[str, torch.Tensor]]:
        """(task, its rows) in a batch of `total` rows: a multiple of the names where every row
        stands for several, as beams do."""
        if (total, device) not in self._indices:
            times, rest = divmod(total, self.count)
            if rest:
                raise CourseError(
                    f"rows: {self.count} task names for a batch of {total} rows; give one a row."
                )
            each = torch.arange(times)
            self._indices[total, device] = [
                (name, (torch.tensor(at)[:, None] * times + each).flatten().to(device))
                for name, at in self.at.items()
            ]
        return self._indices[total, device]


def _rows_of(values: Sequence) -> int:
    """How many rows a module is called for: those of its first tensor, or a number of them."""
    for value in values:
        if isinstance(value, torch.Tensor):
            return value.shape[0]
    return next(value for value in values if isinstance(value, int))


def _take(value, index: torch.Tensor, total: int):
    """These rows of one argument; what has no rows stays."""
    if isinstance(value, torch.Tensor):
        return value[index] if value.ndim and value.shape[0] == total else value
    return len(index) if type(value) is int and value == total else value


def _together(parts: Sequence[tuple[torch.Tensor, object]], total: int):
    """The tasks' rows in their places; columns that a task does not have are -inf."""
    if isinstance(parts[0][1], tuple):
        columns = zip(*(output for _, output in parts), strict=True)
        indices = [index for index, _ in parts]
        return tuple(_together(list(zip(indices, c, strict=True)), total) for c in columns)
    first = parts[0][1]
    width = max(output.shape[-1] for _, output in parts)
    whole = first.new_full((total, *first.shape[1:-1], width), float("-inf"))
    for index, output in parts:
        whole[index, ..., : output.shape[-1]] = output
    return whole


def _one_method(read: Mapping[str, tuple[dict, dict]], folders: Mapping):
    methods = {
        name: method_named(page["method"], **page["settings"]) for name, (_, page) in read.items()
    }
    (first, method), *others = methods.items()
    for name, other in others:
        if other != method:
            raise CourseError(
                f"the tasks share one method: {first!r} was trained with {method}, {name!r} "
                f"with {other}. Train both alike, or make a SeveralTasks for each."
            )
    return method


def _bytes(tensors) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
