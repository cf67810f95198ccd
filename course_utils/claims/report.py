"""results.json, the page and the summary: everything `course claims` leaves to be read.

results.json holds every number; the page and the summary are made from it alone. Claims that were
measured at other times stay in it, unless the weights of their PLM have changed since.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.claims.claim import Claim, Findings, Scale
from course_utils.claims.verdict import interval, judge, points
from course_utils.errors import CourseError
from course_utils.records import read_json, versions, write_json, write_text

RESULTS, PAGE, SUMMARY = "results.json", "index.html", "summary.md"
SCHEMA = 1
Result = dict[str, Any]


def result_of(
    claim: Claim, findings: Findings, scale: Scale, weights: Mapping[str, str] | None = None
) -> Result:
    """A claim's entry in results.json.

    Args:
        weights: PLM -> what tells its weights from others of the same name.
    """
    gains = list(claim.gains(findings))
    judgement = judge(gains, claim.more_than, claim.large, claim.unit)
    return {
        "name": claim.name,
        "sentence": claim.sentence,
        "source": claim.source,
        "measured": claim.measured,
        "rule": claim.rule,
        "verdict": judgement.verdict,
        "kind": judgement.kind,
        "reason": judgement.reason,
        "remark": claim.remark(findings) if claim.remark else "",
        "gain": _plain(judgement.interval),
        "gain_by_task": gain_by_task(claim, findings),
        "gains": [round(gain, 6) for gain in gains],
        "promised": claim.more_than,
        "quick": scale.quick,
        "seeds": scale.seeds,
        "arm_title": claim.arm_title,
        "x_title": claim.x_title,
        "x_ordered": claim.x_ordered,
        "unit": claim.unit,
        "chart": claim.chart,
        "plms": {row.plm: row.total for row in findings.rows},
        "weights": dict(weights or {}),
        "rows": [row.to_json() for row in findings.rows],
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def read_results(folder: Path) -> dict[str, Any]:
    """The content of a folder's results.json; without one, an empty one.

    Raises:
        CourseError: a file that is not ours.
    """
    path = folder / RESULTS
    if not path.is_file():
        return {"schema": SCHEMA, "claims": []}
    found = read_json(path)
    if found.get("schema") != SCHEMA or not isinstance(found.get("claims"), list):
        raise CourseError(f"{path} was not written by `course claims`: give another --output.")
    return found


def write_report(folder: Path, fresh: Sequence[Result]) -> dict[str, Any]:
    """Puts these results beside those the folder holds, and writes all three files anew."""
    from course_utils.claims.catalogue import CLAIMS
    from course_utils.claims.page import page

    kept = {r["name"]: r for r in read_results(folder)["claims"] if _current(r, fresh)}
    kept |= {result["name"]: result for result in fresh}
    order = {name: number for number, name in enumerate(CLAIMS)}
    claims = sorted(kept.values(), key=lambda result: order.get(result["name"], len(order)))
    results = {"schema": SCHEMA, "claims": claims, "versions": versions()}
    write_json(folder / RESULTS, results)
    write_text(folder / SUMMARY, summary(claims))
    write_text(folder / PAGE, page(claims))
    return results


def _current(old: Result, fresh: Sequence[Result]) -> bool:
    """False where the same PLM name has other weights by now."""
    now = {plm: stamp for result in fresh for plm, stamp in result["weights"].items()}
    return all(now.get(plm, stamp) == stamp for plm, stamp in old["weights"].items())


def summary(claims: Sequence[Result]) -> str:
    """All verdicts as Markdown."""
    lines = [
        "# The claims of the course, measured",
        "",
        f"{about(claims)}",
        "",
        "| claim | verdict | gain, 95 % interval | seeds |",
        "|---|---|---|---|",
    ]
    for c in claims:
        low, mean, high = bounds(c)
        sure = f"{points(mean)} {c['unit']} ({points(low)} to {points(high)})"
        cells = (c["sentence"], shown_verdict(c), sure, str(c["seeds"]))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += ["", f"Tables, plots, sources and rules: {PAGE}; every number: {RESULTS}."]
    return "\n".join(lines) + "\n"


def about(claims: Sequence[Result]) -> str:
    """What was measured on what, in a sentence or two; says so where it was a quick look."""
    plms = {plm: total for c in claims for plm, total in c["plms"].items()}
    names = ", ".join(f"{plm} ({total / 1e6:.1f}M parameters)" for plm, total in plms.items())
    pocket = any(plm.startswith("pocket-") for plm in plms)
    small = " Pocket models know a small simulated world only: the numbers are theirs."
    quick = sum(1 for c in claims if c["quick"])
    warn = ""
    if quick:
        which = "All of it is" if quick == len(claims) else f"{quick} of the claims are"
        warn = (
            f" {which} a quick look (few updates, one task, 2 seeds or so): verdicts mean little."
        )
    return f"Measured on {names}.{small if pocket else ''}{warn}"


def shown_verdict(result: Result) -> str:
    """The verdict, marked where it comes from a quick look."""
    return result["verdict"] + (" (quick look)" if result["quick"] else "")


def bounds(result: Result) -> tuple[float, float, float]:
    """(low, mean, high) of the gain; infinite ends are null in JSON."""
    gain = result["gain"]
    low = -math.inf if gain["low"] is None else gain["low"]
    high = math.inf if gain["high"] is None else gain["high"]
    return low, gain["mean"], high


def gain_by_task(claim: Claim, findings: Findings) -> dict[str, dict[str, Any]]:
    """The claim's gain on each task alone; not what the verdict follows from."""
    found = {}
    for task in findings.tasks:
        alone = Findings(tuple(row for row in findings.rows if row.task == task))
        found[task] = _plain(interval(list(claim.gains(alone))))
    return found


def _plain(span: Any) -> dict[str, Any]:
    ends = {"low": span.low, "mean": span.mean, "high": span.high}
    plain = {name: round(v, 6) if math.isfinite(v) else None for name, v in ends.items()}
    return {**plain, "n": span.n}
