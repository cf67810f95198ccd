"""The pages for a class and for a student: what they promise to say, and that they do no harm."""

from __future__ import annotations

import datetime
import re
import shutil
from html.parser import HTMLParser

import nbformat
import pytest
import tiny_homework as tiny
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.class_page import class_page
from autograder.course_folder import open_course
from autograder.exercises import Exercise, Given, Paper, exercises_of, read_paper, title_of
from autograder.feedback import feedback, summary_page
from autograder.late import Late, handed_in_late
from autograder.page import STYLE
from autograder.report import report, summarise
from autograder.results import STATUSES, Check, Result, load_results

EVIL = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
HW = Exercise("one", "1a · The first", 4.0, section="1 · Beginnings")
WRITTEN = Exercise("why", "5a · Why?", 6.0, written=True)
EXERCISES = {
    "one": HW,
    "results": Exercise("results", "4 · Runs of your own", 10.0),
    "why": WRITTEN,
}
CHECKS = (
    Check("one", "adds two", 1.0, 1.0),
    Check("one", "adds many", 1.0, 3.0, "expected 4"),
    Check("results", "tasks", 5.0, 10.0, "tasks: pocket/rte"),
)


def graded(student: str = "ann", checks=CHECKS, **more) -> Result:
    given = {"status": "graded", "max_score": 20.0} | more
    given.setdefault("score", sum(check.points for check in checks))
    return Result(student, "hw", checks=checks, **given)


def paper(late=None, **given) -> Paper:
    """Of "ann", whose written answer is as given: Paper with `why` waiting unless said."""
    answer = Given(**({"points": 0.0, "most": 6.0} | given))
    return Paper("HW · A title", EXERCISES, {"ann": {"why": answer}}, late or {})


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.pieces, self.styled = set(), set(), [], []
        self.inside = ""
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.pieces))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside = tag
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        (self.styled if self.inside == "style" else self.pieces).append(data)


#: the tags and attributes that the pages are made of
OWN_TAGS = """html meta title style h1 h2 h3 p b div i span table tr th td a ul li details summary
    code br svg rect path text"""
OWN_ATTRIBUTES = """lang charset name content class style href open viewbox role aria-label
    font-family font-size text-anchor fill x y width height d stroke stroke-width stroke-dasharray
    paint-order"""


def evil_class() -> list[Result]:
    """Results in which everything that a student can choose is hostile."""
    check = Check(EVIL, EVIL, 0.0, 2.0, EVIL)
    run = Check("results", "tasks", 0.0, 2.0, EVIL)
    about = {"reason": EVIL, "notes": (EVIL,), "findings": (EVIL,), "needs_person": True}
    digests = {EVIL: {"adapter": "same", EVIL: "same"}}
    return [
        Result(f"{number}{EVIL}", EVIL, status, 0.0, 4.0, (check, run), digests=digests, **about)
        for number, status in enumerate(STATUSES)
    ]


def test_pages_make_text_of_what_students_write():
    people = evil_class()
    late = {one.student: Late(None, 1.0) for one in people}
    given = {one.student: {EVIL: Given(0.0, 1.0, waits=True)} for one in people}
    evil = Exercise(EVIL, EVIL, 1.0, written=True, section=EVIL)
    paper = Paper(EVIL, {EVIL: evil}, given, late)
    for page in (
        class_page(EVIL, people, paper),
        class_page(EVIL, people),
        *(summary_page(one, EVIL, paper) for one in people),
        *(summary_page(one) for one in people),
    ):
        seen = Seen(page)
        assert seen.tags <= set(OWN_TAGS.split())
        assert seen.attributes <= set(OWN_ATTRIBUTES.split())
        assert "".join(seen.styled) == STYLE
        assert "alert(1)" in seen.text, "said, as text"


def test_pages_need_nothing_from_elsewhere_and_stay_small():
    people = [graded(f"student-{number}") for number in range(500)]
    given = {one.student: {"why": Given(0.0, 6.0, waits=True)} for one in people}
    whole = class_page("hw", people, Paper("HW", EXERCISES, given))
    one = summary_page(people[0], "hw.html", Paper("HW", EXERCISES, given))
    for page in (whole, one):
        assert not re.findall(r"https?:|//\w|src=|url\(|@import|<link|<script", page)
    assert len(whole.encode()) < 150_000
    assert len(one.encode()) < 20_000


# --- a student's page -----------------------------------------------------------------------


def test_a_score_is_not_taken_for_final_while_answers_wait():
    seen = Seen(summary_page(graded(), None, paper(waits=True))).text
    assert "7 of 20 points" in seen
    assert "Not final: 6 more points wait for a person" in seen
    assert "1 answer of yours: 5a" in seen
    assert "6 points wait for a person" in seen.split("Your written answers")[1]


def test_once_read_an_answer_counts_and_nothing_waits():
    read = paper(points=5.0, by_hand=True)
    seen = Seen(summary_page(graded(score=12.0), None, read)).text
    assert "Not final" not in seen
    assert "this is your score" in seen
    assert "5 of 6" in seen.split("Your written answers")[1]
    empty = Seen(summary_page(graded(), None, paper())).text
    assert "not answered, 0 of 6" in empty


