"""The one who writes: submissions taken in, results into their files and nbgrader's gradebook."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
from nbgrader.utils import parse_utc

from autograder.bench import unreadable
from autograder.collect import NOTES, TIME
from autograder.course_folder import CourseFolder, why_nbgrader_failed
from autograder.homework import Homework, digest
from autograder.intake import Intake, take_in
from autograder.late import group_of
from autograder.results import Result, load_result, save_result
from autograder.verdict import MOST_TEXT, clean
from course_utils.errors import CourseError


class Clerk:
    """Takes submissions in and writes results down; used by one thread."""

    def __init__(
        self,
        course: CourseFolder,
        job: Homework,
        handed_in: dict[str, Path],
        roster: set[str],
        training: bool = False,
    ) -> None:
        self.course, self.job, self.handed_in, self.roster = course, job, handed_in, roster
        self.training = training
        self.api = course.nbgrader()
        self.pending: dict[str, Intake] = {}  # student -> what is being judged

    def taken(self, student: str) -> tuple[Result, Intake | None]:
        """(what is known of it unjudged, what is to be judged: None where nothing is)."""
        folder = self.handed_in.get(student, self._place(student))
        taken = take_in(folder, self.job.notebook_name, self.job.source)
        taken = replace(taken, notes=(*taken.notes, *_said(folder / NOTES)))
        if not _is_time(folder / TIME):
            note = f"{TIME} holds no time, so lateness is not known"
            taken = replace(taken, notes=(*taken.notes, note), doubt=True)
        if self.roster and student not in self.roster:
            taken = replace(taken, notes=(*taken.notes, "not on the roster"))
        if taken.notebook is None:
            return unreadable(self.job, student, taken), None
        mark = digest(self.job, taken.notebook, taken.zips, self.training)
        self.pending[student] = taken
        return Result(student, self.job.name, "graded", notes=taken.notes, digest=mark), taken

    def known(self, blank: Result) -> Result | None:
        """An earlier result for the same work."""
        before = load_result(self.course, self.job.name, blank.student)
        if before is None or not blank.digest or before.digest != blank.digest:
            return None
        if before.status == "infra_error":
            return None
        same = before.recorded == self._mark(blank.student)
        return before if same else replace(before, recorded="", notes=blank.notes)

    def record(self, result: Result) -> Result:
        """Into its file, and into the gradebook unless that has it."""
        taken = self.pending.pop(result.student, None)
        if result.recorded:
            return result
        with contextlib.suppress(OSError):  # so that it need not be judged again, come what may
            save_result(self.course, result)
        try:
            if result.status == "infra_error":
                recorded = replace(result, max_score=self._max_score())
            elif result.digest:
                _check_name(result.student)
                self._store(result.student, taken)
                recorded = self._into_gradebook(result)
            else:
                recorded = self._without_notebook(result)
        except Exception as error:
            reason = f"not written into the gradebook: {type(error).__name__}: {error}"
            return replace(result, status="infra_error", reason=reason, needs_person=True)
        # the file holds the judge's doubts; whether answers wait for a person, the gradebook knows
        save_result(self.course, replace(recorded, needs_person=result.needs_person))
        return recorded

    def _mark(self, student: str) -> str:
        """Changes with what lateness goes by: policy, group, time of handing in."""
        stamp = self.handed_in.get(student, self._place(student)) / TIME
        time = stamp.read_text("utf-8", "replace") if stamp.is_file() else ""
        text = repr((self.job.policy, group_of(student, self.course.root), time))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _place(self, student: str) -> Path:
        return self.course.step("submitted", self.job.name, student)

    def _store(self, student: str, taken: Intake) -> None:
        """Puts the repaired notebook, and zips, where nbgrader looks for them."""
        folder, target = self.handed_in[student], self._place(student)
        target.mkdir(parents=True, exist_ok=True)
        for path in list(target.rglob("*")):  # nbgrader follows them, into the feedback at last
            if path.is_symlink():
                path.unlink()
        if folder == target and not _is_time(target / TIME):
            (target / TIME).rename(target / f"{TIME}.as-submitted")
        place = target / self.job.notebook_name
        if place.exists() and folder == target:
            original = place.with_suffix(".as-submitted")
            if not original.exists():
                shutil.copyfile(place, original)
        _write(place, nbformat.writes(taken.notebook) + "\n")
        if folder == target:
            return
        for data in taken.zips:
            (target / f"{self.job.name}.zip").write_bytes(data)
        stamp = folder / TIME
        if stamp.is_file() and not stamp.is_symlink() and _is_time(stamp):
            shutil.copyfile(stamp, target / stamp.name)

    def _into_gradebook(self, result: Result) -> Result:
        """nbgrader grades it, by the result that lies there: see preprocessors.Judge."""
        outcome = self.api.autograde(self.job.name, result.student, force=True)
        if not outcome["success"]:
            raise CourseError(why_nbgrader_failed(outcome))
        with self.course.gradebook() as gradebook:
            found = gradebook.find_submission(self.job.name, result.student)
            penalty = found.late_submission_penalty or 0.0
            return replace(
                result,
                score=max(0.0, found.score - penalty),
                max_score=found.max_score,
                needs_person=result.needs_person or found.needs_manual_grade,
                notes=_with_penalty(result.notes, penalty),
                recorded=self._mark(result.student),
            )

    def _without_notebook(self, result: Result) -> Result:
        """Zero for what can't be read; no entry for what is not there."""
        folder = self.course.step("autograded", self.job.name, result.student)
        if result.status != "missing":
            shutil.rmtree(folder, ignore_errors=True)
        with self.course.gradebook() as gradebook:
            gradebook.update_or_create_student(result.student)
            if result.status != "missing":
                submission = gradebook.update_or_create_submission(self.job.name, result.student)
                for notebook in submission.notebooks:
                    for graded in notebook.grades:
                        graded.auto_score, graded.needs_manual_grade = 0, False
                gradebook.db.commit()
        return replace(result, max_score=self._max_score(), recorded=self._mark(result.student))

    def _max_score(self) -> float:
        with self.course.gradebook() as gradebook:
            return gradebook.find_assignment(self.job.name).max_score


def _with_penalty(notes: tuple[str, ...], penalty: float) -> tuple[str, ...]:
    return (*notes, f"late: {penalty:g} points less") if penalty else notes


def _check_name(student: str) -> None:
    """nbgrader looks for a student by a pattern, which must not be one for others, too.

    Raises:
        CourseError: a name that it can't find, or takes for several.
    """
    if any(mark in "*?[]" or not mark.isprintable() for mark in student):
        raise CourseError(
            f"nbgrader can't tell {student!r} from others. Name what this student handed in "
            "without any of * ? [ ] and without control characters."
        )


def _is_time(path: Path) -> bool:
    """Whether nbgrader can read the time of handing in; True where there is none to read."""
    if not path.is_file() or path.is_symlink():
        return True
    try:
        parse_utc(path.read_text("utf-8").strip())
    except (ValueError, OverflowError):
        return False
    return True


def _said(path: Path) -> list[str]:
    """The notes that `collect` left; a student may have handed in a file of that name."""
    if not path.is_file() or path.is_symlink():
        return []
    with path.open("rb") as file:
        return clean(file.read(MOST_TEXT).decode("utf-8", "replace")).splitlines()


def _write(path: Path, text: str) -> None:
    """In one step: a killed run leaves the old file or the new one."""
    draft = path.with_suffix(".part")
    draft.write_text(text, "utf-8", errors="surrogatepass")
    draft.replace(path)
