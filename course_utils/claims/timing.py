"""How long the claims take: measured on this machine, told before, corrected on the way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.claims.bench import Bench
    from course_utils.claims.running import Job
    from course_utils.records import RunRecord

FIXED = 0.5  # seconds a measurement takes beside its updates and answers: loading, starting


class Clock:
    """Estimates the seconds of jobs, and shows how much time is left as they are finished.

    Args:
        say: told of each finished job where there is no terminal to draw a bar in.
        bar: draw one; whether the output is a terminal if not given.
        speed: (seconds per update, seconds per answer) of a bench on a task; measured if not given.
        processes: how many jobs are worked on at the same time.
    """

    def __init__(
        self,
        say: Callable[[str], None] = print,
        bar: bool | None = None,
        speed: Callable[[Bench, str], tuple[float, float]] | None = None,
        processes: int = 1,
    ) -> None:
        threads = 1 if processes > 1 else None
        self.say, self.speed = say, speed or partial(measured_speed, threads=threads)
        self.processes, self._since = processes, time.perf_counter()
        self.total = self.finished = self.spent = 0.0
        self._speeds: dict[tuple[Bench, str], tuple[float, float]] = {}
        self._bar = None
        self._wanted = sys.stdout.isatty() if bar is None else bar

    def estimate(self, jobs: Sequence[Job]) -> float:
        """Seconds that all these jobs take; kept as the whole the bar stands for."""
        self.total = sum(self.seconds(job) for job in jobs) / self.processes
        return self.total

    def seconds(self, job: Job) -> float:
        """What one job takes by the speed measured on its PLM and task."""
        key = (job.bench, job.cell.task)
        if key not in self._speeds:
            self._speeds[key] = self.speed(*key)
        cost, (update, answer) = job.cost(), self._speeds[key]
        return FIXED + cost.updates * update + cost.answers * answer

    def finish(self, job: Job, record: RunRecord) -> None:
        """A measurement is made: the time since the last one was spent on it."""
        now = time.perf_counter()
        self.spent, self._since = self.spent + now - self._since, now
        self.finished += self.seconds(job) / self.processes
        if self._bar is not None:
            self._bar.set_description_str(str(job)[:70])
            self._bar.update(max(0.0, min(self.finished, self.total) - self._bar.n))
            self._bar.set_postfix_str(f"{spoken(self.left())} left")
        else:
            self.say(f"  {job}: {record.score:.3f}; {spoken(self.left())} left")

    def tell(self, text: str) -> None:
        """Say something beside the bar, if there is one."""
        if self._bar is None:
            self.say(text)
        else:
            self._bar.write(text)

    def left(self) -> float:
        """Seconds left, by the estimate and how far the finished work was off it."""
        rate = self.spent / self.finished if self.finished else 1.0
        return max(self.total - self.finished, 0.0) * rate

    def __enter__(self) -> Clock:
        self._since = time.perf_counter()
        if self._wanted and self.total:
            from tqdm.auto import tqdm

            shown = "{desc} |{bar:20}| {percentage:3.0f} % {postfix}"
            self._bar = tqdm(total=self.total, bar_format=shown, dynamic_ncols=True)
            self._bar.set_postfix_str(f"{spoken(self.left())} left")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if kind is KeyboardInterrupt:
            self.say("Stopped. The same command goes on from here.")


def measured_speed(bench: Bench, task: str, threads: int | None = None) -> tuple[float, float]:
    """Seconds per update on 16 examples, and per example answered, tried on a few.

    Args:
        threads: of torch; as many as it has now if not given.
    """
    import torch

    from course_utils.tasks.inputs import encode

    model, tokenizer = bench.load(head="classifier", num_labels=2)
    drawn = bench.task(task, 0)
    rows = drawn.split("dev").select(range(min(64, len(drawn.split("dev")))))
    features = encode(drawn, rows, tokenizer, max_length=128, answers=False).features
    keys = [k for k in ("input_ids", "attention_mask", "token_type_ids") if k in features[0]]
    texts = tokenizer.pad([{k: f[k] for k in keys} for f in features], return_tensors="pt")
    texts = texts.to(model.device)
    model.config.pad_token_id = tokenizer.pad_token_id
    few = {name: value[:16] for name, value in texts.items()}
    labels = torch.zeros_like(few["input_ids"][:, 0])

    def update() -> None:
        model.train()
        model(**few, labels=labels).loss.backward()

    @torch.no_grad()
    def answer() -> None:
        model.eval()
        model(**texts)

    optimizer = 1.3  # the step itself and the loop, beside forward and backward
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return optimizer * _timed(update), _timed(answer) / len(features)
    finally:
        torch.set_num_threads(before)


def _timed(action: Callable[[], None], times: int = 3) -> float:
    """The mean of some times, after one to warm up."""
    action()
    started = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - started) / times


def spoken(seconds: float) -> str:
    """Seconds as a person says them: "40 s", "about 3 min", "about 2 h 10 min"."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    if seconds < 3570:
        return f"about {round(seconds / 60)} min"
    hours, minutes = divmod(5 * round(seconds / 300), 60)
    return f"about {hours} h {minutes:02d} min"
