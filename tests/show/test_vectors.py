"""Vectors among words: cosines by hand, the way on the plane, and the playground's numbers."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.show.vectors import nearest_words, vector_map, vector_playground, whole_words


@pytest.fixture(scope="module")
def tokenizer():
    return load_plm("pocket-bert-tiny")[1]


@pytest.fixture
def table(tokenizer):
    """A table in which "good" and "bad" point in opposite directions, "soup" aside; long rows."""
    rows = 0.01 * torch.randn(len(tokenizer), 3, generator=torch.Generator().manual_seed(0))
    rows[:, 2] = 1.0
    for word, row in (("good", [4.0, 0, 0]), ("bad", [-4.0, 0, 0]), ("soup", [0, 9.0, 0])):
        rows[tokenizer.convert_tokens_to_ids(word)] = torch.tensor(row)
    return rows


def test_words_are_whole_and_no_specials(tokenizer):
    words = whole_words(tokenizer)
    assert {"good", "bad", "the"} <= set(words.values())
    assert not {"[CLS]", "[MASK]", "CLS", "a", "##a", ",", "7"} & set(words.values())
    assert all(tokenizer.convert_ids_to_tokens(i) == word for i, word in words.items())


def test_nearest_by_cosine_not_by_length_or_distance(tokenizer, table):
    vectors = torch.tensor([[0.1, 0.02, 0.0], [-50.0, 20.0, 0.0], [0.3, 0.4, 0.0]])
    found = nearest_words(vectors, table, tokenizer, k=2)
    assert [[word for word, _ in row] for row in found] == [
        ["good", "soup"], ["bad", "soup"], ["soup", "good"]
    ]  # fmt: skip
    assert found[2][0][1] == pytest.approx(0.8)
    assert found[2][1][1] == pytest.approx(0.6)


def test_the_map_shows_each_way_from_start_to_end(tokenizer, table):
    snapshots = [torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]) * s for s in (1.0, 2.0, 3.0)]
    chart = vector_map(snapshots, table, tokenizer, words=("good", "bad"), title="ways")
    ways = [line for line in chart.axes[0].lines if str(line.get_label()).startswith("vector")]
    assert [len(line.get_xdata()) for line in ways] == [3, 3]
    start, middle, end = (torch.tensor(point) for point in ways[0].get_xydata())
    assert (end - middle).norm() == pytest.approx((middle - start).norm().item(), rel=1e-4)
    assert {"good", "bad"} <= {text.get_text() for text in chart.axes[0].texts}
    assert "moved by 2.00 on average" in chart.alt


def test_a_map_that_can_not_be_drawn_is_refused(tokenizer, table):
    with pytest.raises(CourseError, match="two snapshots"):
        vector_map([table[:2]], table, tokenizer)
    with pytest.raises(CourseError, match="'antidisestablish'"):
        vector_map([table[:2], table[2:4]], table, tokenizer, words=("antidisestablish",))


def test_the_playground_says_what_the_vector_did(tokenizer, table):
    snapshots = {0: torch.tensor([[2.0, 0, 0], [0, 2.0, 0]]), 5: torch.tensor([[0, 3.0, 0]] * 2)}
    box = vector_playground(snapshots, table, tokenizer, {0: 0.5, 5: 0.75})
    said = box.page.text
    assert "vector 1 after 5 steps: length 3.00, moved by 3.61" in said
    assert "cosine with its start 0.00; dev accuracy 0.750" in said
    assert said.splitlines()[2].split()[0] == "soup"
    box.knobs["step"].value = 0
    assert "moved by 0.00, cosine with its start 1.00; dev accuracy 0.500" in box.page.text
    assert box.page.text.splitlines()[2].split()[0] == "good"
    with pytest.raises(CourseError, match="for each step"):
        vector_playground(snapshots, table, tokenizer, {0: 0.5})
