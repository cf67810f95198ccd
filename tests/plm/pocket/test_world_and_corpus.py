"""The pocket world holds together, and the corpus says what it claims to say."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from course_utils.plm.pocket import inference, lexicon, scenes
from course_utils.plm.pocket.corpus import GENRES, documents, mix
from course_utils.plm.pocket.examples import EXAMPLES
from course_utils.plm.pocket.scenes import Pick
from course_utils.plm.pocket.texts import MARKS
from course_utils.plm.pocket.tokenizer import MAX_LENGTH, plain
from course_utils.plm.pocket.wordings import LABELS, WORDINGS
from course_utils.plm.pocket.world import make_world


@pytest.fixture(scope="module")
def world():
    return make_world(0)


@pytest.fixture(scope="module")
def texts(world):
    return [plain(d.text) for d in itertools.islice(documents(world, 7), 20_000)]


def test_one_seed_makes_one_world(world):
    assert make_world(0) == world
    assert make_world(1) != world


def test_every_name_is_one_thing(world):
    names = [p.name for p in world.people] + [t.name for t in world.towns]
    names += [c.name for c in world.countries] + [*world.firms, *world.teams]
    assert len(names) == len(set(names))


def test_a_country_has_its_capital_inside(world):
    home = {town.name: town.country for town in world.towns}
    assert all(home[c.capital] == c.name for c in world.countries)


def test_a_stream_is_its_seed(world):
    first, again, other = (
        [d.text for d in itertools.islice(documents(world, seed), 50)] for seed in (3, 3, 4)
    )
    assert first == again != other


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("easy", [True, False])
def test_every_genre_has_something_to_guess(world, genre, easy):
    pick = Pick(random.Random(0), world)
    cued = sum("<" in GENRES[genre][0](pick, easy) for _ in range(200))
    assert cued > (20 if genre == "talk" else 190)


def test_wordings_kept_out_are_not_in_the_corpus(texts):
    """No document reads like one, whatever stands in its fields."""
    kept_out = [w for ws in WORDINGS.values() for w in ws if not w.seen]
    assert len(kept_out) >= 10
    for wording in kept_out:
        words = "|".join(w for group in wording.words for w in group)
        parts = re.split(r"(\{\w+\})", wording.pattern)
        pattern = "".join(
            f"({words})" if p == "{mask}" else ".+" if p.startswith("{") else re.escape(p)
            for p in parts
        )
        assert not [t for t in texts if re.fullmatch(pattern, t)], wording.pattern
    seen = WORDINGS["sst2"][0]  # the test's own check: a seen wording is found
    assert any(re.fullmatch(r".+ it was (great|bad) \.", t) for t in texts), seen


def test_each_task_has_wordings_seen_and_kept_out():
    for task in ("sst2", "agnews", "snli", "boolq"):
        assert len(WORDINGS[task]) >= 5
        assert sum(not w.seen for w in WORDINGS[task]) >= 2
    for task, wordings in WORDINGS.items():
        assert all(len(w.words) == len(LABELS[task]) for w in wordings)


def test_opposites_and_synonyms_do_not_meet():
    """No adjective is both said by and excluded by another."""
    pick = Pick(random.Random(0), make_world(0))
    for word in {w for pair in lexicon.OPPOSITES for w in pair}:
        same = {inference.same_meaning(pick, word) for _ in range(30)}
        opposite = {inference.opposite_meaning(pick, word) for _ in range(30)}
        assert not same & opposite, word


def test_no_word_praises_and_blames():
    good = {w for _, g, _ in lexicon.ASPECTS.values() for w in g}
    bad = {w for _, _, b in lexicon.ASPECTS.values() for w in b}
    assert not good & bad
    assert not set(lexicon.VERDICTS_GOOD) & set(lexicon.VERDICTS_BAD)


def test_a_word_is_of_one_kind():
    members = [w for kind in lexicon.KINDS.values() for w in kind]
    assert len(members) == len(set(members))


@pytest.mark.parametrize("yes", [True, False])
def test_the_answer_is_in_the_passage(world, yes):
    """Questions about kinds, checked against the lexicon by a reader of our own."""
    pick = Pick(random.Random(5), world)
    checked = 0
    for _ in range(400):
        passage, question = inference.question(pick, yes, "town", two=False)
        asked = re.match(r"is there an? (\w+) at the (\w+)", question)
        if asked:
            kind, where = asked.groups()
            seen = re.search(rf"at the {where} you can see an? (\w+)", passage).group(1)
            assert (seen in lexicon.KINDS[kind]) is yes
            checked += 1
    assert checked > 50


def test_a_contrast_ends_on_the_verdict(world):
    """In "X , but Y" the words of Y carry the label, those of X the other one."""
    good = {w for _, g, _ in lexicon.ASPECTS.values() for w in g}
    pick = Pick(random.Random(2), world)
    found = 0
    for _ in range(2000):
        text = scenes.review(pick, positive=True)
        match = re.search(r"the \w+ was (\w+) , but the \w+ was (\w+) \.$", text)
        if match:
            assert match.group(1) not in good
            assert match.group(2) in good
            found += 1
    assert found > 5


def test_pronouns_mean_what_the_schema_says(world):
    pick = Pick(random.Random(1), world)
    for _ in range(300):
        scene = scenes.pronoun(pick)
        big = re.match(r"the (\w+) does not fit into the (\w+) .* too (\w+) \.", scene.text)
        if big:
            inner, outer, why = big.groups()
            meant = scene.candidates[scene.meant].split()[-1]
            assert meant == (inner if why in ("big", "large", "wide", "long", "thick") else outer)


def test_two_clauses_outvote_one(world):
    good = {w for _, g, _ in lexicon.ASPECTS.values() for w in g}
    bad = {w for _, _, b in lexicon.ASPECTS.values() for w in b}
    pick = Pick(random.Random(2), world)
    plainly = r"the \w+ was (\w+) \."
    found = 0
    for _ in range(3000):
        text = scenes.review(pick, positive=False)
        match = re.fullmatch(" ".join([plainly] * 3), text)
        if match and set(match.groups()) <= good | bad:
            assert len(set(match.groups()) & bad) >= 2
            found += 1
    assert found > 10


def test_at_most_one_word_of_a_short_report_strays(world):
    sections = {
        w: name for name, lists in lexicon.SECTIONS.items() for words in lists for w in words
    }
    shared = [
        w for w in sections if sum(w in ws for ls in lexicon.SECTIONS.values() for ws in ls) > 1
    ]
    pick = Pick(random.Random(2), world)
    found = 0
    for _ in range(500):
        text = scenes.news(pick, "sports")
        match = re.fullmatch(r"in \w+ the (\w+) (\w+) because of the (\w+) \.", text)
        if match and not set(match.groups()) & set(shared):
            assert [sections[w] for w in match.groups()].count("sports") >= 2
            found += 1
    assert found > 10


def test_what_does_not_follow_is_not_said_to_follow(world):
    """Every statement of the second kind differs from all that follow from its report."""
    pick = Pick(random.Random(4), world)
    for _ in range(1500):
        premise, hypothesis = inference.entailment(pick, entailed=False, easy=True)
        for event, follows, _ in inference.EVENTS:
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(event)) + r" \."
            match = re.fullmatch(pattern, premise)
            if match and "town" not in match.groupdict():
                assert hypothesis not in [f.format(**match.groupdict()) for f in follows]


def test_a_part_in_an_event_is_the_right_ones(world):
    pick = Pick(random.Random(4), world)
    found = 0
    for _ in range(600):
        report, said, who, other = inference.role(pick)
        match = re.fullmatch(r"(\w+) bought (an? \w+) from (\w+) \.", report)
        if match:
            buyer, thing, seller = match.groups()
            right = (seller, buyer) if said == f"sold {thing}" else (buyer, seller)
            assert (who, other) == right
            found += 1
        assert {who, other} <= set(report.split())
    assert found > 10


@pytest.mark.parametrize("genre", ["referent by place", "role by place"])
def test_the_verdict_compares_two_places(world, genre):
    """Yes where the candidate's place is the place of who is meant, no elsewhere."""
    pick = Pick(random.Random(6), world)
    verdicts = []
    for _ in range(300):
        cues = re.findall(r"<(\w+)>", GENRES[genre][0](pick, True))
        first, second, verdict = cues
        assert {first, second} <= {"first", "second"}
        assert verdict == ("yes" if first == second else "no")
        verdicts.append(verdict)
    assert 100 < verdicts.count("yes") < 200


