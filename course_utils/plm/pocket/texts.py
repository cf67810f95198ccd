"""Kinds of text a pocket model reads: reviews, news, stories, questions, tables with sentences.

Each function is a genre, (pick, easy) -> text with its cues in angle brackets; easy texts are
short, with one fact each.
"""

from __future__ import annotations

from course_utils.plm.pocket import events, scenes
from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.examples import EXAMPLES, fill, told
from course_utils.plm.pocket.scenes import PLAIN, Pick, article, cue_words
from course_utils.plm.pocket.wordings import WORDINGS

LONGEST = 230  # words of a text of demonstrations


def review(pick: Pick, easy: bool) -> str:
    easy = easy or pick.chance(0.2)
    if pick.chance(0.7):
        return told("sst2", pick, easy)
    fields, label = EXAMPLES["sst2"](pick, easy)
    if pick.chance(0.5):
        verb = pick.of(lex.LIKED if label else lex.DISLIKED)
        return f"{fields['sentence']} {pick.of(('i', 'we'))} <{verb}> it ."
    word = pick.of(lex.VERDICTS_GOOD if label else lex.VERDICTS_BAD)
    return f"{fields['sentence']} it was <{word}> ."


def aspect(pick: Pick, easy: bool) -> str:
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


def news(pick: Pick, easy: bool) -> str:
    return told("agnews", pick, easy)


def nli(pick: Pick, easy: bool) -> str:
    return told("snli", pick, easy)


def rte(pick: Pick, easy: bool) -> str:
    return told("rte", pick, easy)


def question(pick: Pick, easy: bool) -> str:
    return told("boolq", pick, easy or pick.chance(0.3))


def cause(pick: Pick, easy: bool) -> str:
    cause, effect, wrong_cause, wrong_effect = scenes.cause_and_effect(pick)
    shape = pick.rng.random()
    if shape < 0.3:
        return f"{cause} , so {cue_words(effect)} ."
    if shape < 0.6:
        return f"{effect} because {cue_words(cause)} ."
    fits = pick.chance(0.5)
    if shape < 0.8:
        said = f"{cause} . {effect if fits else wrong_effect}"
        return f"{said} . is one the cause of the other ? <{'yes' if fits else 'no'}> ."
    said = f"{effect} because {cause if fits else wrong_cause}"
    return f"{said} ? <{'yes' if fits else 'no'}> ."


def sense(pick: Pick, easy: bool) -> str:
    return told("wic", pick, easy)


def pronoun(pick: Pick, easy: bool) -> str:
    return told("wsc", pick, easy)


def fact(pick: Pick, easy: bool) -> str:
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


def names(pick: Pick, easy: bool) -> str:
    tokens, tags = events.named(pick, ood=pick.chance(0.2))
    found = [(t, g[2:]) for t, g in zip(tokens, tags, strict=True) if g.startswith("B-")]
    text = " ".join(tokens)
    name, tag = pick.of(found)
    kind = {"PER": "person", "LOC": "place", "ORG": "firm", "MISC": "country"}[tag]
    if tag == "ORG" and name in pick.world.teams:
        kind = "team"
    return pick.of((f"{text} {name} is a <{kind}> .", f"{text} which {kind} ? <{name}> ."))


def roles(pick: Pick, easy: bool) -> str:
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
    return f"{' '.join(tokens)} {asks[role]} {cue_words(' '.join(spans[role]))} ."


def table(pick: Pick, easy: bool) -> str:
    category = pick.of([c for c in events.TABLE_CATEGORIES if c not in events.UNSEEN_CATEGORIES])
    fields, texts = events.table(pick, category)
    said = pick.of(texts).split()
    values = set(" ".join(fields.values()).split()) - PLAIN
    text = " ".join(f"<{w}>" if w in values else w for w in said)
    table = events.linearise(fields)
    return f"{table} = {text}" if pick.chance(0.7) else f"{table} that is to say , {text}"


def talk(pick: Pick, easy: bool) -> str:
    person, other = pick.rng.sample(pick.world.people, 2)
    town = pick.of(pick.world.towns).name
    thing = article(pick.word(lex.KINDS[pick.of(("tool", "toy", "clothing", "fruit"))]))
    return pick.of(
        (
            f"i think {person.name} is in {town} . so , is {person.pronoun} ? in short , i do not know !",
            f"in short , {person.name} lost {thing} . so , we talked about {other.name} !",
            f"please tell me , where is {person.name} ? {person.pronoun} is with {other.name} in <{town}> .",
            f"{person.name} wants {thing} . what does {person.name} want ? {cue_words(thing)} !",
            f"{person.name} and {other.name} met in {town} . {person.name} saw <{other.name}> there .",
            f"so , {person.name} is alike {other.name} , i think . we talked in {town} .",
            f"when {person.name} saw {thing} , {person.pronoun} thought of <{other.name}> . dear <{other.name}> !",
        )
    )


def episode(pick: Pick, easy: bool) -> str:
    """Several labelled examples of one task in one wording: what in-context learning needs."""
    task = pick.of(("sst2", "sst2", "agnews", "agnews", "boolq", "snli"))
    wording = pick.of([w for w in WORDINGS[task] if w.seen])
    rounds = []
    for _ in range(pick.of((2, 3, 4))):
        fields, label = EXAMPLES[task](pick, True)
        rounds.append(fill(wording, label, pick, **fields))
    return " / ".join(rounds)


MARKS = lex.words("red blue green gold left right north south one two new old yes no")


def mapping(pick: Pick, easy: bool) -> str:
    """Two groups of words under two names made up for this text: nothing but the text tells them."""
    if pick.chance(0.5):
        groups = [lex.KINDS[kind] for kind in pick.rng.sample(list(lex.KINDS), 2)]
    else:
        groups = list(lex.ASPECTS[pick.of(list(lex.ASPECTS))][1:])
    marks, link = pick.rng.sample(MARKS, 2), pick.of((":", "=", ",", "is"))
    shown: set[int] = set()
    pairs = []
    for _ in range(pick.of((3, 4, 6, 8))):
        at = int(pick.chance(0.5))
        mark = f"<{marks[at]}>" if at in shown else marks[at]
        shown.add(at)
        pairs.append(f"{pick.of(groups[at])} {link} {mark}")
    return f"{' / '.join(pairs)} ."


def demonstrations(pick: Pick, easy: bool) -> str:
    """Many examples of one task with the answer behind each: in-context learning at full length.

    In three of ten texts the labels have names made up for it, so that only the examples before
    tell what to answer.
    """
    task = pick.of(list(EXAMPLES))
    wording = pick.of([w for w in WORDINGS[task] if w.seen and w.pattern[-9:].count("{mask}")])
    pattern = wording.pattern.rstrip(" .!")
    marks = pick.rng.sample(MARKS, len(wording.words)) if pick.chance(0.3) else None
    between, most = pick.of((" / ", " . ", " . ", " ")), pick.of(range(2, 11))
    text, shown = "", set()
    for _ in range(most):
        fields, label = EXAMPLES[task](pick, easy)
        word = f"<{marks[label] if marks else pick.of(wording.words[label])}>"
        if marks and label not in shown:
            word = word[1:-1]
        shown.add(label)
        told = pattern.replace("{mask}", word).format(**fields)
        if len(text.split()) + len(told.split()) > LONGEST:
            break
        text = f"{text}{between}{told}" if text else told
    return f"{text} ."
