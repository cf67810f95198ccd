"""Pictures, tables and playgrounds, in one style, for notebooks, the command line and reports.

    from course_utils.show import Table, accuracy_vs_parameters, fill_mask_playground

Everything is loaded on first use: importing this package imports neither matplotlib, ipywidgets
nor torch.

    plots       charts readable from the back of a room
    dots        scores side by side, one row each
    measured    means over seeds with their spread: curves, rows, intervals against zero
    tradeoff    the chart of the course: accuracy against trained parameters
    diagram     one layer of a PLM, and where each method sits
    tables      one table for notebook, terminal and plain text
    bars        probabilities as bars of HTML, quick enough to follow typing
    memory      what it takes to store, serve and train a model, in bytes
    words       what a PLM puts into a gap, or says next
    widgets     playgrounds that also show something when no one can turn their knobs
    prompt_widgets, few_shot_widgets    playgrounds for prompts and for few labels
    exercises   the self-checks of the notebooks
"""

from __future__ import annotations

import importlib

_HOMES = {
    "accuracy_vs_parameters": "tradeoff",
    "layer_diagram": "diagram",
    "score_dots": "dots",
    "measured_curves": "measured",
    "measured_rows": "measured",
    "interval_rows": "measured",
    "label_bars": "plots",
    "score_curves": "plots",
    "learning_curve": "plots",
    "heat_map": "plots",
    "amount_bars": "plots",
    "Chart": "style",
    "Table": "tables",
    "Page": "tables",
    "probability_bars": "bars",
    "surprise_strip": "bars",
    "top_words": "words",
    "surprise": "words",
    "fill_mask_playground": "widgets",
    "template_playground": "prompt_widgets",
    "verbalizer_explorer": "prompt_widgets",
    "demonstration_playground": "few_shot_widgets",
    "in_context_playground": "few_shot_widgets",
    "soft_label_playground": "few_shot_widgets",
    "memory_playground": "widgets",
    "playground": "widgets",
}
_MODULES = (
    "plots",
    "dots",
    "measured",
    "tradeoff",
    "diagram",
    "style",
    "tables",
    "bars",
    "memory",
    "words",
    "widgets",
    "prompt_widgets",
    "few_shot_widgets",
    "exercises",
)

__all__ = [*sorted(_HOMES), *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
