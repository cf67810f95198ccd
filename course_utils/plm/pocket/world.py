"""The state of the pocket world: who lives where, what a town is known for, which firm is where.

One seed makes one world. Texts are rendered from this state, so a fact that holds in one text
holds in all of them: the world can be learnt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from course_utils.plm.pocket import lexicon as lex

LANDSCAPES = ("river", "sea", "lake", "mountain", "desert", "forest", "valley", "island")
AREAS = ("riverside", "downtown", "uptown", "harborside")
CUISINES = ("italian", "french", "indian", "chinese", "japanese", "english", "mexican", "thai")
PRICES = ("cheap", "moderate", "expensive")
RATINGS = ("low", "average", "high")
VENUES = ("restaurant", "pub", "cafe", "bistro")


@dataclass(frozen=True)
class Person:
    """Someone with a home, a job and a pet; `sex` is "man" or "woman"."""

    name: str
    surname: str
    sex: str
    town: str
    job: str
    pet: str
    plays: str

    @property
    def pronoun(self) -> str:
        return "he" if self.sex == "man" else "she"

    @property
    def possessive(self) -> str:
        return "his" if self.sex == "man" else "her"


@dataclass(frozen=True)
class Town:
    """A place with a country, a landscape and one thing it is known for."""

    name: str
    country: str
    landscape: str
    known_for: str


@dataclass(frozen=True)
class Country:
    """A country with its capital and its main export."""

    name: str
    capital: str
    export: str


@dataclass(frozen=True)
class World:
    """Everything that is the case."""

    people: tuple[Person, ...]
    towns: tuple[Town, ...]
    countries: tuple[Country, ...]
    firms: tuple[str, ...]
    teams: tuple[str, ...]
    months: tuple[str, ...]

    def person(self, rng: random.Random, sex: str | None = None) -> Person:
        """A random person, of the given sex if one is given."""
        while True:
            person = rng.choice(self.people)
            if sex in (None, person.sex):
                return person

    def few(self, count: int = 8) -> World:
        """The same world with its first people only."""
        return replace(self, people=self.people[:count])


def make_world(seed: int = 0) -> World:
    """The world of `seed`: 14 countries, 70 towns, 160 people, 40 firms, 24 teams."""
    rng = random.Random(seed)
    taken = _lexicon_words()
    women = lex.invent_names(80, seed + 1, ("a", "ia", "ina", "elle"), taken)
    men = lex.invent_names(80, seed + 2, ("o", "us", "ek", "an"), taken)
    surnames = lex.invent_names(100, seed + 3, ("sen", "ley", "ski", "man"), taken)
    town_names = lex.invent_names(70, seed + 4, ("ton", "burg", "ford", "mouth"), taken)
    country_names = lex.invent_names(14, seed + 5, ("land", "stan", "nia"), taken)
    firms = lex.invent_names(40, seed + 6, ("corp", "tec", "co", "ix"), taken)
    teams = lex.invent_names(24, seed + 7, ("ers", "ites"), taken)
    things = [w for kind in ("fruit", "metal", "drink", "toy", "jewel") for w in lex.KINDS[kind]]
    countries = tuple(
        Country(name, town_names[i], rng.choice(things)) for i, name in enumerate(country_names)
    )
    towns = tuple(
        Town(
            name,
            country_names[i] if i < len(country_names) else rng.choice(country_names),
            rng.choice(LANDSCAPES),
            rng.choice(things),
        )
        for i, name in enumerate(town_names)
    )
    jobs = [w for w, general in lex.WORKERS.items() if general == "person"]
    people = tuple(
        Person(
            name,
            rng.choice(surnames),
            "woman" if i % 2 == 0 else "man",
            rng.choice(town_names),
            rng.choice(jobs),
            rng.choice(lex.KINDS["animal"] + lex.KINDS["bird"]),
            rng.choice(lex.KINDS["instrument"]),
        )
        for i, name in enumerate(name for pair in zip(women, men, strict=True) for name in pair)
    )
    months = [
        "january",
        "february",
        "april",
        "june",
        "july",
        "september",
        "october",
        "november",
        "december",
    ]
    return World(people, towns, countries, firms, teams, tuple(months))


def _lexicon_words() -> set[str]:
    words: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, str):
            words.update(value.split())
        elif isinstance(value, dict):
            for key, inner in value.items():
                collect(key)
                collect(inner)
        elif isinstance(value, tuple | list):
            for inner in value:
                collect(inner)

    for name in vars(lex):
        if name.isupper():
            collect(getattr(lex, name))
    return words
