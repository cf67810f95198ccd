"""Labelled examples of each prompted task, drawn from the scenes.

The corpus tells them with their label in words (wordings.py); the tasks give them without.
"""

from __future__ import annotations

from collections.abc import Callable

from course_utils.plm.pocket import inference, scenes
from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.scenes import Pick
from course_utils.plm.pocket.wordings import WORDINGS, Wording

#: an example's fields by name, and its label as an index into wordings.LABELS[task]
Example = tuple[dict[str, str], int]


def sentiment(pick: Pick, easy: bool = False, domain: str | None = None) -> Example:
    label = int(pick.chance(0.5))
    clauses = 1 if easy else 2
    return {"sentence": scenes.review(pick, bool(label), domain, clauses)}, label


def topic(pick: Pick, easy: bool = False, headline: bool = False) -> Example:
    label = pick.rng.randrange(4)
    return {"text": scenes.news(pick, list(lex.SECTIONS)[label], headline)}, label


def inference_pair(pick: Pick, easy: bool = False) -> Example:
    label = pick.rng.randrange(3)
    premise, hypothesis = inference.nli(pick, label)
    return {"premise": premise, "hypothesis": hypothesis}, label


def entailment_pair(pick: Pick, easy: bool = False) -> Example:
    label = int(pick.chance(0.5))
    premise, hypothesis = inference.entailment(pick, label == 0, easy)
    return {"premise": premise, "hypothesis": hypothesis}, label


def passage_question(pick: Pick, easy: bool = False, about: str | None = None) -> Example:
    label = int(pick.chance(0.5))
    about = about or pick.of(("town", "person"))
    others = 0 if easy or pick.chance(0.2) else pick.of((1, 2))
    two = False if easy else None
    passage, question = inference.question(pick, bool(label), about, others, two)
    return {"passage": passage, "question": question}, label


def word_in_context(pick: Pick, easy: bool = False) -> Example:
    label = int(pick.chance(0.5))
    word, first, second, *_ = scenes.two_uses(pick, bool(label), easy)
    return {"word": word, "sentence1": first, "sentence2": second}, label


def pronoun_span(pick: Pick, easy: bool = False) -> Example:
    scene = scenes.pronoun(pick)
    asked = pick.rng.randrange(2)
    fields = {
        "text": scene.text,
        "span1_text": scene.candidates[asked],
        "span2_text": scene.pronoun,
    }
    return fields, int(asked == scene.meant)


EXAMPLES: dict[str, Callable[..., Example]] = {
    "sst2": sentiment,
    "agnews": topic,
    "snli": inference_pair,
    "rte": entailment_pair,
    "boolq": passage_question,
    "wic": word_in_context,
    "wsc": pronoun_span,
}


def fill(wording: Wording, label: int, pick: Pick, **fields: str) -> str:
    """A wording with its fields and, as the cue, one of the label's words."""
    word = pick.of(wording.words[label])
    return wording.pattern.replace("{mask}", f"<{word}>").format(**fields)


def told(task: str, pick: Pick, easy: bool) -> str:
    """An example of a task with its answer as the cue, in one of the wordings of the corpus."""
    fields, label = EXAMPLES[task](pick, easy)
    wording = pick.of([w for w in WORDINGS[task] if w.seen])
    return fill(wording, label, pick, **fields)
