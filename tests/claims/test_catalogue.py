"""Every claim of the course is complete, can be measured, and can turn out wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from told_claims import made_up

from course_utils import claims
from course_utils.claims.bench import Bench
from course_utils.claims.catalogue import CLAIMS, load_claim, load_claims
from course_utils.claims.claim import CAUSAL, DEFAULT_PLMS, MASKED, Cost, Findings, Row, Scale
from course_utils.claims.measures import FineTuned
from course_utils.errors import CourseError
from course_utils.plm.names import POCKET_MODELS

FULL, QUICK = Scale.made(), Scale.made(quick=True)
SMALLEST = {MASKED: "pocket-bert-tiny", CAUSAL: "pocket-gpt2"}


def test_every_module_is_in_the_catalogue_once():
    folder = Path(claims.__file__).parent
    files = [p for half in ("prompting", "tuning") for p in (folder / half).glob("*.py")]
    modules = [f"{p.parent.name}.{p.stem}" for p in files if p.stem != "__init__"]
    assert sorted(CLAIMS.values()) == sorted(modules)


def test_unknown_names_get_the_near_ones():
    with pytest.raises(CourseError, match="Did you mean 'pet-beats-supervised'"):
        load_claim("pet-beats-superviced")
    with pytest.raises(CourseError, match="unknown claim 'all'"):
        load_claims(["prompts-beat-heads", "all"])


def test_only_keeps_the_order_of_the_course():
    chosen = load_claims(["in-context-grows", "templates-differ"])
    assert [claim.name for claim in chosen] == ["templates-differ", "in-context-grows"]


def test_naming_the_claims_needs_no_torch():
    code = (
        "import sys; from course_utils.claims.catalogue import load_claims; load_claims(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", CLAIMS)
class TestEachClaim:
    def test_says_what_it_is(self, name):
        claim = load_claim(name)
        assert claim.name == name
        assert import_module(f"course_utils.claims.{CLAIMS[name]}").__doc__
        for text in (claim.sentence, claim.measured, claim.rule):
            assert text.endswith(".")
            assert "  " not in text
        assert claim.rule.startswith("Gain: ")
        assert any(year in claim.source for year in map(str, range(2018, 2027)))

    @pytest.mark.parametrize("scale", [FULL, QUICK], ids=["full", "quick"])
    def test_compares_arms_at_distinct_places(self, name, scale):
        cells = load_claim(name).cells(scale)
        places = [(cell.arm, cell.task, cell.x, cell.plm) for cell in cells]
        assert len(set(places)) == len(places)
        assert len({cell.arm for cell in cells}) > 1
        assert all(cell.plm in (*DEFAULT_PLMS, *POCKET_MODELS) for cell in cells)
        assert bool(load_claim(name).x_title) == any(cell.x is not None for cell in cells)
        hash(cells[0])

    @pytest.mark.parametrize("scale", [FULL, QUICK], ids=["full", "quick"])
    def test_gives_one_gain_per_seed(self, name, scale):
        claim = load_claim(name)
        findings = made_up(claim, scale)
        assert len(claim.gains(findings)) == findings.seeds
        if claim.remark:
            assert claim.remark(findings).endswith(".")

    def test_can_come_out_either_way(self, name):
        """Equal scores everywhere are no gain; a better arm is one, in one direction only."""
        claim = load_claim(name)
        cells = claim.cells(FULL)
        level = [Row(c.arm, c.task, c.x, "p", (0.5, 0.5, 0.5)) for c in cells]
        assert claim.gains(Findings(tuple(level))) == pytest.approx([0, 0, 0])
        signs = set()
        for arm in dict.fromkeys(cell.arm for cell in cells):
            for x in dict.fromkeys(cell.x for cell in cells):
                changed = tuple(
                    Row(r.arm, r.task, r.x, "p", (0.9,) * 3) if (r.arm, r.x) == (arm, x) else r
                    for r in level
                )
                signs |= {g > 0 for g in claim.gains(Findings(changed)) if abs(g) > 1e-9}
        assert True in signs
        assert signs == {True, False} or name == "templates-differ"  # a spread can't be negative

    def test_quick_is_quicker(self, name):
        claim = load_claim(name)

        def whole(scale):
            return sum((c.measure.cost(scale, 0) for c in claim.cells(scale)), Cost())

        full, quick = whole(FULL), whole(QUICK)
        assert 0 < 4 * (quick.updates + quick.answers) < full.updates + full.answers

    def test_its_wordings_are_there(self, name, tmp_path):
        for cell in load_claim(name).cells(FULL):
            bench = Bench(SMALLEST.get(cell.plm, cell.plm), FULL, tmp_path)
            wording = getattr(cell.measure, "wording", None)
            if wording is not None:
                prompt = bench.prompt(bench.task(cell.task, 0), wording)
                assert prompt.template.count("{mask}") == 1
                if cell.plm == CAUSAL:
                    assert prompt.template.endswith("{mask}")


def test_prompts_in_the_claims_about_few_labels_are_not_recalled():
    """The prompt that beats heads must be one the pocket models have not read."""
    claim, bench = load_claim("prompts-beat-heads"), Bench("pocket-bert-tiny", FULL, Path())
    for cell in claim.cells(FULL):
        if cell.arm == "prompt":
            assert bench.prompt(bench.task(cell.task, 0), cell.measure.wording).held_out


def test_label_words_that_soft_prompts_start_from_are_those_of_the_wording():
    claim, bench = load_claim("soft-prompt-starts"), Bench("pocket-bert-tiny", FULL, Path())
    starts = [c for c in claim.cells(FULL) if c.arm == "label words"]
    assert starts
    for cell in starts:
        task = bench.task(cell.task, 0)
        known = bench.prompt(task, cell.measure.wording).words
        for label, word in zip(task.labels, cell.measure.method.words, strict=True):
            assert word in known[label], (cell.task, label, word)


@pytest.mark.parametrize("name", [n for n, module in CLAIMS.items() if "tuning" in module])
def test_methods_of_a_claim_get_the_same_chances(name):
    """Arms at a place differ in the method, not in data, updates or learning rates tried."""
    chances = {}
    for cell in load_claim(name).cells(FULL):
        tuned = getattr(cell.measure, "tuned", cell.measure)
        if not isinstance(tuned, FineTuned):
            continue
        chance = (tuned.shots, tuned.examples, tuned.updates, tuned.tries, tuned.wording)
        chances.setdefault((cell.task, cell.x, cell.plm), set()).add(chance)
    assert all(len(found) == 1 for found in chances.values())
