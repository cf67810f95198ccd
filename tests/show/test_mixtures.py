"""The routing that is drawn is AdaMix's: one expert per half, layer and pass, all as likely."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.show.mixtures import draw_routing, routing_page, routing_playground


def test_one_expert_of_each_half_in_every_layer_and_pass():
    routing = draw_routing(layers=3, experts=4, share="none", step=7, passes=2)
    assert len(routing.drawn) == 2
    for chosen in routing.drawn:
        assert len(chosen) == 3
        assert all(0 <= pair[half] < 4 for pair in chosen for half in ("down", "up"))
    for counts in routing.met:
        assert sum(counts["down"]) == sum(counts["up"]) == 7 * 2


def test_a_shared_half_is_one_expert_who_is_always_met():
    routing = draw_routing(layers=2, experts=3, share="up", step=5, passes=1)
    assert [counts["up"] for counts in routing.met] == [(5,), (5,)]
    assert all(len(counts["down"]) == 3 for counts in routing.met)


def test_halves_and_layers_are_drawn_independently_and_evenly():
    routing = draw_routing(layers=2, experts=4, share="none", step=400, passes=1)
    for counts in routing.met:
        for times in counts.values():
            assert all(60 < n < 140 for n in times)  # 100 expected, standard deviation 9
    assert routing.met[0] != routing.met[1]
    assert routing.met[0]["down"] != routing.met[0]["up"]


def test_a_later_step_goes_on_from_an_earlier_one():
    early, late = (draw_routing(4, step=n) for n in (3, 4))
    for before, after in zip(early.met, late.met, strict=True):
        for half in ("down", "up"):
            added = [b - a for a, b in zip(before[half], after[half], strict=True)]
            assert sum(added) == 2
            assert min(added) >= 0


def test_the_picture_marks_who_was_drawn_and_counts_the_others():
    routing = draw_routing(layers=2, experts=3, share="none", step=1, passes=1)
    page = routing_page(routing, "step 1")
    assert page.html.count("<circle") == 2 * 6
    assert page.html.count("<path") == 2
    assert page.html.count(">1</text>") == 4  # those met once
    pair = routing.drawn[0][0]
    assert f"layer 1: down {pair['down'] + 1} up {pair['up'] + 1}" in str(page)


@pytest.mark.parametrize("wrong", [{"experts": 0}, {"step": 0}, {"passes": 3}, {"share": "both"}])
def test_what_can_not_be_drawn_is_said(wrong):
    with pytest.raises(CourseError):
        draw_routing(**{"layers": 2, **wrong})


def test_the_playground_answers_to_every_knob():
    shown = routing_playground(layers=2, experts=4)
    assert "Step 1" in shown.page.text
    shown.knobs["step"].value = 9
    shown.knobs["share"].value = "none"
    shown.knobs["consistency"].value = False
    assert "Step 9" in shown.page.text
    assert shown.page.html.count("<circle") == 2 * 8
    assert shown.page.html.count("<path") == 2
