"""What is the same for every submission of a homework: the instructor's cells, checks, policy.

    job = open_homework("hw_prompt", course)     in a course folder
    job = open_homework("hw_prompt")             without one

An exercise X has an answer cell X and a locked cell X-check that carries its points; what they are
worth is decided by the named checks of `autograder.checks` (an instructor's own homework keeps its
checks in `assignments/checks/<name>.py`, with a `check = Checks()` there). The cell results-check
carries the points of the runs, by the policy.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import utils

import autograder.checks
from autograder.course_folder import CourseFolder
from autograder.judging import judge
from autograder.judging.judge import Checks
from autograder.nbgrader_config import TRAINING_TAG
from autograder.paired import assignments_folder, source_folder
from autograder.policy import Policy, read_policy
from autograder.results import BONUS, CHECK, RESULTS
from autograder.sandbox.limits import Limits
from course_utils import __version__
from course_utils.errors import CourseError

JUDGES = ("judge", "student", "worker", "plms")  #: modules that decide what a check sees
OWN_CHECKS = "checks"  #: folder of an instructor's own checks


@dataclass(frozen=True)
class Homework:
    """One homework as the grader knows it.

    Attributes:
        source: the instructor's notebook.
        seed: of the course, and no student knows it; see `draws`.
        own_checks: the text of an instructor's own checks, "" where they are the kit's.
        version: changes with anything that decides a score, so that older verdicts are not
            taken for this one's.
    """

    name: str
    notebook_name: str
    source: NotebookNode
    checks: Checks
    policy: Policy
    seed: str
    version: str
    own_checks: str = ""

    @property
    def exercises(self) -> tuple[str, ...]:
        """The exercises with checks, in the order of the checks."""
        return tuple(dict.fromkeys(check.exercise for check in self.checks.all))

    @property
    def result_points(self) -> float:
        """What runs can earn."""
        return sum(r.points * r.most for r in self.policy.results if r.assignment == self.name)

    @property
    def max_score(self) -> float:
        """What the notebook promises; bonus exercises come on top."""
        return sum(float(c.metadata.nbgrader["points"]) for c in self._graded)

    @property
    def needs_person(self) -> bool:
        """Whether some of it is written answers, which a person reads."""
        return any(utils.is_solution(cell) for cell in self._graded)

    @property
    def _graded(self) -> list[NotebookNode]:
        return [cell for cell in self.source.cells if utils.is_grade(cell)]

    @property
    def limits(self) -> Limits:
        """What a student's code may use."""
        return self.policy.limits_of(self.name)

    def draws(self, of: str) -> str:
        """The seed of what the checks draw for a submission with that digest.

        The same work gets the same draws wherever and whenever it is judged. Other work gets
        others, so that inputs which an exception quoted in the feedback are of no use in the next
        try; and they can't be worked out without the course's seed. Whose work it is does not
        count: two who hand in the same cells are asked the same, and so earn the same.
        """
        return hmac.new(self.seed.encode(), of.encode(), hashlib.sha256).hexdigest()

    def points_of(self, exercise: str) -> float:
        """What an exercise can earn."""
        return self.result_points if exercise == RESULTS else self.checks.points_of(exercise)


def open_homework(
    name: str,
    course: CourseFolder | None = None,
    *,
    assignments_dir: Path | str | None = None,
) -> Homework:
    """A homework by its name, from the course folder where there is one.

    Args:
        course: a folder in which it is released; the instructor's version, the policy and the
            seed come from there.
        assignments_dir: without a course folder: where the instructor's versions are.

    Raises:
        CourseError: no such homework, no checks for it, a wrong policy, or points in the notebook
            that are not those of the checks.
    """
    if course is None:
        home = assignments_folder(assignments_dir)
        folder, checks, policy = source_folder(name, home), home / OWN_CHECKS, home / "policy.toml"
        seed = secrets.token_hex(16)
    else:
        folder, checks = course.step("source", name), course.root / OWN_CHECKS
        policy, seed = course.policy_file, course.seed()
    found = sorted(folder.glob("*.ipynb"))
    if len(found) != 1:
        raise CourseError(f"{folder} holds {len(found)} notebooks; a homework has one.")
    own = checks / f"{name}.py"
    job = homework_of(
        name,
        found[0].name,
        nbformat.read(found[0], as_version=4),
        read_policy(policy) if policy.is_file() else Policy(),
        seed,
        own.read_text("utf-8") if own.is_file() else "",
    )
    check_points(job)
    return job


