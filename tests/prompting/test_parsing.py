"""The template language: what it says, and that every mistake is shown with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.errors import CourseError
from course_utils.prompting.parsing import Field, Literal, Mask, Separator, Soft, parse


def test_parts_in_order_with_their_places():
    assert parse("{premise} ? {mask} , {hypothesis:keep}") == (
        Field("premise", (), 0),
        Literal(" ? ", 9),
        Mask(12),
        Literal(" , ", 18),
        Field("hypothesis", ("keep",), 21),
    )


def test_soft_tokens_separator_and_literal_braces():
    assert parse("{soft:3}{a}{sep}{{x}} {mask}") == (
        Soft(3, 0),
        Field("a", (), 8),
        Separator(11),
        Literal("{x} ", 16),
        Mask(22),
    )


def test_several_options_and_spaces_inside_braces():
    assert parse("{ text : strip, lower }{mask}")[0] == Field("text", ("strip", "lower"), 0)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("{a} {mask", 4, "never closed"),
        ("{a} } {mask}", 4, "nothing opened"),
        ("{a {mask}", 3, "inside braces"),
        ("{} {mask}", 0, "empty braces"),
        ("{two words} {mask}", 1, "letters, digits"),
        ("{1st} {mask}", 1, "letters, digits"),
        ("{Mask} {a}", 1, "lower case"),
        ("{mask:2}", 5, "takes none"),
        ("{soft} {mask}", 0, "{soft:20}"),
        ("{soft:0} {mask}", 0, "1 to 512"),
        ("{soft:x} {mask}", 0, "{soft:20}"),
        ("{a:kepe} {mask}", 2, "did you mean 'keep'"),
        ("{a:} {mask}", 2, "unknown option ''"),
        ("{a}{sep}{b}{sep}{mask}", 11, "second {sep}"),
        ("{a} was", 7, "no {mask}"),
        ("it was [MASK] .", 7, "write {mask} instead"),
        ("it was <mask> .", 7, "write {mask} instead"),
        ("", 0, "no {mask}"),
    ],
)
def test_an_error_points_at_the_place(text, place, says):
    with pytest.raises(CourseError) as caught:
        parse(text)
    message, shown, caret = str(caught.value).split("\n")
    assert says in message
    assert shown == f"  {text}"
    assert caret == " " * (2 + place) + "^"


def test_the_caret_stays_right_in_a_long_template():
    with pytest.raises(CourseError) as caught:
        parse("x" * 200 + "{" + "y" * 200)
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^")] == "{"
    assert len(shown) < 120


def test_a_template_must_be_text():
    with pytest.raises(CourseError, match="a template is a text"):
        parse(None)


@given(st.text(alphabet="{}:maskfieldpt, 0", max_size=30))
def test_any_text_parses_or_raises_a_course_error(text):
    try:
        parts = parse(text)
    except CourseError:
        return
    assert any(isinstance(part, Mask) for part in parts)


@given(st.text(max_size=40))
def test_doubled_braces_keep_any_text_as_it_is(text):
    escaped = text.replace("{", "{{").replace("}", "}}")
    literal = "".join(p.text for p in parse(f"{escaped}{{mask}}") if isinstance(p, Literal))
    assert literal == text
