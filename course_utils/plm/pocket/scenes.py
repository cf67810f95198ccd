"""Small situations of the pocket world, drawn with a label and rendered as plain text.

The pre-training corpus and the tasks are made of the same scenes. `Pick.allow` narrows the
lexicon: a task's training set is drawn from the shown half of the words, everything else from
all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.world import World

Item = TypeVar("Item")

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DOMAINS = ("restaurant", "shop", "show")
DOMAIN_ASPECTS = {
    "restaurant": ("food", "service", "place"),
    "shop": ("goods", "service"),
    "show": ("show", "place"),
}


@dataclass
class Pick:
    """A random draw from the world, with the words it may use.

    Attributes:
        rng: the source of randomness.
        world: names and facts.
        allow: says of a content word whether it may be drawn.
    """

    rng: random.Random
    world: World
    allow: Callable[[str], bool] = lambda word: True

    def of(self, items: Sequence[Item]) -> Item:
        """Any item, without regard to `allow`: for function words and structure."""
        return items[int(self.rng.random() * len(items))]

    def word(self, words: Sequence[str]) -> str:
        """A content word that `allow` admits (any word where it admits none)."""
        for _ in range(20):
            word = self.of(words)
            if self.allow(word):
                return word
        return next((w for w in words if self.allow(w)), self.of(words))

    def item(self, items: Sequence[Item], key: Callable[[Item], str]) -> Item:
        """Like `word`, for things whose word is `key(thing)`."""
        for _ in range(20):
            item = self.of(items)
            if self.allow(key(item)):
                return item
        return next((i for i in items if self.allow(key(i))), self.of(items))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability


def article(word: str) -> str:
    """`word` with "a" or "an" before it."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


PLAIN = frozenset(
    lex.words("the a an it there was were had of to in on and with for at its by not into from")
)


def cue_words(text: str) -> str:
    """`text` with every word that carries meaning marked as a cue."""
    return " ".join(w if w in PLAIN else f"<{w}>" for w in text.split())


# --- reviews ------------------------------------------------------------------------------------


def review(pick: Pick, positive: bool, domain: str | None = None, clauses: int = 2) -> str:
    """A review of one clause or of up to three.

    A contrast ("although the soup was stale , the waiter was kind": the main clause decides), a
    mixed one (two clauses against one), a negation ("not stale") and a disappointed or surpassed
    expectation make the single word unreliable.
    """
    aspects = DOMAIN_ASPECTS[domain or pick.of(DOMAINS)]
    if clauses == 1:
        return f"{_praise(pick, positive, aspects)} ."
    parts = []
    if pick.chance(0.35):
        parts.append(_visit(pick))

    def said(good: bool) -> str:
        return _praise(pick, good, aspects)

    shape = pick.rng.random()
    if shape < 0.30:
        first, second = said(not positive), said(positive)
        parts.append(pick.of((f"{first} , but {second} .", f"although {first} , {second} .")))
    elif shape < 0.55:  # two against one
        verdicts = [positive, positive, not positive]
        pick.rng.shuffle(verdicts)
        parts += [f"{said(good)} ." for good in verdicts]
    elif shape < 0.75:
        parts.append(f"{said(positive)} and {said(positive)} .")
    else:
        parts.append(f"{said(positive)} .")
    return " ".join(parts)


def _praise(pick: Pick, positive: bool, aspects: Sequence[str]) -> str:
    nouns, good, bad = lex.ASPECTS[pick.of(aspects)]
    noun = pick.of(nouns)
    shape = pick.rng.random()
    if shape < 0.07:
        expected = article(pick.word(bad if positive else good))
        return f"{pick.of(('i', 'we'))} expected {expected} {noun} and " + pick.of(
            ("got something else", "found the opposite")
        )
    if shape < 0.16:
        return f"the {noun} was not {pick.word(bad if positive else good)}"
    if shape < 0.28:
        verb = pick.word(lex.LIKED if positive else lex.DISLIKED)
        return f"{pick.of(('i', 'we'))} {verb} the {noun}"
    adjective = pick.word(good if positive else bad)
    if shape < 0.45:
        return f"the {noun} was {pick.of(('very', 'really', 'so', 'quite', 'rather'))} {adjective}"
    if shape < 0.6:
        return f"we had {article(adjective)} {noun}"
    if shape < 0.7:
        return f"{article(adjective)} {noun} was waiting for us"
    return f"the {noun} was {adjective}"


def _visit(pick: Pick) -> str:
    person = pick.world.person(pick.rng)
    return pick.of(
        (
            f"we went there on {pick.of(DAYS)} .",
            f"{person.name} took me there .",
            f"it was my first visit in {person.town} .",
            f"i was there with {person.name} and {person.possessive} friends .",
        )
    )


# --- news ----------------------------------------------------------------------------------------


def news(pick: Pick, section: str, headline: bool = False) -> str:
    """One or two sentences of a section, at times with a word from another section in them."""
    actors, verbs, objects = lex.SECTIONS[section]
    other = pick.of([s for s in lex.SECTIONS if s != section])
    # one of the two at most: a person could not tell otherwise
    stray = pick.rng.random()
    stray_actor, stray_object = stray < 0.35, 0.35 <= stray < 0.75
    actor = pick.word(lex.SECTIONS[other][0] if stray_actor else actors)
    thing = pick.word(lex.SECTIONS[other][2] if stray_object else objects)
    verb = pick.word(verbs)
    town, day = pick.of(pick.world.towns).name, pick.of(DAYS)
    if headline:
        return pick.of(
            (
                f"{town} : {actor} {verb} after {thing}",
                f"{actor} {verb} , {pick.word(objects)} and {thing} in doubt",
            )
        )
    first = pick.of(
        (
            f"the {actor} {verb} on {day} .",
            f"in {town} the {actor} {verb} because of the {thing} .",
            f"{article(actor)} from {town} {verb} after the {thing} .",
            f"on {day} the {actor} of {town} {verb} .",
        )
    )
    if pick.chance(0.45):
        return first
    second = pick.of(
        (
            f"the {thing} is talked about in {town} .",
            f"it was about the {thing} and the {pick.word(objects)} .",
            f"people now wait for the {pick.word(objects)} .",
            f"the {pick.word(actors)} said that the {thing} was over .",
        )
    )
    return f"{first} {second}"


