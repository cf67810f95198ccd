"""The page: one self-contained HTML file, a section a claim, readable on a projector.

Pictures are inside the file, so it can be mailed or put on a course's site as it is.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from course_utils.claims.claim import NO_PRETRAINING, Row
from course_utils.claims.report import RESULTS, about, bounds, shown_verdict
from course_utils.claims.verdict import points
from course_utils.show import style
from course_utils.show.measured import interval_rows, measured_curves, measured_rows
from course_utils.show.style import Chart
from course_utils.show.tables import Table
from course_utils.show.tradeoff import accuracy_vs_parameters

SIGNS = {"holds": "✓", "fails": "✗", "large": "⇡", "open": "?"}
COLOURS = {"holds": style.BLUE, "fails": style.VERMILION, "large": "#7a3b69", "open": style.GREY}
METRIC_NAMES = {
    "bleu": "BLEU", "nist": "NIST", "meteor": "METEOR", "rouge_l": "ROUGE-L", "cider": "CIDEr"
}  # fmt: skip
WIDEST = 0.5  # ends of intervals beyond half of all answers are cut in the overview

_STYLE = """
body{font:18px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#111;
background:#fff}
h1{font-size:1.9em;margin-bottom:.2em} h2{font-size:1.45em;margin:2.2em 0 .3em}
section{border-top:3px solid #ddd} img{max-width:100%;height:auto;display:block;margin:1em 0}
.verdict{display:inline-block;color:#fff;font-weight:bold;padding:.15em .7em;border-radius:.4em;
white-space:nowrap}
.quick{background:#fff3cd;border:2px solid #b58900;padding:.5em 1em;border-radius:.4em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3em 1em}
dt{font-weight:bold} dd{margin:0}
.wide{overflow-x:auto} summary{cursor:pointer;margin:.6em 0} table{font-size:.85em}
a{color:#0072B2}
"""


def page(claims: Sequence[Mapping[str, Any]]) -> str:
    """The whole file, from the claims of results.json."""
    quick = any(claim["quick"] for claim in claims)
    notice = f'<p class="quick"><strong>Quick look.</strong> {_text(about(claims))}</p>'
    lead = notice if quick else f"<p>{_text(about(claims))}</p>"
    sections = "\n".join(_section(claim) for claim in claims)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>The claims of the course, measured</title><style>{_STYLE}</style></head><body>"
        f"<h1>The claims of the course, measured</h1>{lead}"
        f"{_overview(claims)}{_how_to_read()}\n{sections}</body></html>\n"
    )


def pictures(claim: Mapping[str, Any]) -> list[Chart]:
    """One chart per task: curves where the claim has an axis, rows where it has not, or scores
    against trained parameters."""
    rows = [Row.from_json(row) for row in claim["rows"]]
    charts = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == task]
        known = {"majority": mine[0].majority, "chance": mine[0].chance}
        levels = {name: level for name, level in known.items() if level}  # texts have neither
        plms = ", ".join(dict.fromkeys(row.plm for row in mine))
        look = ", quick look" if claim["quick"] else ""
        title = f"{task}, {plms}\nmean ± std of {claim['seeds']} seeds{look}"
        if claim["chart"] == "parameters":
            charts.append(_against_parameters(mine, title))
        elif claim["x_title"]:
            curves: dict[str, dict[Any, tuple[float, ...]]] = {}
            for row in mine:
                curves.setdefault(row.arm, {})[row.x] = row.scores
            charts.append(
                measured_curves(
                    curves,
                    xlabel=claim["x_title"],
                    ylabel=mine[0].metric,
                    title=title,
                    levels=levels,
                    joined=claim["x_ordered"],
                )
            )
        else:
            scores = {row.arm: row.scores for row in mine}
            charts.append(measured_rows(scores, xlabel=mine[0].metric, title=title, levels=levels))
    return charts


def _against_parameters(rows: Sequence[Row], title: str) -> Chart:
    """Scores against trained parameters; the control as a line."""
    points = [
        {"method": row.arm, "trainable": row.trainable, "score": score}
        for row in rows
        if row.arm != NO_PRETRAINING
        for score in row.scores
    ]
    control = next((row.mean for row in rows if row.arm == NO_PRETRAINING), None)
    return accuracy_vs_parameters(
        points,
        majority=rows[0].majority,
        no_pretraining=control,
        title=title,
        metric=rows[0].metric,
    )


def overview_chart(claims: Sequence[Mapping[str, Any]]) -> Chart:
    """All gains against zero."""
    spans = {claim["name"]: bounds(claim) for claim in claims}
    largest = max(abs(v) for span in spans.values() for v in span)
    return interval_rows(
        {name: tuple(100 * v for v in span) for name, span in spans.items()},
        xlabel="gain in hundredths (points): right of zero as claimed",
        title="What each claim gained, with its 95 % interval",
        colours={claim["name"]: COLOURS[claim["kind"]] for claim in claims},
        most=100 * WIDEST if largest > WIDEST else None,
    )


def _section(claim: Mapping[str, Any]) -> str:
    facts = {
        "source": claim["source"],
        "measured": claim["measured"],
        "rule": claim["rule"],
        "reason": claim["reason"],
        "also": claim["remark"],
    }
    listed = "".join(f"<dt>{k}</dt><dd>{_text(v)}</dd>" for k, v in facts.items() if v)
    drawn = "".join(_picture(chart) for chart in pictures(claim))
    return (
        f'<section id="{_text(claim["name"])}"><h2>{_text(claim["sentence"])}</h2>'
        f"<p>{_badge(claim)}</p><dl>{listed}</dl>{drawn}"
        f'<div class="wide">{_means(claim).html}{_other_metrics(claim)}</div>'
        f"<details><summary>Every number</summary>"
        f'<div class="wide">{_by_task(claim).html}{_everything(claim).html}</div>'
        f"{_prompts(claim)}</details></section>"
    )


def _overview(claims: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{_text(c["name"])}">{_text(c["sentence"])}</a></td>'
        f"<td>{_badge(c)}</td></tr>"
        for c in claims
    )
    table = f'<table style="border-spacing:.6em .5em;font-size:1em">{rows}</table>'
    return table + _picture(overview_chart(claims))


def _how_to_read() -> str:
    return (
        "<details><summary>How to read this</summary><p>A seed is a replication of its own: it "
        "draws training, dev and test examples, new parameters and the order of batches. Two arms "
        "of one seed share all of that and are compared as a pair; the gain is their difference. "
        "<strong>Holds</strong>: the 95 % interval of the mean gain (Student's t over seeds) lies "
        "above zero, or above what the claim promises. <strong>Does not hold here</strong>: the "
        "interval leaves no room for a gain of one point (or of what is promised). <strong>Needs a "
        "large PLM</strong>: the same, and the source reports the effect for large PLMs only. "
        "Otherwise it is <strong>not decided</strong>. Of 20 claims without any effect, one "
        "interval misses zero by chance. Every arm tries as many learning rates; the best on the "
        "whole dev set with seed 0 is used for all seeds. Nothing else is chosen there: no arm "
        "shall lose by a rate drawn by lot. Dotted lines are the majority class and chance. "
        f"All numbers are in {RESULTS} beside this page.</p></details>"
    )


def _means(claim: Mapping[str, Any]) -> Table:
    """Task by arm, a column for each place."""
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for row in map(Row.from_json, claim["rows"]):
        head = {"task": row.task, claim["arm_title"]: row.arm}
        column = "score" if row.x is None else str(row.x)
        line = lines.setdefault((row.task, row.arm), head)
        line[column] = _mean_and_std(row.scores)
    head = ("task", claim["arm_title"])
    places = dict.fromkeys("score" if row["x"] is None else str(row["x"]) for row in claim["rows"])
    where = f" Columns: {claim['x_title']}." if claim["x_title"] else ""
    caption = f"Mean ± standard deviation of {claim['seeds']} seeds.{where}"
    return Table(lines.values(), columns=[*head, *places], caption=caption)


def _other_metrics(claim: Mapping[str, Any]) -> str:
    """Arm and place by metric, where a claim's runs were scored in several; else nothing."""
    rows = [row for row in map(Row.from_json, claim["rows"]) if row.also]
    if not rows:
        return ""
    lines = []
    for row in rows:
        place = {claim["arm_title"]: row.arm, "": "" if row.x is None else str(row.x)}
        scores = {METRIC_NAMES.get(m, m): _mean_and_std(also, 2) for m, also in row.also.items()}
        lines.append(place | scores)
    where = f" Second column: {claim['x_title']}." if claim["x_title"] else ""
    return Table(lines, caption=f"The same texts in several metrics.{where}").html


def _mean_and_std(values: Sequence[float], digits: int = 3) -> str:
    spread = stdev(values) if len(values) > 1 else 0.0
    text = f"{fmean(values):.{digits}f} ± {spread:.{digits}f}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _by_task(claim: Mapping[str, Any]) -> Table:
    rows = []
    for name, gain in {**claim["gain_by_task"], "all": claim["gain"]}.items():
        low, mean, high = bounds({"gain": gain})
        rows.append(
            {
                "task": name,
                f"gain in {claim['unit']}": points(mean),
                "from": points(low),
                "to": points(high),
            }
        )
    seeds = ", ".join(points(gain) for gain in claim["gains"])
    return Table(rows, caption=f"Gain with its 95 % interval. Seed by seed: {seeds}.")


def _everything(claim: Mapping[str, Any]) -> Table:
    rows = []
    for row in map(Row.from_json, claim["rows"]):
        rows.append(
            {
                "task": row.task,
                "arm": row.arm,
                "x": row.x if row.x is None else str(row.x),
                "scores by seed": " ".join(f"{score:.3f}" for score in row.scores),
                "majority": row.majority,
                "learning rate": None if row.learning_rate is None else f"{row.learning_rate:g}",
                "trained parameters": row.trainable,
                "seconds a seed": row.seconds,
            }
        )
    return Table(rows, caption="Every score.", digits=2)


def _prompts(claim: Mapping[str, Any]) -> str:
    """The wordings that were asked, arm by arm."""
    told: dict[tuple[str, str], dict[str, None]] = {}
    for row in map(Row.from_json, claim["rows"]):
        told.setdefault((row.task, row.arm), {}).update(dict.fromkeys(row.notes))
    items = "".join(
        f"<li>{_text(task)}, {_text(arm)}: {_codes(notes)}</li>"
        for (task, arm), notes in told.items()
        if notes
    )
    return f"<p>Prompts:</p><ul>{items}</ul>" if items else ""


def _codes(texts: Iterable[str]) -> str:
    return "; ".join(f"<code>{_text(text)}</code>" for text in texts)


def _badge(claim: Mapping[str, Any]) -> str:
    kind = claim["kind"]
    return (
        f'<span class="verdict" style="background:{COLOURS[kind]}">{SIGNS[kind]} '
        f"{_text(shown_verdict(claim))}</span>"
    )


def _picture(chart: Chart) -> str:
    """The chart as SVG inside the page: sharp at any size, its ids kept from its neighbours'."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(chart.alt)}" src="data:image/svg+xml;base64,{data}">'


def _text(value: object) -> str:
    return html.escape(str(value))
