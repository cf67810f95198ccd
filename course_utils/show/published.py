"""Published tables, from the recipes' data, with the names their papers print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils.recipes import published, tables
from course_utils.show.tables import Table

HEADINGS = {
    "parameters": "trained", "mnli": "MNLI", "qnli": "QNLI", "sst2": "SST-2", "qqp": "QQP",
    "mrpc": "MRPC", "cola": "CoLA", "rte": "RTE", "stsb": "STS-B", "bleu": "BLEU", "nist": "NIST",
    "meteor": "METEOR", "rouge_l": "ROUGE-L", "cider": "CIDEr", "full": "full fine-tuning",
    "soft_prompt": "soft prompt",
}  # fmt: skip


def published_table(
    name: str,
    *,
    methods: Sequence[str] | None = None,
    more: Sequence[Mapping[str, Any]] = (),
    highlight: int | None = None,
) -> Table:
    """A published table, as `course_utils.recipes.published` has it.

    Args:
        methods: only the rows of these.
        more: rows beside the published ones, with the same keys, such as a difference of two.
        highlight: the number of a row to print in bold.

    Raises:
        CourseError: an unknown table, or no row of these methods.
    """
    rows = [r for r in published(name) if methods is None or r["method"] in methods]
    about = tables()[name]
    if "gain" in about:
        ours, theirs = about["gain"]
        rows = [row | {"gain": row[ours] - row[theirs]} for row in rows]
    return Table(
        [{HEADINGS.get(k, k): _shown(k, v) for k, v in row.items()} for row in [*rows, *more]],
        caption=f"{about['title']} ({about['source'].split(', arXiv')[0]})",
        digits=about.get("digits", 1),
        highlight=highlight,
    )


def _shown(key: str, value: Any) -> Any:
    return counted(value) if key == "parameters" else value


def counted(parameters: float) -> str:
    """A number of parameters as papers write it: 355M, 0.35M, 175B."""
    value, unit = (parameters / 1e9, "B") if parameters >= 1e9 else (parameters / 1e6, "M")
    return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}"
