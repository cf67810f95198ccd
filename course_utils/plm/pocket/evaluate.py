"""What the pocket models can do: the numbers on their cards, from one command.

    course pocket evaluate --model bert-base --seeds 3

Parts, each resumable (a finished run is read, not repeated):

    zero-shot    every wording of every prompted task, on test; no training
    few-shot     16 examples a class: through a prompt, with a new head, and with a new head on
                 the same architecture without pre-training
    full-data    2000 examples: full fine-tuning, LoRA, and full fine-tuning without pre-training
    tables       causal models: table to text, in domain and on unseen categories
    in-context   causal models: examples in the text instead of training

Learning rates are chosen on dev with the first seed, each method from as many; a seed draws the
training examples, the new parameters and the order. `--keep` puts the results beside the weights,
where `course pocket card` reads them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.sources import resolve
from course_utils.records import RunRecord, read_json, versions, write_json
from course_utils.tasks import Prompt, load_task

PROMPTED = ("sst2", "agnews", "snli", "boolq", "rte", "wic", "wsc")
CLASSIFIED = (*PROMPTED, "copa")
TASKS = (*CLASSIFIED, "ner", "srl", "e2e")
SHOTS, EXAMPLES = 16, 2000
FEW_RATES = (3e-5, 1e-4, 3e-4, 1e-3)
FULL_RATES = (1e-4, 3e-4, 1e-3)
LORA_RATES = (1e-3, 3e-3, 1e-2)
SHOWN, IN_CONTEXT = ("sst2", "agnews"), (0, 1, 4, 8)  # tasks, and numbers of examples shown


@dataclass(frozen=True)
class Cell:
    """One number of the evaluation: a training, once per seed.

    Attributes:
        part, name: where it stands in the results.
        task: short name of a pocket task.
        options: of `course_utils.run.run`.
        prompted: through the task's first wording that the PLM can be asked in.
    """

    part: str
    name: str
    task: str
    options: dict[str, Any]
    prompted: bool = False


def cells(causal: bool, tasks: Sequence[str] | None = None) -> list[Cell]:
    """Every training of the evaluation, cheap parts first."""
    found: list[Cell] = []
    few = {"shots": SHOTS, "method": "full", "learning_rate": FEW_RATES}
    for task in PROMPTED:
        found.append(Cell("few-shot", "prompt", task, few, prompted=True))
        found.append(Cell("few-shot", "head", task, few))
        found.append(Cell("few-shot", "head, no pre-training", task, {**few, "pretrained": False}))
    many = {"examples": EXAMPLES, "method": "full", "learning_rate": FULL_RATES}
    lora = {"examples": EXAMPLES, "method": "lora", "learning_rate": LORA_RATES}
    for task in () if causal else CLASSIFIED:
        found.append(Cell("full-data", "full fine-tuning", task, many))
        found.append(Cell("full-data", "LoRA", task, lora))
        found.append(Cell("full-data", "no pre-training", task, {**many, "pretrained": False}))
    for task in () if causal else ("ner", "srl"):
        found.append(Cell("full-data", "full fine-tuning", task, many))
        found.append(Cell("full-data", "LoRA", task, lora))
    if causal:
        found = [c for c in found if c.prompted]
        for split in ("test", "ood"):
            found.append(Cell("tables", f"LoRA, {split}", "e2e", {**lora, "split": split}))
    return [c for c in found if tasks is None or c.task in tasks]


def evaluate_pocket(
    plm: str,
    output: Path,
    *,
    seeds: int = 3,
    parts: Iterable[str] = (),
    tasks: Sequence[str] | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run what is not yet in `output`, and return all results as one dict.

    Args:
        plm: a pocket model's name.
        output: folder of the RunRecords; results.json is written there too.
        seeds: how many runs stand behind each mean.
        parts: which parts (all by default).
        tasks: which tasks, by short name (all by default).
        say: told of every finished number.
    """
    from course_utils.plm.names import POCKET_ALIASES
    from course_utils.plm.pocket.sizes import SIZES

    plm = POCKET_ALIASES.get(plm, plm)
    causal = SIZES[plm].causal
    known = ["zero-shot", "few-shot", "full-data", "tables", "in-context"]
    for part in parts:
        if part not in known:
            raise unknown_name("part", part, known)
    wanted = list(parts) or known
    output.mkdir(parents=True, exist_ok=True)
    results_file = output / "results.json"
    _claim(results_file, plm, seeds)
    done = read_json(results_file)
    for task in (t for t in PROMPTED if tasks is None or t in tasks):
        if "zero-shot" in wanted and task not in done.get("zero-shot", {}):
            _keep(results_file, "zero-shot", {task: zero_shot_scores(plm, causal, task, say)})
        asked = "in-context" in wanted and causal and task in SHOWN
        if asked and task not in done.get("in-context", {}):
            _keep(results_file, "in-context", {task: in_context_scores(plm, seeds, task, say)})
    for cell in cells(causal, tasks):
        if cell.part in wanted:
            row = _run(cell, plm, output, seeds, causal)
            say(f"{cell.part:10} {cell.task:7} {cell.name:24} {row['mean']:.3f} ± {row['std']:.3f}")
            _keep(results_file, cell.part, {cell.task: {cell.name: row}})
    return read_json(results_file)


