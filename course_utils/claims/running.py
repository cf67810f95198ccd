"""Running the claims: what is still to be measured, how long that takes, and doing it.

Every finished measurement is on disk before it counts, so an interrupted command goes on where it
was; what a kill loses is the trainings that were under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from course_utils.claims.bench import Bench, slug
from course_utils.claims.claim import DEFAULT_PLMS, Cell, Claim, Cost, Findings, Row, Scale
from course_utils.claims.report import Result, read_results, result_of, write_report
from course_utils.claims.side_by_side import Workers
from course_utils.claims.timing import Clock, spoken
from course_utils.errors import CourseError
from course_utils.records import RunRecord


@dataclass(frozen=True)
class Job:
    """One measurement of a claim: a cell with one seed."""

    claim: str
    cell: Cell
    seed: int
    bench: Bench = field(repr=False)

    def __str__(self) -> str:
        place = "" if self.cell.x is None else f", {self.cell.x}"
        return f"{self.claim}: {self.cell.arm}, {self.cell.task}{place}, seed {self.seed}"

    def done(self) -> bool:
        return self.path().is_file()

    def path(self) -> Path:
        return self.bench.place(self.cell.measure, self.cell.task, self.seed)

    def cost(self) -> Cost:
        return self.cell.measure.cost(self.bench.scale, self.seed)

    def make(self) -> RunRecord:
        return self.bench.measure(self.cell.measure, self.cell.task, self.seed)


def plms_for(plm: str | None) -> dict[str, str]:
    """Kind of PLM -> name: the course's own, or the one given for its kind alone."""
    if plm is None:
        return dict(DEFAULT_PLMS)
    from course_utils.plm.names import POCKET_ALIASES

    name = POCKET_ALIASES.get(plm, plm)
    kind = Bench(name, Scale(), Path()).kind
    return {kind: name}


def cells_of(claim: Claim, scale: Scale, plms: Mapping[str, str]) -> list[Cell]:
    """The claim's cells that the PLMs at hand can be measured on; all of its cells or none.

    A claim that compares PLMs of several names is measured with the course's own only.
    """
    cells = list(claim.cells(scale))
    named = any(cell.plm not in (*DEFAULT_PLMS, *plms) for cell in cells)
    missing = any(cell.plm in DEFAULT_PLMS and cell.plm not in plms for cell in cells)
    return [] if missing or (named and plms != DEFAULT_PLMS) else cells


def jobs_of(claim: Claim, scale: Scale, plms: Mapping[str, str], folder: Path) -> list[Job]:
    """Every measurement of the claim, seed by seed."""
    cells = cells_of(claim, scale, plms)
    benches = {cell.plm: Bench(plms.get(cell.plm, cell.plm), scale, folder) for cell in cells}
    return [
        Job(claim.name, cell, seed, benches[cell.plm])
        for seed in range(scale.seeds)
        for cell in cells
    ]


def run_claims(
    claims: Sequence[Claim],
    output: Path,
    *,
    scale: Scale | None = None,
    plm: str | None = None,
    processes: int = 1,
    say: Callable[[str], None] = print,
    clock: Clock | None = None,
) -> Result:
    """Measure what is missing, judge, and write results.json, the page and the summary.

    Args:
        claims: which; the results of others that `output` holds already stay on its page.
        output: folder of records and results.
        scale: sizes and seeds.
        plm: measure this PLM instead of the course's own of its kind.
        processes: how many measurements are made at the same time.
        say: told the estimate and every verdict.
        clock: times the work and shows how it goes on; one with a bar if not given.

    Returns:
        The content of results.json.

    Raises:
        CourseError: a PLM or folder that can't be used, before anything is measured; or, after
            all else is measured, what kept some claim from being finished.
    """
    scale = scale or Scale()
    workers = Workers(processes)
    plms = plms_for(plm)
    output.mkdir(parents=True, exist_ok=True)
    read_results(output)
    clock = clock or Clock(say, processes=processes)
    jobs = {c.name: jobs_of(c, scale, plms, output / "records") for c in claims}
    say(_announced(claims, jobs, scale, clock))
    failed: list[str] = []
    unwritten: list[Result] = []
    with clock, workers:
        for claim in claims:
            if not jobs[claim.name]:
                kinds = " and ".join(dict.fromkeys(c.plm for c in claim.cells(scale)))
                clock.tell(f"{claim.name}: not run, it needs a {kinds} PLM.")
                continue
            fresh = any(not job.done() for job in jobs[claim.name])
            try:
                result = measured(claim, jobs[claim.name], scale, clock, workers)
            except CourseError as error:
                failed.append(f"{claim.name} is not finished: {error}")
                clock.tell(failed[-1])
                continue
            unwritten.append(result)
            if fresh:  # drawing every page of results that are only read would take a while
                write_report(output, unwritten)
                unwritten.clear()
            clock.tell(f"{claim.name}: {result['verdict']}. {result['reason']}")
    if unwritten:
        write_report(output, unwritten)
    if failed:
        raise CourseError(" ".join(failed))
    return read_results(output)


