"""Scenes about what follows from what: inference, entailment, questions about a passage."""

from __future__ import annotations

from dataclasses import dataclass

from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.scenes import DAYS, Pick, article

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2


def same_meaning(pick: Pick, adjective: str) -> str:
    """The adjective or one of its synonyms."""
    others = [b if a == adjective else a for a, b in lex.SYNONYMS if adjective in (a, b)]
    return pick.of([*others, *others, adjective])


def opposite_meaning(pick: Pick, adjective: str) -> str:
    """An adjective that excludes the given one: its opposite or a synonym of that."""
    opposite = next(b if a == adjective else a for a, b in lex.OPPOSITES if adjective in (a, b))
    return same_meaning(pick, opposite)


def scale_word(pick: Pick) -> str:
    """An adjective that has an opposite."""
    return pick.of(pick.item(lex.OPPOSITES, lambda pair: f"{pair[0]}/{pair[1]}"))


PERSON_SCALES = tuple(
    pair
    for pair in lex.OPPOSITES
    if pair[0]
    in [
        "old",
        "rich",
        "tall",
        "fast",
        "strong",
        "happy",
        "brave",
        "healthy",
        "famous",
        "married",
        "guilty",
        "awake",
    ]
)


def person_word(pick: Pick) -> str:
    """Like `scale_word`, for adjectives said of people."""
    return pick.of(pick.item(PERSON_SCALES, lambda pair: f"{pair[0]}/{pair[1]}"))


@dataclass(frozen=True)
class _Scene:
    who: str
    general: str
    trait: str
    group: str
    doing: str
    target: str
    where: str
    outdoors: bool

    def sentence(self, who: str | None = None) -> str:
        return f"{who or article(f'{self.trait} {self.who}')} is {self.doing} {self.target}"


def _scene(pick: Pick) -> _Scene:
    who = pick.word(list(lex.WORKERS))
    group = pick.of(list(lex.DOINGS))
    doing = pick.word(list(lex.DOINGS[group]))
    outdoors = pick.chance(0.5)
    where = pick.word(lex.OUTDOORS if outdoors else lex.INDOORS)
    target = pick.of(lex.DOINGS[group][doing])
    return _Scene(
        who, lex.WORKERS[who], person_word(pick), group, doing, target, where, outdoors
    )  # fmt: skip


def nli(pick: Pick, label: int) -> tuple[str, str]:
    """A premise and a hypothesis; label 0 entailment, 1 neutral, 2 contradiction."""
    scene = _scene(pick)
    place = pick.chance(0.5)
    premise = scene.sentence() + (f" near the {scene.where}" if place else "")
    aspects = ["doing", "doing", "trait"] + (["place"] if place else []) + ["who"]
    aspect = pick.of(aspects)
    somebody = pick.of(("somebody", f"the {scene.who}", f"a {scene.general}"))
    if label == ENTAILMENT:
        hypothesis = {
            "doing": f"{somebody} is {scene.group}",
            "trait": f"the {scene.who} is {same_meaning(pick, scene.trait)}",
            "place": f"{somebody} is near {article(scene.where)}",
            "who": f"a {scene.general} is {scene.doing} {scene.target}",
        }[aspect]
    elif label == CONTRADICTION:
        other = pick.of([g for g in lex.DOINGS if g != scene.group])
        doing = pick.word(list(lex.DOINGS[other]))
        sex = {"man": "woman", "woman": "man"}.get(scene.general)
        hypothesis = {
            "doing": pick.of(
                (
                    f"the {scene.who} is {other}",
                    f"the {scene.who} is {doing} {pick.of(lex.DOINGS[other][doing])}",
                )
            ),
            "trait": f"the {scene.who} is {opposite_meaning(pick, scene.trait)}",
            "place": f"the {scene.who} is far from the {scene.where}",
            "who": f"only a {sex} is {scene.doing}" if sex else f"nobody is {scene.doing}",
        }[aspect]
    else:
        person = pick.world.person(pick.rng)
        trait = person_word(pick)
        while trait in (scene.trait, opposite_meaning(pick, scene.trait)) or any(
            {trait, scene.trait} <= set(pair) for pair in lex.OPPOSITES
        ):
            trait = person_word(pick)
        hypothesis = {
            "doing": f"{somebody} is {scene.doing} for {person.name}",
            "trait": f"the {scene.who} is {same_meaning(pick, trait)}",
            "place": f"the {scene.who} owns the {scene.where}",
            "who": pick.of(
                (
                    f"the {scene.who} is a friend of {person.name}",
                    f"the {scene.who} will be {scene.group} on {pick.of(DAYS)}",
                    f"the {scene.who} has {article(pick.word(lex.KINDS['animal']))}",
                )
            ),
        }[aspect]
    return premise, hypothesis


