"""Table and chart of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from course_utils.plm.pocket.card import table
from course_utils.show import style
from course_utils.show.style import BLUE, GREY, SMALL, VERMILION, Chart

SAME = 0.02  # file sizes, which have no spread, may differ by that share and be a tie

WHY = """## Where this kit takes more, and why

* **Task switch** with prefixes, soft prompts and P-tuning takes 0.1 to 0.6 ms instead of 0.1 to
  0.4. This kit puts the task's vectors, its head and its labels in their places one by one, so that
  the model then is that task's in every respect; peft turns the name of the active one. With LoRA
  and IA3, where peft has modules to walk through, this kit takes a third to a half.
* **Attach** of the same methods takes a few milliseconds more: the PLM's values and flags that are
  about to change are noted, so that detaching gives the base back bit for bit.
* **IA3** takes about 5 % more time, and up to 9 % more memory: it is computed as h + (l - 1) * h,
  since every method of the kit is h + Δh, which is one operation and one intermediate result more
  than l * h.
* **Peak memory** of soft prompts and P-tuning on BERT-large is 5 % higher; on the smaller models it
  is not, and nobody has looked into it.
"""


def verdict(row: dict) -> str:
    """ "less", "more", or "tie" where the range of the ratio holds 1 (a file's: nearly so)."""
    if row.get("measure") == "file size" and abs(row["ratio"] - 1) <= SAME:
        return "tie"
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
    if "more" in verdicts:
        parts.append(WHY.strip())
    return "\n\n".join(parts) + "\n"


def chart(rows: Sequence[dict]) -> Chart:
    """One panel for each measure, one line for each method on each model, 1 marked."""
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    cases = list(dict.fromkeys((row["model"], row["method"]) for row in rows))
    # one scale for all panels: a difference of one per cent shall look like one
    limits = (
        min(0.4, *(row["low"] for row in rows)) / 1.1,
        max(2.5, *(r["high"] for r in rows)) * 1.1,
    )
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
            axes.set_xlim(*limits)
            axes.set_xticks([0.25, 0.5, 1, 2, 4])
            axes.minorticks_off()
            axes.set_title(measure, fontsize=16)
            axes.tick_params(axis="x", labelsize=SMALL)
            axes.xaxis.set_major_formatter("{x:g}")
        panels[0].set_yticks(range(len(cases)), [f"{method}, {model}" for model, method in cases])
        panels[0].invert_yaxis()
        style.entitle(drawn, "Ours / peft: left of the line this kit takes less")
    drawn.alt = f"Ratios of {len(rows)} measurements of this kit to peft's."
    return drawn
