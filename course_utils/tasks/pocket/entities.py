"""Sentences with names, for pocket/ner: PER, LOC, ORG (firms and teams), MISC (peoples).

Names of one kind look alike, but as in the real world they wander: people are named like towns,
firms like people, a town's name stands for its team. Such a borrowed name only stands where the
words around it say what it is. Annotators differ: a few names in a hundred carry another type.
"""

from __future__ import annotations

from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.events import NER_TYPES
from course_utils.plm.pocket.scenes import DAYS, Pick

BORROWED = 0.3
OTHERWISE_TAGGED = 0.03

# What may stand in a pattern. {PER}, {LOC}, {ORG} leave no doubt about the type, so the name may be
# borrowed; {any} is told by its name alone.
CLAUSES = (
    "{PER} lives in {LOC}",
    "{PER} left {ORG} for {ORG}",
    "{PER} plays for the {TEAM}",
    "{PER} , a {job} from {LOC} , met {PER}",
    "the {MISC} {job} {PER} moved to {LOC}",
    "{PER} was hired by {ORG}",
    "{ORG} opened an office in {LOC}",
    "{ORG} , a firm from {LOC} , sold its {MISC} factory",
    "shares of {ORG} rose after {PER} resigned",
    "{ORG} hired {PER} , a {MISC} {job}",
    "the mayor of {LOC} thanked {any}",
    "the town of {LOC} is far from {LOC}",
    "the {MISC} government signed a treaty with {LOC}",
    "a {MISC} {job} won the prize in {LOC}",
    "{CLUB} beat the {TEAM} in the match",
    "the {TEAM} lost the match to {CLUB}",
    "{any} thanked {any}",
    "{any} waited for {any}",
    "nobody had heard of {any}",
    "{any} wrote to {any} about {any}",
)
OTHER_DOMAIN = (
    "who is {PER} ? i know {PER} from {LOC}",
    "dear {PER} , greetings from {LOC} !",
    "we bought our {MISC} lamp from {ORG} , a firm in {LOC}",
    "my uncle loves the town of {LOC} and the {TEAM}",
    "thanks to {any} , {PER} is now in {LOC}",
    "do you remember {any} ? {PER} wrote to {any}",
)
LEADS = ("on {day}", "in {LOC}", "at {ORG}")
JOINED = ("and", "but", "while")


def sentence(pick: Pick, ood: bool = False) -> tuple[list[str], list[str]]:
    """A sentence of one or two clauses, and its BIO tags."""
    pattern = pick.of(OTHER_DOMAIN if ood else CLAUSES)
    if not ood and pick.chance(0.3):
        pattern = f"{pick.of(LEADS)} {pattern}"
    if not ood and pick.chance(0.4):
        pattern = f"{pattern} {pick.of(JOINED)} {pick.of(CLAUSES)}"
    tokens: list[str] = []
    tags: list[str] = []
    for part in f"{pattern} .".split():
        name, kind = _filled(pick, part)
        tokens += name
        tags += ["O"] * len(name) if kind is None else _tagged(pick, kind, len(name))
    return tokens, tags


def _tagged(pick: Pick, kind: str, length: int) -> list[str]:
    if pick.chance(OTHERWISE_TAGGED):
        kind = pick.of([other for other in NER_TYPES if other != kind])
    return [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)


def _filled(pick: Pick, part: str, borrowed: float = BORROWED) -> tuple[list[str], str | None]:
    """What stands for a place of a pattern, and its type; a word stands for itself."""
    match part:
        case "{any}":
            return _filled(pick, pick.of(("{PER}", "{LOC}", "{ORG}")), borrowed=0)
        case "{PER}":
            return _person(pick, borrowed), "PER"
        case "{LOC}":
            return [_surname(pick) if pick.chance(borrowed / 2) else _place(pick)], "LOC"
        case "{ORG}":
            return _firm(pick, borrowed), "ORG"
        case "{CLUB}":
            return [_place(pick)], "ORG"
        case "{TEAM}":
            return [pick.word(pick.world.teams)], "ORG"
        case "{MISC}":
            return [pick.item(pick.world.countries, lambda c: c.name).name + "ian"], "MISC"
        case "{job}":
            return [pick.of([w for w, general in lex.WORKERS.items() if general == "person"])], None
        case "{day}":
            return [pick.of(DAYS)], None
    return [part], None


def _person(pick: Pick, borrowed: float) -> list[str]:
    if pick.chance(borrowed):
        return [_place(pick)]
    person = pick.item(pick.world.people, lambda p: p.name)
    whole = [person.name, person.surname]
    return pick.of((whole[:1], whole[:1], whole, whole[1:]))


def _firm(pick: Pick, borrowed: float) -> list[str]:
    name = pick.word(pick.world.firms)
    if pick.chance(borrowed):
        name = pick.of((_surname, _place))(pick)
    return [name, *([pick.of(("group", "limited"))] if pick.chance(0.3) else [])]


def _surname(pick: Pick) -> str:
    return pick.item(pick.world.people, lambda p: p.surname).surname


def _place(pick: Pick) -> str:
    places = pick.world.towns if pick.chance(0.7) else pick.world.countries
    return pick.item(places, lambda place: place.name).name
