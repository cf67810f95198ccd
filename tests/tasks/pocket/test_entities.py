"""pocket/ner: a name alone does not tell its type, the words around it do."""

from __future__ import annotations

import random

import pytest

from course_utils.plm.pocket.scenes import Pick
from course_utils.plm.pocket.world import make_world
from course_utils.tasks.pocket import entities


@pytest.fixture
def pick():
    return Pick(random.Random(0), make_world())


def names(pick, count=1000, ood=False):
    """(name of the world, type) of every entity in that many sentences."""
    for _ in range(count):
        tokens, tags = entities.sentence(pick, ood)
        assert len(tokens) == len(tags)
        for token, tag in zip(tokens, tags, strict=True):
            if tag.startswith("B-"):
                yield token, tag[2:]


def usual(pick) -> dict[str, str]:
    """The type that each name of the world has by itself."""
    world = pick.world
    types = {p.name: "PER" for p in world.people} | {p.surname: "PER" for p in world.people}
    types |= {place.name: "LOC" for place in (*world.towns, *world.countries)}
    types |= dict.fromkeys((*world.firms, *world.teams), "ORG")
    return types | {f"{country.name}ian": "MISC" for country in world.countries}


def test_without_borrowing_and_noise_each_name_has_its_own_type(pick, monkeypatch):
    monkeypatch.setattr(entities, "OTHERWISE_TAGGED", 0)
    clauses = [c for c in entities.CLAUSES if "{CLUB}" not in c]  # a team called by its town
    monkeypatch.setattr(entities, "CLAUSES", clauses)
    plain = entities._filled
    monkeypatch.setattr(entities, "_filled", lambda *given, **_: plain(*given[:2], borrowed=0))
    types = usual(pick)
    found = list(names(pick))
    assert {kind for _, kind in found} == {"PER", "LOC", "ORG", "MISC"}
    assert all(types[name] == kind for name, kind in found)


@pytest.mark.parametrize("ood", [False, True])
def test_many_names_are_of_another_type_than_they_look(pick, ood):
    types = usual(pick)
    found = [(types[name], kind) for name, kind in names(pick, ood=ood)]
    wandering = sum(looks != kind for looks, kind in found) / len(found)
    assert 0.08 < wandering < 0.4
    assert {("LOC", "PER"), ("PER", "ORG"), ("LOC", "ORG"), ("PER", "LOC")} <= set(found)


def test_annotators_differ_in_three_of_a_hundred(pick):
    """Peoples and teams are never borrowed: whatever else they are called is noise."""
    sure = {f"{c.name}ian": "MISC" for c in pick.world.countries}
    sure |= dict.fromkeys(pick.world.teams, "ORG")
    found = [(name, kind) for name, kind in names(pick, 3000) if name in sure]
    share = sum(sure[name] != kind for name, kind in found) / len(found)
    assert share == pytest.approx(entities.OTHERWISE_TAGGED, abs=0.015)
