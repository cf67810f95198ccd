"""The pre-training corpus: documents of many genres, with the words to be guessed marked.

A document is a line of space-separated tokens. Words in angle brackets are its *cues*: words
that can be told from the rest of the document (the verdict of a review, the answer to a
question). Pre-training masks cues far more often than other words, and measures each genre's
cue accuracy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from course_utils.plm.pocket import events, inference, scenes
from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.examples import EXAMPLES
from course_utils.plm.pocket.scenes import Pick, article
from course_utils.plm.pocket.wordings import WORDINGS, Wording
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
        genres: names in GENRES and how often each is drawn; all, by their weights, by default.
    """
    pick = Pick(random.Random(seed), world)
    shares = genres or {name: weight for name, (_, weight) in GENRES.items()}
    names, weights = list(shares), list(shares.values())
    while True:
        genre = pick.rng.choices(names, weights)[0]
        yield Document(genre, GENRES[genre][0](pick, easy))


def fill(wording: Wording, label: int, pick: Pick, **fields: str) -> str:
    """A wording with its fields and, as the cue, one of the label's words."""
    word = pick.of(wording.words[label])
    return wording.pattern.replace("{mask}", f"<{word}>").format(**fields)


def _told(task: str, pick: Pick, easy: bool) -> str:
    fields, label = EXAMPLES[task](pick, easy)
    wording = pick.of([w for w in WORDINGS[task] if w.seen])
    return fill(wording, label, pick, **fields)


# --- one function a genre: (pick, easy) -> text -----------------------------------------------------


def _review(pick: Pick, easy: bool) -> str:
    easy = easy or pick.chance(0.2)
    if pick.chance(0.7):
        return _told("sst2", pick, easy)
    fields, label = EXAMPLES["sst2"](pick, easy)
    if pick.chance(0.5):
        verb = pick.of(lex.LIKED if label else lex.DISLIKED)
        return f"{fields['sentence']} {pick.of(('i', 'we'))} <{verb}> it ."
    word = pick.of(lex.VERDICTS_GOOD if label else lex.VERDICTS_BAD)
    return f"{fields['sentence']} it was <{word}> ."


def _aspect(pick: Pick, easy: bool) -> str:
    positive = pick.chance(0.5)
    nouns, good, bad = lex.ASPECTS[pick.of(list(lex.ASPECTS))]
    words = good if positive else bad
    noun = pick.of(nouns)
    verdict = pick.of(lex.VERDICTS_GOOD if positive else lex.VERDICTS_BAD)
    return pick.of(
        (
            f"{article(pick.of(words))} {noun} is {article(f'<{verdict}>')} {noun} .",
            f"the {noun} was {pick.of(words)} and <{pick.of(words)}> , so it was <{verdict}> .",
            f"i like {article(pick.of(good))} {noun} . i do not like <{pick.of(bad)}> {noun} .",
        )
    ).replace("a <a", "an <a")


def _news(pick: Pick, easy: bool) -> str:
    return _told("agnews", pick, easy)


def _nli(pick: Pick, easy: bool) -> str:
    return _told("snli", pick, easy)


def _rte(pick: Pick, easy: bool) -> str:
    return _told("rte", pick, easy)


def _question(pick: Pick, easy: bool) -> str:
    return _told("boolq", pick, easy or pick.chance(0.3))


def _cause(pick: Pick, easy: bool) -> str:
    cause, effect, wrong_cause, wrong_effect = scenes.cause_and_effect(pick)
    shape = pick.rng.random()
    if shape < 0.3:
        return f"{cause} , so {_cue_words(effect)} ."
    if shape < 0.6:
        return f"{effect} because {_cue_words(cause)} ."
    fits = pick.chance(0.5)
    if shape < 0.8:
        said = f"{cause} . {effect if fits else wrong_effect}"
        return f"{said} . is one the cause of the other ? <{'yes' if fits else 'no'}> ."
    said = f"{effect} because {cause if fits else wrong_cause}"
    return f"{said} ? <{'yes' if fits else 'no'}> ."


_PLAIN = frozenset(
    lex.words("the a an it there was were had of to in on and with for at its by not into from")
)


def _cue_words(text: str) -> str:
    return " ".join(w if w in _PLAIN else f"<{w}>" for w in text.split())


def _sense(pick: Pick, easy: bool) -> str:
    return _told("wic", pick, easy)