def _claim(results_file: Path, plm: str, seeds: int) -> None:
    """Says in the results whose they are, or finds that they are another's."""
    mine = {"plm": plm, "weights": resolve(plm, None).revision, "seeds": seeds}
    results = read_json(results_file) if results_file.exists() else {}
    theirs = results.get("about", {})
    for key, value in mine.items():
        if theirs.get(key, value) != value:
            raise CourseError(
                f"{results_file} holds results with another {key}: {theirs[key]}, not {value}. "
                "Name another --output, or delete that one."
            )
    write_json(results_file, {"about": {**mine, "versions": versions()}, **results})


def _run(cell: Cell, plm: str, output: Path, seeds: int, causal: bool) -> dict[str, Any]:
    from course_utils.run import run

    options = dict(cell.options)
    if cell.prompted:
        options["prompt"] = _first_asked(cell.task, causal)
    slug = f"{cell.part}-{cell.task}-{cell.name}".replace(" ", "_").replace(",", "")
    records: list[RunRecord] = run(
        plm,
        f"pocket/{cell.task}",
        seeds=seeds,
        output=output / slug,
        progress=False,
        say=lambda _: None,
        **options,
    )
    scores = [r.score for r in records]
    return {
        "metric": records[0].metric,
        **_mean_and_std(scores),
        "scores": [round(s, 4) for s in scores],
        "majority": round(records[0].majority or 0.0, 4),
        "learning_rate": records[0].settings["learning_rate"],
        "trainable": records[0].trainable,
        "seconds": round(statistics.mean(r.seconds for r in records), 1),
    }


def zero_shot_scores(
    plm: str, causal: bool, short: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Accuracy of every wording of a task, on test, with no training at all."""
    from course_utils.plm import load_plm
    from course_utils.prompting import Template, Verbalizer, zero_shot

    model, tokenizer = load_plm(plm)
    task = load_task(f"pocket/{short}")
    rows, by_wording = task.split("test"), []
    for prompt in task.prompts:
        text = _asked(prompt.template, causal)
        if text is None:
            continue
        answers = zero_shot(
            model,
            tokenizer,
            Template(text),
            Verbalizer(prompt.words),
            rows,
            labels=task.labels,
        )
        score = answers.accuracy(task.gold("test"))
        by_wording.append(
            {"template": text, "kept_out": prompt.held_out, "accuracy": round(score, 4)}
        )
    values = [w["accuracy"] for w in by_wording]
    say(
        f"zero-shot  {short:7} median {statistics.median(values):.3f}, "
        f"{min(values):.3f} to {max(values):.3f} (majority {task.majority('test'):.3f})"
    )
    return {
        "majority": round(task.majority("test"), 4),
        "median": round(statistics.median(values), 4),
        "wordings": by_wording,
    }


def _first_asked(short: str, causal: bool) -> Prompt:
    """The task's first wording that this kind of PLM can be asked in."""
    prompts = load_task(f"pocket/{short}").prompts
    asked = ((p, _asked(p.template, causal)) for p in prompts)
    return next(p._replace(template=text) for p, text in asked if text is not None)


def _asked(template: str, causal: bool) -> str | None:
    """The wording as this kind of PLM is asked; None where a causal one has no gap at the end."""
    from course_utils.prompting import Template

    if not causal:
        return template
    try:
        return Template(template).ending_in_mask().text
    except CourseError:
        return None


def in_context_scores(
    plm: str, seeds: int, short: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Accuracy with k demonstrations in the text, on 300 test examples of a task.

    In two wordings: the first that the pocket corpus held, and the first that it did not.
    """
    from course_utils.plm import load_plm
    from course_utils.prompting import InContext, Template, Verbalizer
    from course_utils.prompting.in_context import choose

    model, tokenizer = load_plm(plm)
    task = load_task(f"pocket/{short}")
    rows = task.split("test").select(range(300))
    scores: dict[str, Any] = {"majority": round(task.majority("test"), 4)}
    for wording, kept_out in (("known", False), ("kept out", True)):
        prompts = (p for p in task.prompts if p.held_out == kept_out)
        prompt = next((p for p in prompts if _asked(p.template, True)), None)
        if prompt is None:
            continue
        text, by_k = _asked(prompt.template, True), {}
        for k in IN_CONTEXT:
            values = []
            for seed in range(seeds):
                asked = InContext(
                    model,
                    tokenizer,
                    Template(text),
                    Verbalizer(prompt.words),
                    labels=task.labels,
                    demonstrations=choose(task.split("train"), k, len(task.labels), seed=seed),
                    separator=" / ",
                )
                values.append(asked.predict(list(rows), batch_size=32).accuracy(rows["label"]))
            by_k[str(k)] = _mean_and_std(values)
            say(f"in-context {short:7} {wording:8} k={k} {by_k[str(k)]['mean']:.3f}")
        scores[wording] = {"template": text, "k": by_k}
    return scores


def _mean_and_std(scores: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(statistics.mean(scores), 4),
        "std": round(statistics.stdev(scores), 4) if len(scores) > 1 else 0.0,
    }


def _keep(path: Path, part: str, rows: dict[str, Any]) -> None:
    """Merge rows into the results file, task by task, in the course's order of tasks."""
    results = read_json(path) if path.exists() else {}
    kept = results.get(part, {})
    merged = {task: {**kept.get(task, {}), **rows.get(task, {})} for task in TASKS}
    results[part] = {task: row for task, row in merged.items() if row}
    write_json(path, results)
