"""Playgrounds follow their knobs, take bad input calmly, and leave something to see behind."""

from __future__ import annotations

import ipywidgets as ipw
import pytest

from course_utils.errors import CourseError
from course_utils.show import widgets
from course_utils.show.tables import Page


def test_the_answer_follows_the_knobs():
    place = widgets.playground(
        lambda a, b: Page(f"<b>{a + b}</b>", str(a + b)),
        a=ipw.IntSlider(value=2),
        b=ipw.IntSlider(value=3),
    )
    assert str(place.page) == "5"
    place.knobs["a"].value = 40
    assert str(place.page) == "43"
    assert place.children[-1].value == "<b>43</b>"


def test_what_is_saved_shows_the_last_answer_without_a_kernel(masked):
    place = widgets.fill_mask_playground(*masked, "the soup was {mask} .", k=3)
    bundle = place._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert place.page.html in bundle["text/html"]
    assert "text = the soup was {mask} ." in bundle["text/plain"]


def test_half_typed_input_is_answered_in_words_not_with_a_traceback(masked):
    place = widgets.fill_mask_playground(*masked, "the soup was {mask} .")
    place.knobs["text"].value = "the soup was {mas"
    assert "exactly one {mask}" in str(place.page)
    place.knobs["text"].value = "the soup was {mask}"
    assert "exactly" not in str(place.page)


def test_an_error_takes_the_room_of_the_answer_so_that_nothing_jumps():
    def answer(text):
        if not text:
            raise CourseError("write something.")
        return Page(f"<b>{text}</b>", text)

    place = widgets.playground(answer, text=ipw.Text(value="tall"))
    place.knobs["text"].value = ""
    hidden, said = place.children[-1].value.split("<b>tall</b>")
    assert "visibility: hidden" in hidden
    assert "write something." in said
    assert "tall" not in place.page.html  # what is saved holds no answer to another question
    place.knobs["text"].value = "taller"
    assert place.children[-1].value == "<b>taller</b>"


def test_other_errors_are_not_hidden():
    def answer(a):
        return Page(f"{1 / a}", f"{1 / a}")

    with pytest.raises(ZeroDivisionError):
        widgets.playground(answer, a=ipw.IntSlider(value=0))
    place = widgets.playground(answer, a=ipw.IntSlider(value=2))
    place.knobs["a"].value = 0  # Jupyter would put the traceback into its log
    assert "ZeroDivisionError" in place.children[-1].value
    place.knobs["a"].value = 4
    assert place.children[-1].value == "0.25"


def test_a_caret_stays_under_its_place():
    def answer(text):
        raise CourseError(f"the template has a <}}.\n  {text}\n    ^")

    shown = widgets.playground(answer, text=ipw.Text(value="a <b }")).children[-1].value
    first, rest = shown.split("<pre")
    assert "the template has a &lt;}." in first
    assert rest.split(">", 1)[1].startswith("  a &lt;b }\n    ^</pre>")


def test_every_knob_has_a_name():
    place = widgets.playground(
        lambda how_many, seed: Page("", ""),
        how_many=ipw.IntSlider(),
        seed=ipw.IntText(description="draw"),
    )
    assert place.knobs["how_many"].description == "how many"
    assert place.knobs["seed"].description == "draw"


def test_a_cell_run_twice_gives_two_playgrounds_that_do_not_meddle():
    def cell():
        return widgets.playground(lambda a: Page("", str(a)), a=ipw.IntSlider(value=1))

    first, second = cell(), cell()
    second.knobs["a"].value = 7
    assert (str(first.page), str(second.page)) == ("1", "7")


def test_a_causal_plm_is_asked_for_the_next_word(causal):
    assert "next word" in str(widgets.fill_mask_playground(*causal, "the soup was").page)


def test_the_memory_playground_shows_both_ways():
    place = widgets.memory_playground()
    assert "disk, 100 tasks" in str(place.page)
    place.knobs["tasks"].value = 10
    place.knobs["stored_as"].value = "float32"
    assert "14.2 GB" in str(place.page)  # 10 copies of 355M x 4 bytes
    assert "1.45 GB" in str(place.page)  # one, and 10 x 0.8M x 4 bytes
    place.knobs["trained"].value = 1e3
    assert place.knobs["trained"].label == "1k"
    assert "1.42 GB" in str(place.page)
