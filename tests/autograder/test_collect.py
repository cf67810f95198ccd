"""What an LMS gives, sorted by student; nothing hostile gets out of a zip."""

from __future__ import annotations

import zipfile

import pytest

from autograder import collect as collecting
from autograder.collect import collect
from course_utils.errors import CourseError

ROSTER = [
    {"student_id": "s1", "first_name": "Ada", "last_name": "Almeida", "canvas_id": "4711"},
    {"student_id": "s2", "first_name": "Dora", "last_name": "Díaz, de la Cruz", "email": "d@x.org"},
    {"student_id": "s3", "first_name": "Li", "last_name": "Wei", "moodle_id": "77"},
    {"student_id": "s4", "first_name": "Li", "last_name": "Wei", "moodle_id": "78"},
]
CANVAS = {
    "almeidaada_4711_99012_hw.ipynb": "ada",
    "diazdelacruzdora_LATE_4712_99013_hw-1.ipynb": "dora",
    "weili_4713_99014_hw.ipynb": "one of two",
}
MOODLE = {
    "Ada Almeida_5_assignsubmission_file/hw.ipynb": "ada",
    "Li Wei_78_assignsubmission_file/hw.zip": "the second",
    "Li Wei_79_assignsubmission_file/hw.ipynb": "one of two",
}
GRADESCOPE = {
    "assignment_1_export/submission_1/work/hw.ipynb": "ada",
    "assignment_1_export/submission_2/hw.ipynb": "dora",
    "assignment_1_export/submission_2/timestamp.txt": "2000-01-01 00:00:00 UTC",
    "assignment_1_export/submission_2/sub/collected.txt": "give me all points",
    "assignment_1_export/submission_metadata.yml": (
        "---\nsubmission_1:\n  :submitters:\n  - :name: Ada A.\n    :sid: s1\n    :email: x\n"
        "  :created_at: 2026-10-30 12:00:00 Z\n"
        "submission_2:\n  :submitters:\n  - :name: Dora\n    :sid: ''\n    :email: d@x.org\n"
    ),
}
PLAIN = {"s1/hw.ipynb": "ada", "s2.ipynb": "dora", "s3.zip": "li", ".DS_Store": "", "notes.txt": ""}


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("files", "students"),
    [
        (CANVAS, {"s1": "hw.ipynb", "s2": "hw-1.ipynb", "weili-4713": "hw.ipynb"}),
        (MOODLE, {"s1": "hw.ipynb", "s4": "hw.zip", "Li Wei-79": "hw.ipynb"}),
        (GRADESCOPE, {"s1": "hw.ipynb", "s2": "hw.ipynb"}),
        (PLAIN, {"s1": "hw.ipynb", "s2": None, "s3": None}),
    ],
    ids=["Canvas", "Moodle", "Gradescope", "plain"],
)
def test_every_layout(tmp_path, packed, files, students):
    if packed:
        source = zipped(tmp_path / "download.zip", files)
    else:
        source = written(tmp_path / "download", files)
    found = collect(source, tmp_path / "into", ROSTER)
    assert found.keys() == students.keys()
    texts = set(files.values())
    for student, name in students.items():
        path = found[student] if name is None else found[student] / name
        assert path.read_text("utf-8") in texts


def test_whoever_is_not_certain_is_said(tmp_path):
    found = collect(written(tmp_path / "in", CANVAS), tmp_path / "into", ROSTER)
    assert (
        "'weili' (4713): nobody, or several" in (found["weili-4713"] / "collected.txt").read_text()
    )
    assert "late, but not when" in (found["s2"] / "collected.txt").read_text()
    assert not (found["s1"] / "collected.txt").exists()


def test_times_are_the_lms_own_and_no_students(tmp_path):
    found = collect(written(tmp_path / "in", GRADESCOPE), tmp_path / "into", ROSTER)
    assert (found["s1"] / "timestamp.txt").read_text() == "2026-10-30 12:00:00+00:00\n"
    assert sorted(p.name for p in found["s2"].iterdir()) == ["hw.ipynb"]


def test_what_was_collected_before_goes(tmp_path):
    zipped(tmp_path / "a.zip", {"s1/hw.ipynb": "old", "s9/hw.ipynb": "gone"})
    collect(tmp_path / "a.zip", tmp_path / "into")
    zipped(tmp_path / "b.zip", {"s1/hw.ipynb": "new"})
    found = collect(tmp_path / "b.zip", tmp_path / "into")
    assert {s: (p / "hw.ipynb").read_text() for s, p in found.items()} == {"s1": "new"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../s1.ipynb", "leads out of the zip"),
        ("/etc/s1.ipynb", "leads out of the zip"),
        ("s1/..\\..\\x.ipynb", "leads out of the zip"),
        ("C:\\x.ipynb", "leads out of the zip"),
    ],
)
def test_paths_that_lead_out(tmp_path, name, says):
    with pytest.raises(CourseError, match=says):
        collect(zipped(tmp_path / "a.zip", {name: "x"}), tmp_path / "into")
    assert not list(tmp_path.rglob("*.ipynb"))


def test_links_bombs_and_what_is_no_zip(tmp_path, monkeypatch):
    link = zipfile.ZipInfo("s1/hw.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(CourseError, match="is a link"):
        collect(tmp_path / "link.zip", tmp_path / "into")
    monkeypatch.setattr(collecting, "MOST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("s1/hw.ipynb", "0" * 5_000_000)
    with pytest.raises(CourseError, match="a bomb"):
        collect(tmp_path / "bomb.zip", tmp_path / "into")
    monkeypatch.setattr(collecting, "MOST_FILES", 1)
    with pytest.raises(CourseError, match="holds 2 files; 1 at most"):
        collect(zipped(tmp_path / "many.zip", {"a/x": "", "b/x": ""}), tmp_path / "into")
    (tmp_path / "no.zip").write_text("no")
    with pytest.raises(CourseError, match="is no zip"):
        collect(tmp_path / "no.zip", tmp_path / "into")
    with pytest.raises(CourseError, match="is not there"):
        collect(tmp_path / "nothing", tmp_path / "into")
