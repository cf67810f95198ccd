"""Tables with their texts, and AG News' csv."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.tasks import load_task

E2E = """mr,ref
"name[Blue Spice], area[riverside]","Blue Spice is by the river, ""they"" say."
"name[Blue Spice], area[riverside]","By the river:
Blue Spice."
"""
WEBNLG = """<benchmark><entries>
  <entry category="Airport" eid="Id1" size="1">
    <originaltripleset><otriple>a | b | c</otriple></originaltripleset>
    <modifiedtripleset>
      <mtriple>Aarhus_Airport | cityServed | "Aarhus, Denmark"</mtriple>
      <mtriple>Aarhus_Airport | elevation | 25.0</mtriple>
    </modifiedtripleset>
    <lex comment="good" lid="Id1">Aarhus Airport serves Aarhus.</lex>
    <lex comment="good" lid="Id2">Aarhus is served by its airport.</lex>
  </entry>
</entries></benchmark>
"""


def test_e2e(tmp_path):
    (tmp_path / "devset.csv").write_text(E2E)
    rows = load_task("e2e", data=tmp_path).split("dev")
    assert list(rows["human_reference"]) == [
        'Blue Spice is by the river, "they" say.',
        "By the river:\nBlue Spice.",
    ]
    assert rows[0]["meaning_representation"] == "name[Blue Spice], area[riverside]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (E2E.replace("mr,ref", "MR,REF"), r"devset\.csv, line 1: the header is 'MR,REF'"),
        ("mr,ref\nname[X]\n", "line 2: 1 fields; expected a table and its text"),
        ('mr,ref\n"name[X]",""\n', "line 2: 2 fields; expected a table and its text"),
        ('mr,ref\n"name[X]","a"b\n', "line 2: broken csv"),
        ("mr,ref\n", "has a header but no example"),
    ],
)
def test_broken_csv(tmp_path, text, says):
    (tmp_path / "devset.csv").write_text(text)
    with pytest.raises(CourseError, match=says):
        load_task("e2e", data=tmp_path)


def test_webnlg_in_folders_of_files(tmp_path):
    (tmp_path / "train" / "2triples").mkdir(parents=True)
    (tmp_path / "train" / "2triples" / "Airport.xml").write_text(WEBNLG)
    rows = load_task("webnlg", data=tmp_path).split("train")
    assert len(rows) == 2
    assert rows[0]["meaning_representation"] == (
        'Aarhus Airport | cityServed | "Aarhus, Denmark" ; Aarhus Airport | elevation | 25.0'
    )
    assert rows[1]["human_reference"] == "Aarhus is served by its airport."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WEBNLG.replace("</entry>", ""), r"train\.xml, line \d+: broken xml"),
        (WEBNLG.replace(" | elevation | 25.0", ""), "of the form subject"),
        ("<benchmark/>", "holds no <entry>"),
        (WEBNLG.replace("<lex", "<other").replace("/lex>", "/other>"), "no <lex> with a text"),
    ],
)
def test_broken_xml(tmp_path, text, says):
    (tmp_path / "train.xml").write_text(text)
    with pytest.raises(CourseError, match=says):
        load_task("webnlg", data=tmp_path)


NEWS = '"3","Oil rises","Prices rose, again"\n"1","Talks","Peace \\ war"\n' * 10


def test_agnews_takes_a_tenth_of_train_as_dev_where_there_is_none(tmp_path):
    (tmp_path / "train.csv").write_text(NEWS)
    (tmp_path / "test.csv").write_text(NEWS)
    task = load_task("agnews", data=tmp_path)
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 18, "dev": 2, "test": 20,
    }  # fmt: skip
    assert task.split("test")[0] == {"text": "Oil rises Prices rose, again", "label": 2}
    (tmp_path / "dev.csv").write_text(NEWS)
    assert len(load_task("agnews", data=tmp_path).split("train")) == 20


def test_agnews_names_the_broken_line(tmp_path):
    (tmp_path / "train.csv").write_text(NEWS + '"5","a","b"\n')
    with pytest.raises(CourseError, match="line 21: expected a class from 1 to 4"):
        load_task("agnews", data=tmp_path)
