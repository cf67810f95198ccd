"""`make demo`: the whole kit once, on pocket models, in a few minutes on two cores.

Six steps, each with a progress bar: a masked language model fills a gap; the same gap answers a
task without training; with 16 examples per class; with few trained parameters and many examples;
a homework is released; a class is graded. A step that fails is reported, and those that do not
need it go on.

Every number is measured here and now, written as a `RunRecord`, and about pocket models.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from course_utils.demo.homework import grade_class, release_homework
from course_utils.demo.learning import (
    few_examples,
    few_parameters,
    fill_a_gap,
    without_training,
)
from course_utils.demo.stage import Demo, near
from course_utils.errors import CourseError

MARK = "made-by-course-demo.txt"

STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("A masked language model fills a gap", fill_a_gap),
    ("The gap answers a task, without training", without_training),
    ("16 examples per class", few_examples),
    ("Many examples, few trained parameters", few_parameters),
    ("A homework is released", release_homework),
    ("A class is graded", grade_class),
)


def run_demo(output: Path, *, quick: bool = False, console: Console | None = None) -> bool:
    """Run all steps.

    Args:
        output: a folder, made if need be; what an earlier demo left there is replaced.
        quick: see `Demo`.
        console: where to print.

    Returns:
        whether every step went well.

    Raises:
        CourseError: `output` is a file, or a folder with something else in it.
    """
    _claim(output)
    _quiet_libraries()
    demo = Demo(output, quick, console or Console())
    start, failed = time.perf_counter(), []
    for number, (title, step) in enumerate(STEPS, start=1):
        demo.say(f"\n[bold]{number}/{len(STEPS)}  {title}[/]")
        if not _attempt(demo, title, step):
            failed.append(title)
    _last_page(demo, time.perf_counter() - start, failed)
    return not failed


def _claim(output: Path) -> None:
    """Make the folder, or empty it if an earlier demo made it; never touch another's."""
    if output.exists() and not output.is_dir():
        raise CourseError(f"the demo writes a folder, but {str(output)!r} is a file: name another.")
    mark = output / MARK
    if output.exists() and any(output.iterdir()):
        if not mark.exists():
            raise CourseError(
                f"{str(output)!r} is not empty, and no demo made it: name another --output."
            )
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    mark.write_text("The next `course demo` replaces this folder.\n", encoding="utf-8")


def _attempt(demo: Demo, title: str, step: Callable[[Demo], None]) -> bool:
    try:
        step(demo)
    except CourseError as error:
        demo.say(f"[red]This step failed:[/] {escape(str(error))}")
    except Exception as error:  # a demo goes on, and says what it could not show
        log = demo.output / "errors.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{title}\n{traceback.format_exc()}\n")
        what = escape(f"{type(error).__name__}: {error}")
        demo.say(f"[red]This step failed:[/] {what}. In full: {near(log)}")
    else:
        return True
    return False


def _quiet_libraries() -> None:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _last_page(demo: Demo, seconds: float, failed: list[str]) -> None:
    demo.say(f"\n[bold]Made in {seconds:.0f} s[/]")
    for what, path in demo.made:
        demo.say(f"  {what:<22} {near(path)}")
    if failed:
        demo.say(f"[red]Failed:[/] {', '.join(failed)}. Try `course doctor`.")
    demo.say(
        "\n[bold]Next[/]\n"
        "  make lab                      the course, from notebook 00\n"
        "  course task show pocket/rte   what a task looks like\n"
        "  course --help                 everything else"
    )
