"""The pocket recipes, run again: what they reach, and runs that are above them.

    python benchmarks/pocket_released/measure.py             all, about half an hour of one core
    python benchmarks/pocket_released/measure.py ner srl     only these tasks
    python benchmarks/pocket_released/measure.py --shown     the table of the records that are there

A record goes to released/TASK-seed-N.record.json or better/TASK-seed-N.record.json beside this
file; what is there is not run again. The results in course_utils/recipes/pocket.toml are those of
released/, by `summary`; a test holds them together.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_utils.comparison import compare, table
from course_utils.recipes import DIGITS, Recipe, recipes
from course_utils.recipes.running import run_recipe
from course_utils.records import RunRecord, read_all

HERE = Path(__file__).parent
COLLECTION = "pocket"
RELEASED, BETTER = "released", "better"
RUNS = Path("runs") / "pocket_released"  # adapters and predictions, which nobody keeps

# What a student might try: changes to the recipe, found on dev with other seeds than those here.
CHANGES: dict[str, dict[str, Any]] = {
    "boolq": {"settings": {"epochs": 4}},
    "srl": {"settings": {"epochs": 3}},
}
BETTER_SEEDS = {"boolq": 3, "srl": 1}


def pocket_recipes(tasks: Iterable[str] = ()) -> list[Recipe]:
    """Those of the tasks named, "ner"; of all without names."""
    known = [one for one in recipes() if one.name.startswith(f"{COLLECTION}/")]
    return [one for one in known if not tasks or one.name.split("/")[1] in tasks]


def measure(kind: str, one: Recipe, seeds: int, changes: dict[str, Any]) -> None:
    """Runs the seeds that have no record yet."""
    short = one.name.split("/")[1]
    if len(records_of(kind, short)) >= seeds:
        return
    made = run_recipe(one.name, seeds=seeds, output=RUNS / kind / short, **changes)
    for record in made:
        notes = {key: value for key, value in record.notes.items() if key != "released"}
        name = f"{short}-seed-{record.seed}.record.json"
        replace(record, notes=notes).write(HERE / kind / name)


def records_of(kind: str, short: str) -> list[RunRecord]:
    """The records of a task, by seed."""
    found = [RunRecord.read(path) for path in (HERE / kind).glob(f"{short}-seed-*.record.json")]
    return sorted(found, key=lambda record: record.seed)


def summary(records: Sequence[RunRecord]) -> dict[str, float]:
    """What pocket.toml holds of the records: the highest, mean and deviation, in per cent."""
    scores = [100 * record.score for record in records]
    return {
        "result": round(max(scores), DIGITS),
        "mean": round(statistics.fmean(scores), DIGITS),
        "deviation": round(statistics.stdev(scores), DIGITS),
        "seeds": len(scores),
    }


def main(arguments: Sequence[str]) -> None:
    tasks = [name for name in arguments if name != "--shown"]
    for one in pocket_recipes(tasks):
        short = one.name.split("/")[1]
        if "--shown" not in arguments:
            measure(RELEASED, one, one.seeds, {})
            if short in CHANGES:
                measure(BETTER, one, BETTER_SEEDS[short], CHANGES[short])
        if records_of(RELEASED, short):
            print(short, summary(records_of(RELEASED, short)))
    print(table(compare(read_all(HERE))))


if __name__ == "__main__":
    main(sys.argv[1:])
