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
training examples, the new parameters and the order.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.errors import unknown_name
from course_utils.records import RunRecord, read_json, write_json
from course_utils.tasks import load_task

PROMPTED = ("sst2", "agnews", "snli", "boolq", "rte", "wic", "wsc")
CLASSIFIED = (*PROMPTED, "copa")
SHOTS, EXAMPLES = 16, 2000
FEW_RATES = (3e-5, 1e-4, 3e-4, 1e-3)
FULL_RATES = (1e-4, 3e-4, 1e-3)
LORA_RATES = (1e-3, 3e-3, 1e-2)
IN_CONTEXT = (0, 1, 4, 8)


@dataclass(frozen=True)
class Cell:
    """One number of the evaluation: a training, once per seed.

    Attributes:
        part, name: where it stands in the results.
        task: short name of a pocket task.
        options: of `course_utils.run.run`.
    """

    part: str
    name: str
    task: str
    options: dict[str, Any]


def cells(causal: bool, tasks: Sequence[str] | None = None) -> list[Cell]:
    """Every training of the evaluation, cheap parts first."""
    found: list[Cell] = []
    few = {"shots": SHOTS, "method": "full", "learning_rate": FEW_RATES}
    for task in PROMPTED:
        found.append(Cell("few-shot", "prompt", task, {**few, "prompt": 0}))
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
        found = [c for c in found if c.name == "prompt"]
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
    results_file = output / "results.json"
    output.mkdir(parents=True, exist_ok=True)
    if "zero-shot" in wanted:
        _keep(results_file, "zero-shot", zero_shot_scores(plm, causal, tasks, say))
    if "in-context" in wanted and causal:
        _keep(results_file, "in-context", in_context_scores(plm, seeds, say))
    for cell in cells(causal, tasks):
        if cell.part in wanted:
            row = _run(cell, plm, output, seeds)
            say(f"{cell.part:10} {cell.task:7} {cell.name:24} {row['mean']:.3f} ± {row['std']:.3f}")
            _keep(results_file, cell.part, {cell.task: {cell.name: row}})
    return read_json(results_file)


def _run(cell: Cell, plm: str, output: Path, seeds: int) -> dict[str, Any]:
    from course_utils.run import run

    slug = f"{cell.part}-{cell.task}-{cell.name}".replace(" ", "_").replace(",", "")
    records: list[RunRecord] = run(
        plm,
        f"pocket/{cell.task}",
        seeds=seeds,
        output=output / slug,
        progress=False,
        say=lambda _: None,
        **cell.options,
    )
    scores = [r.score for r in records]
    return {
        "metric": records[0].metric,
        "mean": round(statistics.mean(scores), 4),
        "std": round(statistics.stdev(scores), 4) if len(scores) > 1 else 0.0,
        "scores": [round(s, 4) for s in scores],
        "majority": round(records[0].majority or 0.0, 4),
        "learning_rate": records[0].settings["learning_rate"],
        "trainable": records[0].trainable,
        "seconds": round(statistics.mean(r.seconds for r in records), 1),
    }


def zero_shot_scores(
    plm: str, causal: bool, tasks: Sequence[str] | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Accuracy of every wording, on test, with no training at all."""
    from course_utils.plm import load_plm
    from course_utils.prompting import Template, Verbalizer, zero_shot

    model, tokenizer = load_plm(plm)
    scores: dict[str, Any] = {}
    for short in PROMPTED:
        if tasks is not None and short not in tasks:
            continue
        task = load_task(f"pocket/{short}")
        rows = task.split("test")
        by_wording = []
        for prompt in task.prompts:
            if causal and not prompt.template.rstrip(" .!").endswith("{mask}"):
                continue
            text = prompt.template.rstrip(" .!") if causal else prompt.template
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
        scores[short] = {
            "majority": round(task.majority("test"), 4),
            "median": round(statistics.median(values), 4),
            "wordings": by_wording,
        }
        say(
            f"zero-shot  {short:7} median {statistics.median(values):.3f}, "
            f"{min(values):.3f} to {max(values):.3f} (majority {task.majority('test'):.3f})"
        )
    return scores


def in_context_scores(plm: str, seeds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Accuracy with k demonstrations in the text, on 300 test examples."""
    from course_utils.plm import load_plm
    from course_utils.prompting import InContext, Template, Verbalizer
    from course_utils.prompting.in_context import choose

    model, tokenizer = load_plm(plm)
    scores: dict[str, Any] = {}
    for short in ("sst2", "agnews"):
        task = load_task(f"pocket/{short}")
        prompt = next(p for p in task.prompts if p.template.endswith("{mask}"))
        rows = task.split("test").select(range(300))
        scores[short] = {"majority": round(task.majority("test"), 4), "k": {}}
        for k in IN_CONTEXT:
            values = []
            for seed in range(seeds):
                demonstrations = choose(task.split("train"), k, len(task.labels), seed=seed)
                asked = InContext(
                    model,
                    tokenizer,
                    Template(prompt.template),
                    Verbalizer(prompt.words),
                    labels=task.labels,
                    demonstrations=demonstrations,
                    separator=" / ",
                )
                values.append(asked.predict(list(rows), batch_size=32).accuracy(rows["label"]))
            mean = statistics.mean(values)
            scores[short]["k"][str(k)] = {
                "mean": round(mean, 4),
                "std": round(statistics.stdev(values), 4) if seeds > 1 else 0.0,
            }
            say(f"in-context {short:7} k={k} {mean:.3f}")
    return scores


def _keep(path: Path, part: str, rows: dict[str, Any]) -> None:
    """Merge rows into the results file, task by task."""
    results = read_json(path) if path.exists() else {}
    kept = results.setdefault(part, {})
    for task, row in rows.items():
        kept[task] = {**kept.get(task, {}), **row}
    write_json(path, results)
