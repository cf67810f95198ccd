"""Measurements that several claims share.

    FineTuned    train on so many examples, through a wording or with a new head, score on test
    Asked        ask the PLM as it is, no training, with examples in the text or without

Everything is held alike between the arms of a claim: the number of updates, the number of learning
rates tried, the data. The learning rate is chosen once per cell with seed 0, on the whole dev set:
more labels than who has few can spare, but no arm shall lose by a rate drawn by lot. Nothing else
is chosen there: the parameters after the last update count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from course_utils.claims.bench import Bench, Wording
from course_utils.claims.claim import Cost, Scale
from course_utils.errors import CourseError
from course_utils.records import RunRecord
from course_utils.tasks import Task

if TYPE_CHECKING:
    from course_utils.evaluation import Evaluation

TRIES = (0.4, 0.1, 1.0)  # times the kit's own rate for the method and size; the first wins ties
UPDATES = 120
BATCH = 16
PRIOR_TEXTS = 200
BETWEEN = " / "  # what stands between examples shown to a causal PLM


@dataclass(frozen=True)
class FineTuned:
    """Train, then score on the task's evaluation split.

    Attributes:
        shots: examples of each class. examples: if that is None, so many in all; or all.
        wording: train through this prompt; None puts a new head on the PLM.
        pretrained: False starts from random weights, the control.
        method: a name or an object of course_utils.tuning.
        updates: of 16 examples.
        rate: the learning rate; None chooses one of `tries` on dev with seed 0.
        dev_shots: cut dev to so many of each class, for what is chosen on dev beside the rate.
        splits: scored too; the scores are in the record's notes, for `OnSplit`.
    """

    shots: int | None = 16
    examples: int | None = None
    wording: Wording | None = None
    pretrained: bool = True
    method: Any = "full"
    updates: int = UPDATES
    rate: float | None = None
    tries: tuple[float, ...] = TRIES
    dev_shots: int | None = None
    splits: tuple[str, ...] = ()

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        if self.rate is None:
            return bench.measure(self.at(self.chosen_rate(bench, task)), task, seed)
        return self.train(bench, self.drawn(bench, task, seed), seed)

    def drawn(self, bench: Bench, task: str, seed: int) -> Task:
        """The task with the seed's training examples; dev stays whole but for `dev_shots`."""
        drawn = bench.task(task, seed)
        if self.shots is not None:
            drawn = drawn.subset(per_class=self.shots, seed=seed)
        elif self.examples is not None:
            drawn = drawn.subset(self.examples, seed=seed)
        if self.dev_shots is not None:
            drawn = drawn.subset(per_class=self.dev_shots, seed=seed, split="dev")
        return drawn

    def at(self, rate: float) -> FineTuned:
        """The same at a given learning rate."""
        return replace(self, rate=rate, tries=())

    def chosen_rate(self, bench: Bench, task: str) -> float:
        """The rate that is best on dev with seed 0; of equal ones the first tried.

        Raises:
            CourseError: every one diverged.
        """
        from course_utils.loop import DivergedError

        usual, scores = usual_rate(bench.plm, self.method), {}
        for times in self.tries:
            rate = float(f"{times * usual:.2g}")
            try:
                scores[rate] = bench.measure(self.at(rate), task, 0).dev_score
            except DivergedError:
                continue
        if not scores:
            raise CourseError(f"{self}: the loss diverges at every learning rate tried.")
        return max(scores, key=scores.__getitem__)

    def train(self, bench: Bench, task: Task, seed: int) -> RunRecord:
        """One training on the drawn task, and its record."""
        from course_utils.evaluation import evaluate
        from course_utils.job import Job
        from course_utils.model_facts import with_prompt

        prompt = None if self.wording is None else bench.prompt(task, self.wording)
        job = Job.make(
            bench.plm, task, method=self.method, prompt=prompt, pretrained=self.pretrained
        )
        model, tokenizer = job.load(seed)
        model = with_prompt(model, task, tokenizer, prompt)
        settings, split = self.settings(seed), task.evaluation_split
        record, tested = job.trained(model, task, tokenizer, settings, split, None, False)
        more = {s: evaluate(model, task, s, tokenizer=tokenizer) for s in self.splits}
        noted = self.noted({split: tested, **more})
        return replace(record, notes={**record.notes, **noted})

    def noted(self, found: Mapping[str, Evaluation]) -> dict[str, Any]:
        """What the record's notes keep of the evaluations, by split."""
        scores = {split: found[split].score for split in self.splits}
        return {"scores": scores} if scores else {}

    def settings(self, seed: int) -> Any:
        """Fixed updates, dev scored once, the last parameters kept."""
        from course_utils.settings import TrainSettings

        return TrainSettings(
            steps=self.updates,
            batch_size=BATCH,
            learning_rate=self.rate,
            keep="last",
            evaluate_every=self.updates,
            seed=seed,
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        runs = len(self.tries) if self.rate is None and seed == 0 else 1
        return Cost(runs * self.updates, runs * (2 * scale.dev + scale.tests))


@dataclass(frozen=True)
class OnSplit:
    """The score that a training has on one more split."""

    tuned: FineTuned
    split: str

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        record = bench.measure(self.tuned, task, seed)
        rows = self.tuned.drawn(bench, task, seed)
        return replace(
            record,
            split=self.split,
            score=record.notes["scores"][self.split],
            n=len(rows.split(self.split)),
            majority=rows.majority(self.split),
            interval=None,
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        return Cost()  # counted where it is trained


@dataclass(frozen=True)
class Asked:
    """Ask the PLM through a wording, without training.

    Attributes:
        wording: the prompt.
        shown: training examples shown before the question (a causal PLM), drawn by the seed,
            as many of each label as that number allows.
        calibrated: "content-free" divides out the answer to texts that say nothing, "prior" the
            mean answer over 200 unlabelled training texts, None nothing.
    """

    wording: Wording
    shown: int = 0
    calibrated: str | None = None

    def __call__(self, bench: Bench, task: str, seed: int) -> RunRecord:
        from course_utils.prompting import Calibration

        started = time.perf_counter()
        drawn = bench.task(task, seed)
        model, tokenizer = bench.load()
        prompt = self.prompt(bench, drawn, model, tokenizer, seed)
        if self.calibrated == "prior":
            rows = drawn.split("train")
            some = rows.select(range(min(PRIOR_TEXTS, len(rows))))
            Calibration.from_examples(prompt, some).attach(prompt)
        elif self.calibrated == "content-free":
            Calibration.content_free(prompt, nothing(tokenizer)).attach(prompt)
        return answered(prompt, drawn, seed, started, "InContext" if self.shown else "ZeroShot")

    def prompt(self, bench: Bench, task: Task, model: Any, tokenizer: Any, seed: int) -> Any:
        """The PLM behind its wording, with what is shown before the question."""
        from course_utils.prompting import InContext, PromptModel, choose

        template, words = bench.prompt(task, self.wording)[:2]
        if not self.shown:
            return PromptModel(model, tokenizer, template, words, labels=task.labels)
        examples = choose(task.split("train"), self.shown, len(task.labels), seed=seed)
        return InContext(
            model,
            tokenizer,
            template,
            words,
            labels=task.labels,
            demonstrations=examples,
            separator=BETWEEN,
        )

    def cost(self, scale: Scale, seed: int) -> Cost:
        texts = scale.tests + (PRIOR_TEXTS if self.calibrated == "prior" else 0)
        return Cost(answers=texts * (1 + self.shown))


def answered(prompt: Any, task: Task, seed: int, started: float, method: str) -> RunRecord:
    """The record of a prompted PLM's answers on the task's evaluation split."""
    from course_utils.evaluation import evaluate
    from course_utils.model_facts import count_parameters, plm_name
    from course_utils.records import versions

    evaluation = evaluate(prompt, task, tokenizer=prompt.tokenizer)
    return RunRecord(
        plm=plm_name(prompt),
        task=task.name,
        method=method,
        metric=task.metric,
        score=evaluation.score,
        n=evaluation.n,
        seed=seed,
        total=count_parameters(prompt)[1],
        seconds=round(time.perf_counter() - started, 2),
        versions=versions(),
        notes={"template": prompt.template.text},
    ).scored(evaluation)


def nothing(tokenizer: Any) -> list[str]:
    """Texts that say nothing, for calibration: empty, "n/a", and the mask where there is one."""
    return ["", "n/a", *([tokenizer.mask_token] if tokenizer.mask_token else [])]


def usual_rate(plm: str, method: Any) -> float:
    """The kit's own learning rate for a method on a PLM of this size."""
    from course_utils.plm import load_plm
    from course_utils.settings import default_learning_rate
    from course_utils.tuning import attach, method_named

    # with a new head, since training nothing else is a method, too
    model, tokenizer = load_plm(plm, head="classifier", num_labels=2)
    method = method_named(method) if isinstance(method, str) else method
    return default_learning_rate(attach(model, method, tokenizer=tokenizer))
