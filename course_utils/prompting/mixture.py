"""Many tasks and many prompts in one training set, as in T0 and FLAN.

*Examples-proportional mixing with a cap* (Raffel et al. 2020): in one pass over the mixture a task
with n training examples is seen

    min(n, cap) times,

so large tasks count for more, but none drowns the others. (FLAN: Wei et al. 2022, cap 3,000; T0:
Sanh et al. 2022, cap 500,000 over all prompts of a data set.) Each time the example is put into
words by one of the task's prompts, drawn anew.

The objective is that of a language model: the answer's word at the blank, among all words. Only at
evaluation are the label words compared with each other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from course_utils.prompting.asked import AskedModel
from course_utils.prompting.prompt import PromptModel
from course_utils.prompting.scoring import blank_logits
from course_utils.tasks.task import NO_LABEL, Prompt, Task

COLUMNS = ("split", "task", "prompt", "row")  # which example of which task, in which words


def shares(sizes: Sequence[int], cap: int) -> list[float]:
    """Each task's share of the mixture, from its number of examples; they sum to 1."""
    counted = [min(size, cap) for size in sizes]
    return [count / sum(counted) for count in counted]


def draw_mixture(
    tasks: Sequence[Task],
    prompts: Sequence[int],
    *,
    split: str = "train",
    cap: int,
    passes: int = 1,
    seed: int = 0,
) -> list[dict[str, object]]:
    """The rows of the mixture, shuffled: `COLUMNS`, which point at an example, and its "label".

    Args:
        prompts: how many prompts each task has.
        cap: examples of one task in one pass, at most; drawn without putting back.
        passes: how often the draw is made.
    """
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for _ in range(passes):
        mixed = []
        for number, (task, count) in enumerate(zip(tasks, prompts, strict=True)):
            gold = task.gold(split)
            usable = [at for at, label in enumerate(gold) if label != NO_LABEL]
            for at in rng.sample(usable, min(cap, len(usable))):
                place = (split, number, rng.randrange(count), at)
                mixed.append({**dict(zip(COLUMNS, place, strict=True)), "label": gold[at]})
        rng.shuffle(mixed)
        rows += mixed
    return rows


def mixture_task(tasks: Sequence[Task], train: list[dict], dev: list[dict]) -> Task:
    """The mixture as a task, for `train`; `MixedPrompts` reads its rows.

    Its labels are positions: the second answer of one task shares its id with that of another.
    """
    from datasets import Dataset

    return Task(
        name=" + ".join(task.name for task in tasks),
        kind="classification",
        columns=COLUMNS,
        labels=answer_names(tasks),
        metric="accuracy",
        splits={"train": Dataset.from_list(train), "dev": Dataset.from_list(dev)},
        description="A mixture of prompted tasks.",
        revision=" + ".join(task.revision for task in tasks).strip(" +"),
    )


def answer_names(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Names for the positions of labels, as many as the task with the most has."""
    return tuple(f"answer {i}" for i in range(max(len(task.labels) for task in tasks)))


class MixedPrompts(AskedModel):
    """One PLM behind all prompts of several tasks, a different one in every row of a batch.

    Args:
        model, tokenizer, max_length: as for `PromptModel`.
        tasks: of kind "classification".
        prompts: per task, its prompts; every label word must be one token.

    Raises:
        CourseError: a prompt that can't work with the PLM or its task.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer,
        tasks: Sequence[Task],
        prompts: Sequence[Sequence[Prompt]],
        *,
        max_length: int | None = None,
    ):
        super().__init__(model, tokenizer, max_length)
        self.tasks = tuple(tasks)
        self.labels = answer_names(tasks)
        # Plain lists: the PLM is a module of this one already, not once more per prompt.
        self.asked: list[PromptModel] = []
        self.first: list[int] = []  # per task, the number of its first prompt in `asked`
        for task, wordings in zip(tasks, prompts, strict=True):
            self.first.append(len(self.asked))
            for template, words, *_ in wordings:
                one = PromptModel(
                    model, tokenizer, template, words, labels=task.labels, max_length=max_length
                )
                one.template.check(columns=task.columns)
                self.asked.append(one)
        self.train(model.training)

    def example(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """The example a row of the mixture points at."""
        return self.tasks[row["task"]].split(row["split"])[row["row"]]

    def prompt_of(self, row: Mapping[str, object]) -> PromptModel:
        """The prompt a row of the mixture is asked with."""
        return self.asked[self.first[row["task"]] + row["prompt"]]

    def encode(self, row: Mapping[str, object]) -> dict[str, object]:
        """A row of the mixture as ids: what its prompt encodes, and two numbers.

        "source" is the prompt's number, "answer" the token that should stand at the blank: of
        several words for the label one drawn by the row, so that all are learnt.
        """
        asked, example = self.prompt_of(row), self.example(row)
        encoded = asked.encode(example)
        words = asked.verbalizer.token_ids(self.tokenizer)[encoded["labels"]]
        drawn = random.Random("/".join(str(row[name]) for name in COLUMNS)).choice(words)
        encoded["source"] = self.first[row["task"]] + row["prompt"]
        encoded["answer"] = drawn[0]
        return encoded

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mask_positions: Tensor,
        source: Tensor,
        answer: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Label scores as `logits` (B, most labels), minus infinity where a task has fewer.

        The loss, given with labels, is the cross-entropy of `answer` (B,) among all words.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        words = blank_logits(self.model, inputs, mask_positions, self.kind, self._mask)[:, 0]
        words = words.float()  # (B, V)
        scores = words.new_full((len(words), len(self.labels)), -torch.inf)
        if not self.training:
            for number in source.unique().tolist():
                rows = (source == number).nonzero()[:, 0]
                verbalizer = self.asked[number].verbalizer
                found = verbalizer.scores(words[rows], self.tokenizer)
                scores[rows, : found.shape[1]] = found
        loss = F.cross_entropy(words, answer) if labels is not None else None
        return SequenceClassifierOutput(loss=loss, logits=scores)
