"""Spans as tags: every way to write them ends in the same IOB2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from course_utils.tasks.formats import bio

IOB1 = ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC", "I-ORG"]
IOB2 = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC", "B-ORG"]
IOBES = ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC", "S-ORG"]
BILOU = ["B-PER", "L-PER", "O", "U-LOC", "B-LOC", "L-LOC", "U-ORG"]


@pytest.mark.parametrize("tags", [IOB1, IOB2, IOBES, BILOU])
def test_every_scheme_becomes_iob2(tags):
    assert bio.to_iob2(tags) == IOB2


def test_a_span_that_goes_on_after_its_end_is_a_new_one():
    assert bio.to_iob2(["B-X", "E-X", "I-X"]) == ["B-X", "I-X", "B-X"]


@pytest.mark.parametrize("tag", ["", "PER", "X-PER", "B-", "-PER", "o"])
def test_what_is_no_tag(tag):
    with pytest.raises(ValueError, match="expected O, B-TYPE or I-TYPE"):
        bio.to_iob2([tag])


def test_types_may_hold_hyphens():
    assert bio.to_iob2(["I-ARGM-TMP", "I-ARGM-TMP"]) == ["B-ARGM-TMP", "I-ARGM-TMP"]


@pytest.mark.parametrize(
    ("cells", "tags"),
    [
        (["(A0*", "*)", "(V*)", "*"], ["B-A0", "I-A0", "B-V", "O"]),
        (["(A0*A0)", "(V*V)"], ["B-A0", "B-V"]),  # the older form
        (["(GPE)", "*", "(ORG*", "*", "*)"], ["B-GPE", "O", "B-ORG", "I-ORG", "I-ORG"]),
        (["(C-A1*)"], ["B-C-A1"]),
    ],
)
def test_stars(cells, tags):
    assert bio.from_stars(cells) == tags


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["(A0*", "*"], "type A0 never ends"),
        (["*)"], "ends a span that never began"),
        (["(A0*", "(A1*)", "*)"], "begins inside a span of type A0"),
        (["A0*"], "expected brackets"),
    ],
)
def test_broken_stars(cells, says):
    with pytest.raises(ValueError, match=says):
        bio.from_stars(cells)


@pytest.mark.parametrize("span", [(-1, 1, "X"), (2, 2, "X"), (1, 5, "X"), (0, 2, "X")])
def test_spans_that_do_not_fit(span):
    with pytest.raises(ValueError, match="span"):
        bio.from_spans([(1, 3, "Y"), span], 4)


tagged = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from(["PER", "LOC", "A-B"])),
    max_size=6,
)


@given(tagged)
def test_spans_become_tags_that_seqeval_reads_back(parts):
    spans, at = [], 0
    for gap, length, kind in parts:
        spans.append((at + gap, at + gap + length, kind))
        at += gap + length
    tags = bio.from_spans(spans, at + 1)
    assert [(s, e + 1, k) for k, s, e in get_entities(tags)] == spans
    assert bio.to_iob2(tags) == tags
    assert bio.types(tags) == {kind for _, _, kind in spans}


def test_labels_of_a_task():
    assert bio.labels(["PER", "LOC"]) == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