def test_doubts_are_not_final_either():
    seen = Seen(summary_page(graded(needs_person=True), None, Paper())).text
    assert "Not final" in seen


def test_the_sum_says_where_the_score_comes_from():
    late = {"ann": Late(datetime.timedelta(hours=30), 3.0)}
    result = graded(score=9.0, notes=("late: 3 points less", "renamed"))
    page = summary_page(result, None, paper(late, points=5.0, by_hand=True))
    assert "code, by checks<td class=n>2<td class=n>of 4" in page
    assert "runs<td class=n>5<td class=n>of 10" in page
    assert "written answers<td class=n>5<td class=n>of 6" in page
    assert "handed in 30 h late<td class=n>−3" in page
    assert "changed by a person" not in page
    assert "renamed" in page
    assert "late: 3 points" not in page, "said once"


def test_points_that_a_person_put_in_place_of_a_check_are_said():
    given = {"ann": {"one": Given(4.0, 4.0, by_hand=True)}}
    page = summary_page(graded(score=9.0), None, Paper("HW", EXERCISES, given))
    assert "4 of 4, by a person" in page
    assert "changed by a person<td class=n>2" in page


def test_bonus_is_said_to_be_one():
    checks = (*CHECKS, Check("bonus-more", "more", 2.0, 2.0))
    page = summary_page(graded(checks=checks))
    assert "bonus, which may lead above the maximum<td class=n>2" in page
    assert "code, by checks<td class=n>2<td class=n>of 4" in page


def test_what_lost_points_is_open_and_in_words():
    page = summary_page(graded(), None, paper())
    assert re.search(r"<details open><summary><span>1a · The first.*?2 of 4", page)
    assert "tasks with a run that counts" in page
    assert "pocket/rte" in page
    full = (Check("one", "adds two", 1.0, 1.0),)
    assert "<details><summary>" in summary_page(graded(checks=full))


def test_every_status_is_said_in_words():
    for status, meaning in STATUSES.items():
        seen = Seen(summary_page(graded(status=status, checks=()))).text
        if status != "graded":
            assert meaning[1:] in seen


# --- the class --------------------------------------------------------------------------------


def test_runs_stand_apart_from_code_and_hard_checks_first():
    seen = Seen(class_page("hw", [graded()], paper())).text
    code, runs = seen.split("The code, exercise by exercise")[1].split("The runs")
    assert code.index("adds many") < code.index("adds two")
    assert "1a · The first" in code
    assert "4 points" in code
    assert "50%" in code, "2 of 4 points"
    assert "tasks" not in code
    assert "tasks with a run that counts" in runs.split("The written answers")[0]


def test_the_chart_counts_everybody_who_handed_in_once():
    scores = [0.0, 3.9, 4.0, 20.0, 20.0, 22.0]
    people = [graded(f"s{i}", score=score) for i, score in enumerate(scores)]
    page = class_page("hw", [*people, graded("gone", status="missing", checks=())])
    chart = page.split("<svg")[1].split("</svg>")[0]
    counts = re.findall(r"paint-order='stroke'>(\d+)<", chart)
    assert counts == ["1", "1", "1", "3"], "0 to 2, 2 to 4, 4 to 6, and the full points with bonus"
    assert "the median, 12" in chart
    assert "6 of 7 handed in" in page


def test_a_class_of_nobody_has_a_page():
    assert "0 of 1 handed in" in class_page("hw", [graded(status="missing", checks=())])


def test_who_needs_a_person_and_why():
    people = [
        graded("bug", status="infra_error", checks=(), reason="disk full", needs_person=True),
        graded("end", status="crashed", reason="one: ended", needs_person=True),
        graded("odd", notes=("two notebooks",), needs_person=True),
        graded("ann"),
        graded("fine", notes=("renamed",)),
    ]
    seen = Seen(class_page("hw", people, paper(waits=True))).text
    part = seen.split("Who needs a person, and why")[1].split("The code")[0]
    for words in ("bug disk full", "grade again", "end one: ended", "odd two notebooks"):
        assert words in part
    assert "5a · Why?: 1 ann" in part
    assert "fine" not in part
    assert "Not final: 1 written answer of 1 student" in seen
    assert summarise(people, paper(waits=True)).needs_person == ("bug", "end", "odd", "ann")
    assert "Nobody." in class_page("hw", [graded()])


def test_the_same_file_is_shown_for_a_person_to_judge():
    same = {"run": {"adapter": "abc", "predictions": "def"}}
    seen = Seen(class_page("hw", [graded(s, digests=same) for s in ("a", "b")])).text
    assert "a, b the same adapter in run; the same predictions in run" in seen
    assert "may be honest" in seen


def test_late_work_and_what_it_costs():
    late = {
        "ann": Late(datetime.timedelta(minutes=2), 0.0),
        "ben": Late(datetime.timedelta(days=3), 5.5),
    }
    seen = Seen(class_page("hw", [graded("ann"), graded("ben")], Paper(late=late))).text
    assert "ben 3 days late −5.5 points ann 2 min late costs nothing" in seen


