"""The checks of HW-Prompt accept every right answer and catch the wrong ones students write."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from hw_prompt_answers import RIGHT, WRONG

from autograder.sample_class import solutions
from course_utils.plm import pocket


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


@pytest.mark.skipif(
    not (Path(pocket.__file__).parent / "weights" / "pocket-bert-base").is_dir(),
    reason="the pocket models are not in this checkout",
)
def test_from_top_to_bottom_with_the_pocket_model(original):
    """Cells outside the checks run too, and show what the text around them says."""
    space: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in original.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, cell.id, "exec"), space)
    text = printed.getvalue()
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", text)]
    assert losses[-1] < 0.7 * losses[0], "the training reviews are soon learnt"
    shown = [float(number) for number in re.findall(r"^([0-9.]+) positive", text, re.M)]
    assert len(shown) == 8
    delicious, stale, _, lovely = shown[:4]
    assert min(delicious, lovely) > stale, "what the prompt of words shows"
