"""What a skill is made of, stated before it is asked: documents of the curriculum's early steps.

Each function is a genre, (pick, easy) -> text with its cues in angle brackets. A skill of several
parts is learnt when its parts are known (curriculum.py): comparing two words, finding a word
again, what is said of whom, whom a pronoun means, who has which part in an event, which sense a
word has.
"""

from __future__ import annotations

from course_utils.plm.pocket import inference, scenes
from course_utils.plm.pocket import lexicon as lex
from course_utils.plm.pocket.scenes import Pick, article, cue_words


def relation(pick: Pick, easy: bool) -> str:
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


def definition(pick: Pick, easy: bool) -> str:
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
            f"{doing} {target} is a way of {cue_words(group)} .",
            f"somebody is <{doing}> {target} . that is {cue_words(group)} .",
        )
    )


_PLACES = ("first", "second", "third")


def _place(text: str, name: str, other: str) -> str:
    """Which of two names of a text comes first."""
    words = text.split()
    return f"the <{_PLACES[int(words.index(name) > words.index(other))]}>"


def order(pick: Pick, easy: bool) -> str:
    """Names, and which place one of them has: finding a word again."""
    names = [person.name for person in pick.rng.sample(pick.world.people, pick.of((2, 3)))]
    at = pick.of(range(len(names)))
    return f"{' , '.join(names)} . {names[at]} is the <{_PLACES[at]}> ."


def binding_by_place(pick: Pick, easy: bool) -> str:
    """Two people and what is said of each: the one's place, and by it the word."""
    text, names, traits = _two_people(pick)
    at = int(pick.chance(0.5))
    return f"{text} {names[at]} is the <{_PLACES[at]}> and <{traits[at]}> ."


def binding(pick: Pick, easy: bool) -> str:
    text, names, traits = _two_people(pick)
    at = int(pick.chance(0.5))
    if easy or pick.chance(0.7):
        return f"{text} {names[at]} is <{traits[at]}> ."
    return f"{text} who is {traits[at]} ? <{names[at]}> ."


def verified(pick: Pick, easy: bool) -> str:
    """Whether something is said of the one or of the other."""
    text, names, traits = _two_people(pick)
    at, right = int(pick.chance(0.5)), pick.chance(0.5)
    asked = traits[at if right else 1 - at]
    answer = f"<{'yes' if right else 'no'}>"
    if pick.chance(0.6):
        return f"{text} is {names[at]} {asked} ? {answer} ."
    return f"{text} {names[at]} is <{traits[at]}> , {asked} ? {answer} ."


def _two_people(pick: Pick) -> tuple[str, list[str], list[str]]:
    names = [person.name for person in pick.rng.sample(pick.world.people, 2)]
    traits = pick.rng.sample(inference.TRAITS, 2)
    said = (f"{name} is {trait} ." for name, trait in zip(names, traits, strict=True))
    return " ".join(said), names, traits


def referent(pick: Pick, easy: bool) -> str:
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
            f"{scene.text} here {scene.pronoun} means {cue_words(meant)} .",
            f"{scene.text} who is {scene.pronoun} ? {cue_words(meant)} .",
        )
    )


def referent_by_place(pick: Pick, easy: bool) -> str:
    """Whom a pronoun means, who the candidate is, and so whether the candidate is meant."""
    scene = scenes.pronoun(pick)
    asked = int(pick.chance(0.5))
    he, candidate = scene.pronoun, scene.candidates[asked]
    return (
        f"{scene.text} {he} is {_candidate_place(scene, scene.meant)} , {candidate} is "
        f"{_candidate_place(scene, asked)} . does {he} mean {candidate} ? "
        f"<{'yes' if asked == scene.meant else 'no'}> ."
    )


def _candidate_place(scene: scenes.Pronoun, at: int) -> str:
    first, second = (candidate.split()[-1] for candidate in scene.candidates)
    return _place(scene.text, *((first, second) if at == 0 else (second, first)))


def role(pick: Pick, easy: bool) -> str:
    """Who has which part in an event: by place, or by name."""
    report, said, who, other = inference.role(pick)
    answer = _place(report, who, other) if easy or pick.chance(0.5) else f"<{who}>"
    return f"{report} who {said} ? {answer} ."


def role_by_place(pick: Pick, easy: bool) -> str:
    """Who has a part, who the candidate is, and so whether the candidate has it."""
    report, said, who, other = inference.role(pick)
    right = pick.chance(0.5)
    candidate, another = (who, other) if right else (other, who)
    return (
        f"{report} who {said} ? {_place(report, who, other)} , {candidate} is "
        f"{_place(report, candidate, another)} . {candidate} {said} ? "
        f"<{'yes' if right else 'no'}> ."
    )


def gloss(pick: Pick, easy: bool) -> str:
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
