"""Many teachers' answers to unlabelled text, and one ordinary classifier that learns them.

Teachers are averaged in logits with a weight each, t = sum_i w_i t_i / sum_i w_i, and the student s
learns the softened distribution (Hinton et al. 2015; PET, Schick & Schütze 2021, section 3.3):

    loss = T^2 * KL( softmax(t / T) || softmax(s / T) )

The factor T^2 keeps the gradients as large as those of ordinary labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.errors import CourseError
from course_utils.tasks.inputs import encode
from course_utils.tasks.task import Task

TEACHER = "teacher_row"  # the column that says which soft label belongs to a row


def weighted_mean(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """(n, n_labels) mean of teachers' logits; alike if every weight is 0."""
    if not logits or len(logits) != len(weights):
        raise CourseError(f"{len(logits)} teachers' answers for {len(weights)} weights.")
    if min(weights) < 0:
        raise CourseError(f"a teacher's weight can't be negative: {min(weights)}.")
    chosen = torch.tensor(weights if sum(weights) > 0 else [1.0] * len(weights))
    stacked = torch.stack([answer.float() for answer in logits])  # (teachers, n, n_labels)
    return (stacked * (chosen / chosen.sum()).view(-1, 1, 1)).sum(dim=0)


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """T² KL(teacher || student), both (B, n_labels) logits; the mean over the batch."""
    log_p = F.log_softmax(student.float() / temperature, dim=-1)
    q = F.softmax(teacher.float() / temperature, dim=-1)
    return F.kl_div(log_p, q, reduction="batchmean") * temperature**2


class Student(nn.Module):
    """A classifier whose training rows carry a teacher's answer.

    It goes through training and evaluation like a prompted model: `encode` makes features, and a
    row with a `teacher_row` learns that row of `teacher` instead of a label.

    Args:
        model: a PLM with a classification head.
        task: lays out an example as text.
        teacher: (n, n_labels) logits.
        max_length: tokens at most.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        task: Task,
        teacher: Tensor,
        *,
        temperature: float = 2.0,
        max_length: int = 256,
    ):
        super().__init__()
        if temperature <= 0:
            raise CourseError(f"a temperature is above 0, not {temperature}.")
        self.model = model
        self.tokenizer = tokenizer
        self.task = task
        self.temperature = temperature
        self.max_length = max_length
        self.register_buffer("teacher", teacher.float(), persistent=False)

    @property
    def config(self):
        return self.model.config

    @property
    def labels(self) -> tuple[str, ...]:
        return self.task.labels

    def encode(self, example: Mapping[str, object]) -> dict[str, object]:
        """The features of one example, with the number of its soft label if it has one."""
        encoded = encode(
            self.task, [example], self.tokenizer, max_length=self.max_length, answers=False
        )
        features = dict(encoded.features[0])
        if example.get(TEACHER) is not None:
            features[TEACHER] = int(example[TEACHER])
        return features

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        teacher_row: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Class logits, and the distillation loss where rows have a teacher, else cross-entropy."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        logits = self.model(**inputs).logits  # (B, n_labels)
        loss = None
        if teacher_row is not None:
            loss = distillation_loss(logits, self.teacher[teacher_row], self.temperature)
        elif labels is not None:
            loss = F.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
