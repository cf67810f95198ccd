"""Files for Canvas and Moodle: who, what counts, quoted."""

from __future__ import annotations

import csv
import shutil

import pytest
import tiny_homework as tiny

from autograder.course_folder import add_roster, open_course
from autograder.export import export_for, scores_of
from autograder.release import release
from course_utils.errors import CourseError

ROSTER = """student_id,first_name,last_name,email,canvas_id,group
right,Ada,"Almeida, ""A"" B",ada@example.org,4711,1
syntax,Bo,,bo@example.org,,2
nobody,,,,,2
"""
POLICY = 'one_of = [["tiny", "small"]]\n'


@pytest.fixture
def course(tiny_class, tmp_path):
    made = open_course(shutil.copytree(tiny_class / "course", tmp_path / "course"))
    (tmp_path / "roster.csv").write_text(ROSTER, "utf-8")
    add_roster(made, tmp_path / "roster.csv")
    return made


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_canvas(course):
    path = export_for("canvas", course, "tiny")
    first, *rows = read(path)
    assert list(first) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "tiny"]
    assert (first["Student"].strip(), first["tiny"]) == ("Points Possible", "4")
    assert rows[0] == {
        "Student": 'Almeida, "A" B, Ada', "ID": "4711", "SIS User ID": "",
        "SIS Login ID": "right", "Section": "1", "tiny": "4",
    }  # fmt: skip
    assert (rows[1]["Student"], rows[1]["tiny"]) == ("Bo", "3")
    assert (rows[2]["Student"], rows[2]["tiny"]) == ("nobody", "")
    assert "html" in {row["SIS Login ID"] for row in rows[3:]}, "graded, but not on the roster"


def test_moodle(course):
    rows = read(export_for("moodle", course, "tiny"))
    assert rows[0] == {
        "username": "right", "idnumber": "right", "email": "ada@example.org", "tiny": "4"
    }  # fmt: skip
    assert rows[2]["tiny"] == "-"


def test_of_two_homeworks_the_better_one_counts(course, tmp_path):
    (course.root / "policy.toml").write_text(POLICY)
    folder = tmp_path / "assignments"
    tiny.write_assignment(folder, tiny.notebook())
    (folder / "source" / "tiny").rename(folder / "source" / "small")
    (folder / "source" / "small" / "tiny.ipynb").rename(folder / "source" / "small" / "small.ipynb")
    (folder / "checks" / "tiny.py").rename(folder / "checks" / "small.py")
    release("small", course.root, assignments_dir=folder, run=False)
    with course.gradebook() as gradebook:
        for student, points in (("right", 1), ("unwritten", 2)):
            submission = gradebook.update_or_create_submission("small", student)
            submission.notebooks[0].grades[0].manual_score = points
        gradebook.db.commit()
    scores, most = scores_of(course, None)
    assert most == 4
    assert (scores["right"], scores["unwritten"], scores["syntax"]) == (4, 2, 3)
    assert "nobody" not in scores
    rows = {row["SIS Login ID"]: row for row in read(export_for("canvas", course))}
    assert (rows["unwritten"]["Homework"], rows["nobody"]["Homework"]) == ("2", "")


def test_what_can_not_be_exported(course, tmp_path):
    with pytest.raises(CourseError, match="Did you mean 'canvas'"):
        export_for("canvass", course, "tiny")
    with pytest.raises(CourseError, match="tiny"):
        export_for("canvas", course, "tinny")
    with pytest.raises(CourseError, match="nobody to export"):
        export_for("moodle", open_course(tmp_path / "empty"))
