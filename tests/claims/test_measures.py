"""The measurements: how a rate is chosen, which data a seed draws, and one claim to its end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from told_claims import PLM, SMALL

from course_utils.claims.bench import KNOWN, NEW, NEW_TOO, Bench
from course_utils.claims.claim import Cell, Claim, Scale
from course_utils.claims.measures import Asked, FineTuned, usual_rate
from course_utils.claims.pattern_exploiting import PatternExploiting
from course_utils.claims.prompting.demonstrations_help import Demonstrated
from course_utils.claims.prompting.multitask_zero_shot import AFTER, BEFORE, Mixture, OnUnseen
from course_utils.claims.prompting.multitask_zero_shot import NEW as NEW_WORDINGS
from course_utils.claims.running import run_claims
from course_utils.claims.searched import FoundTemplate, FoundWords
from course_utils.errors import CourseError
from course_utils.loop import DivergedError
from course_utils.records import RunRecord

TASK = "pocket/sst2"
TINY = Scale(seeds=2, tests=24, dev=12)
SHORT = {"shots": 2, "updates": 2, "tries": (1.0,)}


@dataclass(frozen=True)
class Scores:
    """Stands for a bench: the dev score by learning rate, None where the loss diverges."""

    by_rate: tuple[tuple[float, float | None], ...]
    plm: str = PLM

    def measure(self, measure, task, seed):
        assert seed == 0
        score = dict(self.by_rate)[measure.rate]
        if score is None:
            raise DivergedError("too high")
        return RunRecord("p", task, "m", "accuracy", 0.0, 1, dev_score=score)


class TestLearningRate:
    """Tried are shares of the kit's own rate: 0.4 of it, 0.1 and all of it."""

    tuned = FineTuned(tries=(0.4, 0.1, 1.0))

    @pytest.fixture
    def rates(self):
        usual = usual_rate(PLM, "full")
        return [float(f"{share * usual:.2g}") for share in (0.4, 0.1, 1.0)]

    def bench(self, rates, *scores):
        return Scores(tuple(zip(rates, scores, strict=True)))

    def test_the_best_on_dev_with_seed_0(self, rates):
        assert self.tuned.chosen_rate(self.bench(rates, 0.6, 0.5, 0.7), TASK) == rates[2]

    def test_of_equal_ones_the_first(self, rates):
        assert self.tuned.chosen_rate(self.bench(rates, 0.6, 0.6, 0.6), TASK) == rates[0]

    def test_one_that_diverges_is_not_chosen(self, rates):
        assert self.tuned.chosen_rate(self.bench(rates, 0.6, 0.5, None), TASK) == rates[0]

    def test_all_diverged(self, rates):
        with pytest.raises(CourseError, match="every learning rate"):
            self.tuned.chosen_rate(self.bench(rates, None, None, None), TASK)

    def test_both_arms_try_as_many(self):
        prompt, head = FineTuned(wording=NEW), FineTuned()
        assert prompt.cost(SMALL, 0) == head.cost(SMALL, 0)
        assert head.cost(SMALL, 0).updates == 3 * head.cost(SMALL, 1).updates


class TestSeeds:
    bench = Bench(PLM, TINY, None)

    def test_draw_other_data(self):
        one, two = self.bench.task(TASK, 0), self.bench.task(TASK, 1)
        for split in ("train", "dev", "test"):
            shared = set(one.split(split)["sentence"]) & set(two.split(split)["sentence"])
            assert len(shared) < 0.5 * len(one.split(split))

    def test_have_the_scale_s_sizes(self):
        task = self.bench.task(TASK, 0)
        assert (len(task.split("dev")), len(task.split("test"))) == (12, 24)
        assert len(task.split("train")) > 1000


class TestWordings:
    bench = Bench(PLM, TINY, None)

    def test_kept_out_ones_are_marked_in_the_task(self):
        task = self.bench.task(TASK, 0)
        assert not self.bench.prompt(task, KNOWN).held_out
        first, second = (self.bench.prompt(task, which) for which in (NEW, NEW_TOO))
        assert first.held_out
        assert second.held_out
        assert first != second

    def test_a_pair_is_taken_as_it_is(self):
        given = ("{sentence} {mask}", (("negative", ("bad",)), ("positive", ("good",))))
        prompt = self.bench.prompt(self.bench.task(TASK, 0), given)
        assert prompt.words == {"negative": ("bad",), "positive": ("good",)}

    def test_one_that_is_not_there(self):
        with pytest.raises(CourseError, match="no prompt 99"):
            self.bench.prompt(self.bench.task(TASK, 0), 99)

    def test_a_causal_plm_gets_the_mask_last(self):
        bench = Bench("pocket-gpt2", TINY, None)
        task = bench.task(TASK, 0)
        assert bench.prompt(task, NEW).template.endswith("{mask}")
        with pytest.raises(CourseError, match="causal"):
            bench.prompt(replace(task, prompts=(("{mask} : {sentence}", {}),)), 0)


