"""Published tables, as notebooks show them."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.recipes import tables
from course_utils.show import published_table
from course_utils.show.published import counted


@pytest.mark.parametrize("name", tables())
def test_every_table_can_be_shown_with_its_source(name):
    table = published_table(name)
    assert tables()[name]["title"] in table.caption
    assert not any("_" in column for column in table.columns)


def test_differences_are_computed_not_copied():
    rows = {row["task"]: row for row in published_table("adapter_few_labels").rows}
    assert rows["ACL-ARC"]["gain"] == pytest.approx(2.5)
    assert rows["HELPFULNESS"]["gain"] == pytest.approx(-0.1)


def test_some_methods_and_rows_of_ones_own():
    extra = {"method": "ours", "parameters": 1.2e6, "bleu": 60.0}
    table = published_table("e2e_gpt2_medium", methods=["LoRA"], more=[extra])
    assert [row["method"] for row in table.rows] == ["LoRA", "ours"]
    assert [row["trained"] for row in table.rows] == ["0.35M", "1.2M"]


def test_no_row_is_an_error():
    with pytest.raises(CourseError, match="at least one row"):
        published_table("e2e_gpt2_medium", methods=["unheard of"])


def test_numbers_of_parameters_as_papers_write_them():
    assert [counted(n) for n in (355e6, 0.35e6, 175e9, 11.09e6)] == [
        "355M",
        "0.35M",
        "175B",
        "11.1M",
    ]