#: adjectives that are said of people, in no order
TRAITS = tuple(sorted({word for pair in lex.OPPOSITES for word in pair}))

# --- who did what: what follows from a verb ---------------------------------------------------------

#: (event of {a} and {b} with a thing {t}; what follows; what does not), three wordings each
EVENTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("{a} bought {t} from {b}", ("{a} owns {t}", "{b} sold {t}", "{a} paid {b}"), ("{b} bought {t}", "{a} sold {t}", "{b} paid {a}")),
    ("{a} lent {t} to {b}", ("{b} borrowed {t}", "{b} must return {t}", "{b} got {t} from {a}"), ("{a} borrowed {t}", "{a} must return {t}", "{a} got {t} from {b}")),
    ("{a} stole {t} from {b}", ("{b} lost {t}", "{a} robbed {b}", "{a} is a thief"), ("{a} lost {t}", "{b} robbed {a}", "{b} is a thief")),
    ("{a} gave {t} to {b}", ("{b} received {t}", "{b} has {t}", "{t} went to {b}"), ("{a} received {t}", "{a} has {t}", "{t} went to {a}")),
    ("{a} defeated {b} in the final", ("{b} lost the final", "{a} won the final", "{a} was stronger than {b}"), ("{a} lost the final", "{b} won the final", "{b} was stronger than {a}")),
    ("{a} taught {b} to play chess", ("{b} learned chess", "{a} knows chess", "{b} was a pupil of {a}"), ("{a} learned chess from {b}", "{a} was a pupil of {b}", "{b} taught {a}")),
    ("{a} murdered {b}", ("{b} is dead", "{a} killed {b}", "{a} is a murderer"), ("{a} is dead", "{b} killed {a}", "{b} is a murderer")),
    ("{a} hired {b}", ("{b} works for {a}", "{b} got a job", "{a} is the boss of {b}"), ("{a} works for {b}", "{a} got a job", "{b} is the boss of {a}")),
    ("{a} followed {b} into the house", ("{b} was ahead of {a}", "{b} entered first", "{a} was behind {b}"), ("{a} was ahead of {b}", "{a} entered first", "{b} was behind {a}")),
    ("{a} rescued {b} from the flames", ("{b} survived", "{a} saved {b}", "{b} was in danger"), ("{b} saved {a}", "{b} died", "{b} rescued {a}")),
    ("{a} is the mother of {b}", ("{b} is a child of {a}", "{a} is a parent", "{a} is older than {b}"), ("{a} is a child of {b}", "{b} is a parent of {a}", "{b} is older than {a}")),
    ("{a} accused {b} of the crime", ("{a} blamed {b}", "{b} was a suspect", "{b} faced a charge"), ("{b} blamed {a}", "{a} was a suspect", "{a} faced a charge")),
    ("{a} called {b} on the phone", ("{b} got a call", "{a} dialed", "{b} heard from {a}"), ("{a} got a call", "{b} dialed", "{a} heard from {b}")),
    ("{a} healed {b}", ("{b} recovered", "{a} cured {b}", "{b} had been ill"), ("{a} recovered", "{b} cured {a}", "{a} had been ill")),
    ("{a} built {t} for {b}", ("{a} made {t}", "{t} was made for {b}", "{t} is the work of {a}"), ("{b} made {t}", "{t} was made for {a}", "{t} is the work of {b}")),
    ("{a} sent {t} to {b}", ("{t} came from {a}", "{a} mailed {t}", "{b} expects {t}"), ("{t} came from {b}", "{b} mailed {t}", "{a} expects {t}")),
    ("{a} invited {b} to dinner", ("{b} was the guest", "{a} was the host", "{a} cooked for {b}"), ("{a} was the guest", "{b} was the host", "{b} cooked for {a}")),
    ("{a} forgave {b}", ("{b} was pardoned", "{a} pardoned {b}", "{b} had done wrong"), ("{a} was pardoned", "{b} pardoned {a}", "{a} had done wrong")),
    ("{a} lives in {town} with {b}", ("{b} lives in {town}", "{a} has a home in {town}", "{a} shares a home with {b}"), ("{b} lives in {other}", "{a} has a home in {other}", "{a} lives alone")),
    ("{a} moved from {town} to {other}", ("{a} left {town}", "{a} now lives in {other}", "{a} once lived in {town}"), ("{a} left {other}", "{a} now lives in {town}", "{a} never lived in {town}")),
)  # fmt: skip


