"""Playgrounds follow their knobs, take bad input calmly, and leave something to see behind."""

from __future__ import annotations

import ipywidgets as ipw
import pytest

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


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        widgets.playground(lambda a: Page(str(1 / a), ""), a=ipw.IntSlider(value=0))


def test_a_causal_plm_is_asked_for_the_next_word(causal):
    assert "next word" in str(widgets.fill_mask_playground(*causal, "the soup was").page)


def test_the_memory_playground_shows_both_ways():
    place = widgets.memory_playground()
    assert "disk, 100 tasks" in str(place.page)
    place.knobs["tasks"].value = 10
    place.knobs["stored_as"].value = "float32"
    assert "14.2 GB" in str(place.page)  # 10 copies of 355M x 4 bytes
    assert "1.45 GB" in str(place.page)  # one, and 10 x 0.8M x 4 bytes