# --- where titles and points come from --------------------------------------------------------


def _graded_cell(name: str, points: int, *, text: bool = False):
    meta = {"grade": True, "grade_id": name, "locked": not text, "points": points,
            "schema_version": 3, "solution": text, "task": False}  # fmt: skip
    return (new_markdown_cell if text else new_code_cell)("", metadata={"nbgrader": meta})


def test_exercises_are_called_by_the_heading_above():
    made = tiny.notebook()
    made.cells = [
        new_markdown_cell("# HW · All of it\n\n## Before you begin"),
        new_markdown_cell("## Exercise 1 · Bugs (8 points)\n\n```\n# no heading\n```"),
        new_markdown_cell("### 1a · The first\n\n★ · 4 points"),
        _graded_cell("first-check", 4),
        new_markdown_cell("### 1b"),
        _graded_cell("second-check", 4),
        new_markdown_cell("## Exercise 2 · Runs (bonus: up to 10 points more)\n\n### See it work"),
        _graded_cell("results-check", 10),
        new_markdown_cell("## Anything else"),
        _graded_cell("own", 2, text=True),
    ]
    assert title_of(made) == "HW · All of it"
    assert list(exercises_of(made).values()) == [
        Exercise("first", "1a · The first", 4, section="1 · Bugs"),
        Exercise("second", "1b · Bugs", 4, section="1 · Bugs"),
        Exercise("results", "2 · Runs", 10),
        Exercise("own", "Anything else", 2, written=True),
    ]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (None, "late"),
        (datetime.timedelta(seconds=90), "1 min late"),
        (datetime.timedelta(hours=47, minutes=59), "47 h late"),
        (datetime.timedelta(days=2), "2 days late"),
    ],
)
def test_how_late_in_words(by, said):
    assert str(Late(by, 0.0)) == said


WITH_A_QUESTION = tiny.notebook()
WITH_A_QUESTION.cells.append(_graded_cell("why", 6, text=True))
POLICY = """
[late]
percent_per_day = 25

[[deadline]]
assignments = ["tiny"]
groups = ["5"]
due = 2026-10-30T23:59:00
timezone = "Asia/Taipei"

[[deadline]]
assignments = ["tiny"]
groups = ["1"]
due = 2026-11-06T23:59:00
timezone = "Asia/Taipei"
"""


def test_a_class_is_read_until_nothing_waits(tmp_path, workers):
    """From release to the last point given by hand, with two deadlines."""
    from autograder.grade import grade_class
    from autograder.release import release

    folder = tiny.write_assignment(tmp_path / "assignments", WITH_A_QUESTION)
    (folder / "policy.toml").write_text(POLICY)
    stub = nbformat.read(
        release("tiny", tmp_path / "course", assignments_dir=folder, run=False), as_version=4
    )
    for student in ("ann", "ben"):
        made = tiny.answered(nbformat.from_dict(stub), tiny.SOLUTIONS)
        made.cells[-1].source = made.cells[-1].source.replace("YOUR ANSWER HERE", "Because.")
        place = tmp_path / "in" / student
        place.mkdir(parents=True)
        nbformat.write(made, place / "tiny.ipynb")
        (place / "timestamp.txt").write_text("2026-10-31 12:00:00 Asia/Taipei")
    (tmp_path / "roster.csv").write_text("student_id,group\nann,5\nben,1\n")
    done = grade_class(
        "tiny", tmp_path / "course", tmp_path / "in", roster=tmp_path / "roster.csv",
        workers=workers, progress=False,
    )  # fmt: skip
    assert all(one.needs_person for one in done), "both have answered in words"
    course = open_course(tmp_path / "course")
    late = handed_in_late(course, "tiny")
    assert list(late) == ["ann"]
    assert (str(late["ann"]), late["ann"].costs) == ("12 h late", 1.0)
    assert report("tiny", course.root).summary.needs_person == ("ann", "ben")
    (page,) = feedback("tiny", course.root, ["ben"])
    assert "6 more points wait" in Seen(page.read_text("utf-8")).text

    with course.gradebook() as gradebook:
        for student in ("ann", "ben"):
            given = gradebook.find_grade("why", "tiny", "tiny", student)
            given.manual_score, given.needs_manual_grade = 5.0, False
        gradebook.db.commit()
    assert report("tiny", course.root).summary.needs_person == ()
    (page,) = feedback("tiny", course.root, ["ben"])
    seen = Seen(page.read_text("utf-8")).text
    assert "9 of 10 points" in seen
    assert "Not final" not in seen


def test_pages_of_a_real_class(tiny_class, tmp_path):
    course = open_course(shutil.copytree(tiny_class / "course", tmp_path / "course"))
    results, about = load_results(course, "tiny"), read_paper(course, "tiny")
    seen = Seen(class_page("tiny", results, about))
    assert seen.tags <= set(OWN_TAGS.split())
    assert "<script>alert(1)" in seen.text, "what student html raised, as text"
    assert "exits half: ended" in seen.text
