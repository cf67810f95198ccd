"""Pictures and playgrounds of notebooks 06 and 07 show the numbers they were given."""

from __future__ import annotations

import matplotlib
import pytest
import small_plms
import torch

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel
from course_utils.show import adapter_columns, delta_h_charts, delta_h_widgets, style, token_shifts
from course_utils.show.delta_h import delta_h, relative_change
from course_utils.show.grids import shaded_grid
from course_utils.tuning import AdapterBias, LoRA, attach

TOKENS = ["[CLS]", "the", "soup", "[SEP]"]
WORDS = {"negative": "bad", "positive": "good"}


def maps():
    return {"one": torch.arange(12.0).view(3, 4) / 10, "two": torch.full((3, 4), 0.4)}


def arrows():
    ends = (torch.zeros(4, 2), torch.tensor([[1.0, 0], [1, 1], [-1, 0], [-1, 1]]))
    return {"LoRA": ends, "BitFit": (ends[1], ends[0])}


CHARTS = {
    "maps": lambda: delta_h_charts.change_maps(maps(), TOKENS, title="t"),
    "arrows": lambda: delta_h_charts.move_arrows(arrows(), [1, 1, 0, 0], ("no", "yes"), title="t"),
    "places": lambda: adapter_columns.adapter_places(title="t"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_letter_is_large_enough_and_every_chart_says_what_it_shows(name):
    chart = CHARTS[name]()
    chart.draw_without_rendering()
    for text in chart.findobj(matplotlib.text.Text):
        if text.get_text().strip() and text.get_visible():
            assert text.get_fontsize() >= style.SMALL, text.get_text()
    assert len(chart.alt) > 30
    assert chart.png().startswith(b"\x89PNG")


class TestChangeMaps:
    def test_all_maps_have_one_scale(self):
        chart = CHARTS["maps"]()
        images = [image for axes in chart.axes for image in axes.images][:2]
        assert [image.get_clim() for image in images] == [(0, pytest.approx(1.1))] * 2
        assert images[0].get_array().tolist() == [pytest.approx(row) for row in maps()["one"]]
        assert [axes.get_title(loc="left") for axes in chart.axes[:2]] == ["one", "two"]

    @pytest.mark.parametrize(
        "wrong", [{}, {"a": torch.ones(3, 5)}, {"a": torch.ones(3, 4), "b": torch.ones(2, 4)}]
    )
    def test_maps_that_do_not_fit(self, wrong):
        with pytest.raises(CourseError, match="4 tokens"):
            delta_h_charts.change_maps(wrong, TOKENS)


def test_arrows_end_where_the_method_moved_to_and_labels_are_named():
    chart = CHARTS["arrows"]()
    first = chart.axes[0]
    assert {text.get_text() for text in first.texts} == {"no", "yes"}
    tips = [line.get_xydata().tolist() for line in first.lines]
    assert [[1.0, 0.0], [1.0, 1.0]] in tips  # the two of label 1
    with pytest.raises(CourseError, match="nothing to draw"):
        delta_h_charts.move_arrows({}, [], ())


class TestPlaces:
    def test_what_is_new_is_where_the_papers_have_it(self):
        said = CHARTS["places"]().alt
        assert "attention > adapter > + > norm > FFN > adapter > + > norm" in said
        assert "FFN > + > norm > adapter > + > norm" in said
        assert "with α(z) · v beside it" in said

    def test_only_what_was_asked_for(self):
        assert "Pfeiffer" not in adapter_columns.adapter_places(["Houlsby"]).alt
        with pytest.raises(CourseError, match="Houlsby"):
            adapter_columns.adapter_places(["Houlsbi"])


class TestShadedGrid:
    def test_larger_is_darker_and_the_sign_has_a_colour(self):
        page = shaded_grid([[0.0, 2.0], [-2.0, 1.0]], ["r", "s"], ["x", "y"])
        assert page.html.index("#ffffff") < page.html.index("#004678")  # 0, then 2
        assert "#964100" in page.html  # -2
        assert "-2.00" in str(page)

    def test_a_given_scale(self):
        assert "#004678" not in shaded_grid([[2.0]], ["r"], ["x"], top=4.0).html

    def test_markup_stays_text(self):
        assert "<script" not in shaded_grid([[1.0]], ["<script>"], ["<script>"], "<script>").html

    def test_a_grid_that_does_not_fit_its_names(self):
        with pytest.raises(CourseError, match="2 wide"):
            shaded_grid([[1.0]], ["r"], ["x", "y"])


@pytest.fixture
def pair(word_tokenizer):
    """A PLM, and a copy of it with a LoRA that does something."""
    plm, copy = (small_plms.bert(word_tokenizer) for _ in range(2))
    tuned = attach(copy, LoRA(rank=2))
    torch.manual_seed(0)
    for module in tuned.placement.modules():
        torch.nn.init.normal_(module.B)
    return plm, tuned, word_tokenizer


class TestPlaygrounds:
    def test_the_map_is_that_of_the_text_and_the_method(self, pair):
        plm, tuned, tokenizer = pair
        place = delta_h_widgets.change_playground(
            plm, {"LoRA": tuned, "none": plm}, tokenizer, "the soup was {mask} ."
        )
        batch = tokenizer("the soup was [MASK] .", return_tensors="pt")
        h = torch.stack(plm(**batch, output_hidden_states=True).hidden_states)
        sizes = relative_change(h, delta_h(plm, tuned, batch))[-1, 0].tolist()
        last = str(place.page).splitlines()[-1]
        assert last.split()[2:] == [f"{size:.2f}" for size in sizes]
        place.knobs["method"].value = "none"
        assert set(str(place.page).splitlines()[-1].split()[2:]) == {"0.00"}
        place.knobs["text"].value = "soup " * 100
        assert "reads 1 to" in str(place.page)

    def test_adding_delta_leads_from_the_frozen_answer_to_the_tuned_one(self, pair):
        plm, tuned, tokenizer = pair
        asked = {
            name: PromptModel(model, tokenizer, "{sentence} it was {mask} .", WORDS)
            for name, model in (("frozen", plm), ("tuned", tuned))
        }
        rows = [{"sentence": "the soup was stale", "label": 0}]
        place = delta_h_widgets.mixing_playground(asked["frozen"], {"LoRA": tuned}, rows, depth=2)

        def shown():
            return [float(line.split()[1]) for line in str(place.page).splitlines()[-2:]]

        for factor, name in ((1.0, "tuned"), (0.0, "frozen")):
            place.knobs["λ"].value = factor
            right = asked[name].predict(rows).probabilities[0].tolist()
            assert shown() == pytest.approx(right, abs=6e-4)

    def test_nothing_to_choose_from(self, pair):
        plm, _, tokenizer = pair
        with pytest.raises(CourseError, match="none were given"):
            delta_h_widgets.change_playground(plm, {}, tokenizer, "the soup")


class TestTokenShifts:
    @pytest.fixture
    def shifted(self, word_tokenizer):
        tuned = attach(small_plms.bert(word_tokenizer), AdapterBias(norms=False))
        torch.manual_seed(0)
        for module in tuned.placement.modules():
            torch.nn.init.normal_(module.v)
        return tuned, word_tokenizer

    def test_they_are_the_lengths_of_what_is_added(self, shifted):
        tuned, tokenizer = shifted
        batch, added = tokenizer("the soup was stale", return_tensors="pt"), []
        for module in tuned.placement.modules():
            module.register_forward_hook(lambda m, args, out: added.append(out.detach()))
        given = token_shifts.token_shifts(tuned, batch)
        assert given.shape == (2, 1, batch["input_ids"].shape[1])
        lengths = torch.stack([change.norm(dim=-1) for change in added])
        torch.testing.assert_close(given.abs(), lengths)

    def test_the_sign_is_that_of_alpha(self, shifted):
        tuned, tokenizer = shifted
        for module in tuned.placement.modules():
            torch.nn.init.zeros_(module.alpha.weight)
            torch.nn.init.constant_(module.alpha.bias, -2.0)
        place = token_shifts.shift_playground(tuned, tokenizer, "the soup")
        length = 2 * tuned.placement.modules()[-1].v.norm().item()
        assert set(str(place.page).splitlines()[-1].split()[2:]) == {f"-{length:.2f}"}
        place.knobs["text"].value = " "
        assert "at least one word" in str(place.page)

    def test_another_method_has_none(self, pair):
        with pytest.raises(CourseError, match="AdapterBias's"):
            token_shifts.token_shifts(pair[1], {})
