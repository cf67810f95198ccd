"""Charts draw the data they were given, with names, in letters a back row can read."""

from __future__ import annotations

import matplotlib
import pytest

from course_utils.errors import CourseError
from course_utils.records import RunRecord
from course_utils.show import diagram, plots, style
from course_utils.show.tradeoff import accuracy_vs_parameters

FACTS = {"plm": "p", "task": "t", "metric": "accuracy", "n": 100}


def records(*runs):
    return [RunRecord(method=m, trainable=p, score=s, **FACTS) for m, p, s in runs]


def words(chart) -> str:
    """All that is written in a chart."""
    axes = chart.axes[0]
    texts = [text.get_text() for text in axes.texts]
    ticks = [tick.get_text() for tick in [*axes.get_xticklabels(), *axes.get_yticklabels()]]
    return " | ".join([chart.get_suptitle(), axes.get_xlabel(), *texts, *ticks])


def every_chart():
    return {
        "tradeoff": accuracy_vs_parameters(
            records(("zero-shot", 0, 0.7), ("LoRA", 4096, 0.9)), majority=0.5, no_pretraining=0.6
        ),
        "labels": plots.label_bars({"yes": 0.7, "no": 0.3}, right="yes"),
        "curves": plots.score_curves({"a": {4: [0.5, 0.6]}}, xlabel="k", majority=0.5),
        "losses": plots.learning_curve({"run": [3.0, 2.0, 1.0]}),
        "grid": plots.heat_map([[1.0, 2.0]], rows=["x"], columns=["y", "z"], unit="bits"),
        "amounts": plots.amount_bars({"one": 1.0, "two": 2e3}, log=True, limit=("card", 50.0)),
        "layer": diagram.layer_diagram(title="layer"),
    }


@pytest.mark.parametrize("name", sorted(every_chart()))
def test_every_letter_is_large_enough_and_every_chart_says_what_it_shows(name):
    chart = every_chart()[name]
    chart.draw_without_rendering()
    for axes in chart.axes:
        for text in axes.findobj(matplotlib.text.Text):
            if text.get_text().strip() and text.get_visible():
                assert text.get_fontsize() >= style.SMALL, text.get_text()
    assert len(chart.alt) > 10
    data, notes = chart._repr_mimebundle_()
    assert data["text/plain"] == chart.alt == notes["image/png"]["alt"]
    assert chart.png().startswith(b"\x89PNG")


def test_a_long_title_is_wrapped_into_the_picture():
    title = "a review that goes on and on , with one more thing to say about the soup " * 2
    chart = plots.label_bars({"yes": 1.0}, title=title)
    chart.draw_without_rendering()
    assert chart.get_suptitle().replace("\n", " ") == title.strip()
    extent = chart._suptitle.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= chart.bbox.width


def test_charts_leave_the_readers_settings_and_pyplot_alone():
    before = dict(matplotlib.rcParams)
    every_chart()
    assert dict(matplotlib.rcParams) == before


class TestAccuracyAgainstParameters:
    def test_points_stand_at_trained_parameters_and_mean_score(self):
        chart = accuracy_vs_parameters(
            records(("LoRA", 4096, 0.90), ("LoRA", 4096, 0.94), ("full", 10**6, 0.95))
        )
        axes = chart.axes[0]
        drawn = {}
        for bar in axes.containers:
            x, y = bar.lines[0].get_data()
            drawn[bar.get_label()] = (float(x[0]), round(float(y[0]), 6))
        assert drawn == {"LoRA": (4096.0, 0.92), "full": (1e6, 0.95)}
        assert axes.get_xscale() == "log"
        assert "LoRA 0.920" in words(chart)
        assert "full 0.950" in words(chart)

    def test_the_bar_is_one_standard_deviation_over_seeds(self):
        chart = accuracy_vs_parameters(records(("LoRA", 8, 0.8), ("LoRA", 8, 0.9)))
        segment = chart.axes[0].containers[0].lines[2][0].get_segments()[0]
        low, high = segment[:, 1]
        # the sample's: sqrt((0.05² + 0.05²) / (2 - 1)) = 0.070711
        assert (round(low, 6), round(high, 6)) == (0.779289, 0.920711)

    def test_nothing_trained_stands_left_of_all_and_is_called_none(self):
        chart = accuracy_vs_parameters(records(("zero-shot", 0, 0.7), ("LoRA", 64, 0.9)))
        axes = chart.axes[0]
        places = {bar.get_label(): bar.lines[0].get_xdata()[0] for bar in axes.containers}
        assert axes.get_xlim()[0] < places["zero-shot"] < places["LoRA"]
        labels = [text.get_text() for text in axes.get_xticklabels()]
        ticks = dict(zip(labels, axes.get_xticks(), strict=True))
        assert ticks["none"] == places["zero-shot"]

    @pytest.mark.parametrize("no_pretraining", [0.5, 0.51, 0.52, 0.6])
    def test_the_names_of_two_reference_lines_never_overlap(self, no_pretraining):
        chart = accuracy_vs_parameters(
            records(("LoRA", 64, 0.9)), majority=0.51, no_pretraining=no_pretraining
        )
        chart.draw_without_rendering()
        one, other = (
            text.get_window_extent()
            for text in chart.axes[0].texts
            if text.get_text().startswith(("majority", "no pre-training"))
        )
        assert not one.overlaps(other)
        assert chart.axes[0].bbox.y0 <= min(one.y0, other.y0)

    def test_reference_lines_at_majority_and_no_pretraining(self):
        chart = accuracy_vs_parameters(
            records(("LoRA", 64, 0.9)), majority=0.51, no_pretraining=0.63
        )
        lines = {
            line.get_label(): line.get_ydata()[0]
            for line in chart.axes[0].lines
            if not line.get_label().startswith("_")
        }
        assert lines == {"majority class": 0.51, "no pre-training": 0.63}

    def test_names_do_not_print_over_each_other(self):
        crowd = [(f"method {i}", 1000 + i, 0.90 + 0.001 * i) for i in range(6)]
        chart = accuracy_vs_parameters(records(*crowd))
        chart.draw_without_rendering()
        # Text's own extent: that of an Annotation takes in its line, which may pass under a name.
        boxes = [matplotlib.text.Text.get_window_extent(t) for t in chart.axes[0].texts]
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                assert not one.overlaps(other)

    def test_no_records(self):
        with pytest.raises(CourseError, match="no records"):
            accuracy_vs_parameters([])


