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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from course_utils.errors import CourseError

TASK = "pocket/sst2"
PLM = "pocket-bert-base"
HOMEWORK = "hw_prompt"
MARK = "made-by-course-demo.txt"


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
        demo.say(f"[red]This step failed:[/] {what}. In full: {_near(log)}")
    else:
        return True
    return False


def _quiet_libraries() -> None:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


# --- a prompted language model -------------------------------------------------------------


def fill_a_gap(demo: Demo) -> None:
    """A review, a gap, and what the model would write there."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel, fill_mask
    from course_utils.tasks import load_task

    with demo.progress(3) as part:
        part("loading the model")
        model, tokenizer = load_plm(PLM)
        part("loading the task")
        task = load_task(TASK)
        part("asking")
        example = task.split("dev")[0]
        prompt = PromptModel.for_task(model, tokenizer, task)
        text = task.prompts[0].template.format(**example, mask=tokenizer.mask_token)
        words = fill_mask(model, tokenizer, text)
        answer = prompt.predict([example])
    demo.say(f"  {escape(text)}")
    for word, probability in words:
        demo.say(f"  {probability:6.1%}  {'█' * round(probability * 40)} {escape(word)}")
    shares = zip(answer.labels, answer.probabilities[0].tolist(), strict=True)
    said = ", ".join(f"{share:.0%} {label}" for label, share in shares)
    demo.say(f"  Through the verbalizer: {said}. The label is {task.labels[example['label']]}.")


def without_training(demo: Demo) -> None:
    """Zero-shot: the same gap, several wordings, no example."""
    from course_utils.evaluation import evaluate
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel

    task = _task(demo)
    model, tokenizer = load_plm(PLM)
    table = Table("prompt", "words", "accuracy", box=None)
    scores, seconds = [], time.perf_counter()
    with demo.progress(len(task.prompts)) as part:
        for which, prompt in enumerate(task.prompts):
            part(prompt.template)
            asked = PromptModel.for_task(model, tokenizer, task, which)
            scores.append(evaluate(asked, task, "test", tokenizer=tokenizer).score)
            words = " / ".join(w[0] for w in prompt.words.values())
            new = " (never seen in pre-training)" if prompt.held_out else ""
            table.add_row(escape(prompt.template) + new, escape(words), f"{scores[-1]:.3f}")
    demo.console.print(table)
    majority = demo.references["majority"] = task.majority("test")
    demo.say(f"  Median {median(scores):.3f}; always the commonest label {majority:.3f}.")
    demo.rows.append(
        ("zero-shot (median prompt)", 0, 0, median(scores), time.perf_counter() - seconds)
    )


def few_examples(demo: Demo) -> None:
    """16 per class: through the prompt, with a new head, and without any pre-training."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel

    seeds = (0,) if demo.quick else (0, 1, 2)
    kinds = ("prompt-based", "new head", "no pre-training")
    with demo.progress(len(seeds) * len(kinds)) as part:
        for kind in kinds:
            for seed in seeds:
                part(f"16 per class, {kind}, draw {seed}")
                task = _task(demo).subset(per_class=16, seed=seed)
                task = task.subset(per_class=16, seed=seed, split="dev")
                if kind == "prompt-based":
                    model, tokenizer = load_plm(PLM, seed=seed)
                    model = PromptModel.for_task(model, tokenizer, task)
                else:
                    model, tokenizer = load_plm(
                        PLM,
                        head="classifier",
                        labels=task.labels,
                        pretrained=kind == "new head",
                        seed=seed,
                    )
                _run(demo, f"16-shot, {kind}", model, tokenizer, task, seed)
    for kind in kinds:
        scores = [r[3] for r in demo.rows if r[0] == f"16-shot, {kind}"]
        demo.say(f"  {kind:<16} {fmean(scores):.3f}  (mean of {len(scores)})")