def test_places_are_those_of_the_text(world):
    pick = Pick(random.Random(7), world)
    for _ in range(200):
        listed, said = GENRES["order"][0](pick, True).split(" . ", 1)
        name, place = re.fullmatch(r"(\w+) is the <(\w+)> \.", said).groups()
        assert listed.split(" , ").index(name) == ("first", "second", "third").index(place)


def test_marks_are_guessed_where_the_text_tells_them(world):
    """In a mapping a mark is a cue if its group has been shown, and means that group all along."""
    pick = Pick(random.Random(3), world)
    groups = [set(words) for words in lexicon.KINDS.values()]
    groups += [set(side) for _, *sides in lexicon.ASPECTS.values() for side in sides]
    for _ in range(200):
        meant = {}
        for pair in GENRES["mapping"][0](pick, True).removesuffix(" .").split(" / "):
            word, _, mark = pair.split()
            assert mark.startswith("<") is (mark.strip("<>") in meant)
            candidates = [g for g in groups if word in g]
            known = meant.setdefault(mark.strip("<>"), candidates)
            assert any(g in known for g in candidates)


def test_names_made_up_for_labels_are_asked_for_once_they_are_shown(world):
    """In demonstrations a made-up name is a cue only where it has been told before."""
    pick = Pick(random.Random(4), world)
    made_up = set(MARKS) - {w for ws in WORDINGS.values() for x in ws for g in x.words for w in g}
    asked = 0
    for _ in range(300):
        words = GENRES["demonstrations"][0](pick, False).split()
        assert len(words) < MAX_LENGTH - 2
        cued = [i for i, word in enumerate(words) if word.strip("<>") in made_up and "<" in word]
        assert all(words[i].strip("<>") in words[:i] for i in cued)
        asked += bool(cued)
    assert 30 < asked < 120  # of three texts in ten, those with a second answer of one name


def test_only_causal_models_read_demonstrations():
    masked, causal = mix(causal=False), mix(causal=True)
    assert causal.pop("demonstrations") > 0 == masked.pop("demonstrations")
    assert causal == masked


@pytest.mark.parametrize("task", EXAMPLES)
def test_labels_are_balanced(world, task):
    pick = Pick(random.Random(0), world)
    labels = [EXAMPLES[task](pick)[1] for _ in range(1500)]
    share = 1 / len(LABELS[task])
    for label in range(len(LABELS[task])):
        assert abs(labels.count(label) / 1500 - share) < 0.06


def test_allow_narrows_the_words(world):
    pick = Pick(random.Random(0), world, lexicon.shown)
    words = {pick.word(lexicon.KINDS["animal"]) for _ in range(300)}
    assert words == {w for w in lexicon.KINDS["animal"] if lexicon.shown(w)}
    assert words != set(lexicon.KINDS["animal"])
