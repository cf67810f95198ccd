"""Report, export and roster: right numbers, quoted. The pages have a file of their own."""

from __future__ import annotations

import csv
import io
import shutil

import pytest
from rich.console import Console

from autograder.course_folder import add_roster, open_course, read_roster
from autograder.live import Live
from autograder.report import gradebook_table, report, summarise, write_grades
from autograder.results import Check, Result, load_result, load_results, save_result
from course_utils.errors import CourseError


def result(student: str, status: str = "graded", score: float = 0.0, **more) -> Result:
    checks = (Check("ex", "a", score, 4.0, "expected <b>4</b>"),) if status == "graded" else ()
    return Result(student, "hw", status, score, 4.0, checks, **more)


CLASS = [
    result("ann", score=4.0),
    result("ben", score=1.0, notes=("[red]taken in",)),
    result("cem", "missing"),
    result("dan", "crashed", reason="<script>", needs_person=True),
]


def test_summary_is_over_those_who_handed_in():
    summary = summarise(CLASS)
    assert (summary.students, summary.handed_in) == (4, 3)
    assert summary.statuses == {"graded": 2, "missing": 1, "crashed": 1}
    assert summary.mean == pytest.approx(5 / 3)
    assert summary.median == 1.0
    assert summary.checks == {("ex", "a"): pytest.approx(5 / 8)}
    assert summary.needs_person == ("dan",)


def test_summary_of_nobody():
    assert summarise([result("cem", "missing")]).mean == 0.0


def test_table_prints_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=100)
    console.print(gradebook_table(CLASS))
    text = console.file.getvalue()
    assert "[red]taken in" in text
    assert "crashed" in text


@pytest.mark.parametrize("text", ["[/x]", r"\[/x]", r"\\[/x]", "end \\", "[bold]loud[/]"])
def test_no_text_of_a_student_is_markup(text):
    """A closing tag that was never opened would end the command, and nobody saw the gradebook."""
    console = Console(file=io.StringIO(), width=100)
    console.print(gradebook_table([result(text, "crashed", reason=text, notes=(text,))]))
    live = Live([text], console)
    live.started(text)
    console.print(live.__rich__())
    live.done(result(text, "crashed"))
    console.print(live.__rich__())
    assert console.file.getvalue().count(text) >= 5


def test_grades_are_read_back_as_written(tiny_class, tmp_path):
    course = open_course(shutil.copytree(tiny_class / "course", tmp_path / "course"))
    roster = tmp_path / "roster.csv"
    roster.write_text('student_id,last_name\nright,"O\'Neil, ""Jr."""\nsyntax,=1+1\n', "utf-8")
    add_roster(course, roster)
    with course.gradebook() as gradebook:
        given = gradebook.find_grade("half-check", "tiny", "tiny", "syntax")
        given.manual_score = 0.5
        gradebook.db.commit()
    with write_grades(course, load_results(course, "tiny")).open(newline="", encoding="utf-8") as f:
        rows = {row["student_id"]: row for row in csv.DictReader(f)}
    assert rows["right"]["last_name"] == 'O\'Neil, "Jr."'
    scores = [float(rows[student]["score"]) for student in ("right", "syntax", "absent")]
    assert scores == [4.0, 3.5, 0.0]
    assert float(rows["syntax"]["half-check"]) == 0.5
    assert float(rows["right"]["double-check"]) == 3
    assert rows["absent"]["double-check"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nann\n", "expected a column 'student_id', got name"),
        ("student_id\nann\nann\n", "line 3: student 'ann' for the second time"),
        ("student_id,group\n,1\n", "line 2: no student_id"),
        ("student_id\n../ann\n", "line 2: .*can't be a folder"),
    ],
)
def test_wrong_roster_names_the_line(tmp_path, text, message):
    (tmp_path / "roster.csv").write_text(text, "utf-8")
    with pytest.raises(CourseError, match=message):
        read_roster(tmp_path / "roster.csv")


def test_roster_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(CourseError, match="no roster"):
        read_roster(tmp_path / "roster.csv")
    (tmp_path / "roster.csv").write_bytes(b"student_id\n\xff\n")
    with pytest.raises(CourseError, match="UTF-8"):
        read_roster(tmp_path / "roster.csv")


def test_a_result_comes_back_as_it_was(tmp_path):
    course = open_course(tmp_path)
    for one in CLASS:
        save_result(course, one)
        assert load_result(course, "hw", one.student) == one
    assert load_result(course, "hw", "nobody") is None


def test_no_status_that_is_not_listed():
    with pytest.raises(ValueError, match="fine"):
        result("ann", "fine")


def test_nothing_graded_yet_is_explained(tmp_path):
    with pytest.raises(CourseError, match="course grade hw"):
        report("hw", tmp_path)
    assert load_results(open_course(tmp_path), "hw") == []


def test_course_folder_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CourseError, match="is a file"):
        open_course(tmp_path / "file")
