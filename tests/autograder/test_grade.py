"""Grading: every submission ends in one status, none stops the others, a stopped run goes on."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_homework as tiny

from autograder import bench
from autograder.course_folder import open_course
from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.release import release
from autograder.results import load_result, load_results
from course_utils.errors import CourseError


@pytest.mark.parametrize("student", tiny.CLASS)
def test_status_and_score(tiny_class, student):
    _, _, status, score = tiny.CLASS[student]
    result = load_result(open_course(tiny_class / "course"), "tiny", student)
    assert (result.status, result.score, result.max_score) == (status, score, 4), result
    if result.checks:
        assert [check.name for check in result.checks] == [
            "doubles 2", "doubles any number", "halves any number"
        ]  # fmt: skip
        assert result.earned == score
        assert all(bool(c.message) == (c.points < c.max_points) for c in result.checks)
    with open_course(tiny_class / "course").gradebook() as gradebook:
        submission = gradebook.find_submission("tiny", student)
        assert submission.score == score
        assert not submission.needs_manual_grade


def test_unreadable_and_missing(tiny_class):
    course = open_course(tiny_class / "course")
    unreadable = load_result(course, "tiny", "no-notebook")
    assert unreadable.status == "student_error"
    assert "not JSON" in unreadable.reason
    assert unreadable.needs_person
    assert unreadable.notes == ("not on the roster",)
    assert load_result(course, "tiny", "absent").status == "missing"


def test_messages_say_what_was_expected_without_a_traceback(tiny_class):
    course = open_course(tiny_class / "course")
    said = {c.name: c.message for c in load_result(course, "tiny", "skips-by-tag").checks}
    assert said == {
        "doubles 2": "double(2): not the value that the docstring asks for.",
        "doubles any number": (
            "double of a large number: not the value that the docstring asks for."
        ),
        "halves any number": "not written yet",
    }


def test_feedback_hides_the_tests_and_escapes(tiny_class):
    pages = feedback("tiny", tiny_class / "course", ["html", "only-what-shows", "absent"])
    assert [page.parent.parent.name for page in pages] == ["absent", "html", "only-what-shows"]
    assert "missing" in pages[0].read_text("utf-8")
    for page in pages[1:]:
        for text in (page.read_text("utf-8"), page.with_name("tiny.html").read_text("utf-8")):
            assert "expect_value" not in text
            assert "<script>alert" not in text
            assert "doubles any number" in text
    assert "double of a large number: not the value" in pages[2].read_text("utf-8")


def test_resumes_and_regrades(course_dir, hand_in, monkeypatch, workers):
    runs = []
    real = bench.judge_submission

    def counted(job, student, *args, **kwargs):
        runs.append(student)
        return real(job, student, *args, **kwargs)

    monkeypatch.setattr(bench, "judge_submission", counted)
    folder = hand_in("ann", **tiny.SOLUTIONS)
    hand_in("ben", double="return 0")

    def graded(**options) -> tuple[list[str], dict[str, float]]:
        runs.clear()
        results = grade_class(
            "tiny", course_dir, folder, workers=workers, progress=False, **options
        )
        return sorted(runs), {result.student: result.score for result in results}

    assert graded() == (["ann", "ben"], {"ann": 4, "ben": 0})
    assert graded() == ([], {"ann": 4, "ben": 0})
    hand_in("ben", double="return x * 2")
    assert graded() == (["ben"], {"ann": 4, "ben": 3})
    assert graded(students=["ann"], regrade=True) == (["ann"], {"ann": 4})
    path = course_dir / "results" / "tiny" / "ann.json"
    path.write_text(path.read_text("utf-8")[:40], "utf-8")  # cut short, as by a full disk
    assert graded() == (["ann"], {"ann": 4, "ben": 3})


def test_submissions_lying_in_the_course_folder(course_dir, hand_in, workers):
    folder = hand_in("ann", **tiny.SOLUTIONS)
    place = course_dir / "submitted" / "ann" / "tiny"
    place.parent.mkdir()
    (folder / "ann").rename(place)
    (place / "tiny.ipynb").rename(place / "my tiny.ipynb")
    first = grade_class("tiny", course_dir, workers=workers, progress=False)
    again = grade_class("tiny", course_dir, workers=workers, progress=False)
    named = grade_class(
        "tiny", course_dir, course_dir / "submitted", workers=workers, progress=False
    )
    assert [result.score for result in first] == [4]
    assert first == again == named


def test_work_for_another_assignment_does_not_count(course_dir, hand_in, tmp_path, workers):
    folder = hand_in("ann", **tiny.SOLUTIONS)
    shutil.copytree(folder / "ann", course_dir / "submitted" / "ann" / "other")
    (tmp_path / "roster.csv").write_text("student_id\nann\n", "utf-8")
    (result,) = grade_class(
        "tiny", course_dir, roster=tmp_path / "roster.csv", workers=workers, progress=False
    )
    assert result.status == "missing"


def test_points_given_by_a_person_count(course_dir, hand_in, workers):
    folder = hand_in("ann", double="return 0")
    grade_class("tiny", course_dir, folder, workers=workers, progress=False)
    course = open_course(course_dir)
    with course.gradebook() as gradebook:
        given = gradebook.find_grade("half-check", "tiny", "tiny", "ann")
        given.manual_score = 1
        gradebook.db.commit()
    assert [result.score for result in load_results(course, "tiny")] == [1]


def test_the_graders_own_failure_is_no_students(course_dir, tmp_path, workers):
    broken = tiny.notebook(setup="import nowhere_at_all")
    folder = tiny.write_assignment(tmp_path / "assignments", broken)
    stub = release("tiny", course_dir, assignments_dir=folder, run=False)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_bytes(stub.read_bytes())
    (result,) = grade_class("tiny", course_dir, tmp_path / "in", workers=workers, progress=False)
    assert result.status == "infra_error"
    assert "nowhere_at_all" in result.reason
    assert result.needs_person


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs=0: expected 1 or more"),
        ({"submissions": "not-there"}, "not-there is not there"),
        ({"students": ["an"]}, "Did you mean 'ann'"),
    ],
)
def test_useless_arguments_are_refused_before_any_work(
    course_dir, hand_in, options, message, workers
):
    folder = hand_in("ann", **tiny.SOLUTIONS)
    with pytest.raises(CourseError, match=message):
        grade_class(
            "tiny",
            course_dir,
            **{"submissions": folder, "progress": False, "workers": workers} | options,
        )
    assert not list((course_dir / "results").rglob("*.json"))


def test_empty_class_is_refused(course_dir, workers):
    with pytest.raises(CourseError, match="nobody to grade"):
        grade_class("tiny", course_dir, workers=workers, progress=False)


def test_results_are_plain_json(tiny_class):
    text = (tiny_class / "course" / "results" / "tiny" / "right.json").read_text("utf-8")
    assert json.loads(text)["status"] == "graded"
