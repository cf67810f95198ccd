"""What an LMS lets a TA download, sorted by student.

    plain        ada/hw.ipynb, ada.ipynb, ada.zip                         named by student id
    Canvas       almeidaada_LATE_4711_99012_hw.ipynb                      all files in one folder
    Moodle       Ada Almeida_4711_assignsubmission_file/hw.ipynb
    Gradescope   submission_99012/hw.ipynb, and submission_metadata.yml

A folder is read where it lies; a zip is unpacked, with limits, into the course folder. Students are
found by the roster: its columns canvas_id, moodle_id, email, or their names. Whoever can't be found
keeps the LMS's name, so that nothing is lost, and a note.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autograder.zips import opened, parts
from course_utils.errors import CourseError

MOST_FILES = 20_000
MOST_BYTES = 5_000_000_000
NOTES, TIME = OURS = ("collected.txt", "timestamp.txt")  #: written beside a submission
METADATA = "submission_metadata.yml"
CANVAS = re.compile(r"(?P<name>[^\W_]+)_(?P<late>LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)")
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_\w+")
GRADESCOPE = re.compile(r"submission_(?P<id>\d+)")

Row = Mapping[str, str]


@dataclass
class Collected:
    """Who handed in what.

    Attributes:
        files: student -> file name -> where it lies.
        times: student -> when that was handed in, where the LMS says so.
        notes: student -> what the TA should know.
        layout: "plain", "Canvas", "Moodle" or "Gradescope".
    """

    layout: str
    files: dict[str, dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))
    times: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def collect(source: Path, into: Path, roster: Sequence[Row] = ()) -> dict[str, Path]:
    """Student -> the folder (or file) with what that student handed in.

    Args:
        source: a folder or zip.
        into: a folder that is made anew, for what has to be unpacked or sorted.
        roster: rows of the roster, with whatever columns it has.

    Raises:
        CourseError: no such file, no zip, one that is too large, with links or with paths that
            lead out of it; Gradescope's metadata that can't be read.
    """
    source = source.resolve()
    if source.is_file():
        shutil.rmtree(into, ignore_errors=True)
        source = unpack(source, into / "unpacked")
    elif not source.is_dir():
        raise CourseError(f"no submissions: {source} is not there.")
    found = sort(_top(source), roster)
    if found is None:
        return plain(_top(source))
    place = into / "sorted"
    shutil.rmtree(place, ignore_errors=True)
    for student, files in found.files.items():
        folder = place / student
        folder.mkdir(parents=True)
        for name, path in files.items():
            if name not in OURS:  # a time of their own making
                shutil.copyfile(path, folder / name)
        if student in found.times:
            (folder / TIME).write_text(found.times[student] + "\n", "utf-8")
        if found.notes[student]:
            (folder / NOTES).write_text("\n".join(found.notes[student]) + "\n", "utf-8")
    return plain(place)


def plain(folder: Path) -> dict[str, Path]:
    """Folders, notebooks and zips that are named by student id."""
    entries = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    kinds = (".zip", ".ipynb")
    files = {p.stem: p for p in sorted(entries) if p.suffix in kinds and p.is_file()}
    return files | {p.name: p for p in entries if p.is_dir()}


def _top(folder: Path) -> Path:
    """The folder itself, or the only one in it: some tools wrap everything in one."""
    entries = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    wrapped = len(entries) == 1 and entries[0].is_dir() and _layout(entries[0]) != "plain"
    return entries[0] if wrapped else folder


def _layout(folder: Path) -> str:
    names = [p.name for p in folder.iterdir()]
    if METADATA in names:
        return "Gradescope"
    if any(MOODLE.fullmatch(name) for name in names):
        return "Moodle"
    if any(CANVAS.fullmatch(p.name) and p.is_file() for p in folder.iterdir()):
        return "Canvas"
    return "plain"


def sort(folder: Path, roster: Sequence[Row]) -> Collected | None:
    """The files of an LMS's download by student; None where it is sorted already."""
    layout = _layout(folder)
    if layout == "plain":
        return None
    found = Collected(layout)
    people = _People(roster)
    {"Canvas": _canvas, "Moodle": _moodle, "Gradescope": _gradescope}[layout](folder, people, found)
    return found