def test_a_claim_from_end_to_end(tmp_path, clock):
    """A prompt, a head, the control and no training at all, on the smallest pocket model."""
    claim = Claim(
        name="small",
        sentence="A prompt beats a head.",
        source="Somebody 2020",
        measured="Little.",
        rule="Gain: prompt minus head.",
        cells=lambda scale: [
            Cell("asked", TASK, Asked(NEW), x=0),
            Cell("prompt", TASK, FineTuned(wording=NEW, **SHORT), x=2),
            Cell("head", TASK, FineTuned(**SHORT), x=2),
            Cell("control", TASK, FineTuned(pretrained=False, **SHORT), x=2),
        ],
        gains=lambda findings: findings.gain("prompt", "head"),
        x_title="K",
    )
    results = run_claims([claim], tmp_path, scale=TINY, plm=PLM, say=clock.said.append, clock=clock)
    rows = {row["arm"]: row for row in results["claims"][0]["rows"]}
    usual = usual_rate(PLM, "full")
    assert rows["prompt"]["learning_rate"] == rows["head"]["learning_rate"] == usual
    assert rows["asked"]["trainable"] == 0
    assert "{mask}" in rows["prompt"]["notes"][0]
    assert rows["head"]["notes"] == []
    assert len({tuple(row["scores"]) for row in rows.values()}) > 1
    assert results["claims"][0]["verdict"]
    for name in ("index.html", "summary.md", "results.json"):
        assert claim.sentence in (tmp_path / name).read_text()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.record.json")}
    run_claims([claim], tmp_path, scale=TINY, plm=PLM, say=clock.said.append, clock=clock)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.record.json")}


@pytest.mark.parametrize(
    "measure",
    [
        Asked(NEW, calibrated="content-free"),
        Asked(NEW, calibrated="prior"),
        Demonstrated(wording=NEW, draws=1, **SHORT),
        FoundWords(tried=1, top_words=3, **SHORT),
        FoundTemplate(tried=1, beam=2, longest=1, frame="{sentence} {mask} *", **SHORT),
        PatternExploiting(
            shots=2, generations=2, updates=1, student_updates=1, texts=8, tries=(1.0,)
        ),
    ],
    ids=lambda measure: type(measure).__name__,
)
def test_each_measure_measures(measure, tmp_path):
    bench = Bench(PLM, TINY, tmp_path)
    record = bench.measure(measure, TASK, 1)
    assert (record.task, record.split, record.n, record.seed) == (TASK, "test", 24, 1)
    assert 0 <= record.score <= 1
    assert not list(tmp_path.rglob("*.work"))
    assert bench.measure(measure, TASK, 1) == record


def test_found_prompts_are_kept(tmp_path):
    record = Bench(PLM, TINY, tmp_path).measure(FoundWords(tried=1, top_words=3, **SHORT), TASK, 0)
    assert "negative: " in record.notes["found"]


def test_examples_in_the_text_of_a_causal_plm(tmp_path):
    record = Bench("pocket-gpt2", TINY, tmp_path).measure(Asked(NEW, shown=2), TASK, 0)
    assert (record.method, record.trainable) == ("InContext", 0)


def test_unseen_tasks_share_one_training(tmp_path, monkeypatch):
    mixture = Mixture(tasks=(TASK,), unseen=("pocket/wsc",), cap=16, tries=(1.0,))
    bench = Bench(PLM, TINY, tmp_path)
    before = bench.measure(OnUnseen(mixture, BEFORE, NEW_WORDINGS), "pocket/wsc", 0)
    trained = len(list(tmp_path.rglob("Mixture-*/*.record.json")))
    after = bench.measure(OnUnseen(mixture, AFTER, NEW_WORDINGS), "pocket/wsc", 0)
    assert len(list(tmp_path.rglob("Mixture-*/*.record.json"))) == trained
    assert (before.task, before.split) == ("pocket/wsc", "test")
    assert before.majority == after.majority > 0.4