def homework_of(
    name: str, notebook_name: str, source: NotebookNode, policy: Policy, seed: str, own_checks: str
) -> Homework:
    """A homework from its parts; see `Homework`."""
    checks = _load(name, own_checks) if own_checks else autograder.checks.checks_of(name)
    version = _version(name, source, policy, own_checks)
    return Homework(name, notebook_name, source, checks, policy, seed, version, own_checks)


def _load(name: str, text: str) -> Checks:
    """An instructor's own checks.

    Raises:
        CourseError: the text has no `check`.
    """
    module = types.ModuleType(f"own_checks_{name}")
    exec(compile(text, f"{OWN_CHECKS}/{name}.py", "exec"), module.__dict__)
    if not isinstance(getattr(module, "check", None), Checks):
        raise CourseError(
            f"{OWN_CHECKS}/{name}.py: expected `check = Checks()` and checks made with it."
        )
    return module.check


def check_points(job: Homework) -> None:
    """The notebook's points are those that can be earned.

    Raises:
        CourseError: the first cell that promises others, a check without a cell, or a cell that
            nothing judges.
    """
    cells = {c.metadata.nbgrader["grade_id"]: c for c in job.source.cells if utils.is_grade(c)}
    wanted = {f"{name}{CHECK}": job.points_of(name) for name in job.exercises}
    if job.result_points:
        wanted[f"{RESULTS}{CHECK}"] = job.result_points
    for name, points in wanted.items():
        shown = 0.0 if name.startswith(BONUS) else points
        if name not in cells:
            raise CourseError(f"{job.name}: {points:g} points can be earned in {name!r}, but the "
                              "notebook has no such graded cell.")  # fmt: skip
        if float(cells[name].metadata.nbgrader["points"]) != shown:
            raise CourseError(
                f"{job.name}: cell {name!r} promises {cells[name].metadata.nbgrader['points']} "
                f"points, but its checks (or the policy's results) give {shown:g}. Make them agree."
            )
    for name, cell in cells.items():
        if not utils.is_solution(cell) and name not in wanted:
            raise CourseError(
                f"{job.name}: nothing judges cell {name!r}. Write checks for exercise "
                f"{name.removesuffix(CHECK)!r}; see assignments/README.md."
            )


def cells_to_run(notebook: NotebookNode, training: bool = False) -> list[tuple[int, str, str]]:
    """(index, name, source) of the cells that a worker runs, in order.

    Not run: self-checks (the judge's checks stand for them), text and, unless `training`, cells
    tagged so (what was trained is handed in and judged by its results).
    """
    found = []
    for index, cell in enumerate(notebook.cells):
        about = cell.metadata.get("nbgrader")
        trains = about is None and TRAINING_TAG in cell.metadata.get("tags", [])
        self_check = utils.is_grade(cell) and not utils.is_solution(cell)
        left_out = self_check or (trains and not training)
        if cell.cell_type == "code" and not left_out and cell.source.strip():
            name = about["grade_id"] if about else f"cell {index}"
            found.append((index, name, cell.source))
    return found


def digest(
    job: Homework,
    notebook: NotebookNode,
    packed: Sequence[bytes] = (),
    training: bool = False,
) -> str:
    """A name for what is judged: the cells that run, the zips of runs, and who judges."""
    mark = hashlib.sha256(job.version.encode())
    mark.update(json.dumps([[n, s] for _, n, s in cells_to_run(notebook, training)]).encode())
    for data in packed:
        mark.update(hashlib.sha256(data).digest())
    return mark.hexdigest()


def _version(name: str, source: NotebookNode, policy: Policy, own_checks: str) -> str:
    mark = hashlib.sha256(__version__.encode())
    mark.update(nbformat.writes(source).encode())
    mark.update(repr((policy.results, policy.tracks)).encode())  # not deadlines: see clerk.py
    mark.update(own_checks.encode())
    paths = [] if own_checks else autograder.checks.files_of(name)
    # by their paths: importing the PLMs takes seconds, and not every homework needs them
    paths += [Path(judge.__file__).with_name(f"{module}.py") for module in JUDGES]
    for text in sorted(path.read_bytes() for path in paths):  # folders differ between machines
        mark.update(text)
    return mark.hexdigest()
