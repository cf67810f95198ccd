"""Knowledge distillation: a small PLM learns how a large one answers (Hinton et al. 2015).

    loss = α · T² · KL( softmax(t/T) || softmax(s/T) )  +  (1 - α) · CE(s, label)  +  β · H

t and s are the logits of teacher and student. A label says which answer is right; the teacher also
says how wrong the others are, and a temperature T above 1 lets that be seen. H lets the student's
hidden states follow the teacher's, as in TinyBERT (Jiao et al. 2020, arXiv:1909.10351):

    H = mean over the student's layers m of  mean over tokens of  (W_m h_m - h'_g(m))² / d'

with W_m learned, since the two differ in width, and g(m) = m · L'/L, layers spread evenly; m = 0
are the embeddings. DistilBERT (Sanh et al. 2019, arXiv:1910.01108) asks for the same direction of
the last states instead. Left out of both papers: distilling during pre-training on a large corpus,
which is where most of their students' accuracy comes from; TinyBERT's attention maps and augmented
data.

The teacher is asked at every step, not once: its hidden states would not fit on a disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError
from course_utils.model_facts import plain, plm_name
from course_utils.plm.load import seeded
from course_utils.prompting.distillation import distillation_loss
from course_utils.settings import TrainSettings
from course_utils.tasks.task import Task
from course_utils.training import TrainResult, train
from course_utils.tuning.tuned import Tuned


@dataclass(frozen=True)
class Distillation:
    """How a student learns.

    Attributes:
        temperature: T above; 1 leaves the teacher's probabilities as they are.
        alpha: weight of the teacher's answers, 1 - alpha that of the labels.
        hidden: β above, weight of the hidden states; 0 leaves them alone.
        teacher: which teacher, filled in by `distil`.
    """

    temperature: float = 2.0
    alpha: float = 0.5
    hidden: float = 0.0
    teacher: str = ""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise CourseError(f"Distillation: temperature {self.temperature}; expected above 0.")
        if not 0 <= self.alpha <= 1:
            raise CourseError(f"Distillation: alpha {self.alpha} is a weight, 0 to 1.")
        if not self.hidden >= 0:
            raise CourseError(f"Distillation: hidden {self.hidden} is a weight, 0 or more.")


def distil(
    student: PreTrainedModel,
    teacher: nn.Module,
    task: Task,
    *,
    tokenizer: Any,
    method: Distillation | None = None,
    settings: TrainSettings | None = None,
    examples: int | None = None,
    output: str | Path | None = None,
    progress: bool | None = None,
) -> TrainResult:
    """Trains the student on the task's "train", with the teacher's answers beside the labels.

    Args:
        student: a classifier of the same labels and vocabulary, usually smaller.
        teacher: a trained classifier, plain or tuned; it is put in eval mode.
        settings, examples, output, progress: as for `train`, which does the work.

    Returns:
        The result, with `model` the student itself: an ordinary PLM, the teacher gone.

    Raises:
        CourseError: the two do not read the same ids or give the same labels, the teacher is the
            student, or what `train` refuses.
    """
    method = method or Distillation()
    _check(student, teacher, task)
    method = replace(method, teacher=f"{plm_name(teacher)}, {fingerprint(teacher)}")
    settings = settings or TrainSettings()
    lesson = Lesson(student, teacher, method, seed=settings.seed)
    result = train(
        lesson,
        task,
        tokenizer=tokenizer,
        settings=settings,
        examples=examples,
        output=output,
        progress=progress,
    )
    return replace(result, model=student)


class Lesson(nn.Module):
    """The student while it learns: answers like it, with the loss above when labels are given.

    The teacher is no part of the module: not trained, not counted, not saved, never in train mode.

    Attributes:
        model: the student.
        bridges: W_0 ... W_L of the hidden states; thrown away with the lesson.
    """

    def __init__(
        self, student: PreTrainedModel, teacher: nn.Module, method: Distillation, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.model = student
        self._teacher = (teacher.eval(),)  # in a tuple, where torch does not look for modules
        self.method = method
        self.pairs = layer_pairs(student, teacher) if method.hidden else []
        width = [plain(m).config.hidden_size for m in (student, teacher)]
        with seeded(seed):
            bridges = [nn.Linear(*width, bias=False) for _ in self.pairs]
        self.bridges = nn.ModuleList(bridges).to(student.device, student.dtype)
        self.train(student.training)

    @property
    def teacher(self) -> nn.Module:
        return self._teacher[0]

    @property
    def config(self):
        return self.model.config

    def total(self) -> int:
        """Parameters of the student."""
        return sum(p.numel() for p in self.model.parameters())

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """The student's logits (B, labels); the loss when labels (B,) are given."""
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }
        batch = {name: value for name, value in batch.items() if value is not None}
        if self.pairs and labels is not None:
            batch["output_hidden_states"] = True
        said = self.model(**batch)
        loss = None
        if labels is not None:
            with torch.no_grad():
                taught = self.teacher.to(labels.device)(**batch)
            loss = self._loss(said, taught, labels, attention_mask)
        return SequenceClassifierOutput(loss=loss, logits=said.logits)

    def _loss(self, said: Any, taught: Any, labels: Tensor, mask: Tensor | None) -> Tensor:
        m = self.method
        loss = m.alpha * distillation_loss(said.logits, taught.logits, m.temperature)
        loss = loss + (1 - m.alpha) * F.cross_entropy(said.logits.float(), labels)
        if self.pairs:
            loss = loss + m.hidden * self._apart(said.hidden_states, taught.hidden_states, mask)
        return loss

    def _apart(self, said: Any, taught: Any, mask: Tensor | None) -> Tensor:
        """H: how far the student's states, (B, T, d) each, are from the teacher's, (B, T, d')."""
        distances = []
        for bridge, (own, theirs) in zip(self.bridges, self.pairs, strict=True):
            gap = (bridge(said[own]).float() - taught[theirs].float()).pow(2).mean(-1)  # (B, T)
            real = torch.ones_like(gap) if mask is None else mask.to(gap.dtype)
            distances.append((gap * real).sum() / real.sum())
        return torch.stack(distances).mean()