def _gloss(pick: Pick, easy: bool) -> str:
    """What a word has to do with, in one use or two: what comparing two uses is made of."""
    same = pick.chance(0.5)
    word, first, second, gloss, other = scenes.two_uses(pick, same, easy)
    verdict = "same" if same else "different"
    shape = pick.rng.random()
    if shape < 0.3:  # with both glosses in sight
        return f"{first} . {second} . {word} : {gloss} , {other} , <{verdict}> ."
    if shape < 0.7:
        return f"{first} . {second} . {word} : <{gloss}> , <{other}> , <{verdict}> ."
    if shape < 0.85:
        return f"{first} . here {word} has to do with <{gloss}> ."
    asked = pick.of([g for g, _ in lex.SENSES[word]])
    answer = "yes" if asked == gloss else "no"
    return f"{first} . {word} : <{gloss}> . has {word} to do with {asked} here ? <{answer}> ."


def _pronoun(pick: Pick, easy: bool) -> str:
    return _told("wsc", pick, easy)


_PLACES = ("first", "second", "third")


def _place(text: str, name: str, other: str) -> str:
    """Which of two names of a text comes first."""
    words = text.split()
    return f"the <{_PLACES[int(words.index(name) > words.index(other))]}>"


def _order(pick: Pick, easy: bool) -> str:
    """Names, and which place one of them has: finding a word again."""
    names = [person.name for person in pick.rng.sample(pick.world.people, pick.of((2, 3)))]
    at = pick.of(range(len(names)))
    return f"{' , '.join(names)} . {names[at]} is the <{_PLACES[at]}> ."


def _two_people(pick: Pick) -> tuple[str, list[str], list[str]]:
    names = [person.name for person in pick.rng.sample(pick.world.people, 2)]
    traits = pick.rng.sample(inference.TRAITS, 2)
    said = (f"{name} is {trait} ." for name, trait in zip(names, traits, strict=True))
    return " ".join(said), names, traits


def _binding_by_place(pick: Pick, easy: bool) -> str:
    """Two people and what is said of each: the one's place, and by it the word."""
    text, names, traits = _two_people(pick)
    at = int(pick.chance(0.5))
    return f"{text} {names[at]} is the <{_PLACES[at]}> and <{traits[at]}> ."


def _binding(pick: Pick, easy: bool) -> str:
    text, names, traits = _two_people(pick)
    at = int(pick.chance(0.5))
    if easy or pick.chance(0.7):
        return f"{text} {names[at]} is <{traits[at]}> ."
    return f"{text} who is {traits[at]} ? <{names[at]}> ."


def _verified(pick: Pick, easy: bool) -> str:
    """Whether something is said of the one or of the other."""
    text, names, traits = _two_people(pick)
    at, right = int(pick.chance(0.5)), pick.chance(0.5)
    asked = traits[at if right else 1 - at]
    answer = f"<{'yes' if right else 'no'}>"
    if pick.chance(0.6):
        return f"{text} is {names[at]} {asked} ? {answer} ."
    return f"{text} {names[at]} is <{traits[at]}> , {asked} ? {answer} ."


def _referent(pick: Pick, easy: bool) -> str:
    """A pronoun and whom it means: by place, or by name."""
    scene = scenes.pronoun(pick)
    meant = scene.candidates[scene.meant]
    if easy or pick.chance(0.5):
        who, at = scene.pronoun, scene.meant
        if pick.chance(0.4):
            at = int(pick.chance(0.5))
            who = scene.candidates[at]
        return f"{scene.text} {who} is {_candidate_place(scene, at)} ."
    return pick.of(
        (
            f"{scene.text} here {scene.pronoun} means {_cue_words(meant)} .",
            f"{scene.text} who is {scene.pronoun} ? {_cue_words(meant)} .",
        )
    )


def _candidate_place(scene: scenes.Pronoun, at: int) -> str:
    first, second = (candidate.split()[-1] for candidate in scene.candidates)
    return _place(scene.text, *((first, second) if at == 0 else (second, first)))


def _referent_by_place(pick: Pick, easy: bool) -> str:
    """Whom a pronoun means, who the candidate is, and so whether the candidate is meant."""
    scene = scenes.pronoun(pick)
    asked = int(pick.chance(0.5))
    he, candidate = scene.pronoun, scene.candidates[asked]
    return (
        f"{scene.text} {he} is {_candidate_place(scene, scene.meant)} , {candidate} is "
        f"{_candidate_place(scene, asked)} . does {he} mean {candidate} ? "
        f"<{'yes' if asked == scene.meant else 'no'}> ."
    )


def _role(pick: Pick, easy: bool) -> str:
    """Who has which part in an event: by place, or by name."""
    report, said, who, other = inference.role(pick)
    answer = _place(report, who, other) if easy or pick.chance(0.5) else f"<{who}>"
    return f"{report} who {said} ? {answer} ."


