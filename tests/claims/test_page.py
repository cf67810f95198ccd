"""The page and the summary: they say what was measured, and nothing that was typed gets through."""

from __future__ import annotations

import base64
import json
import re

import pytest
from told_claims import PLM, SMALL, made_up, told_claim

from course_utils.claims.catalogue import load_claim
from course_utils.claims.claim import Findings, Row, Scale
from course_utils.claims.page import page, pictures
from course_utils.claims.report import read_results, result_of, summary, write_report

NASTY = '<script>alert("1")</script>'


def result(scale=SMALL, **options):
    claim = told_claim(**options)
    rows = (
        Row("ours", "pocket/sst2", None, PLM, (0.8, 0.82, 0.84), majority=0.52, chance=0.5),
        Row("theirs", "pocket/sst2", None, PLM, (0.6, 0.61, 0.62), majority=0.52, chance=0.5),
    )
    return result_of(claim, Findings(rows), scale, {PLM: "w"})


@pytest.fixture(scope="module")
def told():
    """The page of one ordinary result: drawing takes a moment."""
    return page([result()])


class TestPage:
    def test_says_claim_source_measurement_rule_verdict_and_reason(self, told):
        for text in ("Ours is better.", "Somebody 2020", "Nothing.", "Gain: ours minus theirs.",
                     "holds", "The mean gain is +21.0 points"):  # fmt: skip
            assert text in told
        assert "quick look" not in told.lower()

    def test_table_has_mean_and_standard_deviation(self, told):
        plain = told.replace("\N{NO-BREAK SPACE}", " ")
        assert "0.820 ± 0.020" in plain
        assert "0.610 ± 0.010" in plain

    def test_stands_alone(self, told):
        assert not re.search(r'(src|href)="(?!data:|#)', told)
        assert told.count("<img") == 2

    def test_every_picture_says_itself_in_words(self, told):
        assert told.count("<img alt=") == told.count("<img")
        assert "ours 0.820" in told
        drawn = base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", told)[1])
        assert b"<svg" in drawn

    def test_escapes_everything_a_claim_and_its_rows_say(self):
        said = ("sentence", "source", "measured", "rule", "name", "arm_title", "x_title")
        nasty = {field: f"{field} {NASTY}" for field in said}
        claim = told_claim(**nasty, remark=lambda findings: f"remark {NASTY}")
        rows = tuple(
            Row(arm, f"task {NASTY}", f"x {NASTY}", f"plm {NASTY}", (0.5, 0.6), notes=(NASTY,))
            for arm in ("ours", "theirs")
        )
        shown = page([result_of(claim, Findings(rows), SMALL)])
        assert "<script>" not in shown
        for field in (*said, "remark", "task", "x", "plm"):
            assert f"{field} &lt;script&gt;" in shown

    def test_a_quick_look_says_so_everywhere(self):
        quick = page([result(Scale.made(quick=True))])
        assert "Quick look." in quick
        assert "holds (quick look)" in quick
        assert "seeds, quick look" in re.search(r'<img alt="pocket[^"]+', quick)[0]

    def test_claims_with_an_axis_get_curves(self):
        claim = load_claim("prompts-beat-heads")
        quick = Scale.made(quick=True)
        charts = pictures(result_of(claim, made_up(claim, quick), quick))
        assert len(charts) == 1
        assert "examples of each class" in charts[0].alt
        assert "no pre-training" in charts[0].alt
        assert "majority" in charts[0].alt

    def test_other_metrics_of_the_same_texts_stand_beside(self, tmp_path):
        also = {"nist": (8.0, 8.5, 9.0), "rouge_l": (0.5, 0.6, 0.7)}
        rows = tuple(
            Row(arm, "pocket/e2e", 50, PLM, (0.8, 0.82, 0.84), metric="bleu", also=also)
            for arm in ("ours", "theirs")
        )
        claim = told_claim(x_title="tables")
        write_report(tmp_path, [result_of(claim, Findings(rows), SMALL, {PLM: "w"})])
        kept = read_results(tmp_path)["claims"][0]
        assert Row.from_json(kept["rows"][0]) == rows[0]
        plain = page([kept]).replace("\N{NO-BREAK SPACE}", " ")
        for text in ("NIST", "ROUGE-L", "8.50 ± 0.50", "0.60 ± 0.10"):
            assert text in plain
        assert "majority" not in pictures(kept)[0].alt
        assert "NIST" not in page([result()])

    def test_methods_are_drawn_against_what_they_train(self):
        def row(arm, trainable, *scores):
            return Row(arm, "pocket/sst2", None, PLM, scores, trainable=trainable, majority=0.52)

        rows = (row("ours", 2000, 0.8, 0.9), row("theirs", 100000, 0.7, 0.9))
        control = row("no pre-training", 100000, 0.55, 0.57)
        claim = told_claim(chart="parameters")
        alt = pictures(result_of(claim, Findings((*rows, control)), SMALL))[0].alt
        assert "ours" in alt
        assert "0.850" in alt
        assert "no pre-training 0.560" in alt


class TestFiles:
    def test_results_are_strict_json(self, tmp_path):
        """One seed has no interval; its ends are null, not Infinity."""
        claim = told_claim()
        rows = tuple(Row(arm, "pocket/sst2", None, PLM, (0.5,)) for arm in ("ours", "theirs"))
        write_report(tmp_path, [result_of(claim, Findings(rows), SMALL)])

        def refuse(name):
            raise AssertionError(name)

        text = (tmp_path / "results.json").read_text()
        found = json.loads(text, parse_constant=refuse)
        assert found["claims"][0]["gain"]["low"] is None
        assert "-∞" in (tmp_path / "summary.md").read_text()

    def test_pages_are_made_from_results_alone(self, tmp_path):
        write_report(tmp_path, [result()])
        written = (tmp_path / "index.html").read_text()
        assert _without_pictures(page(read_results(tmp_path)["claims"])) == _without_pictures(
            written
        )

    def test_summary_is_a_table(self):
        told = summary([result(sentence="a | b")])
        line = next(line for line in told.splitlines() if "a \\| b" in line)
        assert line.count("|") - line.count("\\|") == 5
        assert "+21.0 points" in line
        assert "pocket-bert-tiny" in told

    def test_pocket_numbers_are_said_to_be_pocket_numbers(self):
        assert "small simulated world" in summary([result()])


def _without_pictures(told: str) -> str:
    return re.sub(r"base64,[^\"]+", "", told)