def _announced(
    claims: Sequence[Claim], jobs: Mapping[str, Sequence[Job]], scale: Scale, clock: Clock
) -> str:
    """What is to be done and how long it takes; the clock learns the latter."""
    everything = _different(job for of_claim in jobs.values() for job in of_claim)
    missing = [job for job in everything if not job.done()]
    clock.estimate(missing)
    text = (
        f"{_count(len(claims), 'claim')} at {scale.seeds} seeds: {len(everything):,} measurements, "
        f"{len(everything) - len(missing):,} of them made already."
    )
    return text + (f" The rest takes {spoken(clock.total)} on this machine." if missing else "")


def measured(
    claim: Claim, jobs: Sequence[Job], scale: Scale, clock: Clock, workers: Workers
) -> Result:
    """Make the measurements of one claim that are missing, and judge it."""
    missing = _different(job for job in jobs if not job.done())
    for job, record in workers.make(missing):
        clock.finish(job, record)
    benches = {job.bench for job in jobs}
    weights = {slug(bench.plm): bench.kind_and_print()[1] for bench in benches}
    return result_of(claim, rows_of(jobs), scale, weights)


def rows_of(jobs: Sequence[Job]) -> Findings:
    """The kept records of finished jobs, as one row per cell."""
    by_cell: dict[Cell, list[Job]] = {}
    for job in sorted(jobs, key=lambda job: job.seed):
        by_cell.setdefault(job.cell, []).append(job)
    return Findings(tuple(_row(cell, found) for cell, found in by_cell.items()))


def _row(cell: Cell, jobs: Sequence[Job]) -> Row:
    records = [RunRecord.read(job.path()) for job in jobs]
    first = records[0]
    notes = dict.fromkeys(
        str(value)
        for record in records
        for key, value in record.notes.items()
        if key in ("template", "found")
    )
    return Row(
        arm=cell.arm,
        task=cell.task,
        x=cell.x,
        plm=first.plm,
        scores=tuple(round(record.score, 6) for record in records),
        metric=first.metric,
        majority=round(fmean(record.majority or 0.0 for record in records), 4),
        chance=round(jobs[0].bench.task(cell.task, 0).chance, 4),
        learning_rate=first.settings.get("learning_rate"),
        trainable=first.trainable,
        total=first.total,
        seconds=round(fmean(record.seconds for record in records), 1),
        notes=tuple(notes),
        also=_other_metrics(records),
    )


def _other_metrics(records: Sequence[RunRecord]) -> dict[str, tuple[float, ...]]:
    """Metric -> scores by seed, for metrics that every record has of its split."""
    each = [record.notes.get("also", {}).get(record.split, {}) for record in records]
    return {
        name: tuple(round(one[name], 6) for one in each)
        for name in each[0]
        if all(name in one for one in each)
    }


def _different(jobs: Iterable[Job]) -> list[Job]:
    """Jobs of different measurements: what two claims share is made once."""
    return list({job.path(): job for job in jobs}.values())


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