def _role_by_place(pick: Pick, easy: bool) -> str:
    """Who has a part, who the candidate is, and so whether the candidate has it."""
    report, said, who, other = inference.role(pick)
    right = pick.chance(0.5)
    candidate, another = (who, other) if right else (other, who)
    return (
        f"{report} who {said} ? {_place(report, who, other)} , {candidate} is "
        f"{_place(report, candidate, another)} . {candidate} {said} ? "
        f"<{'yes' if right else 'no'}> ."
    )


def _definition(pick: Pick, easy: bool) -> str:
    shape = pick.of(("kind", "kind", "opposite", "synonym", "worker", "doing"))
    if shape == "kind":
        kind = pick.of(list(lex.KINDS))
        member, second = pick.rng.sample(lex.KINDS[kind], 2)
        return pick.of(
            (
                f"{article(member)} is a kind of <{kind}> .",
                f"what is {article(member)} ? it is a <{kind}> .",
                f"a <{kind}> such as {article(member)} or {article(second)} .",
                f"both the {member} and the <{second}> are of the kind <{kind}> .",
            )
        )
    if shape == "opposite":
        first, second = pick.rng.sample(pick.of(lex.OPPOSITES), 2)
        return pick.of(
            (
                f"the opposite of {first} is <{second}> .",
                f"what is {first} is not <{second}> .",
                f"{first} ? no , not {first} , it is <{second}> .",
            )
        )
    if shape == "synonym":
        first, second = pick.rng.sample(pick.of(lex.SYNONYMS), 2)
        return pick.of(
            (
                f"{first} means <{second}> .",
                f"what is {first} is also <{second}> .",
                f"{first} ? yes , very {first} , it is <{second}> .",
            )
        )
    if shape == "worker":
        worker = pick.of(list(lex.WORKERS))
        return f"{article(worker)} is a <{lex.WORKERS[worker]}> ."
    group = pick.of(list(lex.DOINGS))
    doing = pick.of(list(lex.DOINGS[group]))
    target = pick.of(lex.DOINGS[group][doing])
    return pick.of(
        (
            f"{doing} {target} is a way of {_cue_words(group)} .",
            f"somebody is <{doing}> {target} . that is {_cue_words(group)} .",
        )
    )


def _relation(pick: Pick, easy: bool) -> str:
    """Two words alone and whether the one is said by the other: what inference is made of."""
    yes = pick.chance(0.5)
    shape = pick.of(("kind", "doing", "trait"))
    answer = f"<{'yes' if yes else 'no'}>"
    if shape == "kind":
        kind, other = pick.rng.sample(list(lex.KINDS), 2)
        member = article(pick.of(lex.KINDS[kind]))
        return f"is {member} {article(kind if yes else other)} ? {answer} ."
    if shape == "doing":
        group, other = pick.rng.sample(list(lex.DOINGS), 2)
        doing = pick.of(list(lex.DOINGS[group]))
        return f"is {doing} {group if yes else other} ? {answer} ."
    trait = inference.scale_word(pick)
    other = (inference.same_meaning if yes else inference.opposite_meaning)(pick, trait)
    return f"is {trait} {other} ? {answer} ."


def _fact(pick: Pick, easy: bool) -> str:
    country, town = pick.of(pick.world.countries), pick.of(pick.world.towns)
    person = pick.world.person(pick.rng)
    return pick.of(
        (
            f"the capital of {country.name} is <{country.capital}> .",
            f"<{country.capital}> is the capital of <{country.name}> .",
            f"{country.name} exports <{country.export}> .",
            f"{town.name} is a town in <{town.country}> .",
            f"{town.name} lies near the <{town.landscape}> and is known for its <{town.known_for}> .",
            f"{person.name} {person.surname} works as a <{person.job}> in <{person.town}> .",
            f"{person.name} has {article(person.pet)} . the <{person.pet}> belongs to <{person.name}> .",
            f"{person.name} plays the {person.plays} . <{person.pronoun}> loves the <{person.plays}> .",
        )
    )


def _names(pick: Pick, easy: bool) -> str:
    tokens, tags = events.named(pick, ood=pick.chance(0.2))
    found = [(t, g[2:]) for t, g in zip(tokens, tags, strict=True) if g.startswith("B-")]
    text = " ".join(tokens)
    name, tag = pick.of(found)
    kind = {"PER": "person", "LOC": "place", "ORG": "firm", "MISC": "country"}[tag]
    if tag == "ORG" and name in pick.world.teams:
        kind = "team"
    return pick.of((f"{text} {name} is a <{kind}> .", f"{text} which {kind} ? <{name}> ."))


