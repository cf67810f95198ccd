"""The checks of HW-Prompt accept every right answer and catch the wrong ones students write."""

from __future__ import annotations

import pytest
from hw_prompt_answers import RIGHT, WRONG

from autograder.sample_class import solutions


def test_instructors_answers_pass_every_check(judge):
    said = judge()
    assert len(said) == 12
    assert not any(said.values()), said


@pytest.mark.parametrize(
    ("cell", "bodies"),
    [
        pytest.param(cell, b, id=f"{cell}-{n}")
        for cell, many in RIGHT.items()
        for n, b in enumerate(many)
    ],
)
def test_right_in_other_words_passes(judge, cell, bodies):
    said = judge({cell: bodies})
    assert len(said) == 2
    assert not any(said.values()), said


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.cell}: {wrong.slip}")
def test_wrong_answer_is_caught(judge, wrong):
    said = judge({wrong.cell: wrong.bodies})
    visible, hidden = said[f"{wrong.cell}-check"], said[f"{wrong.cell}-more"]
    if wrong.caught == "visible":
        assert visible, "the visible check should have told the student"
    else:
        assert not visible, f"expected to look right, but: {visible}"
    assert hidden, "the hidden check lets it pass"


@pytest.mark.parametrize("cell", sorted(RIGHT))
def test_unwritten_answer_raises_only_not_implemented(judge, original, cell):
    stubs = ["raise NotImplementedError()"] * len(solutions(original)[cell])
    said = judge({cell: stubs})
    assert len(said) == 2
    assert all(text.startswith("NotImplementedError") for text in said.values()), said


def test_every_hidden_check_catches_something_that_looks_right():
    caught = {wrong.cell for wrong in WRONG if wrong.caught == "hidden"}
    assert caught == set(RIGHT)
