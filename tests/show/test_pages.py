"""Tables and bars say the same in HTML and in plain text, and nothing typed becomes markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from course_utils.errors import CourseError
from course_utils.show.bars import probability_bars, surprise_strip
from course_utils.show.tables import Table, shown

ROWS = [{"method": "LoRA", "trained": 12288, "score": 0.9}, {"method": "none", "score": 0.5}]


def test_a_table_shows_every_cell_in_all_three_forms():
    table = Table(ROWS, caption="pocket/sst2")
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    for form in (table._repr_html_(), str(table), console.file.getvalue()):
        for cell in ("pocket/sst2", "method", "LoRA", "12,288", "0.900", "none", "0.500", "-"):
            assert cell in form


def test_text_columns_line_up_with_numbers_to_the_right():
    lines = str(Table(ROWS)).splitlines()
    assert lines[2].index("12,288") + len("12,288") == lines[0].index("trained") + len("trained")


def test_a_highlighted_row_is_bold():
    table = Table(ROWS, highlight=0)
    assert "bold" in table._repr_html_().split("<tbody>")[1].split("</tr>")[0]
    assert "bold" not in table._repr_html_().split("<tbody>")[1].split("</tr>")[1]


def test_a_long_caption_does_not_widen_the_table():
    page = Table(ROWS, caption="a review of many words " * 9).html
    assert "nowrap" not in page
    assert page.index("many words") < page.index("<table")


def test_digits():
    assert "62.4" in str(Table([{"days": 62.36}], digits=1))


def test_a_table_without_rows():
    with pytest.raises(CourseError, match="at least one row"):
        Table([])


@pytest.mark.parametrize(
    ("value", "text"),
    [(12288, "12,288"), (0.91449, "0.914"), (0.0, "0.000"), (3.1e8, "3.1e+08"), (1e-5, "1e-05")]
    + [(True, "yes"), (None, "-"), ("x", "x")],
)
def test_values_as_shown(value, text):
    assert shown(value) == text


def test_bars_are_as_wide_as_the_probabilities():
    page = probability_bars({"yes": 0.25, "no": 0.75}, mark="no")
    assert "width:25.0%" in page.html
    assert "width:75.0%" in page.html
    assert "0.250" in str(page)
    assert page.html.count("&#10003;") == 1


def test_the_more_surprising_token_is_darker():
    page = surprise_strip(["cheap", "dear"], [0.0, 12.0])
    assert page.html.index("#ffffff") < page.html.index("#004678")
    assert "dear (12.0)" in str(page)


def test_markup_in_a_text_stays_text():
    evil = "<script>alert(1)</script>"
    for page in (
        Table([{evil: evil}], caption=evil),
        probability_bars({evil: 0.5}, title=evil),
        surprise_strip([evil], [1.0], title=evil),
    ):
        assert "<script" not in page.html