def _canvas(folder: Path, people: _People, found: Collected) -> None:
    for path in sorted(folder.iterdir()):
        match = CANVAS.fullmatch(path.name)
        if not match or not path.is_file() or path.is_symlink():
            continue
        student = people.find(found, canvas_id=match["id"], name=match["name"])
        found.files[student][match["file"]] = path
        if match["late"]:
            found.notes[student].append("Canvas says: late, but not when; give it a timestamp.txt")


def _moodle(folder: Path, people: _People, found: Collected) -> None:
    for path in sorted(folder.iterdir()):
        match = MOODLE.fullmatch(path.name)
        if match and path.is_dir():
            student = people.find(found, moodle_id=match["id"], name=match["name"])
            found.files[student] |= _below(path)


def _gradescope(folder: Path, people: _People, found: Collected) -> None:
    import yaml

    path = folder / METADATA
    try:
        # the file is YAML with Ruby's symbols: their colons are no part of the names
        text = re.sub(r"^(\s*(?:- )?):(\w+):", r"\1\2:", path.read_text("utf-8"), flags=re.M)
        listed = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as broken:
        raise CourseError(f"{path.name} can't be read: {broken}") from broken
    for name, about in (listed or {}).items():
        place = folder / str(name)
        if not GRADESCOPE.fullmatch(str(name)) or not place.is_dir() or not isinstance(about, dict):
            continue
        for person in about.get("submitters") or [{}]:
            student = people.find(
                found,
                student_id=str(person.get("sid") or ""),
                email=str(person.get("email") or ""),
                name=str(person.get("name") or name),
            )
            found.files[student] |= _below(place)
            created = about.get("created_at")
            if created is not None:
                found.times[student] = str(created)


def _below(folder: Path) -> dict[str, Path]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())
    return {path.name: path for path in files}


class _People:
    """The roster, asked by whatever an LMS knows of a student."""

    def __init__(self, roster: Iterable[Row]) -> None:
        self.by: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in roster:
            student = row["student_id"]
            for column in ("student_id", "canvas_id", "moodle_id", "email"):
                self.by[column, _key(row.get(column) or "")].add(student)
            first, last = row.get("first_name") or "", row.get("last_name") or ""
            for name in (first + last, last + first):
                self.by["name", _key(name)].add(student)

    def find(self, found: Collected, *, name: str, **known: str) -> str:
        """The student's id; the LMS's own name, with a note, where that is not certain."""
        for column, value in [*known.items(), ("name", name)]:
            students = self.by.get((column, _key(value)), set()) if _key(value) else set()
            if len(students) == 1:
                return next(iter(students))
        student = re.sub(r"[./\\*?\[\]]", "-", name).strip() or "unnamed"
        number = next(iter(known.values()), "")
        student = f"{student}-{number}" if number and self.by else student
        if self.by and not found.notes[student]:
            found.notes[student].append(
                f"{found.layout} knows this student as {name!r} ({number}): nobody, or several, on "
                "the roster. Add a column canvas_id, moodle_id or email to it."
            )
        return student


def _key(text: str) -> str:
    """Text without marks, case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if c.isalnum())


def unpack(path: Path, into: Path) -> Path:
    """A zip's files below a folder; links, paths out of it and bombs are refused.

    Raises:
        CourseError: with what is wrong with which entry.
    """
    with opened(path, MOST_FILES) as (archive, entries):
        left = MOST_BYTES
        for entry in entries:
            name = PurePosixPath(entry.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                raise CourseError(f"{path.name}: {entry.filename!r} leads out of the zip.")
            place = into / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    for part in parts(archive, entry, left, f"{path.name}: {entry.filename!r}"):
                        left -= file.write(part)
            except OSError as odd:  # a name too long, a file where a folder should be
                raise CourseError(f"{path.name}: {entry.filename!r}: {odd}.") from odd
    return into