# --- cause and effect -----------------------------------------------------------------------------


def cause_and_effect(pick: Pick) -> tuple[str, str, str, str]:
    """A cause, its effect, a cause and an effect of something else, all of the same person."""
    pairs = list(range(len(lex.CAUSES)))
    this = pick.item(pairs, lambda i: f"cause{i}")
    that = pick.of([i for i in pairs if i != this])
    name = pick.world.person(pick.rng).name
    (cause, effect), (wrong_cause, wrong_effect) = (
        tuple(pick.of(side).format(x=name) for side in lex.CAUSES[i]) for i in (this, that)
    )
    return cause, effect, wrong_cause, wrong_effect


# --- senses ---------------------------------------------------------------------------------------


def two_uses(pick: Pick, same: bool, easy: bool = False) -> tuple[str, str, str, str, str]:
    """A word, two sentences with it in the same or in different senses, and their glosses.

    Args:
        pick: where words come from.
        same: whether the senses are the same.
        easy: the sentences alone, without who said them or when.
    """
    word = pick.item(list(lex.SENSES), lambda w: f"sense {w}")
    senses = list(lex.SENSES[word])
    pick.rng.shuffle(senses)
    (gloss, contexts), (other, other_contexts) = senses
    if same:
        first, second = pick.rng.sample(contexts, 2)
    else:
        first, second = pick.of(contexts), pick.of(other_contexts)
    first, second = (s.replace("___", word) for s in (first, second))
    if not easy:
        first, second = _told_by(pick, first), _told_by(pick, second)
    return word, first, second, gloss, gloss if same else other


def _told_by(pick: Pick, sentence: str) -> str:
    shape = pick.rng.random()
    if shape < 0.5:
        return sentence
    if shape < 0.75:
        return f"on {pick.of(DAYS)} {sentence}"
    return f"{pick.world.person(pick.rng).name} says that {sentence}"


# --- pronouns -------------------------------------------------------------------------------------

#: (text with {a}, {b} and {why}, the pronoun, whys that mean a, whys that mean b, kind of nouns)
SCHEMAS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], str], ...] = (
    ("the {a} does not fit into the {b} because it is too {why}", "it",
     ("big", "large", "wide", "long", "thick"), ("small", "tiny", "narrow", "short", "thin"), "thing"),
    ("the {a} fell onto the {b} and it broke because it was {why}", "it",
     ("loose",), ("fragile", "brittle", "delicate"), "thing"),
    ("{a} lifted {b} because {p} was so {why}", "p",
     ("strong", "mighty", "muscular", "powerful"), ("light", "small", "tiny", "frail"), "person"),
    ("{a} helped {b} because {p} was {why}", "p",
     ("kind", "generous", "caring", "thoughtful"), ("sick", "ill", "weak", "blind", "lost"), "person"),
    ("{a} paid {b} after {p} had {why}", "p",
     ("borrowed", "ordered", "promised"), ("delivered", "worked", "helped"), "person"),
    ("{a} asked {b} a question but {p} {why}", "p",
     ("insisted", "repeated"), ("refused", "stammered", "hesitated"), "person"),
    ("{a} could not see the stage behind {b} because {p} was too {why}", "p",
     ("short", "small", "little"), ("tall", "big", "towering"), "person"),
    ("{a} beat {b} in the race because {p} was {why}", "p",
     ("fast", "quick", "fit", "swift"), ("slow", "tired", "injured", "late"), "person"),
    ("{a} thanked {b} because {p} had {why}", "p",
     ("received", "benefited"), ("helped", "given", "rescued"), "person"),
    ("{a} was jealous of {b} because {p} was {why}", "p",
     ("poor", "unlucky", "unknown"), ("rich", "famous", "lucky", "wealthy"), "person"),
    ("the {a} was put on the {b} because it was {why}", "it",
     ("light", "small", "tiny"), ("flat", "stable", "sturdy", "solid"), "thing"),
    ("{a} forgave {b} after {p} had {why}", "p",
     ("calmed", "prayed"), ("apologized", "confessed", "cried"), "person"),
)  # fmt: skip


@dataclass(frozen=True)
class Pronoun:
    """A sentence with a pronoun, its two candidates, and which of them is meant (0 or 1)."""

    text: str
    pronoun: str
    candidates: tuple[str, str]
    meant: int


def pronoun(pick: Pick) -> Pronoun:
    """A Winograd schema: one word decides which of the two the pronoun stands for."""
    text, which, for_a, for_b, nouns = pick.of(SCHEMAS)
    meant = int(pick.chance(0.5))
    why = pick.word(for_b if meant else for_a)
    if nouns == "thing":
        a, b = pick.rng.sample(lex.ASPECTS["goods"][0], 2)
        text = text.format(a=a, b=b, why=why)
        return Pronoun(f"{text} .", "it", (f"the {a}", f"the {b}"), meant)
    first = pick.world.person(pick.rng)
    second = pick.world.person(pick.rng, first.sex)
    while second.name == first.name:
        second = pick.world.person(pick.rng, first.sex)
    text = text.format(a=first.name, b=second.name, p=first.pronoun, why=why)
    return Pronoun(f"{text} .", first.pronoun, (first.name, second.name), meant)
