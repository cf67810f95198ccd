"""Calibration: take out what a PLM would answer without reading the text.

A PLM prefers some label words whatever the input (frequent words, the last label shown, ...). The
preference is a distribution p0 over labels; dividing by it and normalising again,

    q(y | x) = p(y | x) / p0(y)  /  sum over y'

makes the answer for "no information" even. In scores that is s(y) - log p0(y). Two ways to p0:

* content-free: the mean answer to inputs that say nothing ("N/A", "", "[MASK]"), contextual
  calibration (Zhao et al. 2021). Needs no data at all.
* training prior: the mean answer over (unlabelled) training examples, as in OpenPrompt. Where
  the labels are known not to be balanced, say how often each occurs: q is multiplied by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.errors import CourseError
from course_utils.prompting.answers import Answers
from course_utils.prompting.prompt import PromptModel

CONTENT_FREE = ("N/A", "", "[MASK]")


@dataclass(frozen=True)
class Calibration:
    """What is divided out of the answers of one prompt.

    Attributes:
        labels: the label names, position = id.
        prior: p0, one probability per label.
        target: how often each label really occurs; all alike if not known.
    """

    labels: tuple[str, ...]
    prior: tuple[float, ...]
    target: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, values in (("prior", self.prior), ("target", self.target)):
            if values is None:
                continue
            if len(values) != len(self.labels) or min(values) <= 0:
                raise CourseError(
                    f"the {name} of a calibration needs a positive number for each of "
                    f"{', '.join(self.labels)}; got {tuple(values)}."
                )

    @classmethod
    def content_free(
        cls,
        prompt: PromptModel,
        texts: Sequence[str] = CONTENT_FREE,
        *,
        keep: Mapping[str, str] | None = None,
    ) -> Calibration:
        """From the mean answer to texts without content, put into every field.

        Args:
            keep: fields that stay the same in every example, with their text (a question).
        """
        if not texts:
            raise CourseError("content-free calibration needs one text or more, such as 'N/A'.")
        fields = prompt.template.fields
        rows = [{**dict.fromkeys(fields, text), **(keep or {})} for text in texts]
        return cls(prompt.labels, _mean_answer(prompt, rows))

    @classmethod
    def from_examples(
        cls,
        prompt: PromptModel,
        examples: Iterable[Mapping[str, object]],
        *,
        target: Mapping[str, float] | None = None,
        batch_size: int = 32,
    ) -> Calibration:
        """From the mean answer over examples; their labels are not looked at.

        Args:
            target: label -> how often it occurs, where that is known; all alike if not.
        """
        share = None
        if target is not None:
            missing = [label for label in prompt.labels if label not in target]
            if missing:
                raise CourseError(f"the target lacks label {missing[0]!r}.")
            share = tuple(float(target[label]) for label in prompt.labels)
        return cls(prompt.labels, _mean_answer(prompt, examples, batch_size), share)

    def log_prior(self) -> Tensor:
        """(n_labels,) what is subtracted from the scores: log p0 - log target."""
        prior = torch.tensor(self.prior).log()
        return prior if self.target is None else prior - torch.tensor(self.target).log()

    def apply(self, answers: Answers) -> Answers:
        """Calibrated answers, from answers of the same prompt without calibration."""
        if answers.labels != self.labels:
            raise CourseError(
                f"a calibration for {', '.join(self.labels)} does not fit answers with "
                f"{', '.join(answers.labels)}."
            )
        return Answers(answers.labels, answers.scores - self.log_prior())

    def attach(self, prompt: PromptModel) -> PromptModel:
        """Make `prompt` itself answer calibrated, in evaluation and in training. Undo: `detach`."""
        self.apply(Answers(prompt.labels, torch.zeros(0, len(prompt.labels))))
        prompt.log_prior = self.log_prior().to(prompt.device)
        return prompt

    @staticmethod
    def detach(prompt: PromptModel) -> PromptModel:
        """Make `prompt` answer as the PLM does again."""
        prompt.log_prior = None
        return prompt


def _mean_answer(
    prompt: PromptModel, examples: Iterable[Mapping[str, object]], batch_size: int = 32
) -> tuple[float, ...]:
    """The mean of the uncalibrated probabilities, never exactly 0."""
    attached, prompt.log_prior = prompt.log_prior, None
    try:
        probabilities = prompt.predict(examples, batch_size=batch_size).probabilities
    finally:
        prompt.log_prior = attached
    mean = probabilities.double().mean(dim=0).clamp_min(1e-12)
    return tuple((mean / mean.sum()).tolist())
