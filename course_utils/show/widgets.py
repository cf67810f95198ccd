"""Playgrounds: turn a knob or type, and the page answers.

A playground is an ordinary ipywidgets box. Beside the live widget it puts its answer into the
cell's output as plain HTML, so that a page made from an executed notebook shows what the knobs
gave instead of nothing.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

import ipywidgets as ipw

from course_utils.errors import CourseError
from course_utils.show import memory
from course_utils.show.bars import probability_bars
from course_utils.show.tables import WRONG, Page, Table, message_box
from course_utils.show.words import is_causal, top_words

WIDE = {"layout": {"width": "56em", "max_width": "100%"}, "style": {"description_width": "7em"}}

# Jupyter's own sizes are for one reader at a desk; these are for the last row, too.
_LETTERS = (
    "<style>.course-playground {--jp-widgets-font-size: 16px; --jp-widgets-inline-height: 32px;}"
    ".course-playground .widget-html-content {line-height: 1.4;}</style>"
)


def _large_letters() -> ipw.HTML:
    return ipw.HTML(_LETTERS, layout=ipw.Layout(display="none"))


class Playground(ipw.VBox):
    """Knobs above, the answer below.

    Args:
        answer: called with the value of each knob by name; returns a Page (or a Table).
        knobs: name -> ipywidgets control with a `value`.

    A CourseError is shown as its sentence: half-typed input is no accident worth a traceback. So is
    any other error that a turned knob brings about, since Jupyter would hide it in its log and the
    old answer would stay. One that is there before any knob was turned is raised. What stands
    below stays where it is: the sentence takes the room of the answer before it.
    """

    def __init__(self, answer: Callable[..., Page], knobs: Mapping[str, ipw.Widget]) -> None:
        self.answer, self.knobs = answer, dict(knobs)
        for name, knob in self.knobs.items():
            _describe(knob, name)
        self.page, self._answered = Page("", ""), ""
        self._view = ipw.HTML(layout=ipw.Layout(width="auto"))
        super().__init__([_large_letters(), *self.knobs.values(), self._view])
        self.add_class("course-playground")
        for knob in self.knobs.values():
            knob.observe(self._turned, names="value")
        self.refresh()

    def refresh(self) -> None:
        """Work the answer out again from the knobs as they stand."""
        try:
            self.page = self.answer(**{name: knob.value for name, knob in self.knobs.items()})
        except CourseError as error:
            self._say(str(error))
        else:
            self._answered = self._view.value = self.page.html

    def _turned(self, _change) -> None:
        try:
            self.refresh()
        except Exception as error:
            self._say(f"No answer to this: {type(error).__name__}: {error}")

    def _say(self, sentence: str) -> None:
        self.page = Page(message_box(sentence, WRONG), sentence)
        self._view.value = _in_the_room_of(self._answered, self.page.html)

    def _repr_mimebundle_(self, **kwargs):
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        settings = ", ".join(f"{name} = {_set_to(knob)}" for name, knob in self.knobs.items())
        note = f"Run this notebook to turn the knobs. Here: {settings}."
        bundle["text/html"] = f"{self.page.html}<p><em>{_escaped(note)}</em></p>"
        bundle["text/plain"] = f"{self.page.text}\n{note}"
        return bundle


def playground(answer: Callable[..., Page], **knobs: ipw.Widget) -> Playground:
    """A playground from a function and the knobs it is called with."""
    return Playground(answer, knobs)


def fill_mask_playground(model, tokenizer, text: str, k: int = 5) -> Playground:
    """Type a text; see what the PLM puts into `{mask}`, or, for a causal PLM, what it says next."""
    question = "next word" if is_causal(model) else "word for {mask}"

    def answer(text: str, how_many: int) -> Page:
        return probability_bars(top_words(model, tokenizer, text, how_many), f"{question}: {text}")

    return playground(
        answer,
        text=ipw.Text(value=text, description="text", continuous_update=True, **WIDE),
        how_many=ipw.IntSlider(value=k, min=1, max=20, description="how many", **WIDE),
    )


def memory_playground(parameters: float = 355e6, added: float = 0.8e6) -> Playground:
    """Bytes to store, to train, and to keep for many tasks: full fine-tuning beside a small method.

    Args:
        parameters: of the PLM to begin with (default RoBERTa-large).
        added: trained parameters per task of the small method (default LoRA's 0.8M).
    """

    def answer(model: float, trained: float, tasks: int, stored_as: str) -> Page:
        small = memory.bytes_to_train(model, min(trained, model), frozen_kind=stored_as)
        rows = [
            {
                "": "full fine-tuning",
                "weights, one task": memory.readable(memory.bytes_to_store(model, stored_as)),
                "training": memory.readable(memory.bytes_to_train(model).total),
                f"disk, {tasks} tasks": memory.readable(
                    memory.bytes_for_tasks(tasks, model, None, stored_as)
                ),
            },
            {
                "": "small method",
                "weights, one task": memory.readable(memory.bytes_to_store(model, stored_as)),
                "training": memory.readable(small.total),
                f"disk, {tasks} tasks": memory.readable(
                    memory.bytes_for_tasks(tasks, model, trained, stored_as)
                ),
            },
        ]
        return Table(rows, caption="training: AdamW, without activations")

    sizes = sorted({parameters, *memory.KNOWN_SIZES.values()})
    trained = sorted({added, *(step * 10.0**zeros for zeros in range(3, 9) for step in (1, 2, 5))})
    return playground(
        answer,
        model=ipw.SelectionSlider(
            options=[(_count(size), size) for size in sizes],
            value=parameters,
            description="parameters",
            **WIDE,
        ),
        trained=ipw.SelectionSlider(
            options=[(_count(size), size) for size in trained],
            value=added,
            description="trained",
            **WIDE,
        ),
        tasks=ipw.IntSlider(value=100, min=1, max=1000, description="tasks", **WIDE),
        stored_as=ipw.Dropdown(
            options=list(memory.BYTES_PER_NUMBER), value="float16", description="stored as", **WIDE
        ),
    )


def _in_the_room_of(before: str, now: str) -> str:
    """`now`, at least as tall as `before`, which is not seen: both lie in one square of a grid."""
    at = "grid-area: 1 / 1; min-width: 0;"
    hidden = f'<div style="{at} visibility: hidden" aria-hidden="true">{before}</div>'
    return f'<div style="display: grid">{hidden}<div style="{at}">{now}</div></div>'


def _describe(knob: ipw.Widget, name: str) -> None:
    """A knob without description or size is named as the function calls it, as wide as others."""
    if getattr(knob, "description", None) == "":
        knob.description = name.replace("_", " ")
    if getattr(knob.style, "description_width", None) == "":
        knob.style.description_width = WIDE["style"]["description_width"]
    if knob.layout.width is None:
        knob.layout.width = WIDE["layout"]["width"]


def _set_to(knob: ipw.Widget) -> str:
    label = getattr(knob, "label", None)
    return str(knob.value if label is None else label)


def _count(parameters: float) -> str:
    if parameters < 1e5:
        return f"{parameters / 1e3:g}k"
    return f"{parameters / 1e9:g}B" if parameters >= 1e9 else f"{parameters / 1e6:g}M"


def _escaped(text: object) -> str:
    return html.escape(str(text))
