"""Lateness in the gradebook: by the group's own deadline, the same for nbgrader and for us."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import tiny_homework as tiny

from autograder import bench
from autograder.course_folder import open_course
from autograder.export import gradebook_rows, scores_of
from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.late import group_of
from autograder.release import release
from autograder.report import report
from course_utils.errors import CourseError

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
ROSTER = "student_id,group\nann,5\nben,1\ncid,5\n"


@pytest.fixture
def course(course_dir, tmp_path):
    """Released with the policy; four points to earn."""
    (course_dir / "policy.toml").write_text(POLICY)
    (tmp_path / "roster.csv").write_text(ROSTER)
    return tmp_path


@pytest.fixture
def graded(course, workers):
    """graded(folder, students) -> what grading gives, by the roster."""

    def grade(folder: Path, students: list[str] | None = None):
        given = {"roster": course / "roster.csv", "workers": workers, "progress": False}
        return grade_class("tiny", course / "course", folder, students, **given)

    return grade


def test_each_group_by_its_own_deadline(course, hand_in, graded):
    times = {"ann": "2026-11-01 12:00:00 Asia/Taipei", "ben": "2026-11-01 12:00:00 Asia/Taipei",
             "cid": "2026-10-30 23:58:00 Asia/Taipei"}  # fmt: skip
    for student, stamp in times.items():
        folder = hand_in(student, **tiny.SOLUTIONS)
        (folder / student / "timestamp.txt").write_text(stamp)
    graded(folder)
    with open_course(course / "course").gradebook() as gradebook:
        rows = {row["student_id"]: row for row in gradebook_rows(gradebook)}
    taken = {student: row["late_submission_penalty"] for student, row in rows.items()}
    assert taken == {"ann": 2.0, "ben": 0.0, "cid": 0.0}, "two days begun, 25 % each, of 4 points"
    assert rows["ann"]["score"] == 2.0


def test_a_changed_deadline_is_applied_without_judging_anew(course, hand_in, graded, monkeypatch):
    folder = hand_in("ann", **tiny.SOLUTIONS)
    (folder / "ann" / "timestamp.txt").write_text("2026-11-01 12:00:00 Asia/Taipei")

    def score() -> float:
        found = graded(folder, ["ann"])
        with open_course(course / "course").gradebook() as gradebook:
            (row,) = gradebook_rows(gradebook, students={"ann"})
        assert row["score"] == found[0].score
        return row["score"]

    assert score() == 2  # two days begun, 25 % each

    def judged(*_, **__):
        raise AssertionError("judged anew")

    monkeypatch.setattr(bench, "judge_submission", judged)
    policy = course / "course" / "policy.toml"
    policy.write_text(POLICY.replace("2026-10-30T23:59", "2026-10-31T23:59"))
    assert score() == 3
    extension = '\n[[extension]]\nstudent = "ann"\nassignments = ["tiny"]\ndays = 3\n'
    policy.write_text(POLICY + extension)
    assert score() == 4
    policy.write_text(POLICY.replace("percent_per_day = 25", "percent_per_day = 50"))
    assert score() == 0


def test_a_student_without_a_deadline_is_found_before_anything_is_graded(course, hand_in, graded):
    folder = hand_in("dan", **tiny.SOLUTIONS)
    (course / "roster.csv").write_text(ROSTER + "dan,9\n")
    with pytest.raises(CourseError, match="dan is in group '9', for which the policy sets no"):
        graded(folder)
    assert not list((course / "course" / "autograded").iterdir())


def test_an_extension_for_nobody(course, hand_in, graded):
    folder = hand_in("ann", **tiny.SOLUTIONS)
    with (course / "course" / "policy.toml").open("a") as file:
        file.write('\n[[extension]]\nstudent = "an"\nassignments = ["tiny"]\ndays = 1\n')
    with pytest.raises(CourseError, match="more time to 'an', who is not on the roster"):
        graded(folder)


def test_a_wrong_policy_stops_the_release(tmp_path):
    folder = tiny.write_assignment(tmp_path / "assignments", tiny.notebook())
    (folder / "policy.toml").write_text("latte = 1\n")
    with pytest.raises(CourseError, match=r"policy\.toml, line 1: latte is unknown"):
        release("tiny", tmp_path / "course", assignments_dir=folder, run=False)


def test_the_group_is_that_of_the_roster(tmp_path):
    assert group_of("ann", tmp_path) == ""
    with (tmp_path / "roster.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["student_id", "group"], ["ann", " 5 "]])
    assert group_of("ann", tmp_path) == "5"
    assert group_of("bob", tmp_path) == ""


def test_points_given_by_hand_are_late_too(course, hand_in, graded):
    """A person gives two points for a written answer; nbgrader has reckoned lateness before."""
    for student, stamp in (("ann", "2026-11-01 12:00:00"), ("cid", "2026-10-30 12:00:00")):
        folder = hand_in(student, **tiny.SOLUTIONS)
        (folder / student / "timestamp.txt").write_text(f"{stamp} Asia/Taipei")
    graded(folder)
    opened = open_course(course / "course")
    with opened.gradebook() as gradebook:
        for one in gradebook.assignment_submissions("tiny"):
            one.notebooks[0].grades[0].extra_credit = 2.0
        gradebook.db.commit()
    assert scores_of(opened, "tiny") == ({"ann": 3.0, "cid": 6.0}, 4.0), "half of 6, as of 4"
    assert {r.student: r.score for r in report("tiny", opened.root).results}["ann"] == 3.0
    page = feedback("tiny", opened.root, ["ann"])[0].read_text()
    assert "-3" in page or "−3" in page
    with opened.gradebook() as gradebook:
        (row,) = gradebook_rows(gradebook, students={"ann"})
    assert (row["raw_score"], row["late_submission_penalty"]) == (6.0, 3.0)
