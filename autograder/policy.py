"""The course's policy as data: deadlines by group, lateness, extensions, what counts, how much.

    policy = read_policy(Path("policy.toml"))
    policy.due("hw_prompt", group="5")                     an aware datetime
    policy.penalty("hw_prompt", 80.0, handed_in, "5")      points taken off
    policy.counted({"hw_prompt": 70, "hw_adapter": 85})    {"hw_adapter": 85}

A wrong file is refused before anything is graded, with the line and what was expected.
"""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from autograder.evidence.recompute import Evidence
from autograder.sandbox.limits import Limits
from course_utils.errors import CourseError
from course_utils.submit import all_asked, asked_by

EARNED_BY = ("tasks", "methods", "beats")
TRACKS = tuple(dict.fromkeys(track for asked in all_asked().values() for track in asked.tracks))
KEYS = ("one_of", "tracks", "late", "deadline", "extension", "limits", "results")
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Late:
    """What lateness costs."""

    grace_minutes: float = 0.0
    percent_per_day: float = 0.0
    most_percent: float = 100.0
    closed_after_days: float | None = None


@dataclass(frozen=True)
class Deadline:
    """When the groups hand in the assignments; `due` knows its time zone."""

    assignments: tuple[str, ...]
    groups: tuple[str, ...]
    due: datetime.datetime


@dataclass(frozen=True)
class Extension:
    """More days for one student."""

    student: str
    assignments: tuple[str, ...]
    days: float
    reason: str = ""


@dataclass(frozen=True)
class ResultPoints:
    """Points for runs of one kind."""

    assignment: str
    earns: str
    points: float
    most: int


@dataclass(frozen=True)
class Earned:
    """What results earned under one rule, and why not more."""

    rule: ResultPoints
    count: int
    message: str

    @property
    def points(self) -> float:
        return self.rule.points * self.count