class TestOthers:
    def test_label_bars_are_as_long_as_the_probabilities(self):
        chart = plots.label_bars({"a": {"yes": 0.7, "no": 0.3}, "b": {"yes": 0.2, "no": 0.8}})
        assert [round(bar.get_width(), 6) for bar in chart.axes[0].patches] == [0.7, 0.3, 0.2, 0.8]
        assert "b   yes" in words(chart)

    def test_the_right_label_is_marked_in_words(self):
        assert "yes (right)" in words(plots.label_bars({"yes": 0.7, "no": 0.3}, right="yes"))

    def test_curves_go_through_the_means_and_show_every_run(self):
        chart = plots.score_curves({"a": {4: [0.5, 0.7], 16: 0.9}}, xlabel="labels", log2=True)
        line, dots = chart.axes[0].lines[:2]
        assert line.get_xydata().tolist() == [[4, pytest.approx(0.6)], [16, 0.9]]
        assert dots.get_xydata().tolist() == [[4, 0.5], [4, 0.7]]
        assert "a" in [text.get_text() for text in chart.axes[0].texts]

    def test_what_does_not_depend_on_x_is_a_named_level(self):
        chart = plots.score_curves(
            {"a": {4: 0.5}}, xlabel="k", majority=0.4, references={"no label": 0.8}
        )
        levels = {line.get_label(): set(line.get_ydata()) for line in chart.axes[0].lines}
        assert levels["no label 0.80"] == {0.8}
        assert levels["majority class 0.40"] == {0.4}
        assert "no label 0.80" in words(chart)

    def test_a_learning_curve_has_one_point_per_step(self):
        chart = plots.learning_curve({"run": [3.0, 2.0, 1.0]})
        assert chart.axes[0].lines[0].get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]

    def test_the_heat_map_holds_the_grid(self):
        chart = plots.heat_map([[1, 2], [3, 4]], rows=["r", "s"], columns=["c", "d"])
        assert chart.axes[0].images[0].get_array().tolist() == [[1, 2], [3, 4]]
        assert {"r", "s", "c", "d"} <= set(words(chart).split(" | "))

    def test_a_grid_that_does_not_fit_its_names(self):
        with pytest.raises(CourseError, match="1 by 2, the names are 1 by 3"):
            plots.heat_map([[1, 2]], rows=["r"], columns=["a", "b", "c"])

    def test_amounts_over_the_limit_look_different_and_the_limit_is_named(self):
        chart = plots.amount_bars({"small": 1.0, "large": 9.0}, limit=("card", 5.0))
        small, large = chart.axes[0].patches
        assert small.get_facecolor() != large.get_facecolor()
        assert "card" in words(chart)

    @pytest.mark.parametrize("draw", [plots.label_bars, plots.amount_bars])
    def test_nothing_to_draw(self, draw):
        with pytest.raises(CourseError, match="nothing to draw"):
            draw({})

    def test_the_diagram_marks_only_what_was_asked_for(self):
        assert "LoRA" in words(diagram.layer_diagram(["LoRA"]))
        assert "prefix" not in words(diagram.layer_diagram(["LoRA"]))
        with pytest.raises(CourseError, match="adapter"):
            diagram.layer_diagram(["adaptor"])
