"""Cutting a change of weights to its first directions: by hand, and as the playground shows it."""

from __future__ import annotations

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.show.low_rank import kept_share, rank_playground, truncation_chart

CHANGE = torch.diag(torch.tensor([3.0, 0.0, 4.0]))  # singular values 4, 3, 0


def test_the_share_that_is_kept_by_hand():
    values = torch.linalg.svdvals(CHANGE)
    assert [kept_share(values, r) for r in range(4)] == pytest.approx([0, 16 / 25, 1, 1])
    assert kept_share(torch.zeros(3), 2) == 0.0


def test_the_picture_shows_the_strongest_directions_only():
    chart = truncation_chart(CHANGE, 1, "cut")
    chart.draw_without_rendering()
    whole, kept = (axes.images[0].get_array() for axes in chart.axes[:2])
    assert torch.as_tensor(whole).tolist() == CHANGE.tolist()
    expected = torch.diag(torch.tensor([0.0, 0.0, 4.0]))
    assert torch.allclose(torch.as_tensor(kept), expected, atol=1e-5)
    colours = [bar.get_facecolor() for bar in chart.axes[2].patches]
    assert colours[0] != colours[1] == colours[2]
    assert "64%" in chart.alt


@pytest.mark.parametrize(("change", "rank"), [(CHANGE, 4), (CHANGE, -1), (torch.ones(3), 1)])
def test_what_can_not_be_cut_is_said(change, rank):
    with pytest.raises(CourseError, match="rank"):
        truncation_chart(change, rank)


def test_the_playground_shows_the_score_of_its_rank():
    shown = rank_playground(CHANGE, {0: 0.5, 1: 0.75, 3: 0.875})
    assert "rank 1: 64% of ‖ΔW‖² kept, accuracy 0.750 (all directions: 0.875)" in shown.page.text
    assert shown.page.html.startswith("<img")
    shown.knobs["rank"].value = 3
    assert "rank 3: 100%" in shown.page.text


def test_without_scores_there_is_no_playground():
    with pytest.raises(CourseError, match="none was given"):
        rank_playground(CHANGE, {})