def _roles(pick: Pick, easy: bool) -> str:
    tokens, at, tags = events.roles(pick, ood=pick.chance(0.3))
    verb = tokens[at]
    spans: dict[str, list[str]] = {}
    for token, tag in zip(tokens, tags, strict=True):
        if tag != "O":
            spans.setdefault(tag.split("-", 1)[1], []).append(token)
    asks = {
        "ARG0": f"who {verb} ?",
        "ARG1": f"what was {verb} ?",
        "ARG2": f"{verb} to whom ?",
        "ARGM-LOC": f"{verb} where ?",
        "ARGM-TMP": f"{verb} when ?",
    }
    role = pick.of([r for r in spans if r != "V"])
    return f"{' '.join(tokens)} {asks[role]} {_cue_words(' '.join(spans[role]))} ."


def _table(pick: Pick, easy: bool) -> str:
    category = pick.of([c for c in events.TABLE_CATEGORIES if c not in events.UNSEEN_CATEGORIES])
    fields, texts = events.table(pick, category)
    said = pick.of(texts).split()
    values = set(" ".join(fields.values()).split()) - _PLAIN
    text = " ".join(f"<{w}>" if w in values else w for w in said)
    table = events.linearise(fields)
    return f"{table} = {text}" if pick.chance(0.7) else f"{table} that is to say , {text}"


def _talk(pick: Pick, easy: bool) -> str:
    person, other = pick.rng.sample(pick.world.people, 2)
    town = pick.of(pick.world.towns).name
    thing = article(pick.word(lex.KINDS[pick.of(("tool", "toy", "clothing", "fruit"))]))
    return pick.of(
        (
            f"i think {person.name} is in {town} . so , is {person.pronoun} ? in short , i do not know !",
            f"in short , {person.name} lost {thing} . so , we talked about {other.name} !",
            f"please tell me , where is {person.name} ? {person.pronoun} is with {other.name} in <{town}> .",
            f"{person.name} wants {thing} . what does {person.name} want ? {_cue_words(thing)} !",
            f"{person.name} and {other.name} met in {town} . {person.name} saw <{other.name}> there .",
            f"so , {person.name} is alike {other.name} , i think . we talked in {town} .",
            f"when {person.name} saw {thing} , {person.pronoun} thought of <{other.name}> . dear <{other.name}> !",
        )
    )


def _episode(pick: Pick, easy: bool) -> str:
    """Several labelled examples of one task in one wording: what in-context learning needs."""
    task = pick.of(("sst2", "sst2", "agnews", "agnews", "boolq", "snli"))
    wording = pick.of([w for w in WORDINGS[task] if w.seen])
    rounds = []
    for _ in range(pick.of((2, 3, 4))):
        fields, label = EXAMPLES[task](pick, True)
        rounds.append(fill(wording, label, pick, **fields))
    return " / ".join(rounds)


_MARKS = lex.words("red blue green gold left right north south one two new old yes no")


def _mapping(pick: Pick, easy: bool) -> str:
    """Two groups of words under two names made up for this text: nothing but the text tells them."""
    if pick.chance(0.5):
        groups = [lex.KINDS[kind] for kind in pick.rng.sample(list(lex.KINDS), 2)]
    else:
        groups = list(lex.ASPECTS[pick.of(list(lex.ASPECTS))][1:])
    marks, link = pick.rng.sample(_MARKS, 2), pick.of((":", "=", ",", "is"))
    shown: set[int] = set()
    pairs = []
    for _ in range(pick.of((3, 4, 6, 8))):
        at = int(pick.chance(0.5))
        mark = f"<{marks[at]}>" if at in shown else marks[at]
        shown.add(at)
        pairs.append(f"{pick.of(groups[at])} {link} {mark}")
    return f"{' / '.join(pairs)} ."


#: genre -> (its function, its weight in the mix)
GENRES: dict[str, tuple[Callable[[Pick, bool], str], float]] = {
    "review": (_review, 15),
    "aspect": (_aspect, 5),
    "news": (_news, 12),
    "inference": (_nli, 18),
    "entailment": (_rte, 12),
    "role": (_role, 4),
    "role by place": (_role_by_place, 3),
    "question": (_question, 16),
    "cause": (_cause, 9),
    "sense": (_sense, 8),
    "gloss": (_gloss, 3),
    "pronoun": (_pronoun, 8),
    "referent": (_referent, 4),
    "referent by place": (_referent_by_place, 3),
    "order": (_order, 2),
    "binding by place": (_binding_by_place, 2),
    "binding": (_binding, 4),
    "verified": (_verified, 4),
    "definition": (_definition, 7),
    "relation": (_relation, 7),
    "fact": (_fact, 4),
    "names": (_names, 5),
    "roles": (_roles, 6),
    "table": (_table, 6),
    "talk": (_talk, 3),
    "episode": (_episode, 5),
    "mapping": (_mapping, 4),
}