def layer_pairs(student: nn.Module, teacher: nn.Module) -> list[tuple[int, int]]:
    """(m, g(m)) for m from 0, the embeddings, to the student's last layer."""
    own, theirs = (plain(model).config.num_hidden_layers for model in (student, teacher))
    return [(m, round(m * theirs / own)) for m in range(own + 1)]


def fingerprint(model: nn.Module) -> str:
    """A few characters that differ where parameters do."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def _check(student: Any, teacher: Any, task: Task) -> None:
    if not isinstance(student, PreTrainedModel):
        raise CourseError(
            f"the student must be a transformers model from load_plm, not {type(student).__name__}."
        )
    if not isinstance(teacher, PreTrainedModel | Tuned):
        raise CourseError(
            "the teacher must be a transformers model, plain or tuned, not "
            f"{type(teacher).__name__}."
        )
    if plain(teacher) is student:
        raise CourseError("teacher and student are the same model: load the PLM twice.")
    if task.kind != "classification":
        raise CourseError(
            f"task {task.name!r} is of kind {task.kind!r}; distillation here needs "
            "'classification'."
        )
    mine, theirs = student.config, plain(teacher).config
    for name, a, b in (
        ("labels", mine.num_labels, theirs.num_labels),
        ("words in their vocabulary", mine.vocab_size, theirs.vocab_size),
    ):
        if a != b:
            raise CourseError(
                f"the student has {a} {name} and the teacher {b}. They must read the same ids and "
                "give the same labels: load both for this task, from PLMs with one tokenizer."
            )
    tokenizers = [getattr(plain(m), "plm_tokenizer", None) for m in (student, teacher)]
    if None not in tokenizers and tokenizers[0].get_vocab() != tokenizers[1].get_vocab():
        raise CourseError(
            "student and teacher have vocabularies of one size but different words, so the same "
            "ids would be different texts to them."
        )
