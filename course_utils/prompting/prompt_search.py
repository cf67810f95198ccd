"""Choosing among prompts by trying them: fine-tune with each, compare on dev."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.prompting.prompt import PromptModel
from course_utils.tasks.task import Task
from course_utils.training import TrainSettings, train
from course_utils.tuning import Method, attach


class TriedPrompt(NamedTuple):
    """A prompt and the dev score the PLM reached when tuned with it."""

    template: str
    words: Mapping[str, str | Sequence[str]]
    dev_score: float


def try_prompts(
    plm: str,
    task: Task,
    prompts: Iterable[tuple[str, Mapping[str, str | Sequence[str]]]],
    *,
    method: Method | None = None,
    settings: TrainSettings | None = None,
    progress: bool | None = None,
) -> list[TriedPrompt]:
    """Tune a fresh PLM with each prompt on the task's "train"; best on "dev" first.

    Args:
        plm: any name `load_plm` takes.
        prompts: (template, {label: words}) pairs, such as `task.prompts`.
        method: tune this way; the whole PLM if not given.

    Raises:
        CourseError: a prompt that can't work, found before any is tried.
    """
    prompts = [(prompt[0], dict(prompt[1])) for prompt in prompts]
    if not prompts:
        raise CourseError("there are no prompts to try: give at least one.")
    model, tokenizer = load_plm(plm)
    for template, words in prompts:
        asked = PromptModel(model, tokenizer, template, words, labels=task.labels)
        asked.template.check(columns=task.columns)
    settings = settings or TrainSettings()
    tried = []
    for template, words in prompts:
        model, tokenizer = load_plm(plm, seed=settings.seed)
        tuned = model if method is None else attach(model, method, seed=settings.seed)
        asked = PromptModel(tuned, tokenizer, template, words, labels=task.labels)
        result = train(asked, task, tokenizer=tokenizer, settings=settings, progress=progress)
        tried.append(TriedPrompt(template, words, result.dev_score))
    return sorted(tried, key=lambda t: -t.dev_score)