def few_parameters(demo: Demo) -> None:
    """Many examples, one prompt; what is trained differs."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel
    from course_utils.tuning import FullFineTuning, LoRA, SoftPrompt, attach

    task = _task(demo).subset(demo.examples)
    methods = (SoftPrompt(length=10), LoRA(rank=4), FullFineTuning())
    with demo.progress(len(methods) + 1) as part:
        for method in methods:
            name = type(method).__name__
            part(f"{name}, {demo.examples} examples")
            model, tokenizer = load_plm(PLM)
            tuned = PromptModel.for_task(attach(model, method), tokenizer, task)
            _run(demo, name, tuned, tokenizer, task)
        part(f"no pre-training, {demo.examples} examples")
        model, tokenizer = load_plm(PLM, head="classifier", labels=task.labels, pretrained=False)
        control = _run(demo, "no pre-training", model, tokenizer, task)
    demo.references["no pre-training"] = control
    _compare(demo)


def _task(demo: Demo):
    """The task with a smaller test set, so that a score takes a second."""
    from course_utils.tasks import load_task

    task = load_task(TASK)
    for split in ("test", "dev"):
        count = min(demo.tests, len(task.split(split)))
        task = task.subset(count, split=split)
    return task


def _run(demo: Demo, name: str, model, tokenizer, task, seed: int = 0) -> float:
    """Train, test, keep the record; returns the test accuracy."""
    from course_utils.evaluation import evaluate
    from course_utils.training import train

    result = train(
        model, task, tokenizer=tokenizer, settings=demo.settings(seed), plm=PLM, progress=False
    )
    test = evaluate(result.model, task, "test", tokenizer=tokenizer)
    notes = {**result.record.notes, "pretrained": "no pre-training" not in name}
    record = replace(
        result.record,
        notes=notes,
        split="test",
        score=test.score,
        n=test.n,
        majority=test.majority,
        interval=test.interval,
    )
    file = name.replace(",", "").replace(" ", "-").lower()
    record.write(demo.output / "records" / f"{file}-seed{seed}.record.json")
    row = (name, record.train_examples, record.trainable, test.score, record.seconds)
    demo.rows.append(row)
    return test.score


def _compare(demo: Demo) -> None:
    """The table, and the chart of accuracy against trained parameters."""
    from course_utils.show import accuracy_vs_parameters

    table = Table("", box=None)
    for column in ("examples", "trained", "accuracy", "seconds"):
        table.add_column(column, justify="right")
    for name in dict.fromkeys(row[0] for row in demo.rows):
        runs = [row for row in demo.rows if row[0] == name]
        _, examples, trained, _, _ = runs[0]
        score, seconds = fmean(r[3] for r in runs), fmean(r[4] for r in runs)
        table.add_row(name, f"{examples:,}", f"{trained:,}", f"{score:.3f}", f"{seconds:.0f}")
    demo.console.print(table)
    points = [
        {"method": name, "trainable": trained, "score": score}
        for name, _, trained, score, _ in demo.rows
        if "no pre-training" not in name
    ]
    chart = accuracy_vs_parameters(
        points,
        majority=demo.references.get("majority"),
        no_pretraining=demo.references.get("no pre-training"),
        title=f"{TASK}, {PLM} (pocket model)",
    )
    path = demo.output / "accuracy-against-parameters.png"
    path.write_bytes(chart.png())
    demo.made += [("chart", path), ("records of the runs", demo.output / "records")]


# --- a homework ----------------------------------------------------------------------------


def release_homework(demo: Demo) -> None:
    """The students' version: no solution left in it, and it runs."""
    from autograder.release import release

    course = demo.output / "course"
    with demo.progress(1) as part:
        part(f"building {HOMEWORK}, and running it once as a student would find it")
        notebook = release(HOMEWORK, course, run=not demo.quick)
    demo.say("  No line of a solution or hidden test is in it; unwritten, it raises nothing worse")
    demo.say("  than NotImplementedError.")
    demo.made.append(("homework, as released", notebook))


def grade_class(demo: Demo) -> None:
    """An invented class hands in; gradebook, feedback pages, grades.csv."""
    from autograder.feedback import feedback
    from autograder.grade import grade
    from autograder.report import gradebook_table, report
    from autograder.sample_class import build_sample_class, sample_roster

    course = demo.output / "course"
    submissions = build_sample_class(HOMEWORK, course)
    results = grade(
        HOMEWORK,
        course,
        submissions,
        students=sorted(path.name for path in submissions.iterdir())[:2] if demo.quick else None,
        jobs=2,
        roster=sample_roster(),
        console=demo.console,
    )
    demo.console.print(gradebook_table(results))
    with demo.progress(2) as part:
        part("a feedback page for each student")
        pages = feedback(HOMEWORK, course)
        part("grades.csv, and a page about the class")
        written = report(HOMEWORK, course)
    demo.made += [
        ("grades", written.csv),
        ("the class", written.page),
        ("feedback, one of them", pages[0]),
    ]


def _last_page(demo: Demo, seconds: float, failed: list[str]) -> None:
    demo.say(f"\n[bold]Made in {seconds:.0f} s[/]")
    for what, path in demo.made:
        demo.say(f"  {what:<22} {_near(path)}")
    if failed:
        demo.say(f"[red]Failed:[/] {', '.join(failed)}. Try `course doctor`.")
    demo.say(
        "\n[bold]Next[/]\n"
        "  make lab                      the course, from notebook 00\n"
        "  course task show pocket/rte   what a task looks like\n"
        "  course --help                 everything else"
    )


def _near(path: Path) -> Path:
    """The path from here, where it is below."""
    full, here = path.resolve(), Path.cwd().resolve()
    return full.relative_to(here) if full.is_relative_to(here) else full


STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("A masked language model fills a gap", fill_a_gap),
    ("The gap answers a task, without training", without_training),
    ("16 examples per class", few_examples),
    ("Many examples, few trained parameters", few_parameters),
    ("A homework is released", release_homework),
    ("A class is graded", grade_class),
)
