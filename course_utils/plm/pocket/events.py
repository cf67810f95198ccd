"""Scenes with their annotation: names in sentences, who does what, tables with their sentences."""

from __future__ import annotations

from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.scenes import DAYS, Pick, article
from course_utils.plm.pocket.world import AREAS, CUISINES, LANDSCAPES, PRICES, RATINGS, VENUES

NER_TYPES = ("PER", "LOC", "ORG", "MISC")

_NER_PATTERNS = (
    "{PER} of {ORG} arrived in {LOC} on {day} .",
    "{ORG} opened an office in {LOC} .",
    "{PER} plays for the {TEAM} .",
    "the {TEAM} lost to the {TEAM} in {LOC} .",
    "{PER} , a {job} from {LOC} , met {PER} .",
    "shares of {ORG} rose after {PER} resigned .",
    "the {MISC} {job} {PER} lives in {LOC} .",
    "{LOC} and {LOC} signed a treaty .",
    "{PER} left {ORG} for {ORG} .",
    "a {MISC} {job} won the prize in {LOC} .",
    "on {day} {PER} wrote to {ORG} about {LOC} .",
    "{ORG} sold its {MISC} factory to {ORG} .",
    "the {MISC} government thanked {PER} .",
    "{PER} said that {LOC} is too far from {LOC} .",
    "at {ORG} nobody had heard of {PER} .",
    "{LOC} : {PER} told the {TEAM} to wait .",
)

_OOD_NER_PATTERNS = (
    "who is {PER} ? i know {PER} from {LOC} .",
    "dear {PER} , greetings from {LOC} !",
    "we bought our {MISC} lamp from {ORG} .",
    "my uncle loves {LOC} and the {TEAM} .",
    "thanks to {ORG} , {PER} is now in {LOC} .",
)


def named(pick: Pick, ood: bool = False) -> tuple[list[str], list[str]]:
    """A sentence with names, and its BIO tags (PER, LOC, ORG, MISC)."""
    pattern = pick.of(_OOD_NER_PATTERNS if ood else _NER_PATTERNS)
    tokens: list[str] = []
    tags: list[str] = []
    for part in pattern.split():
        name, kind = _name(pick, part)
        tokens += name
        tags += ["O"] * len(name) if kind is None else _bio(kind, len(name))
    return tokens, tags


def _bio(kind: str, length: int) -> list[str]:
    return [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)


def _name(pick: Pick, part: str) -> tuple[list[str], str | None]:
    world = pick.world
    if part == "{PER}":
        person = pick.item(world.people, lambda p: p.name)
        with_surname = pick.chance(0.4)
        return [person.name] + ([person.surname] if with_surname else []), "PER"
    if part == "{LOC}":
        places = world.towns if pick.chance(0.7) else world.countries
        return [pick.item(places, lambda t: t.name).name], "LOC"
    if part == "{ORG}":
        firm = pick.word(world.firms)
        return [firm] + ([pick.of(("group", "limited"))] if pick.chance(0.3) else []), "ORG"
    if part == "{TEAM}":
        return [pick.word(world.teams)], "ORG"
    if part == "{MISC}":
        return [pick.item(world.countries, lambda c: c.name).name + "ian"], "MISC"
    if part == "{job}":
        return [pick.of([w for w, g in lex.WORKERS.items() if g == "person"])], None
    if part == "{day}":
        return [pick.of(DAYS)], None
    return [part], None


# --- who does what to whom, where, when ---------------------------------------------------------------

SRL_ROLES = ("V", "ARG0", "ARG1", "ARG2", "ARGM-LOC", "ARGM-TMP")

#: verbs by their frame: transitive, or with a recipient (ARG2)
VERBS = (
    "carried",
    "painted",
    "repaired",
    "found",
    "lost",
    "watched",
    "cleaned",
    "broke",
    "opened",
    "moved",
    "washed",
    "hid",
    "borrowed",
    "admired",
    "dropped",
    "lifted",
)
GIVING = ("gave", "sent", "sold", "lent", "showed", "handed", "mailed", "offered")


def roles(pick: Pick, ood: bool = False) -> tuple[list[str], int, list[str]]:
    """A sentence, the index of one of its verbs, and that verb's BIO role tags.

    Active and passive; half the sentences have a second verb whose arguments are O.
    """
    first, verb, tags = _clause(pick, ood)
    if pick.chance(0.5):
        second, second_verb, second_tags = _clause(pick, ood)
        join = [pick.of(("and", "but", "while"))]
        if pick.chance(0.5):
            tokens = first + join + second
            return [*tokens, "."], verb, tags + ["O"] * (1 + len(second) + 1)
        tokens = first + join + second
        start = len(first) + 1
        return [*tokens, "."], start + second_verb, ["O"] * start + second_tags + ["O"]
    return [*first, "."], verb, [*tags, "O"]