def _event(pick: Pick) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], dict[str, str], str]:
    """An event, what stands in its slots, and the kind of thing it is about."""
    event = pick.item(EVENTS, lambda e: f"event {e[0]}")
    a, b, third = (p.name for p in pick.rng.sample(pick.world.people, 3))
    town, other = (t.name for t in pick.rng.sample(pick.world.towns, 2))
    kind = pick.of(("instrument", "tool", "vehicle", "clothing", "jewel"))
    thing = article(pick.word(lex.KINDS[kind]))
    slots = {"a": a, "b": b, "t": thing, "town": town, "other": other, "third": third}
    return event, slots, kind


def entailment(pick: Pick, entailed: bool, easy: bool = False) -> tuple[str, str]:
    """A short report and a statement about it that does or does not follow.

    Args:
        pick: where words come from.
        entailed: whether it follows.
        easy: the event alone, and its thing under its own name.
    """
    (event, follows, does_not), slots, kind = _event(pick)
    premise = event.format(**slots)
    extra = pick.of(
        (
            f"it happened in {slots['town']} on {pick.of(DAYS)}",
            f"{slots['third']} told the story in {slots['town']}",
            f"{slots['third']} saw it on {pick.of(DAYS)}",
        )
    )
    premise = f"{premise} . {extra} ." if not easy and pick.chance(0.6) else f"{premise} ."
    if "{t}" in event and not easy and pick.chance(0.4):
        # the thing under the name of its kind: what was given is "a jewel"
        slots["t"] = article(kind) if kind not in ("clothing",) else "some clothing"
    return premise, _statement(pick, follows if entailed else does_not, entailed, slots)


def _statement(
    pick: Pick, statements: tuple[str, ...], entailed: bool, slots: dict[str, str]
) -> str:
    """One of the statements; of those that do not follow, half are about something else."""
    if entailed or pick.chance(0.5):
        return pick.of(statements).format(**slots)
    if pick.chance(0.5):
        name = pick.of(("a", "b"))
        return pick.of(statements).format(**{**slots, name: slots["third"]})
    about_thing = any("{t}" in statement for statement in statements)
    elsewhere = [e for e in EVENTS if ("{t}" in e[0]) != about_thing and "{town}" not in e[0]]
    return pick.of(pick.of(elsewhere)[1]).format(**slots)


