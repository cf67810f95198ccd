"""Names are moved apart, no further than needed, and stay in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.show.labels import spread


def test_places_far_apart_stay():
    assert spread([1.0, 5.0, 9.0], 2.0) == [1.0, 5.0, 9.0]


def test_two_on_one_place_go_half_a_gap_each():
    assert spread([4.0, 4.0], 2.0) == [3.0, 5.0]


def test_a_block_that_grows_into_its_neighbour_takes_it_in():
    assert spread([0.0, 0.0, 1.5], 2.0) == pytest.approx([-1.5, 0.5, 2.5])


@given(st.lists(st.integers(-50, 50), max_size=12))
def test_apart_in_order_and_around_the_same_middle(places):
    moved = spread([float(place) for place in places], 3.0)
    ordered = sorted(moved)
    gaps = [later - earlier for earlier, later in zip(ordered, ordered[1:], strict=False)]
    assert all(gap >= 3.0 - 1e-6 for gap in gaps)
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)
    for one, one_moved in zip(places, moved, strict=True):
        for other, other_moved in zip(places, moved, strict=True):
            assert one >= other or one_moved < other_moved