def _clause(pick: Pick, ood: bool) -> tuple[list[str], int, list[str]]:
    giving = pick.chance(0.4)
    verb = pick.word(GIVING if giving else VERBS)
    if ood or pick.chance(0.5):
        agent = f"the {pick.word([w for w, g in lex.WORKERS.items() if g == 'person'])}"
    else:
        agent = pick.item(pick.world.people, lambda p: p.name).name
    kind = pick.of(("instrument", "tool", "furniture", "jewel", "toy", "clothing"))
    thing = f"the {pick.word(lex.KINDS[kind])}"
    to = pick.item(pick.world.people, lambda p: p.name).name
    passive = pick.chance(0.6 if ood else 0.35)
    parts: list[tuple[str, str]] = []
    if passive:
        parts += [(thing, "ARG1"), ("was", "O"), (verb, "V")]
        parts += [(f"to {to}", "ARG2")] if giving else []
        parts += [(f"by {agent}", "ARG0")] if pick.chance(0.8) else []
    else:
        parts += [(agent, "ARG0"), (verb, "V"), (thing, "ARG1")]
        parts += [(f"to {to}", "ARG2")] if giving else []
    if pick.chance(0.4):
        place = pick.word(lex.OUTDOORS + lex.INDOORS)
        parts.append((f"in the {place}", "ARGM-LOC"))
    if pick.chance(0.4):
        when = (f"on {pick.of(DAYS)}", "ARGM-TMP")
        if pick.chance(0.3):
            parts.insert(0, when)
        else:
            parts.append(when)
    tokens: list[str] = []
    tags: list[str] = []
    at = 0
    for text, role in parts:
        words = text.split()
        if role == "V":
            at = len(tokens)
        tags += ["O"] * len(words) if role == "O" else _bio(role, len(words))
        tokens += words
    return tokens, at, tags


# --- tables and the sentences that say the same -------------------------------------------------------

TABLE_CATEGORIES = ("venue", "person", "town", "product", "team")
#: kept for extrapolation: no training table is of these categories
UNSEEN_CATEGORIES = ("product", "team")


def table(pick: Pick, category: str) -> tuple[dict[str, str], list[str]]:
    """A table of three to five fields and two or three sentences that say what it holds.

    Its values are drawn for this table alone: what it says need not hold in the world.
    """
    if category == "venue":
        return _venue(pick)
    world = pick.world
    person = world.person(pick.rng)
    if category == "person":
        fields = {
            "name": person.name,
            "job": _job(pick),
            "home": pick.of(world.towns).name,
            "pet": pick.of(lex.KINDS["animal"]),
        }
        texts = [
            "{name} is {a_job} from {home} and has {a_pet} .",
            "{name} lives in {home} . {he} is {a_job} with {a_pet} .",
            "the {job} {name} , who has {a_pet} , comes from {home} .",
        ]
    elif category == "town":
        town = pick.of(world.towns)
        fields = {
            "name": town.name,
            "country": pick.of(world.countries).name,
            "landscape": pick.of(LANDSCAPES),
            "product": pick.of(lex.KINDS[pick.of(("fruit", "metal", "drink", "toy", "jewel"))]),
        }
        texts = [
            "{name} is a town in {country} near the {landscape} , known for its {product} .",
            "the town of {name} in {country} is known for its {product} . it lies near the {landscape} .",
            "near the {landscape} in {country} lies {name} , famous for its {product} .",
        ]
    elif category == "product":
        fields = {
            "name": pick.word(lex.ASPECTS["goods"][0]),
            "maker": pick.of(world.firms),
            "price": pick.of(PRICES),
            "home": pick.of(world.towns).name,
        }
        texts = [
            "the {name} from {maker} of {home} is {price} .",
            "{maker} makes {a_name} in {home} . its price is {price} .",
            "the {price} {name} is made by {maker} in {home} .",
        ]
    else:
        fields = {
            "name": pick.of(world.teams),
            "home": pick.of(world.towns).name,
            "coach": person.name,
            "rating": pick.of(RATINGS),
        }
        texts = [
            "the {name} from {home} are coached by {coach} and have {a_rating} rating .",
            "{coach} is the coach of the {name} of {home} , whose rating is {rating} .",
            "the {name} come from {home} . their coach is {coach} . their rating is {rating} .",
        ]
    return fields, [_say(text, fields, person.pronoun) for text in texts]


def _job(pick: Pick) -> str:
    return pick.of([w for w, general in lex.WORKERS.items() if general == "person"])


def _venue(pick: Pick) -> tuple[dict[str, str], list[str]]:
    name = f"the {pick.of(('golden', 'red', 'blue', 'green', 'silver', 'black'))} "
    name += pick.word(lex.KINDS["animal"] + lex.KINDS["bird"])
    fields = {"name": name, "type": pick.of(VENUES)}
    optional = {
        "food": pick.of(CUISINES),
        "price": pick.of(PRICES),
        "rating": pick.of(RATINGS),
        "area": pick.of(AREAS),
    }
    chosen = pick.rng.sample(list(optional), pick.of((2, 3, 3, 4)))
    fields |= {key: optional[key] for key in optional if key in chosen}
    return fields, [_venue_sentence(pick, fields) for _ in range(3)]


def _venue_sentence(pick: Pick, fields: dict[str, str]) -> str:
    price = fields.get("price")
    kind = f"{price} {fields['type']}" if price else fields["type"]
    parts = [f"{fields['name']} is {article(kind)}"]
    if "area" in fields:
        parts.append(pick.of((f"in the {fields['area']} area", f"by the {fields['area']}")))
    if "food" in fields:
        parts.append(pick.of((f"with {fields['food']} food", f"that serves {fields['food']} food")))
    text = " ".join(parts)
    if "rating" in fields:
        text += pick.of(
            (
                f" . it has {article(fields['rating'])} rating",
                f" and has {article(fields['rating'])} rating",
            )
        )
    return f"{text} ."


def _say(text: str, fields: dict[str, str], pronoun: str) -> str:
    slots = {"he": pronoun}
    for key, value in fields.items():
        slots[key] = value
        slots[f"a_{key}"] = article(value)
    return text.format(**slots)


def linearise(fields: dict[str, str]) -> str:
    """A table as one line: "name : the red fox | food : thai"."""
    return " | ".join(f"{key} : {value}" for key, value in fields.items())