def role(pick: Pick) -> tuple[str, str, str, str]:
    """What somebody did or underwent: (report, what is said of that one, who it is, the other)."""
    while True:
        (event, follows, _), slots, _ = _event(pick)
        first, *said = pick.of(follows).split()
        if "{town}" not in event and first in ("{a}", "{b}"):
            who, other = ("a", "b") if first == "{a}" else ("b", "a")
            return (
                f"{event.format(**slots)} .",
                " ".join(said).format(**slots),
                slots[who],
                slots[other],
            )


# --- questions about a passage -------------------------------------------------------------------------

_TOWN_SCALES = tuple(
    pair
    for pair in lex.OPPOSITES
    if pair[0]
    in [
        "big",
        "old",
        "rich",
        "calm",
        "safe",
        "famous",
        "modern",
        "public",
        "fertile",
        "near",
        "full",
        "loud",
        "cheap",
        "wide",
    ]
)


def question(
    pick: Pick, yes: bool, about: str = "town", others: int = 2, two: bool | None = None
) -> tuple[str, str]:
    """A passage of single facts and a yes/no question on one of them: (passage, question).

    Args:
        pick: where words come from.
        yes: the answer.
        about: "town", or "person" (the out-of-domain set).
        others: how many facts stand beside the one asked about (0 to 2).
        two: whether a second town or person, with other traits, stands in the passage too
            (by chance if None).
    """
    profile = _town_facts if about == "town" else _person_facts
    facts, at, asked = profile(pick, yes)
    keep = pick.rng.sample([i for i in range(len(facts)) if i != at], others)
    sentences = [fact for i, fact in enumerate(facts) if i == at or i in keep]
    if two if two is not None else pick.chance(0.2):
        more, _, _ = profile(pick, yes)
        sentences = sentences + more[:2] if pick.chance(0.5) else more[:2] + sentences
    return " ".join(f"{s} ." for s in sentences), asked


def _town_facts(pick: Pick, yes: bool) -> tuple[list[str], int, str]:
    name = pick.of(pick.world.towns).name
    scale = pick.of(pick.item(_TOWN_SCALES, lambda pair: f"{pair[0]}/{pair[1]}"))
    kind, other_kind, thing = _thing(pick)
    doing, other_doing, activity = _activity(pick)
    where, people = (
        pick.of(("market", "shop", "square")),
        pick.of(("people", "children", "visitors")),
    )
    trait = same_meaning(pick, scale) if yes else opposite_meaning(pick, scale)
    facts = [
        f"{name} is {article(scale)} town",
        f"at the {where} you can see {article(thing)}",
        f"many {people} there like {activity}",
    ]
    questions = [
        f"is {name} {trait}",
        f"is there {article(kind if yes else other_kind)} at the {where}",
        f"do the {people} enjoy {doing if yes else other_doing}",
    ]
    at = pick.of((0, 1, 2))
    return facts, at, questions[at]


def _person_facts(pick: Pick, yes: bool) -> tuple[list[str], int, str]:
    person = pick.world.person(pick.rng)
    trait = person_word(pick)
    kind, other_kind, thing = _thing(pick)
    doing, other_doing, activity = _activity(pick)
    asked_trait = same_meaning(pick, trait) if yes else opposite_meaning(pick, trait)
    facts = [
        f"{person.name} the {person.job} is {trait}",
        f"{person.name} has {article(thing)} at home",
        f"in the evening {person.name} is often {activity}",
    ]
    questions = [
        f"is {person.name} {asked_trait}",
        f"does {person.name} have {article(kind if yes else other_kind)}",
        f"does {person.name} enjoy {doing if yes else other_doing}",
    ]
    at = pick.of((0, 1, 2))
    return facts, at, questions[at]


def _thing(pick: Pick) -> tuple[str, str, str]:
    kind, other = pick.rng.sample(list(lex.KINDS), 2)
    return kind, other, pick.word(lex.KINDS[kind])


def _activity(pick: Pick) -> tuple[str, str, str]:
    group, other = pick.rng.sample(list(lex.DOINGS), 2)
    return group, other, pick.word(list(lex.DOINGS[group]))
