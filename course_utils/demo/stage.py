"""What the steps of the demo share: where they print and write, and what they have found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass
class Demo:
    """What the steps share.

    Attributes:
        output: everything made goes here.
        quick: few examples and updates, to see that everything runs; scores mean little.
        examples: training examples of the many-examples step.
        tests: test examples of every score.
        rows: (what, examples, trained parameters, score, seconds) of every scored run.
        references: level -> score, lines in the chart.
        made: (what it is, path), for the last page.
    """

    output: Path
    quick: bool = False
    console: Console = field(default_factory=Console)
    examples: int = 1000
    tests: int = 500
    rows: list[tuple[str, int, int, float, float]] = field(default_factory=list)
    references: dict[str, float] = field(default_factory=dict)
    made: list[tuple[str, Path]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.quick:
            self.examples, self.tests = 64, 64

    def say(self, text: str = "") -> None:
        self.console.print(text, soft_wrap=True, highlight=False)

    def settings(self, seed: int = 0, **other):
        from course_utils.training import TrainSettings

        if self.quick:
            other = {"steps": 4}
        return TrainSettings(seed=seed, **other)

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], None]]:
        """A bar over `total` parts; call the result with what comes next, before each part."""
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self.console) as bar:
            task, begun = bar.add_task("", total=total), [False]

            def next_part(what: str) -> None:
                bar.update(task, description=what, advance=1 if begun[0] else 0)
                begun[0] = True

            yield next_part
            bar.update(task, completed=total, description="done")


def near(path: Path) -> Path:
    """The path from here, where it is below."""
    full, here = path.resolve(), Path.cwd().resolve()
    return full.relative_to(here) if full.is_relative_to(here) else full