@dataclass(frozen=True)
class Policy:
    """All of a policy file.

    `tracks` are those on which runs count; their tasks are in course_utils/homework.toml. `limits`
    are (homework, what a student's code may use there).
    """

    one_of: tuple[tuple[str, ...], ...] = ()
    tracks: tuple[str, ...] = TRACKS
    late: Late = field(default_factory=Late)
    deadlines: tuple[Deadline, ...] = ()
    extensions: tuple[Extension, ...] = ()
    results: tuple[ResultPoints, ...] = ()
    limits: tuple[tuple[str, Limits], ...] = ()

    def limits_of(self, assignment: str) -> Limits:
        """What a student's code may use in this homework."""
        return dict(self.limits).get(assignment, Limits())

    def due(self, assignment: str, group: str, student: str = "") -> datetime.datetime | None:
        """When this student hands in; None where the policy sets no deadline for the assignment.

        Raises:
            CourseError: the assignment has deadlines, but none for the group.
        """
        those = [d for d in self.deadlines if assignment in d.assignments]
        if not those:
            return None
        its = [d for d in those if group in d.groups]
        if not its:
            known = ", ".join(sorted({g for d in those for g in d.groups}))
            raise CourseError(
                f"{student or 'a student'} is in group {group!r}, for which the policy sets no "
                f"deadline of {assignment}; it has the groups {known}."
            )
        more = [
            e.days for e in self.extensions if e.student == student and assignment in e.assignments
        ]
        return its[0].due + DAY * max(more, default=0)

    def earliest(self, assignment: str) -> datetime.datetime | None:
        """The first deadline of any group: what nbgrader is told, which knows only one."""
        return min((d.due for d in self.deadlines if assignment in d.assignments), default=None)

    def penalty(
        self,
        assignment: str,
        score: float,
        handed_in: datetime.datetime,
        group: str,
        student: str = "",
    ) -> float:
        """Points that lateness takes from a score, 0 to all of it.

        Args:
            handed_in: with its time zone; one without is taken as UTC, as nbgrader keeps it.
        """
        due = self.due(assignment, group, student)
        if due is None:
            return 0.0
        if handed_in.tzinfo is None:
            handed_in = handed_in.replace(tzinfo=datetime.UTC)
        # in UTC: between two times of one zone Python counts the clock's hours, summer time or not
        return self.penalty_of(
            score, handed_in.astimezone(datetime.UTC) - due.astimezone(datetime.UTC)
        )

    def penalty_of(self, score: float, late: datetime.timedelta) -> float:
        """Points that being so late takes from a score."""
        if late <= datetime.timedelta(minutes=self.late.grace_minutes):
            return 0.0
        days = late / DAY
        if self.late.closed_after_days is not None and days > self.late.closed_after_days:
            return score
        percent = min(self.late.percent_per_day * math.ceil(days), self.late.most_percent)
        return score * percent / 100

    def counted(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The scores that count: of each `one_of` the best, of equal ones the first listed."""
        left_out = set()
        for group in self.one_of:
            there = [name for name in group if name in scores]
            best = max(there, key=lambda name: scores[name], default=None)
            left_out |= {name for name in there if name != best}
        return {name: value for name, value in scores.items() if name not in left_out}

    def earned(self, assignment: str, evidence: Iterable[Evidence]) -> list[Earned]:
        """What the runs of a submission earn, rule by rule.

        Tracks are not mixed: of those that count the one on which the runs earn most is taken, of
        equal ones the first in `tracks`.

        Raises:
            CourseError: a homework that course_utils/homework.toml does not know.
        """
        rules = [rule for rule in self.results if rule.assignment == assignment]
        if not rules:
            return []
        runs = _Runs.sorted_out(asked_by(assignment).tracks, evidence)
        found = [runs.earned(rules, track) for track in self.tracks]
        best = max(found, key=lambda earned: sum(one.points for one in earned))
        track = self.tracks[found.index(best)]
        set_aside = runs.set_aside(track, self.tracks)
        return [
            replace(one, message=one.message + set_aside) if one.count < one.rule.most else one
            for one in best
        ]


@dataclass(frozen=True)
class _Runs:
    """A submission's runs by the track of their tasks; "" is that of tasks of no track."""

    by_track: Mapping[str, Sequence[Evidence]]
    without: int
    total: int

    @classmethod
    def sorted_out(cls, tracks: Mapping[str, Sequence[str]], evidence: Iterable[Evidence]) -> _Runs:
        runs = list(evidence)
        by_track: dict[str, list[Evidence]] = {}
        for run in runs:
            if run.counts:
                name = next((t for t, tasks in tracks.items() if run.record.task in tasks), "")
                by_track.setdefault(name, []).append(run)
        return cls(by_track, sum(not run.counts for run in runs), len(runs))

    def earned(self, rules: Sequence[ResultPoints], track: str) -> list[Earned]:
        """What the runs on one track earn."""
        runs = self.by_track.get(track, ())
        found = []
        for rule in rules:
            names = {
                "tasks": {run.record.task for run in runs},
                "methods": {run.record.method for run in runs},
                "beats": {run.record.task for run in runs if run.beats},
            }[rule.earns]
            message = f"{rule.earns}: {', '.join(sorted(names)) or 'none'}"
            found.append(Earned(rule, min(len(names), rule.most), message))
        return found

    def set_aside(self, taken: str, counting: Sequence[str]) -> str:
        """Which runs earn nothing, and why; "" if all of them can."""
        said = []
        if self.without:
            said.append(f"{self.without} of {self.total} runs do not count, see their findings")
        for track, runs in self.by_track.items():
            if track == taken:
                continue
            tasks = ", ".join(sorted({run.record.task for run in runs}))
            if not track:
                why = "the homework does not list it among its tasks"
            elif track in counting:
                why = f"that is the {track} track, the {taken} track earns more or as much, and "
                why += "tracks are not mixed"
            else:
                why = f"that is the {track} track, which does not count in this course"
            said.append(f"{tasks}: {why}")
        return "".join(f"; {one}" for one in said)


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        CourseError: no file, broken TOML, an unknown key, a value that is none, two deadlines for
            one group, a zone or date that does not exist: with the line and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError as missing:
        raise CourseError(f"there is no policy {path}.") from missing
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise CourseError(f"{path}: {broken}.") from broken
    return _Reader(path, text).policy(data)


@dataclass(frozen=True)
class _Reader:
    path: Path
    text: str

    def policy(self, data: dict[str, Any]) -> Policy:
        self.known(data, KEYS, "")
        one_of = data.get("one_of", [])
        if not isinstance(one_of, list) or not all(_texts(group) for group in one_of):
            raise self.wrong("", "one_of", one_of, "lists of homework names")
        tracks = data.get("tracks", list(TRACKS))
        if not _texts(tracks) or set(tracks) - set(TRACKS) or len(set(tracks)) < len(tracks):
            raise self.wrong("", "tracks", tracks, f"some of {', '.join(TRACKS)}, each once")
        late = Late(**self.table(data, "late", Late(), {"closed_after_days": float}))
        deadlines = tuple(self.deadline(row, i) for i, row in enumerate(data.get("deadline", [])))
        self.once(deadlines)
        return Policy(
            one_of=tuple(map(tuple, one_of)),
            tracks=tuple(tracks),
            late=late,
            deadlines=deadlines,
            extensions=tuple(
                self.extension(row, i) for i, row in enumerate(data.get("extension", []))
            ),
            results=tuple(self.result(row, i) for i, row in enumerate(data.get("results", []))),
            limits=tuple(self.limits(name, row) for name, row in self.tables(data, "limits")),
        )

    def tables(self, data: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        """The tables below a table, by name."""
        given = data.get(name, {})
        if not isinstance(given, dict):
            raise self.wrong("", name, given, f"tables [{name}.NAME]")
        for key, value in given.items():
            if not isinstance(value, dict):
                raise self.wrong(name, key, value, f"a table [{name}.NAME]")
        return list(given.items())

    def limits(self, assignment: str, row: dict[str, Any]) -> tuple[str, Limits]:
        where = f"limits.{assignment}"
        for key, value in row.items():
            try:
                Limits.from_table({key: value})
            except CourseError as odd:
                raise CourseError(f"{self.path}, line {self.line_of(where, key)}: {odd}") from None
        return assignment, Limits.from_table(row)

    def table(self, data: dict[str, Any], name: str, usual: Any, more: dict[str, type]) -> dict:
        """The numbers of a table, each at least 0."""
        given = data.get(name, {})
        self.known(given, tuple(vars(usual)), name)
        for key, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise self.wrong(name, key, value, "a number from 0 on")
        return given

    def deadline(self, row: dict[str, Any], number: int) -> Deadline:
        where = f"deadline#{number}"
        self.known(row, ("assignments", "groups", "due", "timezone"), where)
        self.texts(row, "assignments", where)
        self.texts(row, "groups", where)
        due, zone = row.get("due"), row.get("timezone")
        if not isinstance(due, datetime.datetime) or due.tzinfo is not None:
            raise self.wrong(where, "due", due, "a date with time, such as 2026-10-30T23:59:00")
        if zone not in available_timezones():
            raise self.wrong(where, "timezone", zone, "a zone such as 'Asia/Taipei'")
        return Deadline(
            tuple(row["assignments"]), tuple(row["groups"]), due.replace(tzinfo=ZoneInfo(zone))
        )

    def extension(self, row: dict[str, Any], number: int) -> Extension:
        where = f"extension#{number}"
        self.known(row, ("student", "assignments", "days", "reason"), where)
        self.texts(row, "assignments", where)
        if not isinstance(row.get("student"), str) or not row["student"]:
            raise self.wrong(where, "student", row.get("student"), "a student's id")
        days = row.get("days")
        if isinstance(days, bool) or not isinstance(days, int | float) or days <= 0:
            raise self.wrong(where, "days", days, "a number above 0")
        return Extension(row["student"], tuple(row["assignments"]), days, row.get("reason", ""))

    def result(self, row: dict[str, Any], number: int) -> ResultPoints:
        where = f"results#{number}"
        self.known(row, ("assignment", "earns", "points", "most"), where)
        if not isinstance(row.get("assignment"), str):
            raise self.wrong(where, "assignment", row.get("assignment"), "a homework's name")
        if row.get("earns") not in EARNED_BY:
            raise self.wrong(where, "earns", row.get("earns"), f"one of {', '.join(EARNED_BY)}")
        points, most = row.get("points"), row.get("most", 1)
        if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
            raise self.wrong(where, "points", points, "a number above 0")
        if type(most) is not int or most < 1:
            raise self.wrong(where, "most", most, "a whole number from 1 on")
        return ResultPoints(row["assignment"], row["earns"], points, most)

    def once(self, deadlines: Sequence[Deadline]) -> None:
        """Each group has one deadline for an assignment."""
        seen: dict[tuple[str, str], int] = {}
        for number, deadline in enumerate(deadlines):
            for pair in ((a, g) for a in deadline.assignments for g in deadline.groups):
                if pair in seen:
                    raise self.wrong(
                        f"deadline#{number}", "groups", list(deadline.groups),
                        f"each group once; {pair[1]!r} has a deadline of {pair[0]} already",
                    )  # fmt: skip
                seen[pair] = number

    def texts(self, row: dict[str, Any], key: str, where: str) -> None:
        if not _texts(row.get(key)):
            raise self.wrong(where, key, row.get(key), 'texts, such as ["1", "2"]')

    def known(self, given: Any, names: Sequence[str], where: str) -> None:
        if not isinstance(given, dict):
            raise self.wrong("", where, given, "a table")
        for key in given:
            if key not in names:
                raise self.wrong(where, key, given[key], f"one of the keys {', '.join(names)}")

    def wrong(self, where: str, key: str, value: Any, expected: str) -> CourseError:
        said = "is missing" if value is None else f"is {value!r}"
        if "keys" in expected:
            said = "is unknown"
        return CourseError(
            f"{self.path}, line {self.line_of(where, key)}: {key} {said}; expected {expected}."
        )

    def line_of(self, where: str, key: str) -> int:
        """The line of a key below the n-th header of that name, or of the header."""
        name, _, number = where.partition("#")
        at, turn, header = (not name), -1, 1
        for line, content in enumerate(self.text.splitlines(), start=1):
            found = re.match(r"\s*\[\[?\s*([\w.]+)\s*\]\]?", content)
            if found:
                turn += found[1] == name
                at = found[1] == name and turn == int(number or 0)
                header = line if at else header
            elif at and re.match(rf"\s*{re.escape(key)}\s*=", content):
                return line
        return header


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v for v in value)
