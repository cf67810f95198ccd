"""Table and chart of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.plm.pocket.card import table
from course_utils.show import style
from course_utils.show.style import BLUE, GREY, SMALL, VERMILION, Chart


def verdict(row: dict) -> str:
    """ "less", "more", or "tie" where the range of the ratio holds 1."""
    if row["low"] <= 1 <= row["high"]:
        return "tie"
    return "less" if row["high"] < 1 else "more"


def page(rows: Sequence[dict], machine: dict[str, str]) -> str:
    """The comparison as Markdown: the machine, how it ended, a table for each model."""
    verdicts = [verdict(row) for row in rows]
    counted = ", ".join(f"{verdicts.count(name)} {name}" for name in ("less", "tie", "more"))
    parts = [
        "# Methods beside peft",
        "Written by `python benchmarks/methods/compare.py`, which says how it is measured. Ratio: "
        "ours / peft, median and the middle 80 % of the pairs; below 1 this kit takes less.",
        "\n".join(f"* {name}: {value}" for name, value in machine.items()),
        f"Of {len(rows)} comparisons: {counted}.",
        "![ratios](chart.png)",
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        lines = [
            [
                row["method"],
                row["measure"],
                f"{row['ours']:.3g} {row['unit']}",
                f"{row['peft']:.3g} {row['unit']}",
                f"{row['ratio']:.2f} ({row['low']:.2f}-{row['high']:.2f})",
                verdict(row),
            ]
            for row in mine
        ]
        parts += [f"## {model}", table(["method", "", "ours", "peft", "ratio", ""], lines)]
    return "\n\n".join(parts) + "\n"


def chart(rows: Sequence[dict]) -> Chart:
    """One panel for each measure, one line for each method on each model, 1 marked."""
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    cases = list(dict.fromkeys((row["model"], row["method"]) for row in rows))
    with style.house_style():
        drawn = Chart(figsize=(20, 2 + 0.4 * len(cases)), dpi=style.DPI, layout="constrained")
        panels = drawn.subplots(1, len(measures), sharey=True, squeeze=False)[0]
        for measure, axes in zip(measures, panels, strict=True):
            axes.axvline(1, color=GREY, linestyle=":", linewidth=2)
            for row in (r for r in rows if r["measure"] == measure):
                height = cases.index((row["model"], row["method"]))
                colour = VERMILION if verdict(row) == "more" else BLUE
                marker = "s" if verdict(row) == "more" else "o"
                axes.plot([row["low"], row["high"]], [height, height], color=colour)
                axes.plot(row["ratio"], height, marker, color=colour)
            axes.set_xscale("log", base=2)
            axes.set_title(measure, fontsize=16)
            axes.tick_params(axis="x", labelsize=SMALL)
            axes.xaxis.set_major_formatter("{x:g}")
        panels[0].set_yticks(range(len(cases)), [f"{method}, {model}" for model, method in cases])
        panels[0].invert_yaxis()
        style.entitle(drawn, "Ours / peft: left of the line this kit takes less")
    drawn.alt = f"Ratios of {len(rows)} measurements of this kit to peft's."
    return drawn
