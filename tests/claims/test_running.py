"""A finished measurement is read and not repeated, whatever stopped the command."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass, replace

import pytest
from told_claims import PLM, SMALL, Diverges, Killed, Told, told_claim

from course_utils.claims import bench as benches
from course_utils.claims.bench import Bench
from course_utils.claims.claim import CAUSAL, Cell, Cost, Scale
from course_utils.claims.running import Job, plms_for, run_claims
from course_utils.claims.side_by_side import Workers
from course_utils.errors import CourseError
from course_utils.records import RunRecord

ALL = [(arm, seed) for seed in range(3) for arm in ("ours", "theirs")]


def go(claims, folder, clock, scale=SMALL, plm=PLM):
    return run_claims(claims, folder, scale=scale, plm=plm, say=clock.said.append, clock=clock)


class TestResumption:
    def test_a_second_command_measures_nothing(self, tmp_path, made, clock):
        first = go([told_claim()], tmp_path, clock)
        assert made == ALL
        again = go([told_claim()], tmp_path, clock)
        assert made == ALL
        drop = {"measured_at": ""}
        assert [{**c, **drop} for c in again["claims"]] == [{**c, **drop} for c in first["claims"]]
        assert "6 measurements, 6 of them made already" in " ".join(clock.said)

    def test_what_was_stopped_goes_on(self, tmp_path, made, clock):
        Told.stopping.add(1)
        claim = told_claim(fails_at=1)
        with pytest.raises(KeyboardInterrupt):
            go([claim], tmp_path, clock)
        assert made == ALL[:2]
        assert not (tmp_path / "results.json").exists()
        go([claim], tmp_path, clock)
        assert made == ALL

    def test_a_half_written_record_is_no_record(self, tmp_path, made, clock):
        """What a kill leaves of a record under way has another name."""
        go([told_claim()], tmp_path, clock)
        records = sorted(tmp_path.rglob("*.record.json"))
        assert len(records) == 6
        records[0].rename(records[0].with_name(f".{records[0].name}.x1"))
        go([told_claim()], tmp_path, clock)
        assert len(made) == 7

    def test_more_seeds_add_to_what_is_there(self, tmp_path, made, clock):
        go([told_claim()], tmp_path, clock, replace(SMALL, seeds=2))
        result = go([told_claim()], tmp_path, clock, SMALL)["claims"][0]
        assert made == ALL
        assert result["seeds"] == result["gain"]["n"] == 3

    def test_another_measure_is_measured_anew(self, tmp_path, made, clock):
        go([told_claim(better=0.8)], tmp_path, clock)
        result = go([told_claim(better=0.9)], tmp_path, clock)["claims"][0]
        assert len(made) == 9
        assert result["gain"]["mean"] == pytest.approx(0.3)

    def test_other_weights_are_measured_anew(self, tmp_path, made, clock, monkeypatch):
        go([told_claim(), told_claim("other")], tmp_path, clock)
        monkeypatch.setattr(benches, "_look_at", lambda plm: ("masked", "newer weights"))
        results = go([told_claim()], tmp_path, clock)
        assert made == ALL + ALL
        assert [c["name"] for c in results["claims"]] == ["told"]

    def test_other_data_are_measured_anew(self, tmp_path, made, clock):
        go([told_claim()], tmp_path, clock)
        go([told_claim()], tmp_path, clock, replace(SMALL, tests=21))
        assert made == ALL + ALL


class TestSeveralClaims:
    def test_a_cell_in_common_is_measured_once(self, tmp_path, made, clock):
        results = go([told_claim("one"), told_claim("two")], tmp_path, clock)
        assert made == ALL
        assert [c["verdict"] for c in results["claims"]] == ["holds", "holds"]
        assert "2 claims at 3 seeds: 6 measurements" in clock.said[0]

    def test_claims_of_another_day_stay_on_the_page(self, tmp_path, made, clock):
        go([told_claim("one")], tmp_path, clock)
        go([told_claim("two")], tmp_path, clock)
        page = (tmp_path / "index.html").read_text()
        assert 'id="one"' in page
        assert 'id="two"' in page

    def test_one_that_breaks_does_not_stop_the_others(self, tmp_path, made, clock):
        @dataclass(frozen=True)
        class Breaks:
            def __call__(self, bench, task, seed):
                raise CourseError("the loss diverges.")

            def cost(self, scale, seed):
                return Cost()

        broken = told_claim("broken", cells=lambda s: [Cell("ours", "pocket/sst2", Breaks())])
        with pytest.raises(CourseError, match="broken is not finished: the loss diverges"):
            go([broken, told_claim()], tmp_path, clock)
        assert made == ALL
        results = json.loads((tmp_path / "results.json").read_text())
        assert [c["name"] for c in results["claims"]] == ["told"]

    def test_a_claim_about_another_kind_of_plm_is_left_out(self, tmp_path, made, clock):
        cells = told_claim().cells(SMALL)
        causal = told_claim("c", cells=lambda s: [replace(cell, plm=CAUSAL) for cell in cells])
        results = go([causal, told_claim()], tmp_path, clock)
        assert "c: not run, it needs a causal PLM." in clock.said
        assert [c["name"] for c in results["claims"]] == ["told"]


class TestEstimate:
    def test_is_told_before_anything_is_measured(self, tmp_path, made, clock):
        """Six jobs of half a second and 10 updates at 0.1 s."""
        claim = told_claim()
        go([claim], tmp_path, clock)
        assert clock.total == pytest.approx(9.0)
        assert "takes about 10 s on this machine" in clock.said[0]
        assert clock.left() == 0

    def test_left_follows_the_machine(self, clock):
        clock.total, clock.finished, clock.spent = 100.0, 20.0, 60.0
        assert clock.left() == pytest.approx(240)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(2, "about 5 s"), (61, "about 60 s"), (200, "about 3 min"), (3569, "about 59 min"),
         (3580, "about 1 h 00 min"), (7190, "about 2 h 00 min"), (8000, "about 2 h 15 min")],
    )  # fmt: skip
    def test_as_a_person_says_it(self, seconds, text):
        from course_utils.claims.timing import spoken

        assert spoken(seconds) == text


class TestSideBySide:
    def test_gives_what_one_process_gives_and_goes_on_likewise(self, tmp_path, made, clock):
        alone = go([told_claim()], tmp_path / "alone", clock)["claims"][0]
        options = {"scale": SMALL, "plm": PLM, "say": clock.said.append, "clock": clock}
        together = run_claims([told_claim()], tmp_path / "two", processes=2, **options)["claims"][0]
        assert together["rows"] == alone["rows"]
        assert made == ALL  # the two processes have lists of their own
        run_claims([told_claim()], tmp_path / "two", processes=2, **options)
        assert "6 of them made already" in clock.said[-2]

    def test_a_claim_that_breaks_says_so_and_no_process_is_left(self, tmp_path, clock):
        with (
            pytest.raises(CourseError, match="the loss diverges"),
            Workers(2) as workers,
        ):
            list(workers.make([told_job(Diverges(), seed, tmp_path) for seed in range(4)]))
        assert not multiprocessing.active_children()

    def test_a_killed_process_is_named_and_the_next_job_gets_a_new_one(self, tmp_path):
        with Workers(2) as workers:
            with pytest.raises(CourseError, match="a process was killed.*--jobs 1"):
                list(workers.make([told_job(Killed(), 0, tmp_path)]))
            done = list(workers.make([told_job(Told("a", 0.5), 0, tmp_path)]))
        assert [record.score for _, record in done] == [0.5]

    def test_no_process_is_refused(self):
        with pytest.raises(CourseError, match="0 processes"):
            Workers(0)


def told_job(measure, seed, folder):
    return Job("told", Cell("ours", "pocket/sst2", measure), seed, Bench(PLM, SMALL, folder))


def test_a_folder_of_something_else_is_left_alone(tmp_path, made, clock):
    (tmp_path / "results.json").write_text('{"part": {}}')
    with pytest.raises(CourseError, match="was not written by `course claims`"):
        go([told_claim()], tmp_path, clock)
    assert made == []


def test_the_plm_given_stands_for_its_kind():
    assert plms_for(None) == {"masked": "pocket-bert-base", "causal": "pocket-gpt2"}
    assert plms_for("pocket-bert-tiny") == {"masked": "pocket-bert-tiny"}
    assert plms_for("pocket-gpt") == {"causal": "pocket-gpt2"}
    with pytest.raises(CourseError, match="pocket-bert-tiny"):
        plms_for("pocket-bert-tyni")


def test_a_record_in_two_claims_is_the_same_file(tmp_path):
    bench = Bench(PLM, Scale(), tmp_path)
    one, same, other = Told("a", 0.5), Told("a", 0.5), Told("a", 0.6)
    assert bench.place(one, "pocket/sst2", 0) == bench.place(same, "pocket/sst2", 0)
    assert bench.place(one, "pocket/sst2", 0) != bench.place(other, "pocket/sst2", 0)


def test_records_say_nothing_of_this_machine(tmp_path, made, clock):
    go([told_claim()], tmp_path, clock)
    for path in tmp_path.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()
        if path.name.endswith(".record.json"):
            RunRecord.read(path)
