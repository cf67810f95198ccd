"""Prompts found by the PLM from the few labels, then tuned: measures of the automatic claims.

As in LM-BFF: the search proposes, the best few are tuned, and a dev set as small as the training
set picks one. That set is beside the labels of the manual prompt, which needs no picking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from course_utils.claims.bench import NEW, Bench, Wording, as_wording
from course_utils.claims.claim import Cost, Scale
from course_utils.claims.measures import FineTuned
from course_utils.records import RunRecord


@dataclass(frozen=True)
class Searched(FineTuned):
    """Search prompts on the training examples, tune the best `tried`, score the best on dev.

    The learning rate is chosen with seed 0 and the search's first prompt.
    """

    tried: int = 4

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        plain = FineTuned(shots=self.shots, updates=self.updates, tries=self.tries)
        first = replace(plain, wording=found(self, bench, task, 0)[0])
        at = replace(first.at(first.chosen_rate(bench, task)), dev_shots=self.shots)
        records = [
            bench.measure(replace(at, wording=wording), task, seed)
            for wording in found(self, bench, task, seed)
        ]
        best = max(records, key=lambda record: record.dev_score)
        wording = found(self, bench, task, seed)[records.index(best)]
        words = "; ".join(f"{label}: {', '.join(words)}" for label, words in wording[1])
        return replace(
            best,
            seconds=round(sum(record.seconds for record in records), 2),
            notes={**best.notes, "found": f"{wording[0]}  ({words})"},
        )

    def search(self, bench: Bench, task: str, seed: int) -> Sequence[Wording]:
        """Prompts, the most promising first."""
        raise NotImplementedError

    def cost(self, scale: Scale, seed: int) -> Cost:
        runs = self.tried + (len(self.tries) if seed == 0 else 0)
        answers = runs * (scale.dev + scale.tests) + self.search_answers()
        return Cost(runs * self.updates, answers)

    def search_answers(self) -> int:
        """Texts the PLM reads in the search."""
        return self.shots * 3


@lru_cache(maxsize=64)
def found(measure: Searched, bench: Bench, task: str, seed: int) -> tuple[Wording, ...]:
    """What a search found: looked for once in a process."""
    return tuple(measure.search(bench, task, seed))[: measure.tried]


@dataclass(frozen=True)
class FoundWords(Searched):
    """Label words found for the manual template.

    Attributes:
        top_words: candidates per label.
    """

    top_words: int = 50

    def search(self, bench: Bench, task: str, seed: int) -> Sequence[Wording]:
        from course_utils.prompting import PromptModel, search_label_words

        drawn = bench.task(task, seed).subset(per_class=self.shots, seed=seed)
        model, tokenizer = bench.load()
        template, words = bench.prompt(drawn, NEW)[:2]
        prompt = PromptModel(model, tokenizer, template, words, labels=drawn.labels)
        combinations = search_label_words(
            prompt, drawn.split("train"), top_words=self.top_words, keep=self.tried
        )
        return [as_wording(template, combination.words) for combination in combinations]


@dataclass(frozen=True)
class FoundTemplate(Searched):
    """Templates found for the manual label words.

    Attributes:
        frame: where words may be put, as gaps (*), and the mask.
        beam, longest: of the search.
    """

    frame: str = "{sentence} * {mask} *"
    beam: int = 10
    longest: int = 2

    def search(self, bench: Bench, task: str, seed: int) -> Sequence[Wording]:
        from course_utils.prompting import search_templates

        drawn = bench.task(task, seed).subset(per_class=self.shots, seed=seed)
        model, tokenizer = bench.load()
        words = bench.prompt(drawn, NEW).words
        templates = search_templates(
            model,
            tokenizer,
            self.frame,
            {label: words[label] for label in drawn.labels},
            drawn.split("train"),
            beam=self.beam,
            longest=self.longest,
            keep=self.tried,
        )
        return [as_wording(template.text, dict(words)) for template in templates]

    def search_answers(self) -> int:
        lengths = self.longest + 1
        slots = lengths**2 * self.longest  # over all pairs of gap lengths
        return slots * self.beam * self.shots * 3
