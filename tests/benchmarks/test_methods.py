"""The comparison with peft: both sides train the same, take turns, and are judged by one rule."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_plms import make

FOLDER = Path(__file__).parents[2] / "benchmarks" / "methods"
sys.path.insert(0, str(FOLDER))

import compare  # noqa: E402
import measures  # noqa: E402
import pairs  # noqa: E402
import report  # noqa: E402


def small():
    return make("bert", max_position_embeddings=64)


def trained(tuned) -> int:
    return sum(p.numel() for p in tuned.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", pairs.PAIRS)
def test_both_libraries_train_equally_many_parameters_and_come_off_again(name):
    pair, counts = pairs.PAIRS[name], {}
    for library in pairs.LIBRARIES:
        model = small()
        names = set(dict(model.named_parameters()))
        tuned = pair.attach(library, model)
        counts[library] = trained(tuned)
        model = pair.detach(library, tuned)
        assert set(dict(model.named_parameters())) == names
    assert counts["ours"] == counts["peft"] > 0


def test_the_order_changes_from_pair_to_pair(monkeypatch):
    monkeypatch.setattr(measures, "AT_LEAST", 0)
    calls = []
    found = measures.in_turns(lambda: calls.append("a"), lambda: calls.append("b"), 3)
    assert len(found) == 3
    assert calls[-6:] == ["a", "b", "b", "a", "a", "b"]


def test_spread_is_the_median_and_the_middle_four_fifths():
    assert measures.spread([float(i) for i in range(11)]) == (5, 1, 9)
    assert measures.spread([2.0]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.8, 0.9, "less"), (0.9, 1.0, "tie"), (0.9, 1.2, "tie"), (1.01, 1.2, "more")],
)
def test_a_range_that_holds_one_is_a_tie(low, high, expected):
    assert report.verdict({"low": low, "high": high}) == expected


def test_the_page_says_ratio_and_range_of_every_row():
    pairs_of_times = [(0.010, 0.020), (0.010, 0.016), (0.012, 0.020)]
    row = compare._row("bert-base", "LoRA", "inference", pairs_of_times, 10)
    assert row["ratio"] == pytest.approx(0.6)
    page = report.page([row], {"processor": "an abacus"})
    assert "0.60 (0.50-0.62)" in page
    assert "an abacus" in page
    assert "1 less, 0 tie, 0 more" in page
    assert report.chart([row]).png().startswith(b"\x89PNG")


def test_unequal_pairs_are_not_compared(monkeypatch):
    unequal = pairs.Pair(pairs.LoRA(rank=4), pairs.PAIRS["LoRA"].peft, inserts=True)
    monkeypatch.setitem(compare.PAIRS, "LoRA", unequal)
    monkeypatch.setattr(compare, "load", lambda name: (small(), {}))
    with pytest.raises(SystemExit, match="nothing is compared"):
        compare.compared("bert-base", "LoRA", 1)


@pytest.mark.parametrize(("ratio", "said"), [(1.01, "tie"), (0.99, "tie"), (1.05, "more")])
def test_files_of_nearly_the_same_size_are_a_tie(ratio, said):
    row = {"measure": "file size", "ratio": ratio, "low": ratio, "high": ratio}
    assert report.verdict(row) == said
