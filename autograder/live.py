"""Who is being graded: a table that lives in the terminal while a class is graded.

Where there is no terminal (a file, a notebook, CI) a line is written for each submission instead.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from autograder.results import Result

ROWS = 12  # of the table: who runs, and who was done last
COLOURS = {"graded": "green", "missing": "yellow", "student_error": "yellow"}


class Live:
    """Shows the progress of a class as a context; `started` may be called by any thread."""

    def __init__(
        self, students: Sequence[str], console: Console | None = None, *, shown: bool = True
    ) -> None:
        self.console = console or Console()
        self.total, self.shown = len(students), shown
        self.results: dict[str, Result] = {}
        self.running: dict[str, float] = {}
        self.since = time.monotonic()
        self._lock = threading.Lock()
        self._bar = Progress(
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self.console,
        )
        self._task = self._bar.add_task("", total=self.total)
        self._live = RichLive(self, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        if self.shown and self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, student: str) -> None:
        """A worker has this student's work now."""
        with self._lock:
            self.running[student] = time.monotonic()

    def done(self, result: Result) -> None:
        """This student has a result."""
        with self._lock:
            self.running.pop(result.student, None)
            self.results[result.student] = result
        self._bar.update(self._task, completed=len(self.results), description=self._counts())
        if self.shown and not self.console.is_terminal:
            self.console.print(
                f"{len(self.results)}/{self.total} {result.student}: {result.status}, "
                f"{result.score:g} of {result.max_score:g}",
                highlight=False,
                markup=False,
            )

    def _counts(self) -> str:
        counts = Counter(result.status for result in self.results.values())
        text = ", ".join(f"{number} {status}" for status, number in counts.items())
        return f"{text}{self._left()}"

    def _left(self) -> str:
        """The time that the rest will take, from those done so far."""
        judged = [r for r in self.results.values() if r.seconds]
        if len(judged) < 2 or len(self.results) == self.total:
            return ""
        pace = (time.monotonic() - self.since) / len(self.results)
        seconds = pace * (self.total - len(self.results))
        left = f"{seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
        return f" · {left} left"

    def __rich__(self) -> Group:
        with self._lock:
            running, results = dict(self.running), list(self.results.values())
        table = Table("student", "status", "score", "seconds", box=None, pad_edge=False)
        for student, since in running.items():
            seconds = f"{time.monotonic() - since:.0f}"
            table.add_row(plain(student), "[blue]running[/]", "", seconds)
        for result in results[-max(0, ROWS - len(running)) :][::-1]:
            colour = COLOURS.get(result.status, "red")
            score = f"{result.score:g} of {result.max_score:g}"
            table.add_row(
                plain(result.student), f"[{colour}]{result.status}[/]", score,
                f"{result.seconds:.1f}",
            )  # fmt: skip
        waiting = self.total - len(results) - len(running)
        return Group(table, f"{waiting} waiting" if waiting > 0 else "", self._bar)


def plain(text: str) -> Text:
    """Text of unknown origin for rich to print as it is: nothing in it is markup."""
    return Text(text)
