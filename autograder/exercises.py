"""A homework's exercises as people know them: title, points, and what a person gives for them.

The judge speaks of `fill-template`; students and TAs read "1a · The template" above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode
from nbgrader import utils

from autograder.course_folder import CourseFolder
from autograder.late import Late, handed_in_late
from autograder.results import BONUS, CHECK, RESULTS, Check, Result

#: what runs are worth points for (see policy.toml), in words
RUN_CHECKS = {
    "tasks": "tasks with a run that counts",
    "methods": "methods with a run that counts",
    "beats": "a run above the published result",
}

_SECTION = re.compile(r"(?:Exercise )?(\d+) · (.+?)(?: \([^()]*\))?")
_PART = re.compile(r"(\d+[a-z])(?: · (.+))?")


@dataclass(frozen=True)
class Exercise:
    """One graded place of a notebook.

    Attributes:
        name: the judge's: `fill-template`.
        title: "1a · The template".
        points: what the notebook promises; 0 for a bonus.
        written: a person gives the points.
        section: "1 · A template and a verbalizer", of which this is a part; "" if of none.
    """

    name: str
    title: str
    points: float
    written: bool = False
    section: str = ""

    @property
    def short(self) -> str:
        """The number in front of the title, or all of it."""
        return self.title.split(" · ")[0]


@dataclass(frozen=True)
class Given:
    """What the gradebook has for an exercise of one student.

    Attributes:
        points: by a person, or 0.
        most: what there is to give.
        waits: for a person to look.
        by_hand: a person has given it.
    """

    points: float
    most: float
    waits: bool = False
    by_hand: bool = False


@dataclass(frozen=True)
class Paper:
    """A homework's exercises, and what people have given for them.

    Attributes:
        title: the notebook's.
        exercises: by name, in the notebook's order.
        given: student -> exercise -> what the gradebook has.
        late: student -> how late, and what that costs.
    """

    title: str = ""
    exercises: Mapping[str, Exercise] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)
    late: Mapping[str, Late] = field(default_factory=dict)

    def exercise(self, name: str, checks: Iterable[Check] = ()) -> Exercise:
        """An exercise of the notebook; one that it does not have is called by its name."""
        most = sum(check.max_points for check in checks)
        return self.exercises.get(name) or Exercise(name, name, most)

    def written(self, student: str) -> dict[Exercise, Given]:
        """The written questions of one student, in the notebook's order."""
        given = self.given.get(student, {})
        return {
            one: given[one.name]
            for one in self.exercises.values()
            if one.written and one.name in given
        }

    def waiting(self, student: str) -> dict[Exercise, Given]:
        """What a person has still to give points for."""
        given = self.given.get(student, {})
        return {self.exercise(name): one for name, one in given.items() if one.waits}

    def of_code(self, result: Result) -> list[Exercise]:
        """The exercises whose points code checks gave, in the notebook's order."""
        judged = dict.fromkeys(check.exercise for check in result.checks)
        known = [name for name in self.exercises if name in judged]
        names = known + [name for name in judged if name not in self.exercises]
        return [self.exercise(name, result.of(name)) for name in names if name != RESULTS]


def read_paper(course: CourseFolder, assignment: str) -> Paper:
    """Titles from the course folder's notebook, what people have given from its gradebook."""
    found = sorted(course.step("source", assignment).glob("*.ipynb"))
    title, exercises = "", {}
    if found:
        notebook = nbformat.read(found[0], as_version=4)
        title, exercises = title_of(notebook), exercises_of(notebook)
    late = handed_in_late(course, assignment)
    return Paper(title, exercises, _given(course, assignment), late)


def title_of(notebook: NotebookNode) -> str:
    """The first heading; "" where there is none."""
    headings = (text for cell in notebook.cells for level, text in _headings(cell) if level == 1)
    return next(headings, "")


def exercises_of(notebook: NotebookNode) -> dict[str, Exercise]:
    """The graded cells by exercise, each called by the numbered heading above it.

    "### 4a" below "## Exercise 4 · Five mistakes (20 points)" is "4a · Five mistakes". Where
    nothing is numbered, the last heading is the title.
    """
    found: dict[str, Exercise] = {}
    section = part = last = ""
    for cell in notebook.cells:
        for level, text in _headings(cell):
            last = text if level > 1 else last
            if match := _SECTION.fullmatch(text):
                section, part = f"{match[1]} · {match[2]}", ""
            elif match := _PART.fullmatch(text):
                part = f"{match[1]} · {match[2] or section.partition(' · ')[2]}"
            elif level <= 2:
                section = part = ""
        if utils.is_grade(cell):
            name = cell.metadata.nbgrader["grade_id"].removesuffix(CHECK)
            points = float(cell.metadata.nbgrader["points"])
            title = part or section or last or name
            above = section if part else ""
            found[name] = Exercise(name, title, points, utils.is_solution(cell), above)
    return found


def check_in_words(check: Check) -> str:
    """What a check promises."""
    return RUN_CHECKS.get(check.name, check.name) if check.exercise == RESULTS else check.name


def bonus_points(checks: Iterable[Check]) -> float:
    """What was earned on top."""
    return sum(check.points for check in checks if check.exercise.startswith(BONUS))


def _headings(cell: NotebookNode) -> list[tuple[int, str]]:
    """(level, text) of a text cell's headings; a graded one is an answer, and has none."""
    if cell.cell_type != "markdown" or utils.is_solution(cell):
        return []
    fenced = re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S)
    return [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#{1,6}) (.+)$", fenced, re.M)]


def _given(course: CourseFolder, assignment: str) -> dict[str, dict[str, Given]]:
    with course.gradebook() as gradebook:
        return {
            submission.student_id: {
                grade.name.removesuffix(CHECK): Given(
                    grade.score,
                    grade.max_score,
                    grade.needs_manual_grade,
                    grade.manual_score is not None,
                )
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for submission in gradebook.assignment_submissions(assignment)
        }
