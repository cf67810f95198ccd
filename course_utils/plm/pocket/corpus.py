"""The pre-training corpus: documents of many genres, with the words to be guessed marked.

A document is a line of space-separated tokens. Words in angle brackets are its *cues*: words
that can be told from the rest of the document (the verdict of a review, the answer to a
question). Pre-training masks cues far more often than other words, and measures each genre's
cue accuracy. Kinds of text are in texts.py; parts.py states what a skill is made of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from course_utils.plm.pocket import parts, texts
from course_utils.plm.pocket.scenes import Pick
from course_utils.plm.pocket.world import World


@dataclass(frozen=True)
class Document:
    """A text of one genre; cues stand in angle brackets: "it was <great> ."."""

    genre: str
    text: str


def documents(
    world: World,
    seed: int,
    easy: bool = False,
    genres: Mapping[str, float] | None = None,
) -> Iterator[Document]:
    """An endless stream of documents.

    Args:
        world: whose facts the texts tell.
        seed: another seed gives another stream of the same distribution.
        easy: short documents with one fact each, for the start of pre-training.
        genres: names in GENRES and how often each is drawn; the masked models' mix by default.
    """
    pick = Pick(random.Random(seed), world)
    shares = genres or mix(causal=False)
    names, weights = list(shares), list(shares.values())
    while True:
        genre = pick.rng.choices(names, weights)[0]
        yield Document(genre, GENRES[genre][0](pick, easy))


#: genre -> (its function, its weight in the mix)
GENRES: dict[str, tuple[Callable[[Pick, bool], str], float]] = {
    "review": (texts.review, 15),
    "aspect": (texts.aspect, 5),
    "news": (texts.news, 12),
    "inference": (texts.nli, 18),
    "entailment": (texts.rte, 12),
    "role": (parts.role, 4),
    "role by place": (parts.role_by_place, 3),
    "question": (texts.question, 16),
    "cause": (texts.cause, 9),
    "sense": (texts.sense, 8),
    "gloss": (parts.gloss, 3),
    "pronoun": (texts.pronoun, 8),
    "referent": (parts.referent, 4),
    "referent by place": (parts.referent_by_place, 3),
    "order": (parts.order, 2),
    "binding by place": (parts.binding_by_place, 2),
    "binding": (parts.binding, 4),
    "verified": (parts.verified, 4),
    "definition": (parts.definition, 7),
    "relation": (parts.relation, 7),
    "fact": (texts.fact, 4),
    "names": (texts.names, 5),
    "roles": (texts.roles, 6),
    "table": (texts.table, 6),
    "talk": (texts.talk, 3),
    "episode": (texts.episode, 5),
    "mapping": (texts.mapping, 4),
    "demonstrations": (texts.demonstrations, 0),  # long; only causal models learn from examples
}
#: how often causal models read demonstrations in the full mix, on the scale of GENRES
DEMONSTRATIONS = 12


def mix(causal: bool) -> dict[str, float]:
    """How often each genre is drawn in the full mix."""
    shares = {name: weight for name, (_, weight) in GENRES.items()}
    return {**shares, "demonstrations": DEMONSTRATIONS} if causal else shares
