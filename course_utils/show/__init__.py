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
    attention   who looks at a prefix: by layer and head, and token by token
    words       what a PLM puts into a gap, or says next
    widgets     playgrounds that also show something when no one can turn their knobs
    prompt_widgets, few_shot_widgets    playgrounds for prompts and for few labels
    mixtures    AdaMix's routing, drawn
    low_rank    the singular values of a change of weights, and a knob that cuts them
    four_bits   code books, blocks and what four bits lose
    delta_h     h and Δh: hidden states before and after tuning, in numbers
    delta_h_charts, delta_h_widgets     the same as pictures and playgrounds
    grids       numbers as shaded squares of HTML
    adapter_columns     where adapters stand in a layer
    token_shifts        AdapterBias's scalar per token
    budget      the calculator: what a method trains and takes on a PLM of any size
    difference  what a difference to a published score is worth
    published   published tables, from the recipes' data
    vectors     trained vectors among the words: which are near, where they went
    exit_widgets        early exit: the threshold, and who leaves where
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
    "prefix_attention": "attention",
    "prefix_share_map": "attention",
    "attention_grid": "attention",
    "prefix_attention_playground": "attention",
    "memory_playground": "widgets",
    "routing_playground": "mixtures",
    "rank_playground": "low_rank",
    "block_playground": "four_bits",
    "code_book_chart": "four_bits",
    "playground": "widgets",
    "change_maps": "delta_h_charts",
    "move_arrows": "delta_h_charts",
    "change_playground": "delta_h_widgets",
    "mixing_playground": "delta_h_widgets",
    "shaded_grid": "grids",
    "adapter_places": "adapter_columns",
    "shift_playground": "token_shifts",
    "accuracy_vs_cost": "tradeoff",
    "exit_playground": "exit_widgets",
    "budget_playground": "budget",
    "budget_table": "budget",
    "nearest_words": "vectors",
    "vector_map": "vectors",
    "vector_playground": "vectors",
    "published_table": "published",
    "difference_playground": "difference",
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
    "attention",
    "words",
    "widgets",
    "prompt_widgets",
    "few_shot_widgets",
    "mixtures",
    "low_rank",
    "four_bits",
    "delta_h",
    "delta_h_charts",
    "delta_h_widgets",
    "grids",
    "token_shifts",
    "adapter_columns",
    "exit_widgets",
    "vectors",
    "budget",
    "published",
    "difference",
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
